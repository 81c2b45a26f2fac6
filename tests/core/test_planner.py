"""What a campaign is expected to cost: sums add up, intervals are ordered, more costs no less."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase3_core.budget import Budget
from phase3_core.calls import Billing, Price
from phase3_core.circumstances import Circumstances
from phase3_core.forecast import Forecast, forecast
from phase3_core.money import ZERO, total, usd
from phase3_core.plan import Plan, Quote
from phase3_core.planner import Bench, Model, find_rate, model_of
from phase3_core.policy import LeadCaps
from phase3_core.rate_limits import Allowed
from phase3_core.rates import Seen
from phase3_core.record import Count, Group, Record
from phase3_core.statuses import Agent
from phase3_core.tiers import Tier, Topic

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOW = Circumstances(NOON)


@dataclass(frozen=True)
class Known:
    """An enricher as the planner sees it."""

    name: str
    price: Price
    topics: frozenset[Topic]
    per_company: bool = True


def per_hit(amount: str) -> Price:
    return Price(usd(amount), Billing.PER_HIT)


TOMBA, MURAENA = Quote("tomba", per_hit("0.01")), Quote("muraena", per_hit("0.02"))
REOON = Price(usd("0.001"), Billing.PER_CALL)
PLAN = Plan((TOMBA, MURAENA), REOON, second_opinion=True, second=per_hit("0.003"), guessing=False)
TOMBA_ALONE = replace(PLAN, finders=(TOMBA,))
CLEARBIT = Known("clearbit", per_hit("0.05"), frozenset({Topic.COMPANY, Topic.WEBSITE}))
PEOPLE = Known("apollo:people", per_hit("0.025"), frozenset({Topic.CONTACT}), per_company=False)


def a_model(groups: Sequence[Group], plan: Plan = PLAN, record: Record | None = None, *known: Known) -> Model:
    operations = {one.name: [f"{one.name}/ask"] for one in known}
    bench = Bench(plan, "reoon", "mailverify", known, operations, LeadCaps())
    return model_of(bench, groups, record or Record())


def some(leads: int, tier: Tier = Tier.A, place: int = 1) -> Group:
    return Group(tier, place, delivered=False, to_verify=leads)


def calls_of(foreseen: Forecast, provider: str) -> float:
    return sum(line.calls for line in foreseen.lines if line.provider == provider)


groups = st.lists(
    st.builds(
        Group,
        tier=st.sampled_from(list(Tier)),
        place=st.integers(0, 4),
        delivered=st.booleans(),
        to_verify=st.integers(0, 20_000),
        to_enrich=st.integers(0, 2_000),
        firsts=st.integers(0, 500),
    ),
    max_size=8,
)
plans = st.builds(
    replace,
    st.just(PLAN),
    guessing=st.booleans(),
    max_providers_per_lead=st.integers(1, 7),
    second_opinion=st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(groups=groups, plan=plans)
def test_sums_add_up_and_intervals_are_ordered(groups: list[Group], plan: Plan) -> None:
    foreseen = forecast(a_model(groups, plan, None, CLEARBIT, PEOPLE), NOW)
    agents = (Agent.EMAIL_VERIFICATION, Agent.ENRICHMENT)
    assert foreseen.total == total(foreseen.cost_of(tier) for tier in Tier)
    assert foreseen.total == total(foreseen.cost_of(agent) for agent in agents)
    assert foreseen.total == total(one.cost for one in foreseen.providers)
    assert foreseen.cost.expected == pytest.approx(float(foreseen.total), abs=1e-3)
    assert foreseen.within_caps.high == pytest.approx(foreseen.cost.high)
    for interval in (foreseen.cost, foreseen.accepted, *(one.interval for one in foreseen.providers)):
        assert 0 <= interval.low <= interval.expected <= interval.high
    assert foreseen.accepted.expected <= foreseen.leads + 1e-6
    assert all(line.hits <= line.calls + 1e-9 for line in foreseen.lines)


@settings(max_examples=40, deadline=None)
@given(leads=st.integers(1, 50_000), more=st.integers(0, 50_000), plan=plans)
def test_more_leads_ask_and_cost_no_less(leads: int, more: int, plan: Plan) -> None:
    few, many = (forecast(a_model([some(count)], plan), NOW) for count in (leads, leads + more))
    assert few.total <= many.total
    assert few.seconds <= many.seconds
    assert all(calls_of(few, one.provider) <= one.calls + 1e-9 for one in many.providers)


@settings(max_examples=40, deadline=None)
@given(cents=st.integers(1, 100), dearer=st.integers(0, 100))
def test_a_dearer_finder_costs_no_less(cents: int, dearer: int) -> None:
    def cost(price: int) -> Forecast:
        finder = Quote("tomba", per_hit(f"{price / 100}"))
        return forecast(a_model([some(1_000)], replace(PLAN, finders=(finder,))), NOW)

    assert cost(cents).total <= cost(cents + dearer).total


def test_a_finder_is_asked_of_whom_the_one_before_did_not_find() -> None:
    record = Record(
        finders=(
            Seen("tomba", frozenset(), calls=100_000, hits=40_000, accepted=40_000),
            Seen("muraena", frozenset({"tomba"}), calls=100_000, hits=20_000, accepted=20_000),
        )
    )
    foreseen = forecast(a_model([some(10_000)], record=record), NOW)
    assert calls_of(foreseen, "tomba") == 10_000
    assert calls_of(foreseen, "muraena") == pytest.approx(6_000, rel=0.03)
    assert foreseen.accepted.expected == pytest.approx(4_000 + 1_200, rel=0.05)


def test_history_narrows_the_interval() -> None:
    seen = Record(
        finders=(
            Seen("tomba", frozenset(), calls=1_000, hits=450, accepted=405),
            Seen("muraena", frozenset({"tomba"}), calls=600, hits=230, accepted=207),
        )
    )
    vague, sure = (forecast(a_model([some(10_000)], record=one), NOW).cost for one in (None, seen))
    assert sure.high - sure.low < (vague.high - vague.low) / 2


def finders_seen(times: int) -> Record:
    """What 50 leads showed, so many times over."""
    tomba = Seen("tomba", frozenset(), calls=50 * times, hits=22 * times, accepted=20 * times)
    muraena = Seen("muraena", frozenset({"tomba"}), calls=30 * times, hits=11 * times, accepted=10 * times)
    return Record(finders=(tomba, muraena))


def width(foreseen: Forecast) -> float:
    return (foreseen.cost.high - foreseen.cost.low) / foreseen.cost.expected


@settings(max_examples=40, deadline=None)
@given(leads=st.integers(10, 50_000), times=st.integers(1, 50), more=st.integers(1, 50))
def test_less_history_never_makes_an_estimate_surer(leads: int, times: int, more: int) -> None:
    short, long = (
        forecast(a_model([some(leads)], record=finders_seen(n)), NOW) for n in (times, times + more)
    )
    assert width(long) <= width(short) * 1.02


@settings(max_examples=40, deadline=None)
@given(leads=st.integers(10, 50_000), colleagues=st.floats(1, 40))
def test_leads_who_share_companies_tell_less_than_strangers(leads: int, colleagues: float) -> None:
    guessing = replace(PLAN, guessing=True)
    people = replace(some(leads), colleagues=colleagues)
    strangers, crowd = (forecast(a_model([one], guessing), NOW) for one in (some(leads), people))
    assert width(strangers) <= width(crowd) + 1e-9
    assert strangers.cost.expected == pytest.approx(crowd.cost.expected)


def found_with(emails: float, groups: list[Group]) -> float:
    """USD for so much of the addresses, and for what follows from them in whatever tier: by hand."""
    foreseen = forecast(a_model(groups, PLAN, None, CLEARBIT), NOW)
    waited = forecast(a_model([replace(one, to_verify=0) for one in groups], PLAN, None, CLEARBIT), NOW)
    asked = float(foreseen.cost_of(Agent.EMAIL_VERIFICATION))
    dearest = max(enriched_per_usd(foreseen, waited, tier) for tier in Tier)
    return min(emails, asked) * (1 + dearest) + float(waited.total)


def enriched_per_usd(foreseen: Forecast, waited: Forecast, tier: Tier) -> float:
    """USD of enrichment that follow from each that its tier's addresses cost."""
    own = [line for line in foreseen.lines if line.tier is tier]
    asked = float(total(line.cost for line in own if line.agent is Agent.EMAIL_VERIFICATION))
    enriched = float(
        total(line.cost for line in own if line.agent is Agent.ENRICHMENT) - waited.cost_of(tier)
    )
    return enriched / asked if asked else 0.0


@settings(max_examples=40, deadline=None)
@given(groups=groups, emails=st.integers(0, 500), tier_a=st.integers(0, 500), spent=st.integers(0, 100))
def test_an_estimate_stays_within_the_caps(groups: list[Group], emails: int, tier_a: int, spent: int) -> None:
    agent, tier = Agent.EMAIL_VERIFICATION, Tier.A
    caps = [
        Budget("x", usd(emails), usd(min(spent, emails)), agent=agent),
        Budget("x", usd(tier_a), tier=tier),
    ]
    foreseen = forecast(a_model(groups, PLAN, None, CLEARBIT), replace(NOW, budgets=caps))
    held = foreseen.within_caps
    outside = float(
        total(line.cost for line in foreseen.lines if line.agent is not agent and line.tier is not tier)
    )
    assert 0 <= held.low <= held.expected + 1e-9 <= held.high + 2e-9
    assert held.expected <= foreseen.cost.expected + 1e-6
    assert held.expected <= max(0, emails - spent) + tier_a + outside + 1e-6
    assert held.expected <= found_with(max(0, emails - spent), groups) + 1e-4
    assert bool(foreseen.cuts) == (held.expected < float(foreseen.total) - 1e-6)


WORLDS, LEADS = 300, 400


def happened(leads: int, rate: float, dice: Random) -> int:
    return sum(dice.random() < rate for _ in range(leads))


def a_finder_drawn(dice: Random) -> tuple[float, float]:
    """How often it finds and is right in one of the worlds that usual figures leave open."""
    usual = a_model([], replace(PLAN, finders=(TOMBA,)))
    rates = (usual.rates[name] for name in ("find tomba after", "accept tomba"))
    drawn = [dice.betavariate(one.mean * one.weight, (1 - one.mean) * one.weight) for one in rates]
    return drawn[0], drawn[1]


def shown(leads: int, find: float, accept: float, dice: Random) -> Seen:
    hits = happened(leads, find, dice)
    return Seen("tomba", frozenset(), calls=leads, hits=hits, accepted=happened(hits, accept, dice))


@pytest.mark.parametrize("history", [0, 60])
def test_four_of_five_campaigns_find_and_cost_what_the_interval_says(history: int) -> None:
    dice, inside, found = Random(7), 0, 0
    plan = replace(PLAN, finders=(TOMBA,), second_opinion=False)
    for _ in range(WORLDS):
        world = a_finder_drawn(dice)
        record = Record(finders=(shown(history, *world, dice),)) if history else None
        foreseen = forecast(a_model([some(LEADS)], plan, record), NOW)
        truth = shown(LEADS, *world, dice)
        cost = truth.hits * float(TOMBA.price.per_credit + REOON.per_credit)
        inside += foreseen.cost.low <= cost <= foreseen.cost.high
        found += foreseen.accepted.low <= truth.accepted <= foreseen.accepted.high
    assert 0.74 < inside / WORLDS < 0.88
    assert 0.74 < found / WORLDS < 0.88


def test_companies_are_asked_about_once() -> None:
    leads = [some(100, place=place) for place in (1, 2, 3, 4)]
    foreseen = forecast(a_model(leads, PLAN, None, CLEARBIT, PEOPLE), NOW)
    accepted = foreseen.accepted.expected
    assert 100 * accepted / 400 < calls_of(foreseen, "clearbit") < 120
    assert calls_of(foreseen, "apollo:people") == pytest.approx(accepted)


def test_whom_guesses_leave_is_found_and_accepted_less_often() -> None:
    """They take out those who are easily found; what is left sits on catch-all domains or is known to few."""
    plain, guessing = (a_model([some(1_000)], replace(PLAN, guessing=guesses)) for guesses in (False, True))
    for rate in (find_rate("tomba", []), find_rate("muraena", ["tomba"]), "accept tomba"):
        assert guessing.rates[rate].mean < plain.rates[rate].mean
    assert guessing.rates["doubt"].mean > 2 * plain.rates["doubt"].mean
    assert guessing.rates["doubt delivered"] == plain.rates["doubt delivered"]


def test_leads_with_an_address_are_only_enriched() -> None:
    waiting = Group(Tier.A, 1, delivered=False, to_verify=0, to_enrich=50, firsts=20)
    foreseen = forecast(a_model([waiting], PLAN, None, CLEARBIT, PEOPLE), NOW)
    assert foreseen.cost_of(Agent.EMAIL_VERIFICATION) == ZERO
    assert calls_of(foreseen, "clearbit") == 20
    assert calls_of(foreseen, "apollo:people") == 50


def test_what_was_bought_before_says_what_will_be() -> None:
    record = Record(
        enriched={Tier.A: 4_000},
        companies={Tier.A: 4_000},
        bought={(Tier.A, "clearbit/ask"): Count(hits=500, trials=2_000)},
    )
    waiting = Group(Tier.A, 1, delivered=False, to_verify=0, to_enrich=1_000, firsts=1_000)
    foreseen = forecast(a_model([waiting], PLAN, record, CLEARBIT), NOW)
    (line,) = foreseen.lines
    assert line.calls == pytest.approx(500, rel=0.07)
    assert line.hits == pytest.approx(125, rel=0.2)


def test_a_day_of_5000_look_ups_carries_42100_in_nine_days() -> None:
    around = replace(NOW, allowed={"tomba": Allowed("tomba/1", per_day=5_000)})
    foreseen = forecast(a_model([some(42_100)], TOMBA_ALONE), around)
    assert foreseen.days == 9
    assert foreseen.done_at.date().isoformat() == "2026-11-30"
    assert foreseen.binds == "tomba needs 9 days"
    (warning,) = foreseen.warnings
    assert warning.endswith("What is beyond a day's part waits."), "there is nobody to go on to"
    assert "42,100 look-ups" in warning
    assert "5,000 a day" in warning
    assert "9 days" in warning


def test_a_second_finder_takes_on_whom_the_day_has_no_room_for() -> None:
    around = replace(NOW, allowed={"tomba": Allowed("tomba/1", per_day=5_000)})
    foreseen = forecast(a_model([some(42_100)]), around)
    assert (foreseen.days, foreseen.binds) == (6, "tomba needs 6 days")
    assert "About 37,100 leads beyond today's part go on" in foreseen.warnings[0]


def test_what_was_asked_today_is_gone_from_the_day() -> None:
    allowed = {"tomba": Allowed("tomba/1", per_day=1_000)}
    fresh = replace(NOW, allowed=allowed)
    used = replace(fresh, used_today={"tomba/1": 1_000})
    assert forecast(a_model([some(1_000)]), fresh).days == 1
    assert forecast(a_model([some(1_000)]), used).days == 2


def test_a_cap_of_a_day_takes_days_too() -> None:
    cap = Budget("tomba 2026-11-22", usd(1), provider="tomba", day=NOON.date())
    foreseen = forecast(a_model([some(1_000)], TOMBA_ALONE), replace(NOW, budgets=[cap]))
    cost = next(one.cost for one in foreseen.providers if one.provider == "tomba")
    assert (cost, foreseen.days) == (usd("4.50"), 5)
    assert "1.00 USD a day" in foreseen.warnings[0]


def test_the_slowest_pace_binds() -> None:
    allowed = {"tomba": Allowed("tomba", rate=100.0), "muraena": Allowed("muraena", rate=1.0)}
    foreseen = forecast(a_model([some(10_000)]), replace(NOW, allowed=allowed))
    assert foreseen.binds == "muraena takes 60 calls a minute"
    assert foreseen.seconds == pytest.approx(calls_of(foreseen, "muraena"))


def test_questions_that_a_vendor_counts_together_share_its_pace() -> None:
    one, two = replace(CLEARBIT, name="z:one"), replace(PEOPLE, name="z:two")
    allowed = {name: Allowed("z/1", rate=1.0) for name in ("z:one", "z:two")}
    waiting = Group(Tier.A, 1, delivered=False, to_verify=0, to_enrich=600, firsts=400)
    foreseen = forecast(a_model([waiting], PLAN, None, one, two), replace(NOW, allowed=allowed))
    assert {one.busy_s for one in foreseen.providers} == {1_000.0}


def test_a_cap_cuts_the_lowest_tiers_first() -> None:
    leads = [some(1_000, tier) for tier in Tier]
    everything = forecast(a_model(leads), NOW)
    half = Budget("x", usd(everything.total / 2), agent=Agent.EMAIL_VERIFICATION)
    (cut,) = forecast(a_model(leads), replace(NOW, budgets=[half])).cuts
    assert cut.leads == {Tier.B: 500, Tier.C: 1_000}
    assert cut.expected == everything.total
    assert "500 of tier B, 1,000 of tier C" in cut.told
    capped = forecast(a_model(leads), replace(NOW, budgets=[half])).within_caps
    assert capped.expected == pytest.approx(capped.high) == pytest.approx(float(half.cap))


def test_a_cap_that_carries_everything_is_not_told() -> None:
    ample = Budget("x", usd(10_000), agent=Agent.EMAIL_VERIFICATION)
    assert forecast(a_model([some(1_000)]), replace(NOW, budgets=[ample])).cuts == ()


def test_a_tiers_cap_is_for_that_tier() -> None:
    leads = [some(1_000, tier) for tier in Tier]
    gone = Budget("x", usd(5), spent=usd(5), tier=Tier.B)
    (cut,) = forecast(a_model(leads), replace(NOW, budgets=[gone])).cuts
    assert (cut.budget, cut.leads) == ("tier b", {Tier.B: 1_000})


def test_nothing_to_do_costs_nothing() -> None:
    foreseen = forecast(a_model([]), NOW)
    assert (foreseen.total, foreseen.days, foreseen.done_at) == (ZERO, 1, NOON)
    assert foreseen.binds == "nothing is left to ask"


def test_one_lead_is_done_when_its_answers_are_there() -> None:
    around = replace(NOW, took_ms={"tomba": 2_000, "reoon": 1_000, "clearbit": 4_000})
    model = a_model([some(1)], replace(TOMBA_ALONE, second_opinion=False), None, CLEARBIT)
    foreseen = forecast(model, around)
    asked_s = 2 + calls_of(foreseen, "reoon") * 1
    enriched_s = calls_of(foreseen, "clearbit") / foreseen.accepted.expected * 4
    assert foreseen.seconds == pytest.approx(asked_s + enriched_s)
    assert foreseen.binds == f"the answers for a lead take about {max(asked_s, enriched_s):.0f} s"
    crowd = forecast(a_model([some(100_000)], TOMBA_ALONE), around)
    assert crowd.binds == "tomba takes 20 calls at once"
