"""What holds a campaign up, quotas, paces and budgets, and how far they carry what is expected."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from phase3_core.budget import Budget
from phase3_core.course import Line
from phase3_core.money import ZERO, Money, total, usd
from phase3_core.quotas import Quota, Quotas, Stock
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
class Work:
    """A provider at work: `calls` of its account, how long limits keep it at them, UTC days by its quota."""

    provider: str
    calls: float
    busy_s: float
    days: int


@dataclass(frozen=True, slots=True)
class Cut:
    """A budget that does not carry what is expected under it, USD; `leads` that it leaves waiting."""

    budget: str
    left: Money
    expected: Money
    leads: Mapping[Tier, int]

    @property
    def carries(self) -> str:
        return f"{self.left:,.2f} of {self.expected:,.2f} USD"

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

    def _loads(self, bought: Iterable[Line]) -> Mapping[str, Load]:
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
        a_day = self.quota(provider).calls
        waiting = max(0.0, calls - a_day.today) * DAY_S / a_day.a_day if a_day else 0.0
        return self.busy_s(provider, calls) + waiting

    def left_for(self, agent: Agent) -> float:
        """USD under the campaign's cap for the agent; without end where there is none."""
        return float(min((_left(one) for one in self.budgets if one.agent is agent), default=math.inf))

    def is_paced(self, provider: str, calls: float) -> bool:
        """Whether it is its pace that keeps it busy for so long."""
        rate = self.of(provider).rate
        return rate is not None and calls / rate >= self.busy_s(provider, calls)

    def quotas(self, providers: Iterable[str]) -> Quotas:
        return {name: quota for name in providers if (quota := self.quota(name)) != Quota()}

    def quota(self, provider: str) -> Quota:
        """What is left of its quota and of its cap of a day."""
        allowed, budget = self.of(provider), self.day_budget(provider)
        calls = spend = None
        if allowed.per_day:
            left = allowed.per_day - self.used_today.get(allowed.account, 0)
            calls = Stock(self.account(provider), max(0, left), allowed.per_day)
        if budget and budget.cap:
            spend = Stock(budget.scope, float(_left(budget)), float(budget.cap))
        return Quota(calls, spend)

    def work(self, bought: Sequence[Line]) -> Mapping[tuple[Agent, str], Work]:
        """What is bought keeps its providers at work for so long, by agent and provider."""
        loads = self._loads(bought)
        return {
            (line.agent, line.provider): self._work(line.provider, loads[self.account(line.provider)])
            for line in bought
        }

    def _work(self, provider: str, load: Load) -> Work:
        """`load` of all its account."""
        days = self.quota(provider).days(load.calls, float(load.cost))
        return Work(provider, load.calls, self.busy_s(provider, load.calls), days)

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
            expected, left = total(line.cost for line in under), _left(budget)
            if not budget.provider and expected > left:
                yield Cut(budget.words, left, expected, _left_waiting(under, left, waiting))

    def carried(self, bought: Sequence[Line], times: float = 1.0) -> float:
        """USD that the campaign's budgets carry, if all of it costs so many times what is expected."""
        parts = self._carried_parts(bought, times)
        return sum(times * float(line.cost) * part for line, part in zip(bought, parts, strict=True))

    def affordable(self, bought: Sequence[Line]) -> list[Line]:
        """As much of it as the campaign's budgets carry."""
        return [
            replace(line, calls=line.calls * part, hits=line.hits * part, cost=_part(line.cost, part))
            for line, part in zip(bought, self._carried_parts(bought), strict=True)
        ]

    def _carried_parts(self, bought: Sequence[Line], times: float = 1.0) -> list[float]:
        """Of each line; what is bought on a day is paid before what is bought on the next."""
        parts = [1.0] * len(bought)
        for budget in (one for one in self.budgets if not one.provider):
            left = float(_left(budget))
            for places in _day_by_day(budget, bought):
                cost = times * sum(parts[place] * float(bought[place].cost) for place in places)
                part = min(1.0, left / cost) if cost else 1.0
                left = max(0.0, left - cost)
                for place in places:
                    parts[place] *= part
        return parts


def _left(budget: Budget) -> Money:
    return max(ZERO, budget.cap - budget.spent)


def _part(cost: Money, part: float) -> Money:
    return usd(cost * Decimal(f"{part:.9f}"))


def _day_by_day(budget: Budget, bought: Sequence[Line]) -> Iterator[list[int]]:
    """The places of the lines under it that begin on the same day."""
    under = [place for place, line in enumerate(bought) if _is_under(budget, line)]
    for day in sorted({bought[place].day for place in under}):
        yield [place for place in under if bought[place].day == day]


def _vendor(provider: str) -> str:
    return provider.partition(":")[0]


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
