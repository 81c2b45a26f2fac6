"""A vendor's balance against our ledger: what doubt explains, and what nothing does."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase3_core.money import usd
from phase3_core.reconciliation import Agreement, BalanceReading, Booked, Drift, drift_of
from tests.fakes.clock import NOON

CENT = usd("0.01")


def reading(
    credits_left: int, settled: str = "0", in_doubt: str = "0", at: datetime = NOON
) -> BalanceReading:
    return BalanceReading(at, Decimal(credits_left), Booked(usd(settled), usd(in_doubt)))


def drift(*readings: BalanceReading) -> Drift:
    return drift_of(readings, CENT)


def test_what_the_balance_lost_is_what_we_booked() -> None:
    told = drift(reading(1_000), reading(900, "1.00"))
    assert (told.taken, told.booked, told.unexplained) == (usd(1), usd(1), usd(0))
    assert told.agreement is Agreement.AGREED


def test_one_reading_alone_shows_nothing() -> None:
    assert drift(reading(1_000, "5.00")).agreement is Agreement.AGREED


def test_a_call_that_may_have_been_billed_explains_its_ceiling_and_no_more() -> None:
    assert drift(reading(1_000), reading(897, "1.00", "0.03")).unexplained == 0
    assert drift(reading(1_000), reading(895, "1.00", "0.03")).unexplained == usd("0.02")


def test_a_call_that_was_in_flight_at_the_first_reading_may_have_been_billed_before_it() -> None:
    assert drift(reading(999, "0", "0.01"), reading(999, "0.01")).unexplained == 0
    assert drift(reading(999, "0"), reading(999, "0.01")).unexplained == usd("-0.01")


@pytest.mark.parametrize(
    ("booked", "more", "expected"),
    [
        ("100.00", 0, Agreement.AGREED),
        ("100.00", 100, Agreement.AGREED),  # one percent, one dollar
        ("100.00", 101, Agreement.CASE),
        ("500.00", 101, Agreement.CASE),  # over a dollar, a fifth of a percent
        ("10.00", 11, Agreement.CASE),  # over one percent, eleven cents
        ("100.00", 500, Agreement.CASE),
        ("100.00", 501, Agreement.PARKED),
        ("100.00", -501, Agreement.CASE),  # to our loss on paper alone
        ("1.00", 100, Agreement.CASE),  # a dollar: somebody used the account by hand
        ("0.00", 101, Agreement.PARKED),  # nothing was asked, and it took something
    ],
)
def test_what_becomes_of_a_drift(booked: str, more: int, expected: Agreement) -> None:
    cents = int(Decimal(booked) * 100)
    assert drift(reading(100_000), reading(100_000 - cents - more, booked)).agreement is expected


def test_less_than_a_credit_is_rounding() -> None:
    told = drift_of([reading(1_000), reading(999, "0.90")], usd("1.00"))
    assert told.agreement is Agreement.AGREED


def test_a_top_up_begins_a_new_stretch() -> None:
    told = drift(reading(100), reading(50, "0.50"), reading(5_000, "0.60"), reading(4_900, "1.60"))
    assert (told.taken, told.booked, told.unexplained) == (usd("1.50"), usd("1.50"), usd(0))


def test_what_leaks_slowly_adds_up() -> None:
    leaking = [reading(100_000 - 1_009 * n, f"{10 * n}.00") for n in range(13)]
    assert drift(*leaking[:2]).agreement is Agreement.AGREED
    assert drift(*leaking).agreement is Agreement.CASE


@dataclass
class Vendor:
    """Bills what it is asked, at some moment between a call's leaving and its settling, or never."""

    left: int = 100_000
    settled: int = 0
    in_flight: list[bool] = field(default_factory=list)  # whether billed already
    seconds: int = 0

    def step(self, kind: str, place: int) -> None:
        if kind == "ask":
            self.in_flight.append(False)
        elif self.in_flight:
            place %= len(self.in_flight)
            if kind == "bill" and not self.in_flight[place]:
                self.in_flight[place] = True
                self.left -= 1
            if kind == "settle":
                self.left -= not self.in_flight.pop(place)
                self.settled += 1
        if kind == "top up":
            self.left += 10_000

    def told(self) -> BalanceReading:
        self.seconds += 1
        booked = Booked(self.settled * CENT, len(self.in_flight) * CENT)
        return BalanceReading(NOON + timedelta(seconds=self.seconds), Decimal(self.left), booked)


STEPS = st.tuples(st.sampled_from(["ask", "ask", "bill", "settle", "read", "top up"]), st.integers(0, 50))


@given(st.lists(STEPS, max_size=200))
def test_an_honest_vendor_never_drifts(steps: list[tuple[str, int]]) -> None:
    vendor = Vendor()
    readings = [vendor.told()]
    for kind, place in steps:
        vendor.step(kind, place)
        if kind in {"read", "top up"}:
            readings.append(vendor.told())
    readings.append(vendor.told())
    assert drift(*readings).unexplained == 0


@given(st.lists(STEPS.filter(lambda step: step[0] != "top up"), max_size=100), st.integers(1, 50))
def test_what_is_taken_unasked_is_found_once_nothing_is_in_flight(
    steps: list[tuple[str, int]], unasked: int
) -> None:
    vendor = Vendor()
    readings = [vendor.told()]
    for kind, place in steps:
        vendor.step(kind, place)
    while vendor.in_flight:
        vendor.step("settle", 0)
    vendor.left -= unasked
    readings.append(vendor.told())
    assert drift(*readings).unexplained == unasked * CENT
