import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from phase3_core.calls import ReplayClass
from phase3_core.ledger import Elsewhere, End, Granted, Intent, Outcome, Stored, Withheld, digest, question_of
from phase3_core.money import Money, usd
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from resources.postgres.ledger import PostgresLedger, ledger
from tests.resources.postgres.runs import Runs

Query = Callable[..., list[dict[str, Any]]]

CEILING = usd("0.010000")
PRICE = usd("0.004000")
DAY_S = 86_400.0
PATIENCE_S = 60.0
HANG_UP = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
ANSWER = '{"data": {"email": "ada@acme.com"}}'


def asks(name: str = "Ada", replay: ReplayClass = ReplayClass.PER_CALL, **changes: Any) -> Intent:
    request = {"name": name}
    usual: dict[str, Any] = {
        "question": digest("tomba", "find", request),
        "provider": "tomba",
        "operation": "find",
        "request": request,
        "reserved": CEILING,
        "lead_id": None,
        "deadline_s": 60.0,
        "replay": replay,
    }
    return Intent(**{**usual, **changes})


def hit(key: bytes, cost: Money = PRICE, **changes: Any) -> Outcome:
    usual: dict[str, Any] = {"told": "hit", "http_status": 200, "response": ANSWER}
    return Outcome(key, End.HIT, cost, **{**usual, **changes})


def ended(key: bytes, end: End) -> Outcome:
    return Outcome(key, end, usd(0), error=end.value)


async def granted(book: PostgresLedger, intent: Intent) -> Granted:
    opened = await book.open(intent)
    assert isinstance(opened, Granted)
    return opened


@pytest.fixture
def row(query: Query) -> Callable[[], dict[str, Any]]:
    def only() -> dict[str, Any]:
        (found,) = query("SELECT * FROM provider_calls")
        return found

    return only


Row = Callable[[], dict[str, Any]]


def money(row: dict[str, Any]) -> tuple[Any, Any]:
    """What is known of the bill, and what is in doubt."""
    return row["cost_usd"], row["unknown_usd"]


async def test_an_answer_is_bought_once_and_serves_other_runs_and_campaigns(runs: Runs, row: Row) -> None:
    book = runs.begin()
    call = await granted(book, asks())
    assert row()["state"] == "intent"
    assert row()["reserved_usd"] == CEILING
    await book.settle(hit(call.key))
    for other in (book, runs.begin(), runs.begin()):
        stored = await other.open(asks())
        assert isinstance(stored, Stored)
        assert stored.response == json.loads(ANSWER)
        assert await other.find(asks()) == stored
    assert money(row()) == (PRICE, 0)


async def test_looking_for_an_answer_changes_nothing(runs: Runs, query: Query) -> None:
    assert await runs.begin().find(asks()) is None
    assert query("SELECT 1 FROM provider_calls") == []


@pytest.mark.parametrize("ledgers", [1, 2])
async def test_of_many_who_ask_at_once_one_is_granted(runs: Runs, ledgers: int) -> None:
    books = [runs.begin() for _ in range(ledgers)]
    names = [f"lead {n}" for n in range(100)] * 2
    opened = await asyncio.gather(*(book.open(asks(name)) for book in books for name in names))
    calls = [one.key for one in opened if isinstance(one, Granted)]
    assert len(calls) == len(set(calls)) == 100
    assert sum(isinstance(one, Elsewhere) for one in opened) == len(opened) - 100


@pytest.mark.parametrize("ledgers", [1, 2])
async def test_a_stale_answer_is_renewed_by_one_of_those_who_ask(
    runs: Runs, query: Query, ledgers: int
) -> None:
    books = [runs.begin() for _ in range(ledgers)]
    await books[0].settle(hit((await granted(books[0], asks())).key))
    query("UPDATE provider_calls SET expires_at = now() - interval '1 second'")
    assert await books[0].find(asks()) is None
    assert await books[0].recall(asks())
    opened = await asyncio.gather(*(book.open(asks()) for book in books for _ in range(5)))
    (call,) = [one for one in opened if isinstance(one, Granted)]
    assert call.key != asks().question + bytes(4)
    await books[0].settle(hit(call.key))
    assert isinstance(await books[-1].open(asks()), Stored)
    assert query("SELECT sum(cost_usd) AS usd FROM provider_calls") == [{"usd": 2 * PRICE}]


async def test_two_processes_that_ask_in_opposite_order_do_not_lock_each_other_out(runs: Runs) -> None:
    names = [f"lead {n}" for n in range(400)]
    books = [runs.begin(), runs.begin()]
    opened = await asyncio.wait_for(
        asyncio.gather(
            *(
                book.open(asks(name))
                for book, order in zip(books, (1, -1), strict=True)
                for name in names[::order]
            )
        ),
        PATIENCE_S,
    )
    assert sum(isinstance(one, Granted) for one in opened) == 400


# A call that never came back.


async def test_a_live_call_of_another_campaign_is_waited_for_until_it_is_overdue(
    runs: Runs, row: Row, query: Query
) -> None:
    first, second, third = runs.begin(), runs.begin(), runs.begin()
    await granted(first, asks(replay=ReplayClass.ON_HIT))
    assert isinstance(await second.open(asks(replay=ReplayClass.ON_HIT)), Elsewhere)
    query("UPDATE provider_calls SET lost_after = now() - interval '1 second'")
    opened = await asyncio.gather(*(b.open(asks(replay=ReplayClass.ON_HIT)) for b in (second, third)))
    assert sorted(type(one).__name__ for one in opened) == ["Elsewhere", "Granted"]
    assert (row()["attempt"], row()["losses"], money(row())) == (2, 1, (0, CEILING))


async def test_of_two_who_saw_the_same_lost_call_one_is_granted(
    runs: Runs, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    await granted(runs.begin(), asks(replay=ReplayClass.ON_HIT))
    query("UPDATE provider_calls SET lost_after = now() - interval '1 second'")
    heirs, both_saw_it = [runs.begin(), runs.begin()], asyncio.Barrier(2)
    for heir in heirs:
        monkeypatch.setattr(heir._batches.claim, "_write", _after(both_saw_it, heir._batches.claim._write))
    opened = await asyncio.wait_for(
        asyncio.gather(*(heir.open(asks(replay=ReplayClass.ON_HIT)) for heir in heirs)), PATIENCE_S
    )
    assert sorted(type(one).__name__ for one in opened) == ["Elsewhere", "Granted"]


def _after(barrier: asyncio.Barrier, write: Callable[..., Any]) -> Callable[..., Any]:
    async def waiting(items: Any) -> Any:
        await barrier.wait()
        return await write(items)

    return waiting


async def test_the_intents_of_a_dead_run_are_its_successors_at_once(runs: Runs, row: Row) -> None:
    campaign = uuid4()
    await granted(runs.begin(campaign), asks(replay=ReplayClass.ON_HIT))
    await granted(runs.begin(campaign), asks(replay=ReplayClass.ON_HIT))
    assert (row()["attempt"], row()["losses"], money(row())) == (2, 1, (0, CEILING))


async def test_a_call_taken_over_by_another_campaign_is_not_its_old_campaigns_any_more(
    runs: Runs, row: Row, query: Query
) -> None:
    campaign, heir = uuid4(), uuid4()
    await granted(runs.begin(campaign), asks(replay=ReplayClass.ON_HIT))
    query("UPDATE provider_calls SET lost_after = now() - interval '1 second'")
    await granted(runs.begin(heir), asks(replay=ReplayClass.ON_HIT))
    assert isinstance(await runs.begin(campaign).open(asks(replay=ReplayClass.ON_HIT)), Elsewhere)
    assert row()["campaign_id"] == heir


async def test_what_is_billed_per_call_is_not_asked_again_after_a_loss(runs: Runs, row: Row) -> None:
    campaign = uuid4()
    await granted(runs.begin(campaign), asks())
    for _ in range(2):
        assert isinstance(await runs.begin(campaign).open(asks()), Withheld)
    assert (row()["state"], row()["losses"], money(row())) == ("unknown", 1, (0, CEILING))


async def test_what_was_lost_is_a_new_question_once_its_answer_would_be_stale(
    runs: Runs, query: Query
) -> None:
    campaign = uuid4()
    lost = await granted(runs.begin(campaign), asks())
    query("UPDATE provider_calls SET lost_after = lost_after - interval '8 days'")  # nobody has looked since
    books = [runs.begin(campaign), runs.begin()]
    opened = await asyncio.gather(*(book.open(asks()) for book in books for _ in range(3)))
    (call,) = [one for one in opened if isinstance(one, Granted)]
    assert call.key > lost.key
    await books[0].settle(ended(call.key, End.LOST))
    assert isinstance(await books[0].open(asks()), Withheld)  # for as long again
    assert [money(one) for one in query("SELECT * FROM provider_calls")] == [(0, CEILING)] * 2


@pytest.mark.parametrize(
    ("replay", "sends"),
    [(ReplayClass.PER_CALL, 1), (ReplayClass.ON_HIT, 2), (ReplayClass.JOB, 2), (ReplayClass.FREE, 2)],
)
async def test_a_loss_is_repeated_as_often_as_its_class_allows_and_booked_each_time(
    runs: Runs, row: Row, replay: ReplayClass, sends: int
) -> None:
    book = runs.begin()
    for _ in range(sends):
        await book.settle(ended((await granted(book, asks(replay=replay))).key, End.LOST))
    assert isinstance(await book.open(asks(replay=replay)), Withheld)
    assert (row()["losses"], money(row())) == (sends, (0, CEILING * sends))


async def test_a_free_replay_settles_the_bill_of_the_lost_attempts(runs: Runs, row: Row) -> None:
    book = runs.begin()
    free = asks(replay=ReplayClass.FREE)
    await book.settle(ended((await granted(book, free)).key, End.LOST))
    await book.settle(hit((await granted(book, free)).key, ends_doubt=True))
    assert money(row()) == (PRICE, 0)


async def test_another_answer_leaves_the_lost_attempt_on_the_bill(runs: Runs, row: Row) -> None:
    book = runs.begin()
    intent = asks(replay=ReplayClass.ON_HIT)
    await book.settle(ended((await granted(book, intent)).key, End.LOST))
    await book.settle(hit((await granted(book, intent)).key))
    assert money(row()) == (PRICE, CEILING)


async def test_the_free_window_runs_from_the_first_lost_attempt(runs: Runs, query: Query) -> None:
    book = runs.begin()
    free = asks(replay=ReplayClass.FREE, replay_window=timedelta(days=30))
    for end in (End.LOST, End.REFUSED):
        await book.settle(ended((await granted(book, free)).key, end))
        query("UPDATE provider_calls SET asked_at = asked_at - interval '20 days'")
    assert isinstance(await book.open(free), Withheld)


@pytest.mark.parametrize("end", [End.REFUSED, End.NOT_SENT])
async def test_a_refused_call_is_asked_again_at_no_cost(runs: Runs, row: Row, end: End) -> None:
    book = runs.begin()
    for _ in range(5):
        await book.settle(ended((await granted(book, asks())).key, end))
        assert (row()["state"], row()["losses"], money(row())) == ("settled", 0, (0, 0))
    await book.settle(hit((await granted(book, asks())).key))
    assert money(row()) == (PRICE, 0)


async def test_a_refusal_does_not_undo_an_earlier_loss(runs: Runs, row: Row, query: Query) -> None:
    book = runs.begin()
    free = asks(replay=ReplayClass.FREE, replay_window=timedelta(days=30))
    await book.settle(ended((await granted(book, free)).key, End.LOST))
    await book.settle(ended((await granted(book, free)).key, End.REFUSED))
    assert (row()["state"], row()["losses"], money(row())) == ("unknown", 1, (0, CEILING))
    query("UPDATE provider_calls SET asked_at = asked_at - interval '31 days'")
    assert isinstance(await book.open(free), Withheld)


# Jobs.


async def test_a_job_is_read_again_never_submitted_again_and_billed_once(runs: Runs, row: Row) -> None:
    campaign = uuid4()
    job = asks(replay=ReplayClass.JOB)
    book = runs.begin(campaign)
    await book.note_job((await granted(book, job)).key, "job-7")
    for _ in range(4):
        book = runs.begin(campaign)
        call = await granted(book, job)
        assert call.job_id == "job-7"
        await book.settle(ended(call.key, End.LOST))
        assert money(row()) == (0, CEILING)
    await book.settle(hit((await granted(book, job)).key, ends_doubt=True))
    assert money(row()) == (PRICE, 0)


async def test_reading_a_job_tells_nothing_of_a_submission_lost_before_it(runs: Runs, row: Row) -> None:
    book = runs.begin()
    job = asks(replay=ReplayClass.JOB)
    await book.settle(ended((await granted(book, job)).key, End.LOST))
    call = await granted(book, job)
    await book.note_job(call.key, "job-8")
    await book.settle(ended(call.key, End.LOST))
    await book.settle(hit((await granted(book, job)).key, ends_doubt=True))
    assert money(row()) == (PRICE, CEILING)


async def test_a_job_whose_reading_was_refused_is_still_on_the_bill(runs: Runs, row: Row) -> None:
    book = runs.begin()
    job = asks(replay=ReplayClass.JOB)
    call = await granted(book, job)
    await book.note_job(call.key, "job-9")
    await book.settle(ended(call.key, End.REFUSED))
    assert (row()["state"], money(row())) == ("unknown", (0, CEILING))
    assert await book.open(job) == Granted(call.key, "job-9", reserved=CEILING)


@pytest.mark.parametrize("now", ["0.001", "0.5"])
async def test_a_job_stays_on_the_bill_at_what_its_submission_was_to_cost(
    runs: Runs, row: Row, now: str
) -> None:
    book = runs.begin()
    job = asks(replay=ReplayClass.JOB)
    call = await granted(book, job)
    await book.note_job(call.key, "job-9")
    await book.settle(ended(call.key, End.LOST))
    book = runs.begin()
    read = await granted(book, replace(job, reserved=usd(now)))
    assert (read.reserved, read.booked) == (CEILING, usd(0))
    await book.settle(ended(call.key, End.LOST))
    assert money(row()) == (0, CEILING)


async def test_what_leads_have_cost_is_told_by_question_at_worst(runs: Runs, query: Query) -> None:
    campaign, ada, bob = uuid4(), uuid4(), uuid4()
    book = runs.begin(campaign)
    asked = [asks(name, lead_id=ada) for name in ("paid", "lost", "in flight", "free")]
    calls = [await granted(book, one) for one in (*asked, asks("of another agent", lead_id=ada))]
    await book.settle(hit(calls[0].key))
    await book.settle(ended(calls[1].key, End.LOST))
    await book.settle(ended(calls[3].key, End.MISS))
    await book.settle(hit(calls[4].key))
    query("UPDATE provider_calls SET agent = 'waterfall_enrichment' WHERE key = :key", key=calls[4].key)
    paid, lost, in_flight, _ = (one.question for one in asked)
    costs = await runs.begin(campaign).paid([ada, bob])
    assert costs.keys() == {ada}
    told = {question_of(call): usd for call, usd in costs[ada].calls.items()}
    assert told == {paid: PRICE, lost: CEILING, in_flight: CEILING}
    assert costs[ada].standing == told.keys()
    query("UPDATE provider_calls SET expires_at = now() WHERE substring(key for 20) = :key", key=paid)
    assert (await runs.begin(campaign).paid([ada]))[ada].standing == {lost, in_flight}


async def test_a_job_that_the_vendor_ended_unbilled_is_no_doubt_and_is_submitted_anew(
    runs: Runs, row: Row
) -> None:
    book = runs.begin()
    job = asks(replay=ReplayClass.JOB)
    call = await granted(book, job)
    await book.note_job(call.key, "job-9")
    assert await book.drop_job(call.key)
    await book.settle(ended(call.key, End.REFUSED))
    assert (row()["state"], money(row())) == ("settled", (0, 0))
    assert await runs.begin().open(job) == Granted(call.key)


async def test_a_job_that_the_vendor_forgot_is_a_lost_call_and_made_once_more(runs: Runs, row: Row) -> None:
    book = runs.begin()
    job = asks(replay=ReplayClass.JOB)
    call = await granted(book, job)
    await book.note_job(call.key, "forgotten")
    assert await book.drop_job(call.key)
    await book.settle(ended(call.key, End.LOST))
    assert (row()["state"], row()["losses"], money(row())) == ("unknown", 1, (0, CEILING))
    assert (await granted(book, job)).job_id is None
    await book.note_job(call.key, "job-2")
    await book.settle(hit(call.key, ends_doubt=True))
    assert money(row()) == (PRICE, CEILING)


async def test_a_job_that_the_vendor_forgets_twice_is_not_submitted_again(runs: Runs, row: Row) -> None:
    campaign, job = uuid4(), asks(replay=ReplayClass.JOB)
    for number in range(2):
        book = runs.begin(campaign)
        call = await granted(book, job)
        assert call.job_id is None
        await book.note_job(call.key, f"job-{number}")
        assert await book.drop_job(call.key), "and then the process dies"
    assert isinstance(await runs.begin(campaign).open(job), Withheld)
    assert (row()["state"], row()["losses"], money(row())) == ("unknown", 2, (0, 2 * CEILING))


async def test_a_run_that_lost_its_job_to_another_neither_drops_it_nor_takes_back_the_others_doubt(
    runs: Runs, row: Row
) -> None:
    campaign, job = uuid4(), asks(replay=ReplayClass.JOB)
    zombie = runs.begin(campaign)
    call = await granted(zombie, job)
    await zombie.note_job(call.key, "job-9")
    heir = runs.begin(campaign)
    await granted(heir, job)
    assert not await zombie.drop_job(call.key)
    assert await heir.drop_job(call.key)
    await heir.settle(ended(call.key, End.LOST))
    await zombie.settle(ended(call.key, End.REFUSED))
    assert (row()["state"], money(row())) == ("unknown", (0, CEILING))


async def test_a_job_of_an_abandoned_attempt_does_not_replace_its_successors(runs: Runs, row: Row) -> None:
    campaign = uuid4()
    job = asks(replay=ReplayClass.JOB)
    zombie, heir = runs.begin(campaign), runs.begin(campaign)
    old = await granted(zombie, job)
    await heir.note_job((await granted(heir, job)).key, "new")
    await zombie.note_job(old.key, "old")
    assert row()["job_id"] == "new"


# Answers that come late.


async def test_a_late_answer_is_kept_while_its_successor_is_out_and_both_are_billed(
    runs: Runs, row: Row
) -> None:
    campaign = uuid4()
    intent = asks(replay=ReplayClass.ON_HIT)
    zombie, heir = runs.begin(campaign), runs.begin(campaign)
    old, new = await granted(zombie, intent), await granted(heir, intent)
    await zombie.settle(hit(old.key))
    assert isinstance(await runs.begin().open(intent), Stored)
    assert money(row()) == (PRICE, CEILING)
    await heir.settle(hit(new.key, response='{"other": 1}'))
    assert money(row()) == (2 * PRICE, 0)
    assert row()["response"] == json.loads(ANSWER), "an answer never changes"


async def test_a_late_answer_after_its_successors_is_billed_and_overwrites_nothing(
    runs: Runs, row: Row
) -> None:
    campaign = uuid4()
    intent = asks(replay=ReplayClass.ON_HIT)
    zombie, heir = runs.begin(campaign), runs.begin(campaign)
    old, new = await granted(zombie, intent), await granted(heir, intent)
    await heir.settle(hit(new.key))
    assert money(row()) == (PRICE, CEILING)
    await zombie.settle(hit(old.key, response='{"other": 1}'))
    assert money(row()) == (2 * PRICE, 0)
    assert row()["response"] == json.loads(ANSWER)


async def test_a_free_replay_beside_a_late_answer_is_one_charge(runs: Runs, row: Row) -> None:
    campaign = uuid4()
    intent = asks(replay=ReplayClass.FREE)
    zombie, heir = runs.begin(campaign), runs.begin(campaign)
    old, new = await granted(zombie, intent), await granted(heir, intent)
    await zombie.settle(hit(old.key, ends_doubt=True))
    await heir.settle(hit(new.key, ends_doubt=True))
    assert money(row()) == (PRICE, 0)


async def test_a_late_answer_ends_its_own_doubt(runs: Runs, row: Row) -> None:
    campaign = uuid4()
    zombie = runs.begin(campaign)
    call = await granted(zombie, asks())
    assert isinstance(await runs.begin(campaign).open(asks()), Withheld)
    await zombie.settle(hit(call.key))
    assert (row()["state"], row()["losses"], money(row())) == ("settled", 0, (PRICE, 0))
    assert isinstance(await runs.begin(campaign).open(asks()), Stored)


async def test_a_late_refusal_allows_another_attempt(runs: Runs, row: Row) -> None:
    campaign = uuid4()
    zombie = runs.begin(campaign)
    call = await granted(zombie, asks())
    assert isinstance(await runs.begin(campaign).open(asks()), Withheld)
    await zombie.settle(ended(call.key, End.REFUSED))
    assert (row()["state"], money(row())) == ("settled", (0, 0))
    await granted(runs.begin(campaign), asks())


@pytest.mark.parametrize("end", [End.LOST, End.REFUSED])
async def test_a_late_failure_leaves_its_successor_in_flight(runs: Runs, row: Row, end: End) -> None:
    campaign = uuid4()
    intent = asks(replay=ReplayClass.ON_HIT)
    zombie, heir = runs.begin(campaign), runs.begin(campaign)
    old, new = await granted(zombie, intent), await granted(heir, intent)
    await zombie.settle(ended(old.key, end))
    assert (row()["state"], row()["attempt"]) == ("intent", 2)
    assert money(row()) == (0, CEILING if end is End.LOST else 0)
    await heir.settle(hit(new.key))
    assert money(row()) == (PRICE, CEILING if end is End.LOST else 0)


async def test_an_outcome_that_is_told_twice_is_booked_once(runs: Runs, row: Row) -> None:
    book = runs.begin()
    call = await granted(book, asks())
    await asyncio.gather(book.settle(hit(call.key)), book.settle(hit(call.key)))
    await book.settle(hit(call.key))
    assert money(row()) == (PRICE, 0)


# What the database refuses, and what it forgets.


async def test_an_answer_that_jsonb_refuses_keeps_its_cost_and_its_neighbours_answers(
    runs: Runs, query: Query
) -> None:
    book = runs.begin()
    calls = [await granted(book, asks(f"lead {n}")) for n in range(20)]
    bad = {3: '{"a": "\\u0000"}', 4: "no json", 5: "\ud800", 6: "\x00"}
    await asyncio.gather(
        *(book.settle(hit(call.key, response=bad.get(n, ANSWER))) for n, call in enumerate(calls))
    )
    rows = query("SELECT state, cost_usd, response, error FROM provider_calls")
    assert {(r["state"], r["cost_usd"]) for r in rows} == {("settled", PRICE)}
    assert sum(r["response"] == json.loads(ANSWER) for r in rows) == 16
    assert sum(r["error"] == "the answer could not be stored as JSON" for r in rows) == 4


@pytest.mark.parametrize("name", ["\x00", "\\u0000", "\\\x00", "\ud800", 'quote " {,} NULL', "\\"])
async def test_a_strange_name_is_asked_for_like_any_other(runs: Runs, query: Query, name: str) -> None:
    book = runs.begin()
    opened = await asyncio.gather(book.open(asks(name)), book.open(asks("Ada")))
    assert all(isinstance(one, Granted) for one in opened)
    assert query("SELECT count(*) AS n FROM provider_calls") == [{"n": 2}]


async def test_an_intent_that_the_database_refuses_fails_alone(runs: Runs) -> None:
    book = runs.begin()
    intents = [asks("costly", reserved=usd("9999999")), *(asks(f"lead {n}") for n in range(10))]
    failed, *others = await asyncio.gather(*map(book.open, intents), return_exceptions=True)
    assert isinstance(failed, psycopg.DataError)
    assert all(isinstance(one, Granted) for one in others)


async def test_a_lost_connection_is_replaced_and_nobody_notices(runs: Runs, query: Query) -> None:
    book = runs.begin()
    calls = [await granted(book, asks(f"lead {n}")) for n in range(3)]
    await book.settle(hit(calls[0].key))
    query(HANG_UP)
    await asyncio.gather(*(book.settle(hit(call.key)) for call in calls[1:]))
    await granted(book, asks("another"))
    assert query("SELECT state, count(*) AS n FROM provider_calls GROUP BY 1 ORDER BY 1") == [
        {"state": "intent", "n": 1},
        {"state": "settled", "n": 3},
    ]


@pytest.mark.parametrize("ticks", range(6))
async def test_a_cancelled_question_leaves_nothing_in_doubt(runs: Runs, query: Query, ticks: int) -> None:
    book = runs.begin()
    asking = asyncio.create_task(book.open(asks()))
    for _ in range(ticks):
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()
    await book.close()
    rows = query("SELECT state, outcome, unknown_usd FROM provider_calls")
    assert rows in ([], [{"state": "settled", "outcome": "error", "unknown_usd": 0}])
    await granted(runs.begin(), asks())


async def test_a_cancelled_settler_is_settled_all_the_same(runs: Runs, row: Row) -> None:
    campaign = uuid4()
    zombie = runs.begin(campaign)
    call = await granted(zombie, asks())
    assert isinstance(await runs.begin(campaign).open(asks()), Withheld)
    settling = asyncio.create_task(zombie.settle(hit(call.key)))
    await asyncio.sleep(0)
    settling.cancel()
    await asyncio.wait([settling])
    await zombie.close()
    assert (row()["state"], money(row())) == ("settled", (PRICE, 0))


async def test_a_cancelled_run_commits_what_was_handed_in_before_it_goes(
    engine: AsyncEngine, query: Query
) -> None:
    async def work() -> None:
        async with ledger(engine, Run("run", uuid4(), Agent.ENRICHMENT), DAY_S) as book:
            calls = [await granted(book, asks(f"lead {n}")) for n in range(50)]
            settling = [asyncio.create_task(book.settle(hit(call.key))) for call in calls]
            await asyncio.sleep(0)
            asyncio.get_running_loop().call_soon(working.cancel)
        await asyncio.gather(*settling)

    working = asyncio.create_task(work())
    await asyncio.wait([working])
    assert working.cancelled()
    assert query("SELECT count(*) AS n FROM provider_calls WHERE state = 'settled'") == [{"n": 50}]


async def test_fresh_calls_take_one_statement_a_batch(
    runs: Runs, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = runs.begin()
    statements: list[str] = []
    for line in book._batches._lines:
        monkeypatch.setattr(line, "rows", _counted(line.rows, statements))
    opened = await asyncio.gather(*(book.open(asks(f"lead {n}")) for n in range(200)))
    await asyncio.gather(*(book.settle(hit(call.key)) for call in opened if isinstance(call, Granted)))
    assert [("INSERT" in statement, "UPDATE provider" in statement) for statement in statements] == [
        (True, False),
        (False, True),
    ]
    assert query("SELECT count(*) AS n FROM provider_calls WHERE state = 'settled'") == [{"n": 200}]


def _counted(rows: Callable[..., Any], statements: list[str]) -> Callable[..., Any]:
    async def counted(statement: str, *rest: Any, **named: Any) -> Any:
        statements.append(statement)
        return await rows(statement, *rest, **named)

    return counted
