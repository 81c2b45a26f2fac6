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
from phase3_core.forecast import Forecast, forecast
from phase3_core.money import usd
from phase3_core.ordering import Ordered, dealt_out
from phase3_core.plan import Plan, Quote
from phase3_core.planner import Bench, model_of
from phase3_core.policy import LeadCaps, Routing
from phase3_core.rate_limits import Allowed
from phase3_core.record import Group, Kept, Record
from phase3_core.routing import NEARLY, Dealer, Outlook, Shares, start_of, with_first
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


def on_days_of(*budgets: Budget, **calls: int) -> Circumstances:
    allowed = {name: Allowed(name, per_day=count) for name, count in calls.items()}
    return Circumstances(NOW, allowed | {"reoon": Allowed(in_flight=100_000)}, budgets=budgets)


def foreseen(around: Circumstances, dealt: Shares = ()) -> Forecast:
    plan = replace(PLAN, starts=dealt)
    return forecast(model_of(replace(BENCH, plan=plan), LEADS, Record()), around)


def test_where_as_many_days_are_needed_anyway_everybody_goes_the_cheapest_way() -> None:
    """Leads beyond a finder's day go on to the next by themselves."""
    around = on_days_of(cheap=2_500)
    assert foreseen(around).days == foreseen(around, (("dear", 1.0),)).days == 3
    assert dealt_out(BENCH, LEADS, Record(), around) == (("cheap", 1.0),)


def test_who_starts_elsewhere_spares_a_short_day_for_those_whom_nobody_else_finds() -> None:
    around = on_days_of(cheap=7_000)
    dealt = dealt_out(BENCH, LEADS, Record(), around)
    assert (foreseen(around).days, foreseen(around, dealt).days) == (2, 1)


def test_a_scarce_day_is_for_those_whom_nobody_else_finds() -> None:
    around = on_days_of(cheap=1_000)
    dealt = dealt_out(BENCH, LEADS, Record(), around)
    assert dict(dealt)["dear"] > 0.8
    assert foreseen(around, dealt).days < foreseen(around).days


def test_a_days_money_is_a_short_day_too() -> None:
    cap = Budget("cheap 2026-11-22", usd(5), provider="cheap", day=NOW.date())
    around = on_days_of(cap)
    dealt = dealt_out(BENCH, LEADS, Record(), around)
    assert dict(dealt)["dear"] > 0.8
    assert foreseen(around, dealt).days < foreseen(around).days


def test_a_scarce_day_is_not_relieved_with_money_that_is_not_there() -> None:
    short = on_days_of(cheap=1_000)
    cap = Budget("x", foreseen(short).total + 1, agent=Agent.EMAIL_VERIFICATION)
    around = on_days_of(cap, cheap=1_000)
    dealt = dealt_out(BENCH, LEADS, Record(), around)
    assert foreseen(around, dealt).cuts == ()
    assert foreseen(short).days >= foreseen(around, dealt).days >= foreseen(short, (("dear", 1.0),)).days


def test_money_that_carries_only_the_cheapest_way_is_not_overspent() -> None:
    cheapest = forecast(model_of(BENCH, LEADS, Record()), at_paces(1.0, 1.0)).total
    cap = Budget("x", cheapest + 1, agent=Agent.EMAIL_VERIFICATION)
    around = at_paces(1.0, 1.0, cap)
    plan = replace(PLAN, starts=dealt_out(BENCH, LEADS, Record(), around))
    assert forecast(model_of(replace(BENCH, plan=plan), LEADS, Record()), around).cuts == ()
    assert dict(plan.starts)["cheap"] > dict(dealt_out(BENCH, LEADS, Record(), at_paces(1.0, 1.0)))["cheap"]


ways = st.lists(
    st.tuples(st.fixed_dictionaries({name: st.floats(0, 1e5) for name in "abc"}), st.floats(0, 1e4)),
    min_size=1,
    max_size=5,
)


@given(ways=ways, budget=st.floats(0, 1e5))
def test_all_leads_are_dealt_out_within_the_budget_as_early_as_any_one_finder_or_the_cheapest_way(
    ways: list[tuple[dict[str, float], float]], budget: float
) -> None:
    """If all start with one of them: seconds of each provider, and USD."""
    finders = [str(place) for place in range(len(ways))]

    def foresee(dealt: Shares) -> Outlook:
        parts = [(share, *ways[int(name)]) for name, share in dealt]
        seconds = max(sum(share * busy[name] for share, busy, _ in parts) for name in "abc")
        cost = sum(share * usd for share, _, usd in parts)
        return Outlook(1, seconds, cost, carried=cost <= budget)

    dealt = foresee(Dealer(finders, foresee).shares())
    alone = [foresee(((name, 1.0),)) for name in finders]
    assert sum(share for _, share in Dealer(finders, foresee).shares()) == 1
    if carried := [one for one in alone if one.carried]:
        assert dealt.carried
        assert dealt.seconds <= NEARLY * min(one.seconds for one in carried)
    else:
        assert dealt == min(alone, key=lambda one: one.cost)


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
