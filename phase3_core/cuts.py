"""How far a campaign's budgets carry what is expected of it, and whom they leave waiting."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import groupby

from phase3_core.budget import Budget
from phase3_core.course import Line
from phase3_core.money import Money, total, usd
from phase3_core.statuses import Agent
from phase3_core.tiers import Tier

AGENTS = (Agent.EMAIL_VERIFICATION, Agent.ENRICHMENT)

Leads = Mapping[tuple[Agent, Tier], float]


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
class Part:
    """Of a line: the share for leads whose addresses are paid for, and the share that is paid itself."""

    reached: float
    carried: float


def cuts(bought: Sequence[Line], budgets: Sequence[Budget], waiting: Leads) -> Iterator[Cut]:
    """The campaign's budgets that carry only part of it. `waiting`: leads that agents would work on."""
    for budget in _of_campaign(budgets):
        others = [one for one in budgets if one is not budget]
        asked = [
            (line, _scaled(line, part.reached))
            for line, part in zip(bought, parts(bought, others), strict=True)
            if _is_under(budget, line.agent, line.tier)
        ]
        expected = total(line.cost for _, line in asked)
        if expected > budget.left:
            yield Cut(budget.words, budget.left, expected, _left_waiting(asked, budget.left, waiting))


def affordable(bought: Sequence[Line], budgets: Sequence[Budget]) -> list[Line]:
    """As much of it as the campaign's budgets carry."""
    return [
        _scaled(line, part.carried)
        for line, part in zip(bought, parts(bought, budgets), strict=True)
        if part.carried
    ]


def carries(bought: Sequence[Line], budgets: Sequence[Budget]) -> bool:
    """Whether the campaign's budgets do."""
    return all(part.carried == 1.0 for part in parts(bought, budgets))


def carried(bought: Sequence[Line], budgets: Sequence[Budget]) -> float:
    """USD that the campaign's budgets carry of it."""
    shares = (part.carried for part in parts(bought, budgets))
    return sum(float(line.cost) * share for line, share in zip(bought, shares, strict=True))


def most_spent(budgets: Sequence[Budget]) -> float:
    """USD that the campaign may spend at most; without end where some of it is under no budget."""
    own = list(_of_campaign(budgets))
    by_agent = (_least_left(one for one in own if one.agent is agent) for agent in AGENTS)
    by_tier = (_least_left(one for one in own if one.tier is tier) for tier in Tier)
    return min(sum(by_agent), sum(by_tier))


def _least_left(budgets: Iterable[Budget]) -> float:
    return min((float(budget.left) for budget in budgets), default=math.inf)


def parts(bought: Sequence[Line], budgets: Sequence[Budget]) -> list[Part]:
    """Of each line, as a run spends: day by day, addresses before enrichment, the best tier first."""
    purse = _Purse(budgets)
    found: dict[tuple[int, Tier], float] = {}
    of: dict[int, Part] = {}
    for (day, agent, tier), places in _in_turn(bought):
        reached = {place: _reached(bought[place], found.get((day, tier), 1.0)) for place in places}
        cost = sum(float(bought[place].cost) * share for place, share in reached.items())
        paid = purse.pay(cost, agent, tier)
        if agent is Agent.EMAIL_VERIFICATION:
            found[day, tier] = paid
        of |= {place: Part(share, share * paid) for place, share in reached.items()}
    return [of[place] for place in range(len(bought))]


class _Purse:
    """What is left under the campaign's budgets while one thing after another is paid, USD."""

    def __init__(self, budgets: Iterable[Budget]) -> None:
        self._left = {budget: float(budget.left) for budget in _of_campaign(budgets)}

    def pay(self, cost: float, agent: Agent, tier: Tier) -> float:
        """The share of it that there is money for."""
        under = [budget for budget in self._left if _is_under(budget, agent, tier)]
        paid = min([cost, *(self._left[budget] for budget in under)])
        for budget in under:
            self._left[budget] -= paid
        return paid / cost if cost else 1.0


def _in_turn(bought: Sequence[Line]) -> Iterator[tuple[tuple[int, Agent, Tier], list[int]]]:
    """The places of lines that are paid for together."""

    def turn(place: int) -> tuple[int, int, Tier]:
        line = bought[place]
        return line.day, AGENTS.index(line.agent), line.tier

    for (day, agent, tier), places in groupby(sorted(range(len(bought)), key=turn), key=turn):
        yield (day, AGENTS[agent], tier), list(places)


def _reached(line: Line, found: float) -> float:
    return 1 - line.follows * (1 - found)


def _scaled(line: Line, share: float) -> Line:
    cost = usd(line.cost * Decimal(f"{share:.9f}"))
    return replace(line, calls=line.calls * share, hits=line.hits * share, cost=cost)


def _of_campaign(budgets: Iterable[Budget]) -> Iterator[Budget]:
    """Those of providers make leads wait for another day and go on to others: the course knows of that."""
    return (budget for budget in budgets if not budget.provider)


def _is_under(budget: Budget, agent: Agent, tier: Tier) -> bool:
    return budget.agent in {None, agent} and budget.tier in {None, tier}


def _left_waiting(asked: Sequence[tuple[Line, Line]], left: Money, waiting: Leads) -> dict[Tier, int]:
    """Agents one after the other, the best tier first, until the money is gone; each line also as reached."""
    cut: dict[Tier, int] = {}
    for agent in AGENTS:
        for tier in Tier:
            own = [pair for pair in asked if (pair[0].agent, pair[0].tier) == (agent, tier)]
            whole, reached = (total(pair[of].cost for pair in own) for of in (0, 1))
            paid = min(reached, left)
            left -= paid
            if reached > paid:
                beyond = float((reached - paid) / whole) * waiting[agent, tier]
                cut[tier] = max(cut.get(tier, 0), math.ceil(beyond))
    return cut
