"""What holds a campaign up, quotas, paces and budgets, and how far they carry what is expected."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from phase3_core.budget import Budget
from phase3_core.money import ZERO, Money, total
from phase3_core.planner import Line
from phase3_core.rate_limits import Allowed
from phase3_core.statuses import Agent
from phase3_core.tiers import Tier

USUAL_ANSWER_MS = 3_000
DAY_S = 86_400
AGENTS = (Agent.EMAIL_VERIFICATION, Agent.ENRICHMENT)


@dataclass(frozen=True, slots=True)
class Load:
    """What is expected of an account in all."""

    calls: float = 0.0
    cost: Money = ZERO


@dataclass(frozen=True, slots=True)
class Cut:
    """A budget that does not carry what is expected under it, USD; `leads` that it leaves waiting."""

    budget: str
    left: Money
    expected: Money
    leads: Mapping[Tier, int]

    @property
    def told(self) -> str:
        each = ", ".join(f"{count:,} of tier {tier}" for tier, count in self.leads.items() if count)
        return (
            f"The budget for {self.budget} has {self.left:.2f} USD left and about {self.expected:.2f} are "
            f"expected: about {each or 'no'} leads would wait."
        )

    def as_json(self) -> dict[str, object]:
        return {
            "budget": self.budget,
            "left_usd": str(self.left),
            "expected_usd": str(self.expected),
            "leads": {tier.value: count for tier, count in self.leads.items()},
        }


@dataclass(frozen=True, slots=True)
class Circumstances:
    """`allowed` by provider, `used_today` requests by account, `took_ms` for an answer, by vendor.

    `budgets`: those of the campaign, and of providers today.
    """

    now: datetime
    allowed: Mapping[str, Allowed] = field(default_factory=dict)
    used_today: Mapping[str, int] = field(default_factory=dict)
    budgets: Sequence[Budget] = ()
    took_ms: Mapping[str, int] = field(default_factory=dict)

    def of(self, provider: str) -> Allowed:
        return self.allowed.get(provider) or Allowed()

    def account(self, provider: str) -> str:
        return self.of(provider).account or provider

    def loads(self, bought: Iterable[Line]) -> Mapping[str, Load]:
        """By account: questions that a vendor counts together."""
        loads: defaultdict[str, Load] = defaultdict(Load)
        for line in bought:
            account = self.account(line.provider)
            loads[account] = Load(loads[account].calls + line.calls, loads[account].cost + line.cost)
        return loads

    def busy_s(self, provider: str, calls: float) -> float:
        """As long as its pace or its places in flight need; what is asked in bulk is bound by pace alone."""
        allowed = self.of(provider)
        answer_s = self.took_ms.get(_vendor(provider), USUAL_ANSWER_MS) / 1000
        paced = calls / allowed.rate if allowed.rate else 0.0
        return max(paced, 0.0 if allowed.bulk else calls * answer_s / allowed.in_flight)

    def takes_s(self, provider: str, calls: float) -> float:
        """As `busy_s`, with the days for which its quota makes the rest wait."""
        allowed = self.of(provider)
        beyond = calls - max(0, (allowed.per_day or 0) - self.used_today.get(allowed.account, 0))
        waiting = max(0.0, beyond) * DAY_S / allowed.per_day if allowed.per_day else 0.0
        return self.busy_s(provider, calls) + waiting

    def left_for(self, agent: Agent) -> float:
        """USD under the campaign's cap for the agent; without end where there is none."""
        caps = (one.cap - one.spent for one in self.budgets if one.agent is agent)
        return float(max(ZERO, min(caps, default=Money("Infinity"))))

    def is_paced(self, provider: str, calls: float) -> bool:
        """Whether it is its pace that keeps it busy for so long."""
        rate = self.of(provider).rate
        return rate is not None and calls / rate >= self.busy_s(provider, calls)

    def days(self, provider: str, load: Load) -> int:
        """UTC days in which its quota and its cap of a day carry the load; today's rest is the first."""
        allowed, budget = self.of(provider), self.day_budget(provider)
        quota_left = (allowed.per_day or 0) - self.used_today.get(allowed.account, 0)
        by_quota = _days(round(load.calls), quota_left, allowed.per_day)
        return max(by_quota, _days(load.cost, budget.cap - budget.spent, budget.cap) if budget else 1)

    def day_budget(self, provider: str) -> Budget | None:
        return next((one for one in self.budgets if one.provider == _vendor(provider)), None)

    def day_told(self, provider: str) -> str:
        """What a day allows of it, in words."""
        per_day, budget = self.of(provider).per_day, self.day_budget(provider)
        by_quota = f"{per_day:,} a day are allowed" if per_day else ""
        by_cap = f"{budget.cap:.2f} USD a day may be spent" if budget else ""
        return " and ".join(limit for limit in (by_quota, by_cap) if limit)

    def cuts(self, bought: Sequence[Line], waiting: Mapping[tuple[Agent, Tier], float]) -> Iterator[Cut]:
        """The campaign's budgets that carry only part of it. `waiting`: leads that agents will work on."""
        for budget in self.budgets:
            under = [line for line in bought if _is_under(budget, line)]
            expected, left = total(line.cost for line in under), max(ZERO, budget.cap - budget.spent)
            if not budget.provider and expected > left:
                yield Cut(budget.words, left, expected, _left_waiting(under, left, waiting))

    def carried(self, bought: Sequence[Line], times: float = 1.0) -> float:
        """USD that the campaign's budgets carry, if all of it costs so many times what is expected."""
        costs = [times * float(line.cost) for line in bought]
        for budget in self.budgets:
            if budget.provider:
                continue
            under = [place for place, line in enumerate(bought) if _is_under(budget, line)]
            cost, left = sum(costs[place] for place in under), float(max(ZERO, budget.cap - budget.spent))
            for place in under:
                costs[place] *= min(1.0, left / cost) if cost else 1.0
        return sum(costs)


def _vendor(provider: str) -> str:
    return provider.partition(":")[0]


def _days(wanted: Money | int, today: Money | int, a_day: Money | int | None) -> int:
    if not a_day:
        return 1
    return 1 + max(0, math.ceil((wanted - max(0, today)) / a_day))


def _is_under(budget: Budget, line: Line) -> bool:
    return budget.agent in {None, line.agent} and budget.tier in {None, line.tier}


def _left_waiting(
    under: Sequence[Line], left: Money, waiting: Mapping[tuple[Agent, Tier], float]
) -> dict[Tier, int]:
    """Agents one after the other, the best tier first, until the money is gone."""
    cut: dict[Tier, int] = {}
    for agent in AGENTS:
        for tier in Tier:
            cost = total(line.cost for line in under if line.agent is agent and line.tier is tier)
            carried = min(cost, left)
            left -= carried
            if cost > carried:
                beyond = float(1 - carried / cost) * waiting[agent, tier]
                cut[tier] = max(cut.get(tier, 0), math.ceil(beyond))
    return cut
