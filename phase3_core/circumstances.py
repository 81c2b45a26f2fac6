"""What holds a campaign up: quotas, paces, places, and budgets of a day."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from phase3_core.budget import Budget
from phase3_core.course import Line
from phase3_core.money import ZERO, Money
from phase3_core.quotas import Quota, Quotas, Stock
from phase3_core.rate_limits import Allowed
from phase3_core.record import Credit
from phase3_core.statuses import Agent

USUAL_ANSWER_MS = 3_000
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Load:
    """What is expected of an account in all."""

    calls: float = 0.0
    cost: Money = ZERO


@dataclass(frozen=True, slots=True)
class Work:
    """A provider at work: `calls` of its account, how long limits keep it at them, UTC days by its quota.

    `waits`: days, and parts of one, for which what today does not carry waits.
    """

    provider: str
    calls: float
    busy_s: float
    days: int
    waits: float

    @property
    def lasts_s(self) -> float:
        """At work, and waiting for it."""
        return self.busy_s + DAY_S * self.waits


@dataclass(frozen=True, slots=True)
class Circumstances:
    """`allowed` by provider, `used_today` requests by account, `took_ms` for an answer, by vendor.

    `budgets`: those of the campaign, and of providers today. `credit` by vendor, where it tells.
    """

    now: datetime
    allowed: Mapping[str, Allowed] = field(default_factory=dict)
    used_today: Mapping[str, int] = field(default_factory=dict)
    budgets: Sequence[Budget] = ()
    took_ms: Mapping[str, int] = field(default_factory=dict)
    credit: Mapping[str, Credit] = field(default_factory=dict)

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

    def answer_s(self, provider: str) -> float:
        """What one answer usually takes."""
        return self.took_ms.get(vendor(provider), USUAL_ANSWER_MS) / 1000

    def busy_s(self, provider: str, calls: float) -> float:
        """As long as its pace or its places in flight need; what is asked in bulk is bound by pace alone."""
        allowed = self.of(provider)
        paced = calls / allowed.rate if allowed.rate else 0.0
        return max(paced, 0.0 if allowed.bulk else calls * self.answer_s(provider) / allowed.in_flight)

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
            spend = Stock(budget.scope, float(budget.left), float(budget.cap))
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
        quota, calls, cost = self.quota(provider), load.calls, float(load.cost)
        return Work(
            provider, calls, self.busy_s(provider, calls), quota.days(calls, cost), quota.waits(calls, cost)
        )

    def day_budget(self, provider: str) -> Budget | None:
        return next((one for one in self.budgets if one.provider == vendor(provider)), None)

    def day_told(self, provider: str) -> str:
        """What a day allows of it, in words."""
        per_day, budget = self.of(provider).per_day, self.day_budget(provider)
        by_quota = f"{per_day:,} a day are allowed" if per_day else ""
        by_cap = f"{budget.cap:.2f} USD a day may be spent" if budget else ""
        return " and ".join(limit for limit in (by_quota, by_cap) if limit)

    def short_of_credit(self, bought: Iterable[Line]) -> Iterator[str]:
        """Vendors whose account does not hold what they are expected to cost, whatever a day allows."""
        costs: defaultdict[str, Money] = defaultdict(lambda: ZERO)
        for line in bought:
            costs[vendor(line.provider)] += line.cost
        for name, cost in costs.items():
            credit = self.credit.get(name)
            if credit and cost > credit.left:
                yield (
                    f"{name}: about {cost:.2f} USD are expected and its account holds about "
                    f"{credit.left:.2f} (read {credit.read_at:%Y-%m-%d %H:%M} UTC): top it up, or leads "
                    "go on without it."
                )


def vendor(provider: str) -> str:
    """Whose account it is, by the name that the ledger has for it."""
    return provider.partition(":")[0]
