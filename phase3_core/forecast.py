"""What a campaign is expected to find and cost and when it is done, before the first call is paid."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from phase3_core.circumstances import Circumstances, Work
from phase3_core.course import Flow, Line, flow, lines
from phase3_core.cuts import AGENTS, Cut, Leads, affordable, cuts
from phase3_core.intervals import Interval, intervals
from phase3_core.money import Money, total
from phase3_core.planner import Model
from phase3_core.statuses import Agent
from phase3_core.tiers import Tier


@dataclass(frozen=True, slots=True)
class Expected:
    """One provider's part for one agent. `cost` USD; `busy_s`: how long its limits keep it at work.

    `days`: UTC days that its quota, or its cap for a day, carries it in; 1 where neither is in the way.
    `put_off`: leads that it has no room for today, who go on to the next finder.
    """

    agent: Agent
    provider: str
    calls: float
    hits: float
    cost: Money
    interval: Interval
    busy_s: float
    days: int
    put_off: float = 0.0

    def as_json(self) -> dict[str, Any]:
        interval = self.interval.as_usd()
        return {
            "agent": self.agent.value,
            "provider": self.provider,
            "calls": round(self.calls),
            "hits": round(self.hits),
            "cost_usd": str(self.cost),
            "low_usd": interval["low"],
            "high_usd": interval["high"],
            "busy_s": round(self.busy_s),
            "days": self.days,
            "put_off": round(self.put_off),
        }


@dataclass(frozen=True, slots=True)
class Forecast:
    """`leads` that wait for an address, `to_enrich` that have one and wait for enrichment.

    `within_caps`: the part of the cost that the campaign's budgets carry.
    `based_on`: leads of earlier campaigns that the figures rest on. `done_at` under quotas and limits, if it
    begins now and ends with the campaign's budgets; `binds`: what sets that time. `lines` add up to every sum
    of money in it.
    """

    leads: int
    to_enrich: int
    accepted: Interval
    cost: Interval
    within_caps: Interval
    lines: Sequence[Line]
    providers: Sequence[Expected]
    seconds: float
    days: int
    done_at: datetime
    binds: str
    cuts: Sequence[Cut]
    warnings: Sequence[str]
    based_on: int

    @property
    def total(self) -> Money:
        return total(line.cost for line in self.lines)

    def cost_of(self, which: Agent | Tier) -> Money:
        return total(line.cost for line in self.lines if which in {line.agent, line.tier})

    def as_json(self) -> dict[str, Any]:
        return {
            "leads": self.leads,
            "leads_to_enrich": self.to_enrich,
            "accepted": self.accepted.as_counts(),
            "cost_usd": {**self.cost.as_usd(), "expected": str(self.total)},
            "cost_within_caps_usd": self.within_caps.as_usd(),
            "cost_by_agent_usd": {agent.value: str(self.cost_of(agent)) for agent in AGENTS},
            "cost_by_tier_usd": {tier.value: str(self.cost_of(tier)) for tier in Tier},
            "providers": [one.as_json() for one in self.providers],
            "duration_s": round(self.seconds),
            "days": self.days,
            "done_at": self.done_at.isoformat(timespec="seconds"),
            "binds": self.binds,
            "cuts": [cut.as_json() for cut in self.cuts],
            "warnings": list(self.warnings),
            "based_on_leads": self.based_on,
        }

    @property
    def told(self) -> tuple[str, ...]:
        """In a few lines, for people."""
        found = self.accepted.as_counts()
        leads = (
            f"{self.leads:,} leads wait for an address, {self.to_enrich:,} more for enrichment: about "
            f"{found['expected']:,} accepted addresses are expected ({found['low']:,} to {found['high']:,})."
        )
        cost = (
            f"Expected cost {self.total:,.2f} USD, {self.cost.low:,.2f} to {self.cost.high:,.2f} in four of "
            f"five campaigns; from {self.based_on:,} leads of earlier campaigns and usual figures."
        )
        return leads, cost, f"Done about {self.done_at:%Y-%m-%d %H:%M} UTC: {self.binds}."


def forecast(model: Model, around: Circumstances, based_on: int = 0) -> Forecast:
    """`based_on`: leads that the model's rates were learned from."""
    quotas = around.quotas(model.sellers)
    going = flow(model, model.usual, quotas)
    bought = lines(model, going)
    ranges = intervals(model, going, quotas, around.budgets)
    providers = _expected(bought, going, ranges.providers, around)
    paid = affordable(bought, around.budgets)
    work = around.work(paid)
    waiting = _waiting(model, going)
    cut = tuple(cuts(bought, around.budgets, waiting))
    ways = {agent: _way_s(agent, bought, waiting, around) for agent in AGENTS}
    seconds, days = _duration(work, ways)
    late = [one for one in providers if one.days > 1]
    return Forecast(
        leads=sum(group.to_verify for group in model.groups),
        to_enrich=sum(group.to_enrich for group in model.groups),
        accepted=ranges.accepted,
        cost=ranges.cost,
        within_caps=ranges.within_caps,
        lines=bought,
        providers=providers,
        seconds=seconds,
        days=days,
        done_at=_done_at(around.now, seconds, days),
        binds=_binds(work, ways, cut, around),
        cuts=cut,
        warnings=[
            *(_days_told(one, around) for one in late),
            *around.short_of_credit(paid),
            *_cuts_told(cut, ranges.within_caps),
        ],
        based_on=based_on,
    )


def _waiting(model: Model, going: Flow) -> Leads:
    """Leads that each agent will work on, by tier."""
    waiting = {(Agent.ENRICHMENT, tier): going.accepted[tier] for tier in Tier}
    for tier in Tier:
        own = (group.to_verify for group in model.groups if group.tier is tier)
        waiting[Agent.EMAIL_VERIFICATION, tier] = float(sum(own))
    return waiting


def _expected(
    bought: Sequence[Line], going: Flow, costs: Mapping[str, Interval], around: Circumstances
) -> list[Expected]:
    """One for each provider and agent, in the order of asking."""
    asked: dict[tuple[Agent, str], list[Line]] = {}
    for line in bought:
        asked.setdefault((line.agent, line.provider), []).append(line)
    work = around.work(bought)
    return [
        Expected(
            agent=agent,
            provider=name,
            calls=sum(line.calls for line in own),
            hits=sum(line.hits for line in own),
            cost=total(line.cost for line in own),
            interval=costs[f"{agent} {name}"],
            busy_s=work[agent, name].busy_s,
            days=work[agent, name].days,
            put_off=going.put_off.get(name, 0.0),
        )
        for (agent, name), own in asked.items()
    ]


def _way_s(agent: Agent, bought: Sequence[Line], waiting: Leads, around: Circumstances) -> float:
    """What the answers for one lead take, one after the other."""
    leads = sum(waiting[agent, tier] for tier in Tier)
    own = (line for line in bought if line.agent is agent)
    return sum(line.calls * around.answer_s(line.provider) for line in own) / leads if leads else 0.0


def _duration(work: Mapping[tuple[Agent, str], Work], ways: Mapping[Agent, float]) -> tuple[float, int]:
    """Seconds at work: agents one after the other, the providers of each beside one another, and none is
    done before a lead has come through. UTC days: both agents work on each.
    """
    busy = {agent: [one.busy_s for (of, _), one in work.items() if of is agent] for agent in AGENTS}
    slowest = (max(*busy[agent], ways[agent]) for agent in AGENTS if busy[agent])
    seconds = round(sum(slowest), 6)  # a share of leads is exact to no more
    return seconds, max((one.days for one in work.values()), default=1)


def _done_at(now: datetime, seconds: float, days: int) -> datetime:
    """What a day's quota leaves over goes on at the next midnight, UTC."""
    if days == 1:
        return now + timedelta(seconds=seconds)
    last_day = now.date() + timedelta(days=days - 1)
    return datetime.combine(last_day, time(), UTC) + timedelta(seconds=seconds / days)


def _binds(
    work: Mapping[tuple[Agent, str], Work],
    ways: Mapping[Agent, float],
    cut: Sequence[Cut],
    around: Circumstances,
) -> str:
    """The slowest limit; before it the tightest budget, where one ends the campaign without a person."""
    tightest = min(cut, key=lambda one: one.left / one.expected, default=None)
    budget = [f"the budget for {tightest.budget} carries {tightest.carries}"] if tightest else []
    slowest = max(work.values(), key=lambda one: (one.days, one.busy_s), default=None)
    limit = [_limit(slowest, max(ways.values()), around)] if slowest else []
    return "; ".join(budget + limit) or "nothing is left to ask"


def _limit(slowest: Work, way_s: float, around: Circumstances) -> str:
    allowed = around.of(slowest.provider)
    if slowest.days > 1:
        return f"{slowest.provider} needs {slowest.days} days"
    if slowest.busy_s < way_s:
        return f"the answers for a lead take about {way_s:,.0f} s"
    if allowed.rate and around.is_paced(slowest.provider, slowest.calls):
        return f"{slowest.provider} takes {allowed.rate * 60:,.0f} calls a minute"
    return f"{slowest.provider} takes {allowed.in_flight:,} calls at once"


def _cuts_told(cut: Sequence[Cut], within: Interval) -> Iterator[str]:
    yield from (one.told for one in cut)
    if cut:
        told = f"{within.expected:,.2f} USD, {within.low:,.2f} to {within.high:,.2f}"
        yield f"Within the budgets the campaign is expected to cost {told}."


def _days_told(one: Expected, around: Circumstances) -> str:
    told = (
        f"{one.provider}: about {round(one.calls):,} look-ups for {one.cost:.2f} USD are expected and "
        f"{around.day_told(one.provider)}: {one.days} days."
    )
    if not round(one.put_off):
        return f"{told} What is beyond a day's part waits."
    return (
        f"{told} About {round(one.put_off):,} leads beyond today's part go on to the next provider, and wait "
        "for it where nobody else knows."
    )
