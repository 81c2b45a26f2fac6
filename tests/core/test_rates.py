"""A rate is what was seen, shrunk to what is usual."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase3_core.market import FINDERS
from phase3_core.rates import (
    MOST_WEIGHT,
    PRIOR_WEIGHT,
    USUAL_FIND_RATE,
    USUAL_VALID_RATE,
    FinderRates,
    Mean,
    Rate,
    Seen,
    seen_from_json,
)

FIRST: frozenset[str] = frozenset()
AFTER_TOMBA = frozenset({"tomba"})


def test_what_was_seen_as_often_as_the_prior_weighs_counts_half() -> None:
    rate = Rate(0.5).after(hits=PRIOR_WEIGHT, trials=PRIOR_WEIGHT)
    assert rate.mean == pytest.approx(0.75)
    assert rate.weight == 2 * PRIOR_WEIGHT


def test_a_mean_may_pass_one() -> None:
    assert Mean(1.0).after(times=80, trials=20).mean == pytest.approx(2.5)


def test_nothing_seen_leaves_the_usual() -> None:
    assert Rate(0.4).after(0, 0) == Rate(0.4)
    assert Mean(0.4).after(0, 0) == Mean(0.4)


def test_a_long_history_counts_for_so_much_and_no_more() -> None:
    rate = Rate(0.5).after(hits=1_000_000, trials=1_000_000)
    assert rate.weight == MOST_WEIGHT
    assert rate.mean == pytest.approx((0.5 * PRIOR_WEIGHT + MOST_WEIGHT - PRIOR_WEIGHT) / MOST_WEIGHT)


@given(mean=st.floats(0, 1), hits=st.integers(0, 500), misses=st.integers(0, 500))
def test_a_rate_lies_between_the_usual_and_what_was_seen(mean: float, hits: int, misses: int) -> None:
    if trials := hits + misses:
        low, high = sorted((mean, hits / trials))
        assert low - 1e-9 <= Rate(mean).after(hits, trials).mean <= high + 1e-9


@given(mean=st.floats(0.01, 0.99), trials=st.floats(1, 1e6))
def test_more_trials_are_never_less_sure(mean: float, trials: float) -> None:
    for rate in (Rate(mean), Mean(mean)):
        assert rate.deviation(2 * trials) <= rate.deviation(trials)
        assert rate.deviation(trials) > 0


def test_what_is_tried_for_ever_shows_the_rate_itself() -> None:
    assert Rate(0.5, weight=24).deviation(math.inf) == pytest.approx(0.1)


def test_trials_that_go_alike_count_as_fewer() -> None:
    for rate, crowd in ((Rate(0.5), Rate(0.5, alike=4)), (Mean(0.5), Mean(0.5, alike=4))):
        assert crowd.after(80, 80).mean == pytest.approx(rate.after(20, 20).mean)
        assert crowd.after(80, 80).weight == rate.after(20, 20).weight
        assert crowd.deviation(80) == pytest.approx(rate.deviation(20))


def test_what_is_never_tried_moves_nothing() -> None:
    assert (Rate(0.5).deviation(0), Mean(0.5).deviation(0)) == (0, 0)


def test_without_history_finders_are_as_good_as_is_usual() -> None:
    rates = FinderRates()
    assert rates.find("tomba", FIRST).mean == pytest.approx(USUAL_FIND_RATE)
    assert rates.find("tomba", AFTER_TOMBA).mean == pytest.approx(FINDERS.hit_rate(1))
    assert rates.accept("tomba").mean == USUAL_VALID_RATE == pytest.approx(0.9)
    assert rates.answers("tomba") == 0


def test_a_rate_is_conditional_on_who_missed_before() -> None:
    rates = FinderRates(
        [
            Seen("muraena", FIRST, calls=4_000, hits=2_000, accepted=1_800),
            Seen("muraena", AFTER_TOMBA, calls=4_000, hits=400, accepted=300),
        ]
    )
    assert rates.find("muraena", FIRST).mean == pytest.approx(0.5, abs=0.02)
    assert rates.find("muraena", AFTER_TOMBA).mean == pytest.approx(0.1, abs=0.03)
    assert rates.accept("muraena").mean == pytest.approx(2_100 / 2_400, abs=0.01)
    assert rates.answers("muraena") == 8_000


def test_a_finder_better_than_usual_is_expected_to_be_so_where_it_was_never_asked() -> None:
    better = FinderRates([Seen("icypeas", AFTER_TOMBA, calls=1_000, hits=700, accepted=700)])
    worse = FinderRates([Seen("icypeas", AFTER_TOMBA, calls=1_000, hits=50, accepted=50)])
    usual = FinderRates().find("icypeas", FIRST).mean
    assert worse.find("icypeas", FIRST).mean < usual < better.find("icypeas", FIRST).mean


def test_what_was_seen_survives_being_written_down() -> None:
    seen = Seen("icypeas", frozenset({"tomba", "muraena"}), 12, 5, 4)
    assert seen_from_json([seen.as_json()]) == (seen,)
    with pytest.raises(ValueError, match="no finders"):
        seen_from_json([["icypeas", "tomba", 1, 1, 1]])
