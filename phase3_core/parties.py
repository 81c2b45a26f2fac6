"""Leads of a tier on their way through the waterfall together, whatever group they come from.

A flow is followed for each rate that is moved: a tier at once takes a hundredth of the steps that each of
its groups would take by itself.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from phase3_core.planner import EnricherSeller
from phase3_core.record import Group
from phase3_core.tiers import Tier

States = defaultdict[frozenset[str], float]  # leads, by the finders that brought them nothing


@dataclass
class Ready:
    """Leads with an address, and the first of their companies among them."""

    leads: float = 0.0
    firsts: float = 0.0

    def add(self, leads: float, firsts: float) -> None:
        self.leads += leads
        self.firsts += firsts

    def of(self, seller: EnricherSeller) -> float:
        """Whom it is asked about."""
        return self.firsts if seller.per_company else self.leads


@dataclass
class Cohort:
    """Leads at one place among their colleagues. `at_once`: who needed no finder."""

    leads: float = 0.0
    at_once: float = 0.0
    handed_on: float = 0.0

    @property
    def left(self) -> float:
        return self.leads - self.at_once

    def hand_on(self, place: int, found: float) -> tuple[float, float]:
        """Leads accepted since the last time, and the first of their companies. `found`: of those left."""
        accepted = self.at_once + self.left * found
        fresh, self.handed_on = accepted - self.handed_on, accepted
        share = accepted / self.leads if self.leads else 0.0
        return fresh, fresh * (1 - share) ** max(0, place - 1)


@dataclass
class Party:
    """`waiting`: whom a finder may yet know, by the place of their way; `found` of them in all.

    `cohorts` by place, and whether phase 2 brought addresses: whatever finders were asked in vain about
    them, they are taken to be found alike. `before`: leads that had an address from the start.
    """

    tier: Tier
    waiting: defaultdict[int, States] = field(default_factory=lambda: defaultdict(lambda: States(float)))
    cohorts: defaultdict[tuple[int, bool], Cohort] = field(default_factory=lambda: defaultdict(Cohort))
    before: Ready = field(default_factory=Ready)
    found: float = 0.0

    def join(self, group: Group, left: float) -> None:
        """`left`: leads of the group who need a finder."""
        cohort = self.cohorts[group.place, group.delivered]
        cohort.leads += group.to_verify
        cohort.at_once += group.to_verify - left
        self.before.add(group.to_enrich, group.firsts)

    def hand_on(self) -> Ready:
        """Leads that may be enriched since the last time."""
        left = sum(cohort.left for cohort in self.cohorts.values())
        ready = Ready()
        for (place, _), cohort in self.cohorts.items():
            ready.add(*cohort.hand_on(place, self.found / left if left else 0.0))
        return ready
