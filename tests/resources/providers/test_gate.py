"""The gate in time that passes only when everybody waits: pace, places, what a vendor says, a run's end."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from phase3_core.calls import Gap, Judgement, NoAnswer
from phase3_core.ledger import End
from phase3_core.rate_limits import Allowance, Demand, Share, Slots, Spent
from resources.providers.gate import Gate, Limits
from resources.providers.naps import Naps
from resources.providers.pace import QuotaSpent
from tests.resources.providers.sheet import REOON
from tests.resources.providers.vendor import FakeTime, Vendor, answer

MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)


@dataclass
class OtherProcesses:
    """A shared limit of which others leave `places`, and `left` requests of the day."""

    time: FakeTime
    places: int = 100
    left: int = 1_000_000
    shared: bool = True
    booked: list[int] = field(default_factory=list)
    told: list[Any] = field(default_factory=list)
    next: float = 0.0
    allowance: Allowance = field(default_factory=Allowance)

    def of(self, allowance: Allowance) -> "OtherProcesses":
        self.allowance = allowance
        return self

    async def book(self, wanted: int) -> Slots | Spent:
        await asyncio.sleep(0)  # a statement takes its time
        count = min(wanted, self.left)
        if not count:
            return Spent(MIDNIGHT, 3_600.0)
        self.left -= count
        self.booked.append(count)
        opens = max(self.next, self.time.seconds)
        self.next = opens + count * self.allowance.gap_s
        return Slots(opens, self.allowance.gap_s, self.allowance.late_s, count)

    async def hold(self, seconds: float) -> None:
        self.told.append(seconds)

    async def rest(self, seconds: float) -> None:
        self.told.append(("rest", seconds))

    async def strain(self) -> None:
        self.told.append("strain")

    async def share(self, demand: Demand) -> Share:
        del demand
        return Share(self.places)


def a_gate(limits: Limits, **others: Any) -> tuple[Gate, OtherProcesses]:
    time = FakeTime()
    shared = OtherProcesses(time, **others)
    return Gate(limits, time.monotonic, Naps(time.sleep), shared.of, "x"), shared


async def passing(gate: Gate, shared: OtherProcesses, count: int, stays_s: float = 0.0) -> list[float]:
    """When each of them came in."""
    came: list[float] = []

    async def one() -> None:
        async with gate.place():
            came.append(shared.time.seconds)
            await shared.time.sleep(stays_s)

    await shared.time.until(asyncio.gather(*(one() for _ in range(count))))
    await gate.close()
    return came


@pytest.mark.parametrize(
    ("limits", "gap_s", "late_s"),
    [
        (Limits(per_minute=300), 0.206, 1.8),
        (Limits(per_second=10), 0.104, 0.04),
        (Limits(per_second=5, per_hour=10_800), 3_708 / 10_800, 5 * 3_708 / 10_800 - 1),
        (Limits(per_second=0.5), 2.06, 0.06),
    ],
)
def test_requests_leave_so_far_apart_that_no_span_holds_more_than_its_limit(
    limits: Limits, gap_s: float, late_s: float
) -> None:
    allowance = limits.allowance()
    assert (allowance.gap_s, allowance.late_s) == pytest.approx((gap_s, late_s))


async def test_moments_are_booked_half_a_second_at_a_time_and_no_more_than_wait() -> None:
    gate, shared = a_gate(Limits(per_second=20, in_flight=100))
    came = await passing(gate, shared, 45)
    assert came == pytest.approx([n * 0.052 for n in range(45)])
    assert max(shared.booked) == 9
    assert len(shared.booked) <= 8
    assert sum(shared.booked) == 45


async def test_without_a_limit_by_time_nothing_is_booked() -> None:
    gate, shared = a_gate(Limits(in_flight=100))
    assert await passing(gate, shared, 50) == [0.0] * 50
    assert shared.booked == []


async def test_no_more_are_in_flight_than_others_leave() -> None:
    gate, shared = a_gate(Limits(in_flight=10), places=3)
    came = await passing(gate, shared, 7, stays_s=1.0)
    assert came == [0.0] * 3 + [1.0] * 3 + [2.0]


async def test_a_moment_that_was_slept_through_is_lost() -> None:
    gate, shared = a_gate(Limits(per_second=10, in_flight=100))
    came: list[float] = []

    async def late() -> None:
        async with gate.place():
            came.append(shared.time.seconds)

    first = asyncio.gather(*(late() for _ in range(4)))
    await shared.time.idle()
    shared.time.advance(0.25)  # a busy process: the second and third moment pass
    await shared.time.until(first)
    await gate.close()
    gaps = [later - earlier for earlier, later in pairwise(came)]
    assert len(came) == 4
    assert min(gaps) > 0.104 - 0.04


async def test_a_told_wait_gives_up_what_is_booked_and_is_passed_on() -> None:
    gate, shared = a_gate(Limits(per_second=10, in_flight=100))
    gate.hold(30.0)
    came = await passing(gate, shared, 2)
    assert came[0] >= 30.0
    assert shared.told == [30.0]


async def test_when_the_day_is_spent_those_who_queue_are_told_until_when() -> None:
    gate, shared = a_gate(Limits(per_day=3), left=3)
    came = await shared.time.until(asyncio.gather(*(gate.enter() for _ in range(5)), return_exceptions=True))
    spent = [failure.until for failure in came if isinstance(failure, QuotaSpent)]
    assert (came.count(None), spent) == (3, [MIDNIGHT] * 2)
    with pytest.raises(QuotaSpent):
        await gate.enter()
    assert sum(shared.booked) == 3
    await gate.close()


# --- a client at such a gate


def at(shared: OtherProcesses, vendor: Vendor, limits: Limits) -> None:
    gate = Gate(limits, vendor.time.monotonic, vendor.client._naps, shared.of, "x")
    vendor.client._gate = gate


async def test_a_verifier_whose_day_is_spent_is_asked_later_and_what_it_said_before_still_counts() -> None:
    vendor = Vendor("reoon", (answer(REOON),))
    at(OtherProcesses(vendor.time, left=1), vendor, Limits(per_day=1))
    assert isinstance(await vendor.ask(), Judgement)
    assert await vendor.ask("other@acme.example") == NoAnswer(Gap.LATER, "its quota is spent", MIDNIGHT)
    assert isinstance(await vendor.ask(), Judgement)
    assert vendor.sends == 1


async def test_a_vendor_that_asks_for_a_long_rest_is_skipped_until_then() -> None:
    vendor = Vendor("findymail", (answer({"error": "slow down"}, 429, retry_after="7200"),))
    shared = OtherProcesses(vendor.time)
    at(shared, vendor, Limits(in_flight=5))
    reply = await vendor.ask()
    assert (reply.gap, reply.detail) == (Gap.LATER, "its quota is spent")
    assert (reply.until - vendor.time.now()).total_seconds() == pytest.approx(7_200)
    assert (await vendor.ask(first_name="Dina")).gap is Gap.LATER
    assert (vendor.sends, vendor.time.seconds) == (1, 0.0)
    assert vendor.call.last.end is End.REFUSED
    assert shared.told == [("rest", 7_200.0)]


async def test_an_answer_after_which_nothing_is_left_holds_everyone_until_the_reset() -> None:
    found = answer({"contact": {"email": "d@acme.example"}}, x_ratelimit_remaining="0", x_ratelimit_reset="9")
    vendor = Vendor("findymail", (found,))
    shared = OtherProcesses(vendor.time)
    at(shared, vendor, Limits(in_flight=5))
    await vendor.ask()
    await vendor.ask(first_name="Dina")
    assert vendor.transport.sent_at[1] - vendor.transport.sent_at[0] >= 9.0
    assert shared.told[0] == 9.0
