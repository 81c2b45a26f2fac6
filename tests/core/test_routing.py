"""Leads are dealt out so that every limit is used; the same lead starts the same way in every run."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase3_core.budget import Budget
from phase3_core.calls import Billing, Hit, Judgement, Price
from phase3_core.circumstances import Circumstances
from phase3_core.forecast import forecast
from phase3_core.money import usd
from phase3_core.ordering import Ordered, dealt_out
from phase3_core.plan import Plan, Quote
from phase3_core.planner import Bench, model_of
from phase3_core.policy import LeadCaps, Routing
from phase3_core.rate_limits import Allowed
from phase3_core.record import Group, Kept, Record
from phase3_core.routing import Start, shares, start_of, with_first
from phase3_core.statuses import Agent, Verdict
from phase3_core.tiers import Tier
from phase3_core.trace import email_steps
from phase3_core.verify import plan_for
from tests.core.office import EASY, an_office
from tests.fakes.clock import NOON
from tests.fakes.people import CAMPAIGN, a_lead, a_run
from tests.fakes.providers import finder, verifier

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CHEAP, DEAR = Price(usd("0.01"), Billing.PER_HIT), Price(usd("0.05"), Billing.PER_HIT)
REOON = Price(usd("0.001"), Billing.PER_CALL)
PLAN = Plan((Quote("cheap", CHEAP), Quote("dear", DEAR)), REOON, second_opinion=False, guessing=False)
BENCH = Bench(PLAN, "reoon", "", (), {}, LeadCaps())
LEADS = [Group(Tier.B, 1, delivered=False, to_verify=10_000)]


def at_paces(cheap: float, dear: float, *budgets: Budget) -> Circumstances:
    allowed = {"cheap": Allowed("cheap", rate=cheap), "dear": Allowed("dear", rate=dear)}
    return Circumstances(NOW, allowed | {"reoon": Allowed(in_flight=100_000)}, budgets=budgets)


def ends_s(around: Circumstances, plan: Plan) -> float:
    return forecast(model_of(replace(BENCH, plan=plan), LEADS, Record()), around).seconds


def test_a_slow_first_finder_is_relieved_by_the_next() -> None:
    around = at_paces(cheap=1.0, dear=1.0)
    dealt = dict(dealt_out(BENCH, LEADS, Record(), around))
    assert 0.3 < dealt["dear"] < 0.6
    together = replace(PLAN, starts=tuple(dealt.items()))
    assert ends_s(around, together) < 0.8 * ends_s(around, PLAN)


def test_where_the_first_is_quick_enough_everybody_starts_with_it() -> None:
    """The second finder's share of the leads takes it as long as all of them take the first."""
    assert dealt_out(BENCH, LEADS, Record(), at_paces(cheap=100.0, dear=0.1)) == (("cheap", 1.0),)


def test_a_short_day_is_relieved_too() -> None:
    around = Circumstances(
        NOW, {"cheap": Allowed("cheap", per_day=1_000), "reoon": Allowed(in_flight=100_000)}
    )
    assert dict(dealt_out(BENCH, LEADS, Record(), around))["dear"] > 0.5


def test_money_that_carries_only_the_cheapest_way_is_not_overspent() -> None:
    cheapest = forecast(model_of(BENCH, LEADS, Record()), at_paces(1.0, 1.0)).total
    cap = Budget("x", cheapest + 1, agent=Agent.EMAIL_VERIFICATION)
    around = at_paces(1.0, 1.0, cap)
    plan = replace(PLAN, starts=dealt_out(BENCH, LEADS, Record(), around))
    assert forecast(model_of(replace(BENCH, plan=plan), LEADS, Record()), around).cuts == ()
    assert dict(plan.starts)["cheap"] > dict(dealt_out(BENCH, LEADS, Record(), at_paces(1.0, 1.0)))["cheap"]


starts = st.lists(
    st.builds(
        Start,
        provider=st.uuids().map(str),
        calls=st.dictionaries(st.sampled_from("abc"), st.floats(0, 1e5), min_size=1),
        cost=st.floats(0, 1e4),
    ),
    min_size=1,
    max_size=7,
    unique_by=lambda start: start.provider,
)


@given(starts=starts, budget=st.floats(0, 1e5))
def test_all_leads_are_dealt_out_within_the_budget_or_the_cheapest_way(
    starts: list[Start], budget: float
) -> None:
    dealt = shares(starts, lambda _, calls: calls, budget)
    cost = {start.provider: start.cost for start in starts}
    assert sum(share for _, share in dealt) == pytest.approx(1)
    spent = sum(share * cost[provider] for provider, share in dealt)
    assert spent <= max(budget, min(cost.values())) + 1e-6


def test_a_lead_starts_where_its_id_says() -> None:
    dealt = (("cheap", 0.7), ("dear", 0.3))
    leads = [a_lead(number) for number in range(2_000)]
    first = [start_of(lead, dealt) for lead in leads]
    assert first == [start_of(replace(lead, score=1), dealt) for lead in leads]
    assert Counter(first)["dear"] == pytest.approx(600, rel=0.1)


def test_who_is_first_goes_before_the_others_in_their_order() -> None:
    assert with_first(["a", "b", "c"], "c") == ["c", "a", "b"]
    assert with_first(["a", "b"], "gone") == ["a", "b"]


async def test_a_run_keeps_whom_it_dealt_out_and_the_trace_says_so() -> None:
    people = [a_lead(n, f"Ada L{n}", company_domain="", mailbox_names=()) for n in range(1, 30)]
    office = an_office(people, replace(EASY, routing=Routing.EARLIEST))
    for name in ("cheap", "dear"):
        office.source.finders = [*office.source.finders, finder(name, lambda who: Hit(f"{who[4:]}@x.com"))]
    office.source.verifiers = [verifier("reoon", lambda _: Judgement(Verdict.VALID))]
    dealt = Kept(starts=(("cheap", 0.5), ("dear", 0.5)))
    office.database.tables.kept[CAMPAIGN] = dealt
    await office.verify()
    asked = {
        bill.lead_id: bill.question.provider for bill in office.bills if bill.question.operation == "find"
    }
    expected = {lead.id: start_of(lead, dealt.starts) for lead in people}
    assert asked == expected
    assert set(expected.values()) == {"cheap", "dear"}
    lead = next(lead for lead in people if expected[lead.id] == "dear")
    async with office.database.open(a_run()) as books, office.source.open(a_run(), books) as providers:
        order = Ordered(CAMPAIGN, books, providers, office.policy, NOON)
        plan = await order.plan(plan_for(providers, office.policy), keeps=False)
        steps = await email_steps(lead, [], providers, plan, tuple)
    assert steps[0].step == "ask dear"
    assert steps[0].why.startswith("dealt out: 50% of the leads start with it")


def test_what_is_kept_survives_being_written_down() -> None:
    kept = Kept(starts=(("cheap", 0.7), ("dear", 0.3)))
    assert Kept.from_json(kept.as_json()) == kept
