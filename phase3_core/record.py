"""What earlier campaigns have shown, counted lead by lead from the ledger."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from phase3_core.money import Money
from phase3_core.progress import DELIVERED, GUESS
from phase3_core.rates import Seen, seen_from_json
from phase3_core.routing import Shares
from phase3_core.tiers import Tier

LAST_PLACE = 4  # among its company's leads: or later


@dataclass(frozen=True, slots=True)
class Group:
    """Leads of a campaign that are alike: of a tier, `place` among their company's leads (0: no company).

    `delivered`: phase 2 brought an address. `to_verify` wait for agent 3.1, `to_enrich` for agent 3.2
    alone, `firsts` of those are the first of their company with an accepted address. `colleagues`: leads of
    their companies in the campaign, themselves included, on average. `missed`: finders that an earlier run
    asked in vain about those who still wait.
    """

    tier: Tier
    place: int
    delivered: bool
    to_verify: int
    to_enrich: int = 0
    firsts: int = 0
    colleagues: float = 1.0
    missed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Makeup:
    """How a campaign's leads that are left to work on are made up."""

    groups: Sequence[Group]

    def share(self, tiers: Collection[Tier]) -> float:
        """Of all leads, those of these tiers."""
        leads = dict.fromkeys(Tier, 0)
        for group in self.groups:
            leads[group.tier] += group.to_verify + group.to_enrich
        return sum(leads[tier] for tier in tiers) / max(1, sum(leads.values()))

    def alike(self, how_much: float, tiers: Collection[Tier] = tuple(Tier)) -> float:
        """Leads of these tiers that tell as much as one, where colleagues go alike by so much (0 to 1).

        A cluster sample's design effect, by the colleagues that the average lead has in these tiers.
        """
        leads = sum(group.to_verify + group.to_enrich for group in self.groups)
        of_all = sum((group.to_verify + group.to_enrich) * group.colleagues for group in self.groups)
        others = of_all / leads - 1 if leads else 0.0
        return 1 + others * self.share(tiers) * how_much


@dataclass(frozen=True, slots=True)
class Walk:
    """Leads whose calls for an address went alike: each call's provider and outcome, oldest first.

    `source`: who named the address that the lead ended with.
    """

    place: int
    delivered: bool
    source: str
    accepted: bool
    calls: tuple[tuple[str, str], ...]
    leads: int = 1


@dataclass(frozen=True, slots=True)
class Count:
    """Of `trials` so many came true."""

    hits: int = 0
    trials: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """Counts of the leads that were looked at. By place in the company: `guessed` leads of whom a guess was
    accepted, `guesses` addresses guessed for them. `doubted`: candidates that got a second opinion.

    `enriched`: leads by tier, and how many were the first of their company (`companies`); `bought`: their
    calls and hits by tier and `provider/operation`.
    """

    leads: int = 0
    finders: tuple[Seen, ...] = ()
    delivered: Count = Count()
    guessed: Mapping[int, Count] = field(default_factory=dict)
    guesses: Mapping[int, Count] = field(default_factory=dict)
    doubted: Count = Count()
    enriched: Mapping[Tier, int] = field(default_factory=dict)
    companies: Mapping[Tier, int] = field(default_factory=dict)
    bought: Mapping[tuple[Tier, str], Count] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Credit:
    """USD that a vendor's account held when it was read last, less what was booked since."""

    left: Money
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Kept:
    """What a campaign's order goes by for good: the finders' record when it began, and who starts where."""

    finders: tuple[Seen, ...] = ()
    starts: Shares = ()

    def as_json(self) -> dict[str, object]:
        return {"finders": [one.as_json() for one in self.finders], "starts": [[*one] for one in self.starts]}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Kept":
        starts = tuple((str(name), float(share)) for name, share in told.get("starts", ()))
        return cls(seen_from_json(told["finders"]), starts)


@dataclass(frozen=True, slots=True)
class Roles:
    """Who of the ledger's providers finds, who verifies, and who gives a second opinion."""

    finders: frozenset[str]
    verifier: str
    second: str = ""


def walked(walks: Iterable[Walk], roles: Roles) -> Record:
    """The record of finding and verifying addresses."""
    counts = _Counts()
    for walk in walks:
        counts.add(walk, roles)
    return counts.record()


class _Counts:
    def __init__(self) -> None:
        self.leads = 0
        self.delivered = self.doubted = Count()
        self.guessed: Counter[tuple[int, bool]] = Counter()
        self.guesses: Counter[int] = Counter()
        self.finders: Counter[tuple[str, frozenset[str], bool, bool]] = Counter()

    def add(self, walk: Walk, roles: Roles) -> None:
        self.leads += walk.leads
        if walk.delivered:
            self.delivered = _plus(self.delivered, walk.leads, came_true=_ended(walk, DELIVERED))
        if walk.place and not _ended(walk, DELIVERED):
            self.guesses[walk.place] += walk.leads * _guesses(walk, roles)
            self.guessed[walk.place, _ended(walk, GUESS)] += walk.leads
        self._add_finders(walk, roles)

    def _add_finders(self, walk: Walk, roles: Roles) -> None:
        missed: frozenset[str] = frozenset()
        candidates = int(walk.delivered)
        for provider, outcome in walk.calls:
            if provider in roles.finders and outcome in {"hit", "miss"} and provider not in missed:
                hit, accepted = outcome == "hit", _ended(walk, provider)
                self.finders[provider, missed, hit, hit and accepted] += walk.leads
                missed |= {provider}
                candidates += hit
        seconds = sum(provider == roles.second for provider, _ in walk.calls)
        asked_twice = min(seconds, candidates)
        self.doubted = Count(
            self.doubted.hits + asked_twice * walk.leads, self.doubted.trials + candidates * walk.leads
        )

    def record(self) -> Record:
        places = sorted(self.guesses)
        leads = {place: self.guessed[place, True] + self.guessed[place, False] for place in places}
        return Record(
            leads=self.leads,
            finders=tuple(self._seen()),
            delivered=self.delivered,
            guessed={place: Count(self.guessed[place, True], leads[place]) for place in places},
            guesses={place: Count(self.guesses[place], leads[place]) for place in places},
            doubted=self.doubted,
        )

    def _seen(self) -> Iterable[Seen]:
        asked = {(provider, missed) for provider, missed, _, _ in self.finders}
        for provider, missed in sorted(asked, key=lambda one: (len(one[1]), sorted(one[1]), one[0])):
            ends = {
                (hit, good): self.finders[provider, missed, hit, good]
                for hit, good in ((True, True), (True, False), (False, False))
            }
            hits = ends[True, True] + ends[True, False]
            yield Seen(provider, missed, hits + ends[False, False], hits, ends[True, True])


def _ended(walk: Walk, source: str) -> bool:
    """Whether the lead ended with an accepted address of this source."""
    return walk.accepted and walk.source == source


def _guesses(walk: Walk, roles: Roles) -> int:
    """Addresses verified before any finder was asked, but for the one that phase 2 brought."""
    verified = 0
    for provider, _ in walk.calls:
        if provider in roles.finders:
            break
        verified += provider == roles.verifier
    return max(0, verified - walk.delivered)


def _plus(count: Count, leads: int, *, came_true: bool) -> Count:
    return Count(count.hits + leads * came_true, count.trials + leads)
