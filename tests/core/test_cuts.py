"""What caps leave of a campaign: whose address is not paid for is not enriched; the best tier goes first."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase3_core.budget import Budget
from phase3_core.forecast import Forecast, forecast
from phase3_core.money import Money, usd
from phase3_core.rate_limits import Allowed
from phase3_core.record import Group
from phase3_core.statuses import Agent
from phase3_core.tiers import Tier
from tests.core.test_planner import CLEARBIT, NOW, PLAN, TOMBA_ALONE, a_model, groups, some

EMAILS, ENRICHMENT = Agent.EMAIL_VERIFICATION, Agent.ENRICHMENT


def foreseen(leads: list[Group], *budgets: Budget) -> Forecast:
    return forecast(a_model(leads, PLAN, None, CLEARBIT), replace(NOW, budgets=budgets))


def capped(agent: Agent, cap: Money) -> Budget:
    return Budget(f"x {agent}", cap, agent=agent)


@settings(max_examples=30, deadline=None)
@given(groups=groups)
def test_without_money_for_addresses_only_whoever_has_one_is_enriched(groups: list[Group]) -> None:
    held = foreseen(groups, capped(EMAILS, usd(0))).within_caps
    have_one = foreseen([replace(group, to_verify=0) for group in groups])
    assert held.expected == pytest.approx(float(have_one.total), abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(groups=groups, cap=st.integers(0, 300), more=st.integers(0, 300))
def test_more_money_for_addresses_never_buys_less(groups: list[Group], cap: int, more: int) -> None:
    few, many = (foreseen(groups, capped(EMAILS, usd(of))).within_caps for of in (cap, cap + more))
    assert few.expected <= many.expected + 1e-9


def test_half_the_addresses_leave_half_to_enrich() -> None:
    free = foreseen([some(1_000)])
    half = capped(EMAILS, free.cost_of(EMAILS) / 2)
    told = foreseen([some(1_000)], half)
    assert told.within_caps.expected == pytest.approx(float(free.total) / 2, rel=1e-4)
    assert told.seconds == pytest.approx(free.seconds / 2, rel=1e-3)
    assert [cut.leads for cut in told.cuts] == [{Tier.A: 500}]
    assert told.within_caps.low < told.within_caps.expected < told.within_caps.high, "what follows may vary"


def test_an_enrichment_budget_need_not_carry_whom_nobody_looks_for() -> None:
    free = foreseen([some(1_000)])
    half = capped(EMAILS, free.cost_of(EMAILS) / 2)
    enough, less = (capped(ENRICHMENT, free.cost_of(ENRICHMENT) * usd(part)) for part in ("0.6", "0.4"))
    assert [cut.budget for cut in foreseen([some(1_000)], half, enough).cuts] == ["email verification"]
    _, cut = foreseen([some(1_000)], half, less).cuts
    assert cut.expected == pytest.approx(free.cost_of(ENRICHMENT) / 2, rel=usd("0.001"))
    assert cut.leads[Tier.A] == pytest.approx(free.accepted.expected / 10, abs=1)


def test_the_best_tier_has_the_money_first() -> None:
    alone = foreseen([some(1_000)])
    told = foreseen([some(1_000, Tier.C), some(1_000)], capped(EMAILS, alone.cost_of(EMAILS)))
    assert told.within_caps.expected == pytest.approx(float(alone.total), rel=1e-4)
    assert [cut.leads for cut in told.cuts] == [{Tier.C: 1_000}]


def test_a_tiers_budget_pays_addresses_before_what_follows_from_them() -> None:
    free = foreseen([some(1_000)])
    cap = free.cost_of(EMAILS) + free.cost_of(ENRICHMENT) / 4
    told = foreseen([some(1_000)], Budget("x", cap, tier=Tier.A))
    assert told.within_caps.expected == pytest.approx(float(cap), rel=1e-4)
    assert told.within_caps.high <= float(cap) + 1e-6
    (cut,) = told.cuts
    assert cut.leads[Tier.A] == pytest.approx(free.accepted.expected * 3 / 4, abs=1)


def test_a_day_is_paid_before_the_next() -> None:
    """On the second day the best tier comes too late for what the others spent on the first."""
    around = replace(NOW, allowed={"tomba": Allowed("tomba", per_day=1_500)})
    model = a_model([some(1_000, Tier.C), some(2_000)], TOMBA_ALONE, None, CLEARBIT)
    free = forecast(model, around)
    assert free.days == 2
    first_day = sum((line.cost for line in free.lines if line.day == 1 and line.agent is EMAILS), usd(0))
    told = forecast(model, replace(around, budgets=[capped(EMAILS, first_day)]))
    assert told.days == 1
    first = sum(float(line.cost) for line in free.lines if line.day == 1)
    assert told.within_caps.expected == pytest.approx(first, rel=1e-4)


def test_where_a_budget_carries_nothing_it_is_all_that_binds() -> None:
    told = foreseen([some(1_000)], capped(EMAILS, usd(0)))
    assert told.binds == f"the budget for email verification carries 0.00 of {told.cost_of(EMAILS):.2f} USD"
    assert (told.seconds, told.days) == (0, 1)
