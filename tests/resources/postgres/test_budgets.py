"""Budgets beside the ledger: what is admitted, what the sums are, whatever happens at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from phase3_core.budget import Caps
from phase3_core.calls import ReplayClass
from phase3_core.ledger import End, Granted, Intent, OverBudget, Stored, Suppressed
from phase3_core.money import Money, usd
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from phase3_core.tiers import Tier
from resources.postgres.budgets import PostgresBudgets
from resources.postgres.lease import leased
from resources.postgres.ledger import PostgresLedger
from resources.postgres.outage import Outage
from tests.polling import until
from tests.resources.postgres.runs import Runs
from tests.resources.postgres.test_ledger import CEILING, PRICE, asks, ended, hit

Query = Callable[..., list[dict[str, Any]]]

CAMPAIGN = UUID(int=7)
LEADS = [UUID(int=n) for n in range(100)]
VERIFICATION = usd("0.003")


def caps(usd_: str = "0.05", **others: Any) -> Caps:
    return Caps(**{"agents": {Agent.EMAIL_VERIFICATION: usd(usd_)}, **others})


async def begun(runs: Runs, given: Caps | None = None, campaign: UUID = CAMPAIGN) -> PostgresLedger:
    """The ledger of a run on a campaign whose budgets are open."""
    if given is not None:
        await PostgresBudgets(runs.engine).open(campaign, given)
    return runs.begin(campaign, given)


def by_lead(number: int, **changes: Any) -> Intent:
    usual = {"lead_id": LEADS[number], "tier": Tier.B}
    return asks(f"lead {number}", **{**usual, **changes})


def finds(number: int) -> Intent:
    """A finder's call: what it may find costs VERIFICATION to verify."""
    return by_lead(number, keeps=VERIFICATION)


def verifies(number: int) -> Intent:
    return replace(by_lead(number, reserved=VERIFICATION), question=asks(f"verify {number}").question)


async def granted(book: PostgresLedger, intent: Intent) -> Granted:
    opened = await book.open(intent)
    assert isinstance(opened, Granted), opened
    return opened


def sums(query: Query) -> list[tuple[Any, ...]]:
    rows = query("SELECT scope, cap_usd, spent_usd, reserved_usd FROM budgets ORDER BY scope")
    return [tuple(row.values()) for row in rows]


# Room


async def test_without_a_cap_there_is_no_budget_and_everything_is_granted(runs: Runs, query: Query) -> None:
    book = await begun(runs, Caps())
    opened = await asyncio.gather(*(book.open(by_lead(n)) for n in range(50)))
    assert all(isinstance(one, Granted) for one in opened)
    assert sums(query) == []


async def test_at_most_so_many_calls_are_granted_as_the_cap_holds_at_their_worst(
    runs: Runs, query: Query
) -> None:
    books = [await begun(runs, caps("0.05")) for _ in range(3)]
    opened = await asyncio.gather(*(books[n % 3].open(by_lead(n)) for n in range(30)))
    assert sum(isinstance(one, Granted) for one in opened) == 5
    assert sums(query) == [(f"{CAMPAIGN} email_verification", usd("0.05"), 0, usd("0.05"))]


async def test_what_a_call_did_not_cost_is_room_again(runs: Runs, query: Query) -> None:
    book = await begun(runs, caps("0.05"))
    calls = [await granted(book, by_lead(n)) for n in range(5)]
    assert await book.open(by_lead(9)) == OverBudget(f"{CAMPAIGN} email_verification", for_good=False)
    await book.settle(ended(calls[0].key, End.MISS))
    await book.settle(hit(calls[1].key, PRICE))
    await book.settle(ended(calls[2].key, End.LOST))
    assert sums(query)[0][2:] == (PRICE + CEILING, 2 * CEILING)
    await granted(book, by_lead(9))


async def test_once_the_money_is_spent_it_is_over_for_good_and_said_so(runs: Runs, query: Query) -> None:
    book = await begun(runs, caps("0.015"))
    await book.settle(hit((await granted(book, by_lead(1))).key, CEILING))
    assert await book.open(by_lead(2)) == OverBudget(f"{CAMPAIGN} email_verification", for_good=True)
    assert book.spent_up(by_lead(3)) is not None
    assert book.spent_up(by_lead(3, reserved=usd("0.005"))) is None, "what is cheaper may still fit"
    assert query("SELECT 1 FROM budgets WHERE refused_at IS NOT NULL") != []


async def test_a_cap_that_is_raised_and_reached_again_is_said_to_be_reached_again(runs: Runs) -> None:
    book, budgets = await begun(runs, caps("0.015")), PostgresBudgets(runs.engine)
    for number, cap in enumerate(("0.015", "0.025")):
        await budgets.adopt(CAMPAIGN, caps(cap), ["email_verification"])
        await book.settle(hit((await granted(book, by_lead(number))).key, CEILING))
        assert await book.open(by_lead(9)) == OverBudget(f"{CAMPAIGN} email_verification", for_good=True)
        assert [one.refused_at is not None for one in await budgets.of(CAMPAIGN)] == [True]


async def test_with_nothing_of_its_own_in_flight_a_run_does_not_wait_for_others(runs: Runs) -> None:
    other, book = await begun(runs, caps("0.01")), await begun(runs, caps("0.01"))
    await granted(other, by_lead(1))
    assert await book.open(by_lead(2)) == OverBudget(f"{CAMPAIGN} email_verification", for_good=True)


async def test_what_was_bought_is_answered_whatever_the_budget_says(runs: Runs) -> None:
    book = await begun(runs, caps("0.01"))
    await book.settle(hit((await granted(book, by_lead(1))).key, CEILING))
    assert isinstance(await book.open(by_lead(1)), Stored)


async def test_a_free_call_needs_no_room(runs: Runs) -> None:
    book = await begun(runs, caps("0"))
    await granted(book, by_lead(1, reserved=usd(0)))


async def test_a_call_that_cannot_fit_takes_no_room_from_its_neighbours(runs: Runs) -> None:
    book = await begun(runs, caps("0.02", tiers={Tier.C: usd(0)}))
    opened = await asyncio.gather(
        *(book.open(by_lead(n, tier=Tier.C)) for n in range(10)), *(book.open(by_lead(n)) for n in (11, 12))
    )
    assert [isinstance(one, Granted) for one in opened] == [False] * 10 + [True] * 2


@pytest.mark.parametrize("end", [End.LOST, End.REFUSED, End.NOT_SENT])
async def test_asking_again_needs_room_too(runs: Runs, query: Query, end: End) -> None:
    book = await begun(runs, caps("0.02"))
    again = by_lead(1, replay=ReplayClass.ON_HIT)
    await book.settle(ended((await granted(book, again)).key, end))
    others = [await granted(book, by_lead(n)) for n in range(2, 3 + (end is not End.LOST))]
    assert isinstance(await book.open(again), OverBudget)
    await book.settle(ended(others[0].key, End.MISS))
    await granted(book, again)
    assert sums(query)[0][2] + sums(query)[0][3] <= usd("0.02")


async def test_a_job_that_is_on_the_bill_is_read_whatever_the_budget_says(runs: Runs, query: Query) -> None:
    book = await begun(runs, caps("0.02"))
    job = by_lead(1, replay=ReplayClass.JOB)
    call = await granted(book, job)
    await book.note_job(call.key, "job-1")
    await book.settle(ended(call.key, End.LOST))
    book = await begun(runs, caps("0.001"))
    assert await book.open(job) == Granted(call.key, "job-1", reserved=CEILING)
    assert sums(query)[0][2:] == (0, CEILING)


# Which budgets a call concerns


async def test_a_call_counts_in_its_agents_its_tiers_and_its_providers_budget(
    runs: Runs, query: Query
) -> None:
    all_caps = caps("1", tiers={Tier.A: usd(1), Tier.B: usd(1)}, daily={"tomba": usd(1), "reoon": usd(1)})
    book = await begun(runs, all_caps)
    await book.settle(hit((await granted(book, by_lead(1))).key, PRICE))
    await granted(book, by_lead(2, tier=Tier.A))
    (today,) = query("SELECT (now() AT TIME ZONE 'UTC')::date AS day")
    assert sums(query) == [
        (f"{CAMPAIGN} email_verification", 1, PRICE, CEILING),
        (f"{CAMPAIGN} tier A", 1, 0, CEILING),
        (f"{CAMPAIGN} tier B", 1, PRICE, 0),
        (f"reoon {today['day']}", 1, 0, 0),
        (f"tomba {today['day']}", 1, PRICE, CEILING),
    ]


async def test_a_providers_day_is_shared_by_all_campaigns(runs: Runs) -> None:
    daily = Caps(daily={"tomba": usd("0.01")})
    one, other = await begun(runs, daily), await begun(runs, daily, uuid4())
    await granted(one, by_lead(1))
    assert isinstance(await other.open(by_lead(2)), OverBudget)
    await granted(other, by_lead(2, provider="findymail"))


async def test_a_providers_day_that_others_fill_is_waited_for_while_they_may_give_it_back(
    runs: Runs, query: Query
) -> None:
    daily = Caps(daily={"tomba": usd("0.01")})
    one, other = await begun(runs, daily), await begun(runs, daily, uuid4())
    call = await granted(one, by_lead(1))
    (today,) = query("SELECT 'tomba ' || (now() AT TIME ZONE 'UTC')::date AS scope")
    assert await other.open(by_lead(2)) == OverBudget(today["scope"], for_good=False)
    query("UPDATE provider_calls SET lost_after = now() - interval '1 second'")
    assert await other.open(by_lead(2)) == OverBudget(today["scope"], for_good=True)
    await one.settle(ended(call.key, End.MISS))
    await granted(other, by_lead(2))


async def test_what_found_no_room_a_moment_ago_is_not_asked_for_at_once_again(runs: Runs) -> None:
    book = await begun(runs, caps("0.01"))
    call = await granted(book, by_lead(1))
    full = await book.open(by_lead(2))
    assert book.spent_up(by_lead(3)) == full
    assert book.spent_up(by_lead(3, reserved=usd("0.001"))) is None
    await book.settle(ended(call.key, End.MISS))
    await until(lambda: book.spent_up(by_lead(3)) is None)
    await granted(book, by_lead(3))


@asynccontextmanager
async def at_work(engine: AsyncEngine, campaign: UUID) -> AsyncIterator[None]:
    async with leased(engine, Run(uuid4().hex, campaign, Agent.EMAIL_VERIFICATION), Outage()):
        yield


def a_day(cap: str) -> Caps:
    return Caps(daily={"tomba": usd(cap)})


async def test_of_contradicting_caps_on_a_providers_day_the_lower_holds_while_both_are_at_work(
    runs: Runs, engine: AsyncEngine, query: Query
) -> None:
    other = uuid4()
    async with at_work(engine, CAMPAIGN):
        await begun(runs, a_day("0.01"))
        async with at_work(engine, other):
            for settings in (a_day("0.05"), Caps()):
                await begun(runs, settings, other)
                assert [row[1] for row in sums(query)] == [usd("0.01")]
    async with at_work(engine, other):
        await begun(runs, a_day("0.05"), other)
        assert [row[1] for row in sums(query)] == [usd("0.05")]


async def test_who_finds_a_providers_day_under_a_higher_cap_lowers_it_before_it_asks(
    runs: Runs, query: Query
) -> None:
    low, high = await begun(runs, a_day("0.01")), await begun(runs, a_day("0.05"), uuid4())
    await granted(high, by_lead(1))
    assert isinstance(await low.open(by_lead(2)), OverBudget)
    assert [row[1] for row in sums(query)] == [usd("0.01")]


async def test_a_run_without_a_cap_keeps_to_the_day_of_those_beside_it(
    runs: Runs, engine: AsyncEngine, query: Query
) -> None:
    other = uuid4()
    async with at_work(engine, CAMPAIGN), at_work(engine, other):
        free = await begun(runs, Caps(), other)
        await granted(free, by_lead(1))
        await begun(runs, a_day("0.03"))
        opened = await asyncio.gather(*(free.open(by_lead(number)) for number in range(2, 9)))
    assert sum(isinstance(one, Granted) for one in opened) == 2
    assert [row[1:] for row in sums(query)] == [(usd("0.03"), 0, 3 * CEILING)]


async def test_a_run_without_a_cap_keeps_to_its_campaigns_first(runs: Runs, query: Query) -> None:
    book = await begun(runs, Caps())
    await granted(book, by_lead(1))
    await PostgresBudgets(runs.engine).open(CAMPAIGN, caps("0.03"))
    opened = await asyncio.gather(*(book.open(by_lead(number)) for number in range(2, 9)))
    assert sum(isinstance(one, Granted) for one in opened) == 2
    assert [row[1:] for row in sums(query)] == [(usd("0.03"), 0, 3 * CEILING)]


async def test_of_whom_nothing_may_be_asked_a_first_cap_says_nothing(runs: Runs, query: Query) -> None:
    book = await begun(runs, Caps())
    await PostgresBudgets(runs.engine).open(CAMPAIGN, caps("0"))
    query("INSERT INTO suppression_list (email) VALUES ('ada@acme.com')")
    assert await book.open(by_lead(1, subjects=("ada@acme.com",))) == Suppressed()


async def test_a_cap_that_was_changed_during_a_run_outlasts_midnight(runs: Runs, query: Query) -> None:
    daily = {"tomba": usd(1)}
    book = await begun(runs, caps("0.05", tiers={Tier.A: usd(1)}, daily=daily))
    lowered = caps("0.01", tiers={Tier.B: usd(1)}, daily=daily)
    await PostgresBudgets(runs.engine).open(CAMPAIGN, lowered)
    query("UPDATE budgets SET day = day - 1, scope = 'yesterday' WHERE day IS NOT NULL")
    await granted(book, by_lead(1))
    assert isinstance(await book.open(by_lead(2)), OverBudget)
    capped = {scope.removeprefix(f"{CAMPAIGN} "): cap for scope, cap, *_ in sums(query)}
    assert capped["email_verification"] == usd("0.01")
    assert capped.keys() >= {"tier B"}
    assert "tier A" not in capped


async def test_a_day_that_begins_during_a_run_gets_its_budget(runs: Runs, query: Query) -> None:
    book = await begun(runs, Caps(daily={"tomba": usd("0.01")}))
    await granted(book, by_lead(1))
    query("UPDATE provider_calls SET day = day - 1")
    query("UPDATE budgets SET day = day - 1, scope = 'yesterday'")
    await granted(book, by_lead(2))
    assert isinstance(await book.open(by_lead(3)), OverBudget)


async def test_when_a_day_begins_the_calls_are_counted_once_for_all_who_ask(runs: Runs, query: Query) -> None:
    book = await begun(runs, Caps(daily={"tomba": usd(1)}))
    query("UPDATE budgets SET day = day - 1, scope = 'yesterday'")
    query("CREATE TABLE openings (scope text)")
    query(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO openings VALUES (NEW.scope); RETURN NEW; END $$"
    )
    query("CREATE TRIGGER noting BEFORE INSERT ON budgets FOR EACH ROW EXECUTE FUNCTION note()")
    opened = await asyncio.gather(*(book.open(by_lead(number)) for number in range(30)))
    assert {type(one) for one in opened} == {Granted}
    assert len(query("SELECT scope FROM openings")) == 1


async def test_opening_counts_the_ledger_anew(runs: Runs, query: Query) -> None:
    book = await begun(runs)
    await book.settle(hit((await granted(book, by_lead(1))).key, PRICE))
    await granted(book, by_lead(2))
    await begun(runs, caps("1", daily={"tomba": usd(1)}))
    assert {row[2:] for row in sums(query)} == {(PRICE, CEILING)}
    query("UPDATE budgets SET spent_usd = 0.7, reserved_usd = 0.3")
    await begun(runs, caps("1", daily={"tomba": usd(1)}))
    assert {row[2:] for row in sums(query)} == {(PRICE, CEILING)}


async def test_a_budget_made_while_others_buy_misses_nothing(runs: Runs, query: Query) -> None:
    other = await begun(runs, campaign=uuid4())

    async def buy() -> None:
        for start in range(0, 90, 10):
            calls = await asyncio.gather(*(other.open(by_lead(n)) for n in range(start, start + 10)))
            await asyncio.gather(*(other.settle(hit(c.key)) for c in calls if isinstance(c, Granted)))

    async def open_and_close() -> None:
        for _ in range(6):
            await begun(runs, Caps(daily={"tomba": usd(1)}))
            await begun(runs, Caps())
        await begun(runs, Caps(daily={"tomba": usd(1)}))

    await asyncio.gather(buy(), open_and_close())
    assert [row[2:] for row in sums(query)] == [(90 * PRICE, 0)]


async def test_caps_that_are_gone_hold_no_more_and_a_changed_cap_is_not_reached_yet(
    runs: Runs, query: Query
) -> None:
    book = await begun(runs, caps("0.01", tiers={Tier.B: usd("0.01")}))
    await book.settle(hit((await granted(book, by_lead(1))).key, CEILING))
    assert isinstance(await book.open(by_lead(2)), OverBudget)
    book = await begun(runs, caps("0.02"))
    assert query("SELECT scope FROM budgets WHERE refused_at IS NOT NULL OR tier IS NOT NULL") == []
    await granted(book, by_lead(2))


async def test_an_alert_is_given_once(runs: Runs, engine: AsyncEngine) -> None:
    budgets, alert_at = PostgresBudgets(engine), Caps().alert_at
    book = await begun(runs, caps("0.02"))
    await book.settle(hit((await granted(book, by_lead(1))).key, usd("0.0159")))
    assert await budgets.newly_near(CAMPAIGN, alert_at) == []
    await book.settle(hit((await granted(book, by_lead(2, reserved=usd("0.0001")))).key, usd("0.0001")))
    near = await asyncio.gather(*(budgets.newly_near(CAMPAIGN, alert_at) for _ in range(5)))
    assert [one.words for found in near for one in found] == ["email verification"]


# What must be verified


async def test_a_finder_is_asked_only_while_its_find_can_be_verified(runs: Runs) -> None:
    book = await begun(runs, caps("0.03"))  # 0.013 each, at worst
    opened = await asyncio.gather(*(book.open(finds(n)) for n in range(5)))
    assert [isinstance(one, Granted) for one in opened] == [True, True, False, False, False]


async def test_what_is_kept_free_verifies_the_find_and_nothing_else(runs: Runs) -> None:
    book = await begun(runs, caps("0.013"))
    await book.settle(hit((await granted(book, finds(1))).key, CEILING))
    assert isinstance(await book.open(verifies(2)), OverBudget)
    await granted(book, verifies(1))


async def test_a_miss_frees_what_was_kept_and_so_does_a_lead_that_is_done(runs: Runs) -> None:
    book = await begun(runs, caps("0.026"))
    first, second = await granted(book, finds(1)), await granted(book, finds(2))
    assert isinstance(await book.open(finds(3)), OverBudget)
    await book.settle(ended(first.key, End.MISS))
    third = await granted(book, finds(3))
    await book.settle(hit(second.key, usd("0.001")))
    await book.settle(hit(third.key, usd("0.001")))
    assert await book.open(finds(4)) != OverBudget(f"{CAMPAIGN} email_verification", for_good=True)
    book.done_with(LEADS[2])
    book.done_with(LEADS[3])


async def test_who_is_refused_from_memory_gives_back_what_is_promised_to_it(runs: Runs) -> None:
    book = await begun(runs, caps("0.017"))
    await book.settle(hit((await granted(book, finds(1))).key, usd("0.004")))
    full = OverBudget(f"{CAMPAIGN} email_verification", for_good=False)
    assert await book.open(by_lead(2, reserved=usd("0.011"))) == full
    assert book.spent_up(by_lead(1, reserved=usd("0.011"), keeps=VERIFICATION)) == full
    await granted(book, by_lead(3, reserved=usd("0.012")))


async def test_who_stops_buying_verifies_what_was_found_and_reads_what_was_bought(runs: Runs) -> None:
    book = await begun(runs, Caps())
    found, lost = await granted(book, finds(1)), await granted(book, by_lead(2, replay=ReplayClass.JOB))
    await book.settle(hit(found.key, PRICE))
    await book.note_job(lost.key, "job 2")
    await book.settle(ended(lost.key, End.LOST))
    book.stop_buying("too dear")
    over = OverBudget("too dear", for_good=True)
    assert [await book.open(one) for one in (finds(3), verifies(3))] == [over, over]
    assert (book.spent_up(finds(3)), book.spent_up(verifies(1))) == (over, None)
    assert isinstance(await book.open(finds(1)), Stored)
    await granted(book, verifies(1))
    assert (await granted(book, by_lead(2, replay=ReplayClass.JOB))).job_id == "job 2"
    await granted(book, by_lead(4, reserved=usd(0)))


async def test_a_verification_that_was_refused_can_be_made_again(runs: Runs) -> None:
    book = await begun(runs, caps("0.013"))
    await book.settle(hit((await granted(book, finds(1))).key, CEILING))
    await book.settle(ended((await granted(book, verifies(1))).key, End.REFUSED))
    assert isinstance(await book.open(verifies(2)), OverBudget)
    await granted(book, verifies(1))


async def test_the_lead_that_paid_is_told_what_and_another_nothing(runs: Runs) -> None:
    book = await begun(runs)
    await book.settle(hit((await granted(book, by_lead(1))).key, PRICE))
    paid, shared = await book.open(by_lead(1)), await book.open(by_lead(1, lead_id=LEADS[2]))
    assert isinstance(paid, Stored)
    assert isinstance(shared, Stored)
    assert (paid.booked, shared.booked) == (PRICE, Money(0))
