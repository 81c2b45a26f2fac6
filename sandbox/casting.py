"""What becomes of whom, before anybody has a name."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeVar

from sandbox.scenarios import Fate, Scenario, apportion

T = TypeVar("T")


@dataclass(slots=True)
class Slot:
    """What is decided about a lead before it has a name."""

    fate: Fate
    finders: tuple[str, ...] = ()
    reason: str = ""  # why a dead address is dead
    mailbox: bool = False
    tier: str = "C"


@dataclass(slots=True)
class Draft:
    """A company before it has a name: how many people, and what becomes of each."""

    size: int
    catch_all: bool = False
    has_mail: bool = True
    enrichable: bool = True
    slots: list[Slot] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        """People whose address will be accepted."""
        return sum(slot.fate.accepted for slot in self.slots)


class Casting:
    """Deals the fates of a scenario, scaled to so many leads, to companies of fitting sizes."""

    def __init__(self, scenario: Scenario, rng: random.Random, leads: int) -> None:
        self._scenario = scenario
        self._rng = rng
        self._leads = leads
        split = {"known": scenario.found, "unknown": scenario.leads - scenario.found}
        self._found = apportion(leads, split)["known"]

    def drafts(self) -> list[Draft]:
        """Companies with their people's fates: catch-all and mail-less domains hold only fitting ones."""
        slots = self._slots()
        drafts = [Draft(size) for size in self._sizes()]
        lost = slots[Fate.UNKNOWN]
        on_catch_all = slots[Fate.RISKY] + slots[Fate.DOUBTFUL] + _cut(lost, len(lost) // 10)
        without_mail = _cut(lost, len(lost) // 6)
        self._rng.shuffle(on_catch_all)
        for draft in _settle(drafts, on_catch_all):
            draft.catch_all = True
        for draft in _settle(drafts, without_mail):
            draft.has_mail = False
        rest = slots[Fate.VALID] + slots[Fate.DEAD] + lost
        self._rng.shuffle(rest)
        _settle(drafts, rest)
        self._choose_mailboxes(drafts)
        self._choose_not_enrichable(drafts)
        return drafts

    def _slots(self) -> dict[Fate, list[Slot]]:
        fates = _spread(apportion(self._found, self._scenario.fates))
        finders = shuffled(self._rng, _spread(apportion(self._found, self._scenario.finders)))
        slots: dict[Fate, list[Slot]] = {fate: [] for fate in Fate}
        for fate, first in zip(fates, finders, strict=True):
            slots[fate].append(Slot(fate, self._knowing(first, fate)))
        slots[Fate.UNKNOWN] = [Slot(Fate.UNKNOWN) for _ in range(self._leads - self._found)]
        self._deal_tiers(slots)
        reasons = shuffled(self._rng, _spread(apportion(len(slots[Fate.DEAD]), self._scenario.dead_because)))
        for slot, reason in zip(slots[Fate.DEAD], reasons, strict=True):
            slot.reason = reason
        return slots

    def _knowing(self, first: str, fate: Fate) -> tuple[str, ...]:
        """The first finder, and of the later ones those that know an acceptable person too."""
        if not fate.accepted:
            return (first,)
        order = list(self._scenario.finders)
        later = order[order.index(first) + 1 :]
        return (first, *(name for name in later if self._rng.random() < self._scenario.later_finder_knows))

    def _deal_tiers(self, slots: dict[Fate, list[Slot]]) -> None:
        accepted = slots[Fate.VALID] + slots[Fate.RISKY]
        others = slots[Fate.DOUBTFUL] + slots[Fate.DEAD] + slots[Fate.UNKNOWN]
        for group in (accepted, others):
            tiers = shuffled(self._rng, _spread(apportion(len(group), self._scenario.accepted_tiers)))
            for slot, tier in zip(group, tiers, strict=True):
                slot.tier = tier

    def _sizes(self) -> list[int]:
        """Skewed company sizes that sum to the leads."""
        employers = max(1, round(self._scenario.companies * self._leads / self._scenario.leads))
        largest = max(5, min(180, self._leads // 20))
        weights = [self._rng.paretovariate(1.5) for _ in range(employers)]
        sizes, growth = [0], 1.0
        while sum(sizes) < self._leads:
            sizes = [max(1, min(largest, int(weight * growth))) for weight in weights]
            growth *= 1.02
        while (gap := self._leads - sum(sizes)) != 0:
            step = 1 if gap > 0 else -1
            for position in self._rng.sample(range(employers), min(abs(gap), employers)):
                sizes[position] = max(1, sizes[position] + step)
        return shuffled(self._rng, sizes)

    def _choose_mailboxes(self, drafts: list[Draft]) -> None:
        """Real mailboxes: all the accepted, half of the doubtful, half of those no finder knows."""
        for draft in drafts:
            for slot in draft.slots:
                slot.mailbox = slot.fate.accepted
        doubtful = [slot for draft in drafts for slot in draft.slots if slot.fate is Fate.DOUBTFUL]
        reachable = [
            slot for draft in drafts if draft.has_mail for slot in draft.slots if slot.fate is Fate.UNKNOWN
        ]
        lost = self._leads - self._found
        for slot in chain(
            self._rng.sample(doubtful, len(doubtful) // 2),
            self._rng.sample(reachable, min(len(reachable), lost // 2)),
        ):
            slot.mailbox = True

    def _choose_not_enrichable(self, drafts: list[Draft]) -> None:
        """Small companies that nobody can describe, holding a fixed number of accepted leads."""
        everywhere = sum(leads for fate, leads in self._scenario.fates.items() if fate.accepted)
        here = sum(draft.accepted for draft in drafts)
        left = round(here * self._scenario.not_enrichable / everywhere)
        for draft in shuffled(self._rng, drafts):
            if not draft.has_mail or (0 < draft.accepted <= min(left, 5)):
                draft.enrichable = False
                left -= draft.accepted


def shuffled(rng: random.Random, items: Iterable[T]) -> list[T]:
    pool = list(items)
    rng.shuffle(pool)
    return pool


def _spread(counts: Mapping[T, int]) -> list[T]:
    return [item for item, times in counts.items() for _ in range(times)]


def _cut(items: list[T], length: int) -> list[T]:
    """The last items, taken off the list."""
    keep = len(items) - length
    taken = items[keep:]
    del items[keep:]
    return taken


def _settle(drafts: list[Draft], slots: list[Slot]) -> list[Draft]:
    """Fill empty companies with exactly these people, splitting one company where sizes do not add up."""
    chosen: list[Draft] = []
    start = 0
    for draft in drafts:
        if not draft.slots and draft.size <= len(slots) - start:
            draft.slots = slots[start : start + draft.size]
            start += draft.size
            chosen.append(draft)
    if start < len(slots):
        chosen.append(_split(drafts, slots[start:]))
    return chosen


def _split(drafts: list[Draft], slots: list[Slot]) -> Draft:
    """A new company for these people, its seats taken from an empty larger one."""
    donor = next(draft for draft in drafts if not draft.slots and draft.size > len(slots))
    donor.size -= len(slots)
    offshoot = Draft(len(slots), slots=slots)
    drafts.append(offshoot)
    return offshoot
