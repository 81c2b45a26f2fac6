"""The one settings file, `phase3.toml`: prices and limits of the plans that were bought, thresholds, order.

Everything has a default; a mistake is reported with its line before anything starts. Keys and passwords
do not belong here: they come from the environment.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork, PrivateAttr, ValidationError

from phase3_core.approval import ApprovalPolicy, AutoApproval
from phase3_core.budget import Caps
from phase3_core.errors import BadInput
from phase3_core.forgetting import Pseudonyms
from phase3_core.money import Money, usd
from phase3_core.policy import PILOT, STANDARD, LeadCaps, Ordering, Policy, Routing, Thresholds
from phase3_core.statuses import Agent
from phase3_core.tiers import Tier

FILE_NAME = "phase3.toml"
FILE_VARIABLE = "PHASE3_SETTINGS"
FORGET_KEY = "PHASE3_FORGET_KEY"
SHORTEST_KEY = 32  # characters

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

    `worth_usd`, by tier: what a valid address may be expected to cost with `cheapest_valid`. `routing`: all
    leads start with the first finder, or they are dealt out so that limits let the campaign end earliest.
    """

    order: tuple[str, ...] | Literal["cheapest_valid"] | None = None
    worth_usd: TierAmounts = TierAmounts()
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

    Of each lead: for finding and verifying its address; for its enrichment, by tier.
    """

    email_verification_usd: Amount | None = None
    enrichment_usd: Amount | None = None
    tier_usd: TierAmounts = TierAmounts()
    email_verification_per_lead_usd: Amount = Decimal("0.50")
    per_lead_usd: TierAmounts = TierAmounts()
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
    """What `phase3 db prune` erases: answers this old, unless they are fresh or free to ask again; the people
    of campaigns in which nothing has happened for so long. None: kept.
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


@dataclass(frozen=True, slots=True)
class Origin:
    """Where settings came from; `overrides` are a run's own, in the shape of the file."""

    path: Path | None = None
    text: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def told(self, where: tuple[int | str, ...], message: str) -> str:
        name = ".".join(str(step) for step in where)
        if self._overridden(where) or self.path is None:
            return f"run config: {name}: {message}"
        return f"{self.path}:{self._line(where)}: {name}: {message}"

    def _overridden(self, where: tuple[int | str, ...]) -> bool:
        node: Any = self.overrides
        for step in where:
            if not isinstance(node, Mapping):
                return True
            if step not in node:
                return False
            node = node[step]
        return bool(where)

    def _line(self, where: tuple[int | str, ...]) -> int:
        """The line of the innermost name that stands in the file, 1 if none does."""
        lines = self.text.splitlines()
        found = 0
        for step in where:
            later = (n for n in range(found, len(lines)) if str(step) in lines[n].partition("#")[0])
            found = next(later, found)
        return found + 1


class Settings(Strict):
    providers: Mapping[str, ProviderSettings] = Field(default_factory=dict)
    waterfall: WaterfallSettings = WaterfallSettings()
    thresholds: ThresholdSettings = ThresholdSettings()
    ledger: LedgerSettings = LedgerSettings()
    database: DatabaseSettings = DatabaseSettings()
    retention: RetentionSettings = RetentionSettings()
    web: WebSettings = WebSettings()
    exports: ExportSettings = ExportSettings()
    approval: ApprovalSettings = ApprovalSettings()
    webhook: WebhookSettings = WebhookSettings()
    budgets: BudgetSettings = BudgetSettings()
    _origin: Origin = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Those of a file know where their words stand."""
        self._origin = context or Origin()

    def mistake(self, *where: str, told: str) -> BadInput:
        """Settings that are well-formed and contradict themselves or the catalogue, told with their line."""
        return BadInput(self._origin.told(where, told))

    def with_contact(self, usual: str) -> "Settings":
        """The same, with a contact in any case."""
        web = self.web.model_copy(update={"contact": self.web.contact or usual})
        return self.model_copy(update={"web": web})

    def provider(self, name: str) -> ProviderSettings:
        return self.providers.get(name) or ProviderSettings()

    def caps(self, own: Caps, daily: Mapping[str, Money]) -> Caps:
        """A run's own before those of the campaign, these before the file's."""
        given = self._origin.overrides.get("budgets", {})
        of_run = BudgetSettings.model_validate(given).caps()
        return replace(self.budgets.caps().under(own).under(of_run), daily=daily)

    def policy(self, *, preset: str | None = None, force_continue: bool | None = None) -> Policy:
        """The campaign's policy; a run may choose another preset and force its way on."""
        thresholds = (
            self.thresholds if preset is None else ThresholdSettings.model_validate({"preset": preset})
        )
        force = self.thresholds.force_continue if force_continue is None else force_continue
        return Policy(
            thresholds=thresholds.thresholds(),
            force_continue=force,
            guessing=self.waterfall.guessing,
            ordering=self.waterfall.ordering,
            worth=self.waterfall.worth_usd.by_tier(),
            routing=Routing(self.waterfall.routing),
            max_providers_per_lead=self.waterfall.max_providers_per_lead,
            leads_in_flight=self.waterfall.leads_in_flight,
            lead_caps=self.budgets.lead_caps(),
            alert_at=self.budgets.alert_at,
            approval=self.approval.policy(),
        )


def pseudonyms(environment: Mapping[str, str] = os.environ) -> Pseudonyms:
    """How forgotten people are recognised; raises BadInput for a key that could be guessed."""
    key = environment.get(FORGET_KEY, "").strip()
    if key and len(key) < SHORTEST_KEY:
        told = f"{FORGET_KEY} has {len(key)} characters and needs {SHORTEST_KEY}"
        raise BadInput(f"{told}: make one by `openssl rand -hex 32`.")
    return Pseudonyms(key.encode())


def settings_path(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The file that `PHASE3_SETTINGS` names, else `phase3.toml` here if there is one."""
    if named := environment.get(FILE_VARIABLE):
        return Path(named)
    here = Path(FILE_NAME)
    return here if here.is_file() else None


def read_settings(path: Path | None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The file's settings under a run's own; raises BadInput with file, line and what is wrong."""
    text = _text(path) if path else ""
    origin = Origin(path, text, overrides or {})
    try:
        raw = tomllib.loads(text, parse_float=Decimal)
        return Settings.model_validate(_merged(raw, origin.overrides), context=origin)
    except tomllib.TOMLDecodeError as failure:
        raise BadInput(f"{path}: is no TOML: {failure}") from None
    except ValidationError as failure:
        told = (origin.told(error["loc"], error["msg"]) for error in failure.errors())
        raise BadInput("; ".join(told)) from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        why = type(failure).__name__
        raise BadInput(f"{path}: cannot be read ({why}); {FILE_VARIABLE} names it") from None


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        name: _merged(base[name], over[name])
        for name in base.keys() & over.keys()
        if isinstance(base[name], Mapping) and isinstance(over[name], Mapping)
    }
    return {**base, **over, **both}
