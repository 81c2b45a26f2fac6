"""The gate in time that passes only when everybody waits: pace, places, what a vendor says, a run's end."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from phase3_core.calls import Gap, Judgement, NoAnswer
from phase3_core.ledger import End, OverBudget
from phase3_core.rate_limits import NONE_UNUSED, Allowance, Demand, Share, Slots, Spent, Unused
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from resources.providers.gate import Gate, Limits
from resources.providers.naps import Naps
from resources.providers.pace import Moment, QuotaSpent
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
    demanded: list[int] = field(default_factory=list)
    tells: asyncio.Event = field(default_factory=asyncio.Event)
    next: float = 0.0
    allowance: Allowance = field(default_factory=Allowance)

    def __post_init__(self) -> None:
        self.tells.set()

    def of(self, allowance: Allowance) -> "OtherProcesses":
        self.allowance = allowance
        return self

    async def book(self, wanted: int, unused: Unused = NONE_UNUSED) -> Slots | Spent:
        await asyncio.sleep(0)  # a statement takes its time
        self.left += unused.count
        count = min(wanted, self.left)
        if not count:
            return Spent(MIDNIGHT, 3_600.0)
        self.left -= count
        self.booked.append(count)
        opens = max(self.next, self.time.seconds)
        self.next = opens + count * self.allowance.gap_s
        return Slots(opens, self.allowance.gap_s, self.allowance.late_s, count)

    async def give_back(self, unused: Unused) -> None:
        self.left += unused.count

    async def hold(self, seconds: float) -> None:
        self.told.append(seconds)

    async def rest(self, seconds: float) -> None:
        self.told.append(("rest", seconds))

    async def strain(self) -> None:
        self.told.append("strain")

    async def share(self, demand: Demand) -> Share:
        self.demanded.append(demand.places)
        await self.tells.wait()
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
        (Limits(per_minute=300), 0.202, 0.6),
        (Limits(per_second=10), 0.104, 0.04),
        (Limits(per_second=5, per_hour=10_800), 3_636 / 10_800, 5 * 3_636 / 10_800 - 1),
        (Limits(per_second=0.5), 2.04, 0.04),
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


async def test_places_are_demanded_by_who_queues_for_one_not_by_who_may_find_its_answer_elsewhere() -> None:
    """Else the first call finds that none was wanted, and none was had, and waits for the next demand."""
    gate, shared = a_gate(Limits())
    assert not await gate.enter_at_once()
    await asyncio.sleep(0)  # a look into the ledger takes its time
    assert shared.demanded == []
    await gate.enter()
    assert shared.demanded == [1]


async def test_nobody_comes_in_while_others_are_told_how_many_are_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that was not told of may be another process's by the time the answer comes."""
    monkeypatch.setattr("resources.providers.gate.RENEW_S", 0.0)
    gate, shared = a_gate(Limits(in_flight=10))
    await gate.enter()
    shared.tells.clear()
    await turns()
    assert not await gate.enter_at_once()
    entering = asyncio.create_task(gate.enter())
    await turns()
    assert not entering.done()
    shared.tells.set()
    await entering
    await gate.close()


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


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


@pytest.mark.parametrize(("late_s", "held_s"), [(5.0, 0.0), (0.0, 30.0)], ids=["slept through", "held"])
async def test_whose_moment_closes_before_it_is_awake_has_another(late_s: float, held_s: float) -> None:
    gate, shared = a_gate(Limits(per_second=10, in_flight=100))
    shared.next = 0.2
    asleep = asyncio.ensure_future(gate.enter())
    await shared.time.idle()
    gate.hold(held_s)
    shared.time.advance(late_s)
    moment = await shared.time.until(asleep)
    await gate.close()
    assert moment is not None
    assert max(late_s, held_s) <= moment.opens <= shared.time.seconds <= moment.closes


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
    assert (sum(isinstance(one, Moment) for one in came), spent) == (3, [MIDNIGHT] * 2)
    with pytest.raises(QuotaSpent):
        await gate.enter()
    assert sum(shared.booked) == 3
    await gate.close()


async def test_a_moment_at_which_nothing_left_is_had_by_who_comes_next() -> None:
    gate, shared = a_gate(Limits(per_minute=6, in_flight=100))
    gate.not_asked(await shared.time.until(gate.enter()))
    gate.leave()
    assert await passing(gate, shared, 2) == pytest.approx([0.0, 10.1])
    assert shared.booked == [1, 1]


async def test_who_waits_to_book_has_a_moment_that_is_given_back_meanwhile() -> None:
    gate, shared = a_gate(Limits(per_minute=600, in_flight=100))
    first, second = await shared.time.until(gate.enter()), asyncio.ensure_future(gate.enter())
    await shared.time.idle()
    gate.not_asked(first)
    third = await shared.time.until(gate.enter())
    assert await shared.time.until(second) == first
    assert third is not None
    assert third.opens == pytest.approx(0.101)


async def test_a_moment_that_closed_unused_counts_in_no_day() -> None:
    gate, shared = a_gate(Limits(per_minute=6, per_day=2), left=2)
    gate.not_asked(await shared.time.until(gate.enter()))
    shared.time.advance(5.0)
    assert await passing(gate, shared, 2) == pytest.approx([10.1, 20.2])
    assert shared.left == 0  # it was given back once


async def test_what_is_booked_and_not_used_by_the_end_of_a_run_is_left_to_others() -> None:
    gate, shared = a_gate(Limits(per_minute=6, per_day=2), left=2)
    gate.not_asked(await shared.time.until(gate.enter()))
    await gate.close()
    assert shared.left == 2


async def test_a_moment_whose_caller_has_gone_is_had_by_who_comes_next() -> None:
    gate, shared = a_gate(Limits(per_minute=600, in_flight=100))
    shared.next = 5.0
    gone = asyncio.ensure_future(gate.enter())
    await shared.time.idle()
    gone.cancel()
    moment = await shared.time.until(gate.enter())
    assert gone.cancelled()
    assert moment is not None
    assert (moment.opens, shared.booked) == (5.0, [1])
    await gate.close()


async def test_better_tiers_have_the_next_moments_and_equals_are_served_in_turn() -> None:
    gate, shared = a_gate(Limits(per_minute=60, in_flight=100))
    went: list[str] = []

    async def one(name: str) -> None:
        await gate.enter((name[:1],))
        went.append(name)

    await shared.time.until(one("first"))
    await shared.time.until(asyncio.gather(*map(one, ["C1", "B1", "A1", "C2", "A2", "B2"])))
    await gate.close()
    assert went == ["first", "C1", "A1", "A2", "B1", "B2", "C2"]


# --- a run that is ending


async def test_a_run_that_is_ending_reads_what_it_may_read_soon_and_nothing_later() -> None:
    gate, shared = a_gate(Limits(per_minute=600))
    gate._naps.end()
    assert await gate.pace()
    assert not await gate.pace()
    shared.time.advance(0.1)
    assert await shared.time.until(gate.pace())
    assert shared.time.seconds == pytest.approx(0.101)
    shared.next = shared.time.seconds + 10.0
    shared.time.advance(0.1)
    assert not await gate.pace()
    await gate.close()


async def test_in_a_run_that_is_ending_nobody_reads_at_a_moment_that_the_vendor_has_closed() -> None:
    gate, shared = a_gate(Limits(per_minute=600))
    gate._naps.end()
    shared.next = 0.2
    reading = asyncio.ensure_future(gate.pace())
    await shared.time.idle()
    gate.hold(30.0)
    assert not await shared.time.until(reading)
    await gate.close()


async def test_in_a_run_that_is_ending_nobody_reads_at_a_moment_that_was_slept_through() -> None:
    gate, shared = a_gate(Limits(per_minute=600))
    gate._naps.end()
    shared.next = 0.2
    reading = asyncio.ensure_future(gate.pace())
    await shared.time.idle()
    shared.time.advance(5.0)
    assert not await shared.time.until(reading)
    await gate.close()


@pytest.mark.parametrize(("held_s", "may"), [(0.0, True), (5.0, False)])
async def test_where_nothing_is_booked_a_run_that_is_ending_reads_unless_the_vendor_said_to_wait(
    *, held_s: float, may: bool
) -> None:
    gate, _ = a_gate(Limits(in_flight=5))
    gate.hold(held_s)
    gate._naps.end()
    assert await gate.pace() is may
    await gate.close()


async def test_nobody_comes_in_to_ask_once_a_run_is_ending() -> None:
    gate, shared = a_gate(Limits(per_minute=6))
    await shared.time.until(gate.enter())
    waits = asyncio.ensure_future(gate.enter())
    await shared.time.idle()
    gate._naps.end()
    gate.open_to_all()
    assert await waits is None
    assert await gate.enter() is None
    await gate.close()


# --- a client at such a gate


def at(shared: OtherProcesses, vendor: Vendor, limits: Limits) -> None:
    naps = vendor.client._naps
    gate = Gate(limits, vendor.time.monotonic, naps, shared.of, "x")
    vendor.client = replace(vendor.client, naps=naps, gate=gate)


async def test_a_verifier_whose_day_is_spent_is_asked_later_and_what_it_said_before_still_counts() -> None:
    vendor = Vendor("reoon", (answer(REOON),))
    at(OtherProcesses(vendor.time, left=1), vendor, Limits(per_day=1))
    assert isinstance(await vendor.ask(), Judgement)
    assert await vendor.ask("other@acme.example") == NoAnswer(Gap.LATER, "its quota is spent", MIDNIGHT)
    assert isinstance(await vendor.ask(), Judgement)
    assert vendor.sends == 1


async def test_what_another_campaign_is_asking_takes_no_moment() -> None:
    other = Vendor("reoon", (answer(REOON),), takes_s=3.0)
    mine = other.next_run(answer(REOON), run=Run("other", uuid4(), Agent.EMAIL_VERIFICATION))
    shared = OtherProcesses(other.time)
    at(shared, mine, Limits(per_minute=600))
    asked = asyncio.ensure_future(other.asking())
    await other.time.idle()
    assert isinstance(await mine.ask(), Judgement)
    assert isinstance(await asked, Judgement)
    assert (other.sends, mine.sends, shared.booked) == (1, 0, [])


async def test_what_a_full_budget_refuses_leaves_its_moment_to_others() -> None:
    vendor = Vendor("reoon", (answer(REOON),))
    shared = OtherProcesses(vendor.time)
    at(shared, vendor, Limits(per_minute=60))
    full = OverBudget("a tier's", for_good=False)
    vendor.ledger.over = lambda intent: full if "other" in str(intent.request) else None
    refused = asyncio.ensure_future(vendor.asking("other@acme.example"))
    await vendor.time.idle()
    assert isinstance(await vendor.ask(), Judgement)
    assert (vendor.transport.sent_at, shared.booked) == ([0.0], [1])
    vendor.ledger.over = lambda _: None
    assert isinstance(await vendor.time.until(refused), Judgement)


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


async def test_a_window_of_a_second_that_is_full_holds_nobody_who_goes_at_an_even_pace() -> None:
    found = answer(
        {"contact": {"email": "d@acme.example"}}, x_ratelimit_remaining="0, 90", x_ratelimit_reset="1, 99"
    )
    vendor = Vendor("findymail", (found,))
    shared = OtherProcesses(vendor.time)
    at(shared, vendor, Limits(per_second=10, in_flight=5))
    await vendor.ask()
    await vendor.ask(first_name="Dina")
    assert vendor.transport.sent_at[1] - vendor.transport.sent_at[0] == pytest.approx(0.104)
    assert shared.told == []
