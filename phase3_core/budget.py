"""Caps on money: what a budget caps, how full it is, and what must stay free so that finds are verified."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

from phase3_core.money import ZERO, Money, usd
from phase3_core.statuses import Agent
from phase3_core.tiers import Tier


def campaign_scope(campaign_id: UUID, of: str) -> str:
    return f"{campaign_id} {of}"


def day_scope(provider: str, day: date) -> str:
    return f"{provider} {day.isoformat()}"


def why_spent(scope: str) -> tuple[str, datetime | None]:
    """In words for the user, and when there is money again: a provider's next day, else None."""
    of = scope.partition(" ")[2]
    try:
        tomorrow = date.fromisoformat(of) + timedelta(days=1)
    except ValueError:
        return f"the campaign's budget for {of.replace('_', ' ')} is spent", None
    return "its budget for the day is spent", datetime.combine(tomorrow, time(), UTC)


# Leads: where six of ten get a valid address, chance alone moves what one costs by a sixth (two standard
# deviations); with fewer leads by more.
LEAST_DECIDED = 100


@dataclass(slots=True)
class CostPerValid:
    """What the valid addresses of a campaign cost: `spent` USD on so many leads that are decided.

    `most`: USD that one may cost, counted over all of them; None: any.
    """

    campaign_id: UUID
    most: Money | None
    decided: int = 0
    accepted: int = 0
    spent: Money = ZERO

    def add(self, spent: Money, *, accepted: bool) -> None:
        self.decided += 1
        self.accepted += accepted
        self.spent += spent

    @property
    def is_spent(self) -> bool:
        enough = self.decided >= LEAST_DECIDED
        return enough and self.most is not None and self.spent > self.most * self.accepted

    @property
    def scope(self) -> str:
        """Of a budget that grows with every valid address."""
        cost = f"they cost {usd(self.spent / self.accepted)}" if self.accepted else "there is none"
        return campaign_scope(self.campaign_id, f"valid addresses at {self.most} USD each ({cost})")


NAMES = {Agent.EMAIL_VERIFICATION: "email_verification", Agent.ENRICHMENT: "enrichment"}


@dataclass(frozen=True, slots=True)
class Budget:
    """One cap, USD: of an agent or a tier of a campaign, or of a provider's UTC day.

    `spent` counts bills that are not known at their worst, `reserved` calls in flight. `refused_at`: since
    when a call found no room under it.
    """

    scope: str
    cap: Money
    spent: Money = ZERO
    reserved: Money = ZERO
    agent: Agent | None = None
    tier: Tier | None = None
    provider: str = ""
    day: date | None = None
    alerted_at: datetime | None = None
    refused_at: datetime | None = None

    @property
    def left(self) -> Money:
        return max(ZERO, self.cap - self.spent)

    @property
    def name(self) -> str:
        """Of a campaign's budget, as `phase3 budget` and the report call it."""
        if self.tier:
            return f"tier_{self.tier.lower()}"
        return NAMES.get(self.agent, "") if self.agent else ""

    @property
    def words(self) -> str:
        """What it caps, for people."""
        if self.provider:
            return f"{self.provider} on {self.day}"
        return self.name.replace("_", " ")

    @property
    def reached(self) -> bool:
        """A cap may be lowered below what is spent: then no call has yet been refused under it."""
        return self.refused_at is not None or self.spent >= self.cap

    @property
    def told(self) -> str:
        return f"{self.words}: {self.spent} of {self.cap} USD spent"

    def as_json(self) -> dict[str, str | bool]:
        return {
            "of": self.words,
            "cap_usd": str(self.cap),
            "spent_usd": str(self.spent),
            "reserved_usd": str(self.reserved),
            "alerted": self.alerted_at is not None,
            "reached": self.reached,
        }


@dataclass(slots=True)
class _Promise:
    tier: Tier | None
    amount: Money


class Promises:
    """What this run keeps free for verifying addresses that are found or being looked for, by lead.

    A finder that waits for room holds no promise, so none waits for another that waits.
    """

    def __init__(self) -> None:
        self._by_lead: dict[UUID, _Promise] = {}
        self._by_tier: defaultdict[Tier | None, Money] = defaultdict(lambda: ZERO)

    def __bool__(self) -> bool:
        return bool(self._by_lead)

    @property
    def by_tier(self) -> dict[Tier | None, Money]:
        return dict(self._by_tier)

    def of(self, lead_id: UUID | None) -> Money:
        promise = self._by_lead.get(lead_id) if lead_id else None
        return promise.amount if promise else ZERO

    def keep(self, lead_id: UUID | None, tier: Tier | None, amount: Money) -> None:
        self.drop(lead_id)
        if lead_id and amount:
            self._by_lead[lead_id] = _Promise(tier, amount)
            self._by_tier[tier] += amount

    def use(self, lead_id: UUID | None, amount: Money) -> None:
        """A verification of the lead has been paid from it."""
        if lead_id and (promise := self._by_lead.get(lead_id)):
            self.keep(lead_id, promise.tier, max(promise.amount - amount, ZERO))

    def drop(self, lead_id: UUID | None) -> None:
        if lead_id and (promise := self._by_lead.pop(lead_id, None)):
            self._by_tier[promise.tier] -= promise.amount


@dataclass(frozen=True, slots=True)
class Caps:
    """What is capped, USD: agents and tiers of a campaign, a provider's UTC day; what is left out is not.

    `alert_at`: the share of a cap from which on its owner is told.
    """

    agents: Mapping[Agent, Money] = field(default_factory=dict)
    tiers: Mapping[Tier, Money] = field(default_factory=dict)
    daily: Mapping[str, Money] = field(default_factory=dict)
    alert_at: Decimal = Decimal("0.8")

    def under(self, own: "Caps") -> "Caps":
        """Those of a campaign's own, or a run's own, before these."""
        return Caps({**self.agents, **own.agents}, {**self.tiers, **own.tiers}, self.daily, self.alert_at)
