"""The cheapest finder first, given who missed before; the same way in every run."""

from dataclasses import replace
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase3_core.calls import Billing, Hit, Judgement, Miss, Price
from phase3_core.course import flow, lines
from phase3_core.domains import Domain
from phase3_core.leads import Lead
from phase3_core.money import total, usd
from phase3_core.order import CheapestValid, Patience, cost_per_valid
from phase3_core.ordering import Ordered
from phase3_core.plan import Plan, Quote
from phase3_core.planner import Bench, model_of
from phase3_core.policy import LeadCaps, Ordering
from phase3_core.progress import Progress, start
from phase3_core.rates import USUAL_FIND_RATE, USUAL_VALID_RATE, FinderRates, Seen
from phase3_core.record import Group, Record
from phase3_core.statuses import Verdict
from phase3_core.tiers import Tier
from phase3_core.trace import email_steps
from phase3_core.verify import plan_for
from phase3_core.waterfall import Find, Stop, next_step
from tests.core.office import EASY, Office, an_office
from tests.fakes.clock import NOON
from tests.fakes.people import CAMPAIGN, a_lead, a_run
from tests.fakes.providers import finder, verifier

FIRST: frozenset[str] = frozenset()


def per_hit(amount: str) -> Price:
    return Price(usd(amount), Billing.PER_HIT)


def per_call(amount: str) -> Price:
    return Price(usd(amount), Billing.PER_CALL)


DEAR, CHEAP, CALLS = per_hit("0.05"), per_hit("0.01"), per_call("0.01")
PRICES = {"dear": DEAR, "cheap": CHEAP}


def asked(number: int, tier: Tier = Tier.A) -> Lead:
    return replace(a_lead(), id=UUID(int=number), tier=tier, mailbox_names=())


def unexplored(prices: dict[str, Price] | None = None, *seen: Seen) -> CheapestValid:
    return CheapestValid(prices or PRICES, 0.001, FinderRates(seen), explored=0.0)


@pytest.mark.parametrize(
    ("price", "usd_per_valid"),
    [
        (per_hit("0.02"), (0.02 + 0.001) / 0.9),
        (per_call("0.02"), (0.02 + 0.5 * 0.001) / (0.5 * 0.9)),
        (Price(usd(0), Billing.FREE), 0.001 / 0.9),
    ],
)
def test_the_cost_of_a_valid_address(price: Price, usd_per_valid: float) -> None:
    assert cost_per_valid(price, 0.5, 0.9, 0.001) == pytest.approx(usd_per_valid)


def test_who_never_finds_costs_without_end() -> None:
    assert cost_per_valid(CHEAP, 0.0, 0.9, 0.001) == float("inf")


def test_the_cheapest_is_asked_first() -> None:
    assert unexplored().ranked(asked(1), FIRST) == ["cheap", "dear"]


def test_who_names_addresses_that_are_refused_is_dear() -> None:
    refused = Seen("cheap", FIRST, calls=1_000, hits=500, accepted=40)
    assert unexplored(None, refused).ranked(asked(1), FIRST) == ["dear", "cheap"]


def test_where_calls_are_paid_it_counts_who_missed_before() -> None:
    """Those whom the other does not know are known to nobody: a paid call for each is dear."""
    hardly = Seen("calls", frozenset({"other"}), calls=1_000, hits=5, accepted=5)
    often = Seen("calls", FIRST, calls=1_000, hits=600, accepted=560)
    order = unexplored({"calls": CALLS, "other": per_hit("0.03"), "last": DEAR}, hardly, often)
    assert order.ranked(asked(1), FIRST)[0] == "calls"
    assert order.ranked(asked(1), frozenset({"other"})) == ["last", "calls"]


def test_what_costs_more_than_the_tier_is_worth_is_not_asked() -> None:
    order = replace(unexplored(), worth={Tier.C: usd("0.02"), Tier.B: usd("0.001")})
    plan = Plan((Quote("dear", DEAR), Quote("cheap", CHEAP)), per_call("0.001"), False, order=order)
    first = next_step(asked(1, Tier.C), plan, Domain(), start(asked(1)))
    assert first == Find("cheap")
    assert next_step(asked(1, Tier.C), plan, Domain(), Progress(tried=("cheap",))) is Stop.NOT_WORTH
    assert next_step(asked(1, Tier.B), plan, Domain(), Progress()) is Stop.NOT_WORTH
    assert next_step(asked(1, Tier.A), plan, Domain(), Progress(tried=("cheap",))) == Find("dear")
    assert next_step(asked(1), plan, Domain(), Progress(tried=("cheap", "dear"))) is Stop.EXHAUSTED


def test_a_finder_with_a_thin_record_is_tried_out_by_a_few_leads() -> None:
    """The cheaper one is known to be refused often; the other may be better than it seems."""
    refused = Seen("cheap", FIRST, calls=1_000, hits=500, accepted=350)
    close = CheapestValid({"cheap": CHEAP, "close": per_hit("0.0125")}, 0.001, FinderRates([refused]))
    firsts = [close.ranked(asked(number), FIRST)[0] for number in range(2_000)]
    usual = close.bids(FIRST)[0].provider
    tried_out = sum(first != usual for first in firsts)
    assert 50 < tried_out < 150
    explorer = next(number for number in range(2_000) if firsts[number] != usual)
    assert close.why(asked(explorer), FIRST, firsts[explorer]).startswith("tried out")


def test_who_cannot_be_the_cheapest_is_not_tried_out() -> None:
    order = CheapestValid(PRICES, 0.001, FinderRates())
    assert {order.ranked(asked(number), FIRST)[0] for number in range(500)} == {"cheap"}


# A finder that is out


@given(st.integers(0, 50), st.integers(1, 200))
def test_a_lead_waits_for_a_free_finder_where_asking_the_other_first_costs_more_than_that(
    most: int, price: int
) -> None:
    """Asked first, the other costs its price; asked second, only where the free one brought nothing."""
    dear = per_call(f"{price / 1000}")
    figures = CheapestValid({"free": Price(usd(0), Billing.FREE), "dear": dear}, 0.0, FinderRates())
    saved = USUAL_FIND_RATE * USUAL_VALID_RATE * price / 1000
    patience = Patience(usd(f"{most / 1000}"), figures)
    assert patience.waits("free", ["dear"], FIRST) == (saved > most / 1000)


@given(st.sampled_from(sorted(PRICES)), st.integers(0, 10))
def test_nobody_waits_where_nobody_else_is_left_to_ask(away: str, mills: int) -> None:
    assert not Patience(usd(mills) / 1000, unexplored()).waits(away, [], FIRST)


prices = st.dictionaries(
    st.sampled_from("abcdefg"),
    st.builds(Price, st.integers(1, 200).map(lambda mills: usd(f"{mills / 1000}")), st.sampled_from(Billing)),
    min_size=1,
)


@given(prices=prices, order=st.randoms())
def test_the_cost_of_a_way_is_what_the_planner_expects_of_it(prices: dict[str, Price], order: Random) -> None:
    way = order.sample(sorted(prices), len(prices))
    plan = Plan(tuple(Quote(name, prices[name]) for name in way), per_call("0.001"), False, guessing=False)
    bench = Bench(plan, "reoon", "", (), {}, LeadCaps())
    model = model_of(bench, [Group(Tier.A, 1, delivered=False, to_verify=1)], Record())
    planned = total(line.cost for line in lines(model, flow(model, model.usual)))
    assert CheapestValid(prices, 0.001, FinderRates()).cost_of_way(way, FIRST) == pytest.approx(
        float(planned), abs=2e-5
    )


@given(prices=prices, number=st.integers(0, 2**64))
def test_everybody_is_ranked_once_and_always_the_same_way(prices: dict[str, Price], number: int) -> None:
    ranked = CheapestValid(prices, 0.001, FinderRates()).ranked(asked(number), FIRST)
    again = CheapestValid(prices, 0.001, FinderRates()).ranked(asked(number), FIRST)
    assert sorted(ranked) == sorted(prices)
    assert ranked == again


def an_office_by_cost(leads: int = 6) -> Office:
    """Listed dear first; only the dear one knows everybody."""
    people = [a_lead(n, f"Ada L{n}", company_domain="", mailbox_names=()) for n in range(1, leads + 1)]
    office = an_office(people, replace(EASY, ordering=Ordering.CHEAPEST_VALID))
    office.source.finders = [
        finder("dear", lambda name: Hit(f"{name.replace(' ', '.')}@dear.com"), DEAR),
        finder("cheap", lambda _: Miss(), CHEAP),
    ]
    office.source.verifiers = [verifier("reoon", lambda _: Judgement(Verdict.VALID))]
    return office


async def test_a_run_asks_in_the_order_of_cost() -> None:
    office = an_office_by_cost()
    await office.verify()
    first = {bill.lead_id: bill.question.provider for bill in reversed(office.database.bills.rows)}
    assert set(first.values()) == {"cheap"}


async def test_a_resumed_campaign_goes_by_the_figures_of_its_first_run() -> None:
    """Whatever the ledger has learned meanwhile."""
    office = an_office_by_cost()
    await office.verify()
    kept = office.database.tables.kept[CAMPAIGN]
    office.database.tables.record = Record(finders=(Seen("cheap", FIRST, 1_000, 1_000, 0),))
    async with office.database.open(a_run()) as books, office.source.open(a_run(), books) as providers:
        plan = plan_for(providers, office.policy)
        again = await Ordered(CAMPAIGN, books, providers, office.policy, NOON).plan(plan, keeps=True)
    assert again.order is not None
    assert again.order.ranked(asked(1), FIRST) == ["cheap", "dear"]
    assert office.database.tables.kept[CAMPAIGN] == kept


async def test_the_trace_says_what_it_was_expected_to_cost() -> None:
    office = an_office_by_cost(1)
    (row,) = office.rows
    async with office.database.open(a_run()) as books, office.source.open(a_run(), books) as providers:
        plan = plan_for(providers, office.policy)
        plan = await Ordered(CAMPAIGN, books, providers, office.policy, NOON).plan(plan, keeps=False)
        steps = await email_steps(row.lead, [], providers, plan, tuple)
    assert [step.step for step in steps][:2] == ["ask cheap", "ask dear"]
    assert steps[0].why.startswith("the cheapest that is left: 0.0122 USD expected for a valid address")
    assert not office.database.tables.kept
