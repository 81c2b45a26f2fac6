from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase3_core.calls import (
    AfterLoss,
    Billing,
    Facts,
    Hit,
    Judgement,
    LostCall,
    Miss,
    Price,
    ReplayClass,
    Reply,
    after_loss,
    replay_within,
)
from phase3_core.money import ZERO, Money, usd
from phase3_core.statuses import Verdict
from tests.fakes.clock import NOON

CENT = usd("0.01")
HIT, MISS, JUDGEMENT, FACTS = Hit("ada@acme.com"), Miss(), Judgement(Verdict.INVALID), Facts({"news": ["x"]})
MONTH = timedelta(days=30)


@pytest.mark.parametrize(
    ("billing", "hit", "miss"),
    [
        (Billing.FREE, ZERO, ZERO),
        (Billing.PER_CALL, CENT, CENT),
        (Billing.PER_HIT, CENT, ZERO),
        (Billing.PER_CREDIT, CENT, CENT),
    ],
)
def test_each_billing_rule_charges_for_hits_and_misses(billing: Billing, hit: object, miss: object) -> None:
    price = Price(CENT, billing)
    assert [price.charge(reply) for reply in (HIT, JUDGEMENT, FACTS)] == [hit] * 3
    assert price.charge(MISS) == miss


def test_an_answer_that_names_its_credits_costs_them() -> None:
    price = Price(CENT, Billing.PER_CREDIT, worst_credits=5)
    assert price.charge(HIT, usd(3)) == usd("0.03")
    assert price.charge(MISS, ZERO) == ZERO


@pytest.mark.parametrize("billing", [Billing.PER_CALL, Billing.PER_HIT])
def test_credits_count_only_where_credits_are_billed(billing: Billing) -> None:
    assert Price(CENT, billing).charge(HIT, usd(3)) == CENT


def test_a_part_of_a_credit_is_charged_to_the_micro_dollar() -> None:
    charged = Price(usd("0.000333"), Billing.PER_CREDIT).charge(HIT, usd("0.5"))
    assert charged == usd("0.000167")
    assert charged.as_tuple().exponent == -6


def test_the_ceiling_is_the_most_credits_at_their_price() -> None:
    assert Price(CENT, Billing.PER_CREDIT, worst_credits=5).ceiling == usd("0.05")
    assert Price(CENT, Billing.PER_CALL).ceiling == CENT
    assert Price(CENT, Billing.FREE).ceiling == ZERO


@given(
    st.sampled_from(Billing),
    st.sampled_from([HIT, MISS, JUDGEMENT, FACTS]),
    st.integers(1, 9).flatmap(lambda worst: st.tuples(st.just(worst), st.integers(0, worst))),
)
def test_a_charge_never_exceeds_what_was_reserved(
    billing: Billing, reply: Reply, credits_of: tuple[int, int]
) -> None:
    worst, told = credits_of
    price = Price(CENT, billing, worst)
    assert ZERO <= price.charge(reply, usd(told)) <= price.ceiling


def lost(losses: int = 1, *, has_job: bool = False) -> LostCall:
    return LostCall(NOON, losses, has_job)


def test_rule_6_a_free_replay_is_asked_again() -> None:
    assert after_loss(lost(), ReplayClass.FREE, MONTH, NOON) is AfterLoss.ASK_AGAIN


@pytest.mark.parametrize(
    ("age", "then"),
    [
        (MONTH - timedelta(microseconds=1), AfterLoss.ASK_AGAIN),
        (MONTH, AfterLoss.LEAVE),
        (MONTH + timedelta(days=1), AfterLoss.LEAVE),
    ],
)
def test_rule_6_a_free_replay_is_free_only_within_its_window(age: timedelta, then: AfterLoss) -> None:
    assert after_loss(lost(), ReplayClass.FREE, MONTH, NOON + age) is then


def test_rule_6_without_a_window_a_replay_is_free_for_ever() -> None:
    assert after_loss(lost(), ReplayClass.FREE, None, NOON + 99 * MONTH) is AfterLoss.ASK_AGAIN


def test_rule_6_a_free_replay_that_is_lost_too_is_not_repeated() -> None:
    then = [after_loss(lost(losses), ReplayClass.FREE, MONTH, NOON) for losses in (1, 2, 3)]
    assert then == [AfterLoss.ASK_AGAIN, AfterLoss.LEAVE, AfterLoss.LEAVE]


@pytest.mark.parametrize("replay", [ReplayClass.ON_HIT, ReplayClass.JOB])
@pytest.mark.parametrize("window", [None, MONTH])
def test_rule_7_what_only_a_hit_costs_is_asked_once_more(
    replay: ReplayClass, window: timedelta | None
) -> None:
    assert after_loss(lost(1), replay, window, NOON) is AfterLoss.ASK_AGAIN
    assert after_loss(lost(2), replay, window, NOON) is AfterLoss.LEAVE


@given(st.integers(1, 9), st.sampled_from([None, MONTH]))
def test_rule_8_what_every_call_costs_is_never_asked_again(losses: int, window: timedelta | None) -> None:
    assert after_loss(lost(losses), ReplayClass.PER_CALL, window, NOON) is AfterLoss.LEAVE


@given(st.sampled_from(ReplayClass), st.integers(1, 9), st.sampled_from([None, MONTH]))
def test_rule_9_a_job_that_was_taken_is_read_and_never_submitted_again(
    replay: ReplayClass, losses: int, window: timedelta | None
) -> None:
    late = NOON + 2 * MONTH
    assert after_loss(lost(losses, has_job=True), replay, window, late) is AfterLoss.READ_JOB


AMOUNTS = st.integers(0, 1_000_000).map(lambda micros: usd(micros) / 1_000_000)


@given(AMOUNTS, st.integers(0, 100), AMOUNTS)
def test_rule_7_a_repeat_is_made_while_what_it_may_cost_in_vain_is_tolerated(
    price: Money, percent: int, tolerated: Money
) -> None:
    replay = replay_within(ReplayClass.ON_HIT, Price(price, Billing.PER_HIT), percent / 100, tolerated)
    tolerable = price * percent <= tolerated * 100
    assert (after_loss(lost(), replay, None, NOON) is AfterLoss.ASK_AGAIN) == tolerable


@given(st.sampled_from(ReplayClass))
def test_rule_7_where_no_worth_is_set_nothing_changes(replay: ReplayClass) -> None:
    assert replay_within(replay, Price(usd(99), Billing.PER_HIT), 1.0, None) is replay


@given(st.sampled_from(sorted(set(ReplayClass) - {ReplayClass.ON_HIT})))
def test_rule_7_is_about_vendors_where_only_a_hit_costs(replay: ReplayClass) -> None:
    assert replay_within(replay, Price(usd(99), Billing.PER_HIT), 1.0, ZERO) is replay
