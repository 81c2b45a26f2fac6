"""Where leads start in the waterfall, so that every provider's limits are used and a campaign ends earliest.

With one order for all, leads queue for the finder that is slowest for its share of them, while others have
room to spare. Some leads then start further down, and go on with the others in their order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from phase3_core.leads import Lead

PARTS = 50  # leads are dealt out in so many equal parts


@dataclass(frozen=True, slots=True)
class Start:
    """What it means if all leads start with `provider`: calls of each provider, and USD in all."""

    provider: str
    calls: Mapping[str, float]
    cost: float


Shares = tuple[tuple[str, float], ...]


def shares(starts: Sequence[Start], seconds: Callable[[str, float], float], budget: float) -> Shares:
    """The part of the leads that starts with each provider, in the order of asking.

    `seconds` that so many calls take a provider. Part by part where it ends earliest, and where that is the
    same at the least cost, as long as `budget` USD carries the parts that are left.
    """
    dealt = dict.fromkeys((start.provider for start in starts), 0)
    calls: dict[str, float] = {}
    left, cheapest = budget, min((start.cost for start in starts), default=0.0)
    for part in range(PARTS):
        reserve = cheapest * (PARTS - part - 1) / PARTS
        within = [start for start in starts if start.cost / PARTS + reserve <= left]
        open_to = within or [min(starts, key=lambda start: start.cost)]
        best = min(open_to, key=lambda start: (_ends(start, calls, seconds), start.cost))
        calls = _with(calls, best)
        left -= best.cost / PARTS
        dealt[best.provider] += 1
    return tuple((name, count / PARTS) for name, count in dealt.items() if count)


def _with(calls: Mapping[str, float], start: Start) -> dict[str, float]:
    names = {**calls, **start.calls}
    return {name: calls.get(name, 0.0) + start.calls.get(name, 0.0) / PARTS for name in names}


def _ends(start: Start, calls: Mapping[str, float], seconds: Callable[[str, float], float]) -> float:
    """When the slowest is done; whole seconds, so that cost decides where time is as good as the same."""
    return round(max(seconds(name, count) for name, count in _with(calls, start).items()))


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
