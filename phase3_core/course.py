"""What becomes of a campaign day after day: leads alike flow through the waterfall as shares.

A finder takes no more leads in a day than its quota carries. The others go on to the next finder at once, as
not asked; only whom nobody names an accepted address for waits until another day. The best tier goes first.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

from phase3_core.money import Money
from phase3_core.parties import Party, Ready, States
from phase3_core.planner import Model, Seller, Values, Way, find_rate
from phase3_core.quotas import NO_QUOTAS, Quotas, Room
from phase3_core.record import Group
from phase3_core.statuses import Agent
from phase3_core.tiers import Tier

# Of the days to come, where leads wait for several finders: nearly as exact as day by day, and quick.
AT_ONCE = 1 / 8
NOBODY = 0.5  # of so few leads it is not told that they wait: shares are no whole leads


@dataclass(frozen=True, slots=True)
class Line:
    """One provider's part for one agent and one tier. `calls` and `hits` are expected, not whole numbers.

    `day`: on which it begins; today is 1. `follows`: the share of it that is for leads whose addresses the
    same days find.
    """

    agent: Agent
    tier: Tier
    provider: str
    calls: float
    hits: float
    cost: Money
    day: int = 1
    follows: float = 0.0


@dataclass
class Flow:
    """What is expected: calls and hits, accepted leads by tier, and how often each rate is tried.

    `put_off`: leads that finders have no room for today, who go on to the next.
    """

    asked: defaultdict[tuple[int, Agent, Tier, str], list[float]] = field(
        default_factory=lambda: defaultdict(lambda: [0.0, 0.0, 0.0])
    )
    accepted: defaultdict[Tier, float] = field(default_factory=lambda: defaultdict(float))
    trials: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    put_off: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    day: int = 1

    def ask(
        self, agent: Agent, tier: Tier, seller: Seller, calls: float, hits: float, following: float = 0.0
    ) -> None:
        """`following`: calls for leads whose addresses these days find."""
        counts = self.asked[self.day, agent, tier, seller.name]
        counts[0] += calls
        counts[1] += hits
        counts[2] += following


def flow(model: Model, values: Values, quotas: Quotas = NO_QUOTAS) -> Flow:
    """Follows every group of leads until nobody waits; `values` of all the model's rates."""
    course = _Course(model, values, quotas, Room(quotas))
    tier = attrgetter("tier")
    parties = [course.set_out(*own) for own in groupby(sorted(model.groups, key=tier), key=tier)]
    course.work(parties)
    while course.pass_days(parties):
        course.work(parties)
    return course.going


def lines(model: Model, going: Flow) -> list[Line]:
    """What is asked of whom, in the order of asking, with its cost; nobody who is not asked."""
    sellers = model.sellers
    places = {name: place for place, name in enumerate(sellers)}
    return [
        Line(agent, tier, name, calls, hits, sellers[name].cost(calls, hits), day, following / calls)
        for (day, agent, tier, name), (calls, hits, following) in sorted(
            going.asked.items(), key=lambda one: places[one[0][3]]
        )
        if calls > 0
    ]


@dataclass
class _Course:
    """The waterfall for given values of the rates. Several days alike are gone through at once."""

    model: Model
    values: Values
    quotas: Quotas
    room: Room
    days: int = 1
    going: Flow = field(default_factory=Flow)

    def set_out(self, tier: Tier, groups: Iterable[Group]) -> Party:
        party = Party(tier)
        for group in groups:
            left = self._beyond_guesses(group)
            party.join(group, left)
            for place, way in enumerate(self.model.ways):
                missed = self.model.before | way.names & group.missed
                party.waiting[place][missed] += left * way.share
        return party

    def _beyond_guesses(self, group: Group) -> float:
        """Addresses that are there, and guesses, come before any finder; who was asked is not asked again."""
        left = float(group.to_verify)
        if group.delivered and not group.missed:
            left -= self._judged(group.tier, left, "delivered")
        if group.place and not group.missed and f"guess {group.place}" in self.values:
            left -= self._guessed(group, left)
        return left

    def work(self, parties: Iterable[Party]) -> None:
        """What the days at hand leave room for: addresses are found, and whoever has one is enriched."""
        for party in parties:
            for place, way in enumerate(self.model.ways):
                party.waiting[place] = self._in_turn(party, way, party.waiting[place])
            self._enrich(party)

    def pass_days(self, parties: Iterable[Party]) -> int:
        """On until the first of the quotas that leads wait for is through; 0 days where nobody waits."""
        waiting = [one for party in parties for one in self._waiting(party)]
        if sum(leads for _, _, leads in waiting) < NOBODY:
            return 0
        days = self._first_through(waiting)
        self.going.day += self.days
        self.days = max(1, math.floor(days))
        self.room.pass_days(self.days)
        return self.days

    def _waiting(self, party: Party) -> Iterator[tuple[Way, frozenset[str], float]]:
        for place, states in party.waiting.items():
            for missed, leads in states.items():
                yield self.model.ways[place], missed, leads

    def _first_through(self, waiting: Iterable[tuple[Way, frozenset[str], float]]) -> float:
        """Days from tomorrow on; a part of them where several finders are waited for: they take leads from
        one another.
        """
        calls, usd = defaultdict[str, float](float), defaultdict[str, float](float)
        for way, missed, leads in waiting:
            for seller in way.untried(missed):
                calls[seller.name] += leads
                usd[seller.name] += leads * seller.each(self.values[find_rate(seller.name, missed)])
        days = min(self.quotas[name].takes(calls[name], usd[name]) for name in calls)
        return days * (AT_ONCE if len(calls) > 1 else 1)

    def _in_turn(self, party: Party, way: Way, states: States) -> States:
        """The leads for whom some finder of the way has no room yet."""
        for seller in way.finders:
            after = States(float)
            for missed, leads in states.items():
                if seller.name in missed:
                    after[missed] += leads
                    continue
                asked, found = self._find(party.tier, seller, missed, leads)
                party.found += found
                if self.going.day == 1 and seller != way.finders[-1]:
                    self.going.put_off[seller.name] += leads - asked
                after[missed | {seller.name}] += asked - found
                after[missed] += leads - asked
            states = States(float, {missed: leads for missed, leads in after.items() if leads})
        return States(float, {missed: leads for missed, leads in states.items() if way.untried(missed)})

    def _find(self, tier: Tier, seller: Seller, missed: frozenset[str], leads: float) -> tuple[float, float]:
        """Of the leads those that there is room to ask about, and those that get an accepted address."""
        find = find_rate(seller.name, missed)
        asked = self.room.take(seller.name, leads, seller.each(self.values[find]))
        if not asked:
            return 0.0, 0.0
        self.going.trials[find] += asked
        hits = asked * self.values[find]
        self.going.ask(Agent.EMAIL_VERIFICATION, tier, seller, asked, hits)
        return asked, self._judged(tier, hits, f"accept {seller.name}")

    def _judged(self, tier: Tier, candidates: float, accept: str) -> float:
        """Candidates that verification accepts; some need the second verifier."""
        self.going.trials[accept] += candidates
        self._ask_verifier(tier, candidates)
        if self.model.second:
            doubt = "doubt delivered" if accept == "delivered" else "doubt"
            self.going.trials[doubt] += candidates
            doubted = candidates * self.values[doubt]
            self.going.ask(Agent.EMAIL_VERIFICATION, tier, self.model.second, doubted, doubted)
        return candidates * self.values[accept]

    def _guessed(self, group: Group, left: float) -> float:
        share, guesses = f"guess {group.place}", f"guesses {group.place}"
        self.going.trials[share] += left
        self.going.trials[guesses] += left
        self._ask_verifier(group.tier, left * self.values[guesses])
        return left * self.values[share]

    def _ask_verifier(self, tier: Tier, addresses: float) -> None:
        self.going.ask(Agent.EMAIL_VERIFICATION, tier, self.model.verifier, addresses, addresses)

    def _enrich(self, party: Party) -> None:
        """Whoever has an address since the last days; on the first also who had one from the start."""
        found, before = party.hand_on(), party.before if self.going.day == 1 else Ready()
        self.going.accepted[party.tier] += before.leads + found.leads
        for seller in self.model.enrichers:
            asked, known = f"ask {party.tier} {seller.name}", f"know {seller.name}"
            following = found.of(seller) * self.values[asked]
            calls = before.of(seller) * self.values[asked] + following
            self.going.trials[asked] += before.of(seller) + found.of(seller)
            self.going.trials[known] += calls
            hits = calls * self.values[known]
            self.going.ask(Agent.ENRICHMENT, party.tier, seller, calls, hits, following)
