"""Where leads start in the waterfall, so that every provider's limits are used and a campaign ends earliest.

With one order for all, leads queue for the finder that is slowest for its share of them, while others have
room to spare. Some leads then start further down, and go on with the others in their order.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from phase3_core.leads import Lead

PARTS = 32  # leads are dealt out in so many equal parts
AT_ONCE = (16, 8, 4, 2, 1)  # parts that change hands, as long as that betters anything
NEARLY = 1.005  # times as long: what ends so little later is as good

Shares = tuple[tuple[str, float], ...]
Deal = tuple[int, ...]  # parts, by the place of the finder that they start with
Rank = tuple[float, float]
NEVER: Rank = (math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What comes of a deal: UTC days, USD in all, and whether the budgets carry it.

    `seconds` until the slowest is done; parts of a day count, so that of two deals of as many days one is
    known to be on its way to fewer.
    """

    days: int
    seconds: float
    cost: float
    carried: bool = True

    def is_as_early_as(self, other: "Outlook") -> bool:
        """On the same day; if that is today, nearly within the same time."""
        if self.days != other.days or self.days > 1:
            return self.carried and self.days <= other.days
        return self.carried and self.seconds <= NEARLY * other.seconds

    def dearness(self, other: "Outlook") -> Rank:
        """How many times the other's cost, to the per cent; what is as dear is ranked by its time."""
        return round(self.cost / other.cost, 2) if other.cost else 0.0, self.seconds


@dataclass(frozen=True)
class Dealer:
    """Deals leads out over finders. `foresee`: what would come of these shares."""

    finders: Sequence[str]
    foresee: Callable[[Shares], Outlook]
    _foreseen: dict[Deal, Outlook] = field(default_factory=dict)

    def shares(self) -> Shares:
        """The part of the leads that starts with each finder, in their order: what ends earliest within the
        budgets, and of what ends as early the cheapest. Where no budget carries all leads, most are found
        the cheapest way.
        """
        alone = [self._all_with(place) for place in range(len(self.finders))]
        if not any(self._outlook(deal).carried for deal in alone):
            return self._told(min(alone, key=lambda deal: self._outlook(deal).cost))
        earliest = self._outlook(self._bettered(min(alone, key=self._ends), self._ends))

        def costs(deal: Deal) -> Rank:
            outlook = self._outlook(deal)
            return outlook.dearness(earliest) if outlook.is_as_early_as(earliest) else NEVER

        return self._told(self._bettered(min(self._foreseen, key=costs), costs))

    def _outlook(self, deal: Deal) -> Outlook:
        if deal not in self._foreseen:
            self._foreseen[deal] = self.foresee(self._told(deal))
        return self._foreseen[deal]

    def _ends(self, deal: Deal) -> Rank:
        outlook = self._outlook(deal)
        return (outlook.seconds, outlook.cost) if outlook.carried else NEVER

    def _bettered(self, deal: Deal, rank: Callable[[Deal], Rank]) -> Deal:
        """Parts change hands, many at first, for as long as that ranks lower."""
        for parts in AT_ONCE:
            while rank(better := min(_neighbours(deal, parts), key=rank, default=deal)) < rank(deal):
                deal = better
        return deal

    def _all_with(self, place: int) -> Deal:
        return tuple(PARTS if other == place else 0 for other in range(len(self.finders)))

    def _told(self, deal: Deal) -> Shares:
        return tuple((name, parts / PARTS) for name, parts in zip(self.finders, deal, strict=True) if parts)


def _neighbours(deal: Deal, parts: int) -> Iterator[Deal]:
    """With so many parts in the hands of another."""
    for giver, owned in enumerate(deal):
        for taker in range(len(deal)):
            if owned >= parts and taker != giver:
                change = {giver: -parts, taker: parts}
                yield tuple(count + change.get(place, 0) for place, count in enumerate(deal))


def start_of(lead: Lead, dealt: Shares) -> str:
    """The provider that this lead starts with, the same in every run."""
    place = int.from_bytes(blake2b(lead.id.bytes, digest_size=4, person=b"start").digest()) / 2**32
    for provider, share in dealt:
        place -= share
        if place < 0:
            return provider
    return dealt[-1][0]


def with_first(order: Sequence[str], first: str) -> list[str]:
    """The same finders, `first` before the others."""
    return sorted(order, key=lambda name: name != first)
