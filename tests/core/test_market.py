"""Whom sellers know, and what their misses tell of the next one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase3_core.market import FINDERS, Market

shares = st.tuples(st.floats(0.05, 0.9), st.floats(0, 0.1), st.floats(0.05, 0.95))
markets = shares.map(lambda drawn: Market(*drawn))


@given(market=markets, misses=st.integers(0, 10))
def test_each_miss_makes_the_next_one_likelier(market: Market, misses: int) -> None:
    assert 0 <= market.hit_rate(misses + 1) < market.hit_rate(misses) < 1


@given(reached=st.floats(0, 1), more=st.floats(0, 1))
def test_the_more_guesses_reach_the_harder_are_the_others(reached: float, more: float) -> None:
    easier, harder = (FINDERS.beyond_guesses(share) for share in sorted((reached, more)))
    assert 0 < harder.hold_rate <= easier.hold_rate <= FINDERS.hold_rate
    assert 0 < harder.hit_rate(3) <= easier.hit_rate(3) <= FINDERS.hit_rate(3)
    assert harder.good + harder.bad <= 1


def test_without_guesses_nothing_changes() -> None:
    assert FINDERS.beyond_guesses(0) == FINDERS


def test_seven_finders_come_to_what_the_reported_campaign_found() -> None:
    """38,500 of 42,100 leads; a lead whose address is refused goes on to the next."""
    asked, found = 42_100.0, 0.0
    for misses in range(7):
        hits = asked * FINDERS.hit_rate(misses)
        found, asked = found + hits, asked - hits * FINDERS.hold_rate
    assert found == pytest.approx(38_500, rel=0.03)
