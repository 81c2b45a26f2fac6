"""How many flows an estimate follows and how many steps each takes, however a campaign is made up."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain, combinations
from typing import Any

import pytest

from phase3_core import course
from phase3_core.circumstances import Circumstances
from phase3_core.course import Flow
from phase3_core.forecast import Forecast, forecast
from phase3_core.plan import Plan, Quote
from phase3_core.rate_limits import Allowed
from phase3_core.record import Group
from phase3_core.tiers import Tier
from tests.core.test_planner import CLEARBIT, NOON, REOON, TOMBA, a_model, per_hit

FINDERS = ("tomba", "muraena", "icypeas", "nimbler", "findymail", "anymailfinder", "voilanorbert")
TWO_SHORT_DAYS = Circumstances(NOON, {name: Allowed(name, per_day=4_000) for name in FINDERS[:2]})
MOST_FLOWS = 120
MOST_STEPS = 2_000  # of a flow


def missed_by_some(names: Sequence[str]) -> list[frozenset[str]]:
    sizes = range(len(names))
    return [frozenset(some) for some in chain.from_iterable(combinations(names, n) for n in sizes)]


def half_finished(places: Sequence[int], leads: int, finders: Sequence[str] = FINDERS) -> list[Group]:
    """As runs leave a campaign whose first finder's day is short and who were killed here and there."""
    return [
        Group(tier, place, delivered=False, to_verify=leads, missed=missed)
        for tier in Tier
        for place in places
        for missed in missed_by_some(finders[1:])
    ]


def told(groups: Sequence[Group], around: Circumstances, finders: Sequence[str] = FINDERS) -> Forecast:
    quotes = tuple(Quote(name, TOMBA.price) for name in finders)
    plan = Plan(quotes, REOON, second_opinion=True, second=per_hit("0.003"), guessing=True)
    return forecast(a_model(groups, plan, None, CLEARBIT), around)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Flows that are followed, and what is asked in them."""
    counts = Counter[str]()
    followed, asked = course.flow, Flow.ask

    def flow(*args: Any) -> Flow:
        counts["flows"] += 1
        return followed(*args)

    def ask(*args: Any) -> None:
        counts["steps"] += 1
        asked(*args)

    monkeypatch.setattr("phase3_core.intervals.flow", flow)
    monkeypatch.setattr(Flow, "ask", ask)
    return counts


def test_half_way_through_a_campaign_an_estimate_follows_few_flows(counted: Counter[str]) -> None:
    """Of 960 groups, with two days too short: else a run would stand still for most of a minute."""
    assert told(half_finished(range(5), 40), TWO_SHORT_DAYS).days > 1
    assert 50 < counted["flows"] < MOST_FLOWS
    assert counted["steps"] / counted["flows"] < MOST_STEPS


def test_a_flow_takes_as_many_steps_however_leads_are_grouped(counted: Counter[str]) -> None:
    taken, cost = [], []
    for places, leads in (([1], 200), ([1] * 5, 40)):
        groups = [group for group in half_finished(places, leads, FINDERS[:4]) if group.missed]
        cost.append(float(told(groups, TWO_SHORT_DAYS, FINDERS[:4]).total))
        taken.append((counted.pop("flows"), counted.pop("steps")))
    assert taken[0] == taken[1]
    assert cost[0] == pytest.approx(cost[1])


def test_rates_that_are_moved_together_are_as_far_off_as_each_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    groups = half_finished([0], 100, FINDERS[:6])
    together = told(groups, TWO_SHORT_DAYS, FINDERS[:6])
    monkeypatch.setattr("phase3_core.intervals.FEW", 0.0)
    each = told(groups, TWO_SHORT_DAYS, FINDERS[:6])
    for one, other in ((together.cost, each.cost), (together.accepted, each.accepted)):
        assert (one.low, one.high) == pytest.approx((other.low, other.high), rel=0.01)
