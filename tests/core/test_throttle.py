"""Adaptive throttling against a vendor that bears less for a while, and then all again."""

import math
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from phase3_core.throttle import Throttle, after_success, after_trouble, unthrottled


@dataclass
class Brownout:
    """Bears `bears` questions at once: a round above that fails, one below succeeds."""

    throttle: Throttle
    at: float = 0.0

    def rounds(self, count: int, bears: int) -> list[int]:
        asked = []
        for _ in range(count):
            self.at += 1.0
            asked.append(self.throttle.room)
            self.throttle = self._round(bears)
        return asked

    def _round(self, bears: int) -> Throttle:
        throttle = self.throttle
        if throttle.room > bears:
            return after_trouble(throttle, self.at)
        for _ in range(throttle.room):
            throttle = after_success(throttle)
        return throttle


def test_a_vendor_in_trouble_is_asked_less_until_it_bears_it_and_then_fully_again() -> None:
    vendor = Brownout(unthrottled(100))
    falling = vendor.rounds(12, bears=5)
    assert falling[0] == 100
    assert falling[-1] <= 6
    rising = vendor.rounds(110, bears=100)
    assert rising[-1] == 100
    assert vendor.throttle.now == 100


@given(st.integers(1, 200), st.lists(st.booleans(), max_size=300))
def test_it_never_stops_wholly_and_never_asks_more_than_allowed(most: int, answers: list[bool]) -> None:
    throttle, at = unthrottled(most), 0.0
    for good in answers:
        at += 0.4
        throttle = after_success(throttle) if good else after_trouble(throttle, at)
        assert 1 <= throttle.room <= most


def test_one_outage_that_ends_many_calls_counts_once() -> None:
    throttle = unthrottled(100)
    for _ in range(50):
        throttle = after_trouble(throttle, 7.0)
    assert throttle.room == 70
    assert after_trouble(throttle, 7.9).room == 70
    assert after_trouble(throttle, 8.0).room == 49


def test_a_thousand_places_come_back_in_some_fifty_rounds() -> None:
    vendor = Brownout(Throttle(most=1_000, now=1.0))
    assert vendor.rounds(60, bears=1_000)[-1] == 1_000


def test_success_at_full_room_changes_nothing() -> None:
    assert after_success(unthrottled(5)) == unthrottled(5)
    assert unthrottled(5).lowered_at == -math.inf
