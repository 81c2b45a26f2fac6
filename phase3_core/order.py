"""Whom to ask next: the finder whose valid addresses are expected to cost least, given who missed before.

For a waterfall that stops at its first success the order of ascending cost per valid address is the cheapest
one. Pure: the same figures rank the same way for the same lead, so a resumed campaign goes the same way.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from phase3_core.calls import Billing, Price
from phase3_core.leads import Lead
from phase3_core.money import Money
from phase3_core.rates import FinderRates, Rate
from phase3_core.tiers import Tier

EXPLORED_SHARE = 0.05  # of leads, while a finder with a thin record may be the cheapest
OPTIMISM = 1.2816  # standard deviations by which a thin record may be wrong
NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Bid:
    """A finder's expected USD for one valid address; `at_best`, if its record is too harsh on it."""

    provider: str
    find: Rate
    accept: Rate
    cost: float
    at_best: float


def cost_of_asking(price: Price, find: float, verification: float) -> float:
    """USD expected, with `verification` of what is found: a + f (h + v)."""
    per_credit = float(price.per_credit)
    per_call = per_credit if price.billing is Billing.PER_CALL else 0.0
    per_hit = 0.0 if price.billing in {Billing.PER_CALL, Billing.FREE} else per_credit
    return per_call + find * (per_hit + verification)


def cost_per_valid(price: Price, find: float, accept: float, verification: float) -> float:
    """USD, with `verification` of each candidate: (a + f (h + v)) / (f q)."""
    found = find * accept
    return cost_of_asking(price, find, verification) / found if found else math.inf


@dataclass(frozen=True)
class CheapestValid:
    """`prices` of the finders; USD of `verification` for a candidate; `worth` of a valid address by tier."""

    prices: Mapping[str, Price]
    verification: float
    rates: FinderRates
    worth: Mapping[Tier, Money] = field(default_factory=dict)
    explored: float = EXPLORED_SHARE
    _known: dict[frozenset[str], tuple[Bid, ...]] = field(default_factory=dict, compare=False)

    def bids(self, missed: frozenset[str]) -> tuple[Bid, ...]:
        """Of those who are left, the cheapest first."""
        if missed not in self._known:
            left = (name for name in self.prices if name not in missed)
            bids = (self._bid(name, missed) for name in left)
            self._known[missed] = tuple(sorted(bids, key=lambda bid: bid.cost))
        return self._known[missed]

    def _bid(self, provider: str, missed: frozenset[str]) -> Bid:
        find, accept = self.rates.find(provider, missed), self.rates.accept(provider)
        price, most = self.prices[provider], (_at_best(find), _at_best(accept))
        cost = cost_per_valid(price, find.mean, accept.mean, self.verification)
        return Bid(provider, find, accept, cost, cost_per_valid(price, *most, self.verification))

    def cost_of_way(self, way: Sequence[str], missed: frozenset[str]) -> float:
        """USD expected for a lead that asks these in turn, until one names an address that is accepted."""
        cost, asking = 0.0, 1.0
        for name in way:
            bid = next(one for one in self.bids(missed) if one.provider == name)
            cost += asking * cost_of_asking(self.prices[name], bid.find.mean, self.verification)
            asking *= 1 - bid.find.mean * bid.accept.mean
            missed |= {name}
        return cost

    def ranked(self, lead: Lead, missed: frozenset[str]) -> list[str]:
        """Finders in the order of asking; those that cost more than the lead's tier is worth are left out."""
        bids = [bid for bid in self.bids(missed) if self._is_worth(bid, lead)]
        explored = self._explored(lead, missed)
        return [bid.provider for bid in sorted(bids, key=lambda bid: bid.provider != explored)]

    def _is_worth(self, bid: Bid, lead: Lead) -> bool:
        worth = self.worth.get(lead.tier)
        return worth is None or bid.cost <= worth

    def _explored(self, lead: Lead, missed: frozenset[str]) -> str:
        """Whom this lead tries out: of those that may be the cheapest, the one with the thinnest record."""
        bids = self.bids(missed)
        if missed or not bids or _place(lead) >= self.explored:
            return ""
        maybe = [bid for bid in bids[1:] if bid.at_best < bids[0].cost and self._is_worth(bid, lead)]
        return min(maybe, key=lambda bid: bid.accept.weight + bid.find.weight).provider if maybe else ""

    def why(self, lead: Lead, missed: frozenset[str], provider: str) -> str:
        bid = next(one for one in self.bids(missed) if one.provider == provider)
        known = f"finds {bid.find.mean:.0%}, of which {bid.accept.mean:.0%} are accepted"
        told = f"{bid.cost:.4f} USD expected for a valid address ({known})"
        if provider == self._explored(lead, missed):
            return f"tried out, for its record is thin and it may be the cheapest: {told}"
        return f"the cheapest that is left: {told}"


@dataclass(frozen=True, slots=True)
class Patience:
    """When a lead waits for a finder whose service fails: where to go on without it costs `most` USD more.

    Who goes on asks it too in the end, where the others bring nothing: the ways differ in their order alone.
    """

    most: Money
    figures: CheapestValid

    def waits(self, away: str, others: Sequence[str], missed: frozenset[str]) -> bool:
        first = self.figures.cost_of_way([away, *others], missed)
        last = self.figures.cost_of_way([*others, away], missed)
        return last - first > self.most


def _at_best(rate: Rate) -> float:
    return min(1.0, rate.mean + OPTIMISM * rate.deviation(math.inf))


def _place(lead: Lead) -> float:
    """Between 0 and 1, the same for the same lead in every run."""
    return int.from_bytes(blake2b(lead.id.bytes, digest_size=4, person=b"explore").digest()) / 2**32
