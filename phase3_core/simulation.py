"""What another policy would have found and cost: the waterfall again over what the ledger says, for nothing.

Where the ledger has no answer to a question that the other policy would ask, the lead is unknown from there
on: what would have become of it is estimated from the record, as an interval, and told apart.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from phase3_core.circumstances import Circumstances
from phase3_core.domains import Domain
from phase3_core.forecast import forecast
from phase3_core.intervals import Interval
from phase3_core.leaders import Domains
from phase3_core.leads import Lead
from phase3_core.money import ZERO, Money, total, usd
from phase3_core.plan import Plan
from phase3_core.planner import Bench, model_of
from phase3_core.ports.providers import Providers
from phase3_core.progress import GUESS, Progress, start
from phase3_core.rates import FinderRates, Rate
from phase3_core.record import Group, Record
from phase3_core.statuses import Verdict
from phase3_core.steps import Steps
from phase3_core.tiers import Tier
from phase3_core.trace import LedgerCall
from phase3_core.waterfall import Act, Find, SecondOpinion, Step, Stop, Verify, next_step


@dataclass(frozen=True, slots=True)
class Looked:
    """What was looked up in the ledger: calls that are there, and providers who were never asked."""

    calls: Sequence[LedgerCall]
    unknown: Sequence[str]


class Lenient(Steps):
    """A finder's address on a domain that takes any is accepted as risky, without another opinion."""

    async def take(self, lead: Lead, progress: Progress, act: Act) -> Progress:
        taken = await super().take(lead, progress, act)
        latest = taken.candidates[-1] if taken.candidates else None
        if not isinstance(act, Verify) or latest is None or latest.source == GUESS:
            return taken
        if latest.judgement is None or latest.judgement.verdict is not Verdict.CATCH_ALL:
            return taken
        risky = replace(latest, judgement=replace(latest.judgement, verdict=Verdict.RISKY))
        return replace(taken, candidates=(*taken.candidates[:-1], risky))


@dataclass(frozen=True, slots=True)
class Open:
    """Where a lead's known way ends: finders that brought nothing, and the address in hand, by its source."""

    tried: tuple[str, ...]
    source: str = ""


@dataclass
class Replay:
    """Counts of the leads that were replayed. `cost` USD of the calls that the policy would have used."""

    leads: int = 0
    accepted: int = 0
    cost: Money = ZERO
    open: Counter[Open] = field(default_factory=Counter)
    unasked: Counter[str] = field(default_factory=Counter)


async def replayed(
    leads: AsyncIterator[Lead],
    providers: Providers,
    plan: Plan,
    looked: Callable[[], Looked],
    *,
    accept_risky: bool = False,
) -> Replay:
    """`leads`: company by company, each company's in the order in which they went.

    Nothing is held of a company when the next one comes; leads without any share nothing.
    """
    steps = (Lenient if accept_risky else Steps)(providers)
    replay, company, domains, paid = Replay(), "", Domains(), dict[bytes, Money]()
    async for lead in leads:
        if not lead.company_domain or lead.company_domain != company:
            replay.cost += total(paid.values())
            company, domains, paid = lead.company_domain, Domains(), {}
        await _replay(lead, domains, steps, plan, looked, replay, paid)
        providers.done_with(lead)
    replay.cost += total(paid.values())
    return replay


async def _replay(
    lead: Lead,
    domains: Domains,
    steps: Steps,
    plan: Plan,
    looked: Callable[[], Looked],
    replay: Replay,
    paid: dict[bytes, Money],
) -> None:
    domain, leading = await domains.enter(lead)
    progress, step, seen = await _walk(lead, domain, steps, plan, looked)
    if leading:
        domains.leave(lead, progress)
    paid.update({call.key: call.cost + call.unknown for call in seen.calls})
    replay.leads += 1
    replay.accepted += progress.accepted and isinstance(step, Stop)
    if not isinstance(step, Stop):
        replay.open[_opening(progress, step)] += 1
        replay.unasked.update(seen.unknown[:1])


async def _walk(
    lead: Lead, domain: Domain, steps: Steps, plan: Plan, looked: Callable[[], Looked]
) -> tuple[Progress, Step, Looked]:
    """As far as the ledger knows the answers; the last step is `Stop`, or the one that is not known."""
    progress, calls, spent = start(lead), dict[bytes, LedgerCall](), ZERO
    while True:
        step = next_step(lead, plan, domain, progress, spent)
        if isinstance(step, Stop):
            return progress, step, Looked(tuple(calls.values()), ())
        after = await steps.take(lead, progress, step)
        seen = looked()
        calls |= {call.key: call for call in seen.calls}
        if seen.unknown:
            return progress, step, Looked(tuple(calls.values()), seen.unknown)
        progress, spent = after, total(call.cost + call.unknown for call in calls.values())


def _opening(progress: Progress, step: Step) -> Open:
    match step:
        case Find():
            return Open(progress.tried)
        case Verify() | SecondOpinion():
            return Open(progress.tried, progress.candidates[-1].source)
        case _:
            raise AssertionError(f"{step} asks nobody")


@dataclass(frozen=True, slots=True)
class Simulated:
    """`accepted` and `cost` (USD) with what is estimated of `unknown` leads; what is known beside them."""

    leads: int
    unknown: int
    known_accepted: int
    known_cost: Money
    accepted: Interval
    cost: Interval
    unasked: Counter[str]

    @property
    def _cost_per_accepted(self) -> str | None:
        found = self.accepted.expected
        return str(usd(f"{self.cost.expected / found:.6f}")) if found else None

    def as_json(self) -> dict[str, Any]:
        return {
            "leads": self.leads,
            "leads_unknown": self.unknown,
            "unknown_questions": dict(self.unasked.most_common()),
            "accepted": self.accepted.as_counts(),
            "cost_usd": self.cost.as_usd(),
            "cost_per_accepted_usd": self._cost_per_accepted,
            "known": {"accepted": self.known_accepted, "cost_usd": str(self.known_cost)},
        }


def simulated(replay: Replay, bench: Bench, record: Record, now: datetime) -> Simulated:
    accepted = _sure(replay.accepted)
    cost = _sure(float(replay.cost))
    for opening, leads in replay.open.items():
        found, spent = _rest(opening, leads, bench, record, now)
        accepted, cost = _plus(accepted, found), _plus(cost, spent)
    return Simulated(
        leads=replay.leads,
        unknown=sum(replay.open.values()),
        known_accepted=replay.accepted,
        known_cost=replay.cost,
        accepted=accepted,
        cost=cost,
        unasked=replay.unasked,
    )


def _rest(
    opening: Open, leads: int, bench: Bench, record: Record, now: datetime
) -> tuple[Interval, Interval]:
    """Accepted addresses and USD of leads from where their way is not known."""
    group = Group(Tier.C, 0, delivered=bool(opening.source), to_verify=leads)
    model = model_of(replace(bench, enrichers=()), [group], record, opening.tried)
    in_hand = _accept_rate(opening.source, record)
    rest = forecast(replace(model, rates={**model.rates, "delivered": in_hand}), Circumstances(now))
    return rest.accepted, rest.cost


def _accept_rate(source: str, record: Record) -> Rate:
    guessed = record.guessed.values()
    if source == GUESS:
        guesses = sum(one.hits for one in record.guesses.values())
        return Rate(0.4).after(sum(one.hits for one in guessed), guesses)
    return FinderRates(record.finders).accept(source)


def _sure(value: float) -> Interval:
    return Interval(value, value, value)


def _plus(one: Interval, other: Interval) -> Interval:
    """Both may err the same way: their rates are not independent of one another."""
    return Interval(one.expected + other.expected, one.low + other.low, one.high + other.high)
