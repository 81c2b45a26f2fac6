"""The tables of the settings file, a class each, with what they mean to the core."""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork

from phase3_core.approval import ApprovalPolicy, AutoApproval
from phase3_core.budget import Caps
from phase3_core.money import Money, usd
from phase3_core.policy import PILOT, STANDARD, LeadCaps, Ordering, Thresholds
from phase3_core.statuses import Agent
from phase3_core.tiers import Tier

Amount = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=6)]
Rate = Annotated[float, Field(gt=0)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProviderSettings(Strict):
    """What differs from the catalogue: USD per credit, requests per second, minute, hour, day; in flight.

    `bulk`: whether questions are submitted many at a time where the vendor takes that; `auto` does so when
    single calls would keep the leads that wait busy for over half an hour.
    """

    enabled: bool = True
    opt_in: bool = False  # needed for providers whose protocol is unconfirmed
    price_usd: Amount | None = None
    per_second: Rate | None = None
    per_minute: Rate | None = None
    per_hour: Rate | None = None
    per_day: Annotated[int, Field(gt=0)] | None = None
    per_day_usd: Amount | None = None  # what all runs together may spend on it in a UTC day
    reads_per_minute: Rate | None = None  # of jobs' results
    in_flight: Annotated[int, Field(gt=0)] | None = None
    bulk: Literal["auto", "always", "never"] = "auto"


class TierAmounts(Strict):
    A: Amount | None = None
    B: Amount | None = None
    C: Amount | None = None

    def by_tier(self) -> dict[Tier, Money]:
        given = self.model_dump(exclude_none=True)
        return {Tier(name): usd(amount) for name, amount in given.items()}


class WaterfallSettings(Strict):
    """`order` names finders, those left out are not asked; or it is `cheapest_valid`: by expected cost.

    `worth_usd`, by tier: what a valid address may be expected to cost with `cheapest_valid`.
    `loss_tolerance`: the share of that worth which asking a lost question again may be expected to cost in
    vain, where only a hit costs. `wait_if_dearer_usd`: a lead waits for a finder whose service fails where
    going on without it is expected to cost so many USD more. `routing`: all leads start with the first
    finder, or they are dealt out so that limits let the campaign end earliest.
    """

    order: tuple[str, ...] | Literal["cheapest_valid"] | None = None
    worth_usd: TierAmounts = TierAmounts()
    loss_tolerance: Annotated[Decimal, Field(ge=0, le=1)] | None = None
    wait_if_dearer_usd: Amount | None = None
    routing: Literal["first", "earliest"] = "first"
    guessing: bool = True
    max_providers_per_lead: Annotated[int, Field(ge=1)] = 7
    leads_in_flight: Annotated[int, Field(ge=1, le=5000)] = 3000

    @property
    def ordering(self) -> Ordering:
        return Ordering.CHEAPEST_VALID if isinstance(self.order, str) else Ordering.AS_LISTED

    @property
    def listed(self) -> tuple[str, ...] | None:
        """Finders by name; None: those of the catalogue."""
        return None if isinstance(self.order, str) else self.order

    @property
    def patience(self) -> Money | None:
        return None if self.wait_if_dearer_usd is None else usd(self.wait_if_dearer_usd)

    @property
    def tolerated_losses(self) -> dict[Tier, Money]:
        """USD by tier; a tier that is not in it tolerates any."""
        if self.loss_tolerance is None:
            return {}
        return {tier: usd(worth * self.loss_tolerance) for tier, worth in self.worth_usd.by_tier().items()}


class ThresholdSettings(Strict):
    preset: Literal["standard", "pilot"] = "standard"
    force_continue: bool = False
    min_emails: Annotated[int, Field(ge=0)] | None = None
    min_enriched: Annotated[int, Field(ge=0)] | None = None
    min_tier_a_ready: Annotated[int, Field(ge=0)] | None = None

    def thresholds(self) -> Thresholds:
        base = PILOT if self.preset == "pilot" else STANDARD
        given = {name: getattr(self, name) for name in ("min_emails", "min_enriched", "min_tier_a_ready")}
        return Thresholds(
            **{name: getattr(base, name) if value is None else value for name, value in given.items()}
        )


class BudgetSettings(Strict):
    """USD. Of each campaign: per agent, and per tier over both; what is not set has no cap.

    Of each lead: for finding and verifying its address; for its enrichment, by tier. `per_valid_address_usd`:
    what a campaign's valid addresses may cost on average, everything spent on the leads without one included.
    """

    email_verification_usd: Amount | None = None
    enrichment_usd: Amount | None = None
    tier_usd: TierAmounts = TierAmounts()
    email_verification_per_lead_usd: Amount = Decimal("0.50")
    per_lead_usd: TierAmounts = TierAmounts()
    per_valid_address_usd: Annotated[Amount, Field(gt=0)] | None = None
    alert_at: Annotated[Decimal, Field(gt=0, le=1)] = Decimal("0.8")

    def caps(self) -> Caps:
        agents = {
            Agent.EMAIL_VERIFICATION: self.email_verification_usd,
            Agent.ENRICHMENT: self.enrichment_usd,
        }
        return Caps(
            {agent: usd(cap) for agent, cap in agents.items() if cap is not None},
            self.tier_usd.by_tier(),
            alert_at=self.alert_at,
        )

    def lead_caps(self) -> LeadCaps:
        usual = LeadCaps()
        return LeadCaps(
            usd(self.email_verification_per_lead_usd), {**usual.enrichment, **self.per_lead_usd.by_tier()}
        )

    @property
    def per_valid(self) -> Money | None:
        return None if self.per_valid_address_usd is None else usd(self.per_valid_address_usd)


class LedgerSettings(Strict):
    fresh_days: Annotated[float, Field(gt=0)] = 7.0  # how long an answer is used again for nothing

    @property
    def ttl_s(self) -> float:
        return self.fresh_days * 86_400


class ApprovalSettings(Strict):
    """`approvers`: names, and Slack's user ids; "*": anyone with a shell or the Dagster UI. `auto`: nobody is
    asked where enough leads are ready.
    """

    approvers: tuple[str, ...] = ()
    auto: bool = False
    auto_min_tier_a_ready: Annotated[int, Field(ge=0)] = 500
    auto_min_ready: Annotated[int, Field(ge=0)] = 5_000
    remind_after_hours: Rate = 24.0
    escalate_after_hours: Rate = 24.0  # after the reminder
    slack_channel: Annotated[str, Field(pattern=r"^([CGD][A-Z0-9]+)?$")] = ""  # a channel's id
    escalate_to: str = ""  # whom the escalation mentions: <@U...> or <!subteam^S...>

    def policy(self) -> ApprovalPolicy:
        auto = AutoApproval(self.auto_min_tier_a_ready, self.auto_min_ready)
        return ApprovalPolicy(
            approvers=self.approvers,
            auto=auto if self.auto else None,
            remind_after=timedelta(hours=self.remind_after_hours),
            escalate_after=timedelta(hours=self.escalate_after_hours),
        )


class ExportSettings(Strict):
    """`spreadsheet`: id of a Google spreadsheet that the service account may edit; empty: none is written.

    Nobody else is let in unless `spreadsheet_readers` (addresses) or `spreadsheet_public` says so.
    """

    spreadsheet: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]*$")] = ""
    spreadsheet_readers: tuple[str, ...] = ()
    spreadsheet_public: bool = False


class RetentionSettings(Strict):
    """What `phase3 db prune` erases: answers this old, unless they are fresh, in doubt or free to ask again;
    the people of campaigns in which nothing has happened for so long. None: kept.
    """

    answers_days: Annotated[int, Field(ge=1)] | None = 365
    leads_days: Annotated[int, Field(ge=1)] | None = None


class DatabaseSettings(Strict):
    longest_outage_s: Annotated[float, Field(ge=0)] = 300.0  # a run waits so long for a database that is away


class WebhookSettings(Strict):
    """`url`: where events are posted; their secret is in the environment."""

    url: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""


class WebSettings(Strict):
    """`contact`: a URL or address where the owner of a website that we read finds us.

    `own_networks`: public addresses of our own, at which no website is read: `203.0.113.7`, `2001:db8::/48`.
    """

    contact: Annotated[str, Field(pattern=r"^[!-~]*$", max_length=200)] = ""
    own_networks: tuple[IPvAnyNetwork, ...] = ()
