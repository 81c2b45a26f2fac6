"""What repeating a lost call may cost in vain (rule 7), by what a vendor's answers were billed so far."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from phase3_core.calls import ReplayClass, Role, replay_within
from phase3_core.market import ENRICHERS, FINDERS
from phase3_core.money import Money
from phase3_core.ports.books import Books
from phase3_core.rates import Rate
from phase3_core.record import Count
from phase3_core.tiers import Tier
from resources.providers.catalogue import Terms
from resources.providers.roster import Entry

USUAL = {Role.FINDER: FINDERS.hit_rate(0), Role.ENRICHER: ENRICHERS.hit_rate(0)}


@dataclass(frozen=True, slots=True)
class Stakes:
    """One vendor's. `billed_share` of its answers; `tolerated` USD by tier, any amount for other leads."""

    billed_share: float = 1.0
    tolerated: Mapping[Tier, Money] = field(default_factory=dict)

    def replay(self, terms: Terms, tier: Tier) -> ReplayClass:
        return replay_within(terms.replay, terms.price, self.billed_share, self.tolerated.get(tier))


async def stakes_of(
    entries: Iterable[Entry], tolerated: Mapping[Tier, Money], books: Books
) -> dict[str, Stakes]:
    """By vendor, of those who may be asked and where only a hit costs."""
    roles = {
        one.row.name: one.row.spec.role
        for one in entries
        if one.terms.replay is ReplayClass.ON_HIT and not one.why_not
    }
    billed = await books.track_record.billed(list(roles))
    return {name: Stakes(_share(role, billed.get(name)), tolerated) for name, role in roles.items()}


def _share(role: Role, billed: Count | None) -> float:
    """As the ledger has seen it, shrunk to what is usual."""
    usual = Rate(USUAL[role])
    return (usual.after(billed.hits, billed.trials) if billed else usual).mean
