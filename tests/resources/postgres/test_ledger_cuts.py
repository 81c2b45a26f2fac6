"""The wire to the database breaks at every statement of a history, before, during and after it.

Nobody knows then whether it was written; the books must be those of a wire that holds.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from phase3_core.budget import Caps
from phase3_core.calls import ReplayClass
from phase3_core.ledger import Elsewhere, End, Granted, Intent, Opened, OverBudget, Stored, Withheld
from phase3_core.money import usd
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from resources.postgres.budgets import PostgresBudgets
from resources.postgres.database import driver_url
from resources.postgres.ledger import PostgresLedger
from resources.postgres.outage import Outage
from tests.fakes.wire import Cut, Wire, wire
from tests.resources.postgres.test_ledger import CEILING, DAY_S, PRICE, asks, ended, granted, hit

ON_HIT, JOB = ReplayClass.ON_HIT, ReplayClass.JOB
BOOKS = """
SELECT request ->> 'name' AS name, state, attempt, losses, cost_usd, unknown_usd,
       response #>> '{data, email}' AS answer, job_id
FROM provider_calls ORDER BY 1
"""
NARROW = Caps({Agent.EMAIL_VERIFICATION: PRICE + CEILING}, {}, {"tomba": 10 * CEILING})
WIDE = Caps({Agent.EMAIL_VERIFICATION: 10 * CEILING})
BUDGETS_ASTRAY = """
SELECT scope, spent_usd, reserved_usd FROM budgets
WHERE (spent_usd, reserved_usd) <> (SELECT sum(cost_usd + unknown_usd), 0::numeric FROM provider_calls)
"""


History = Callable[["Pair"], Coroutine[Any, Any, None]]


class Pair:
    """A run of a campaign that is taken for dead, and its successor, on a wire."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.outage = Outage(longest_s=30.0, first_pause_s=0.001)
        self.campaign = uuid4()
        self.zombie, self.heir = self.begin(), self.begin()

    def begin(self, caps: Caps | None = None) -> PostgresLedger:
        run = Run(uuid4().hex, self.campaign, Agent.EMAIL_VERIFICATION)
        return PostgresLedger(run, 7 * DAY_S, self.engine, outage=self.outage, caps=caps)

    async def close(self) -> None:
        await self.zombie.close()
        await self.heir.close()


async def many_at_once(pair: Pair) -> None:
    """Intents and outcomes in batches, one question asked twice."""
    names = ["Ada", "Bob", "Cyd", "Ada"]
    opened = await asyncio.gather(*(pair.heir.open(asks(name)) for name in names))
    assert [type(one) for one in opened] == [Granted, Granted, Granted, Elsewhere]
    calls = [one for one in opened if isinstance(one, Granted)]
    ends = [hit(calls[0].key), ended(calls[1].key, End.REFUSED), ended(calls[2].key, End.LOST)]
    await asyncio.gather(*map(pair.heir.settle, ends))
    assert isinstance(await pair.heir.open(asks("Ada")), Stored)
    assert isinstance(await pair.heir.open(asks("Cyd")), Withheld)
    await pair.heir.settle(hit((await granted(pair.heir, asks("Bob"))).key))


async def within_caps(pair: Pair) -> None:
    """Room for two: one is bought, one is lost, and a third finds none."""
    book = pair.begin(NARROW)
    await book.settle(hit((await granted(book, asks("Ada"))).key))
    await book.settle(ended((await granted(book, asks("Bob"))).key, End.LOST))
    assert isinstance(await refused(book, asks("Cyd")), OverBudget)
    await book.close()


async def refused(book: PostgresLedger, intent: Intent) -> Opened:
    """What a cut statement was told of budgets is asked again, as a client asks."""
    while isinstance(opened := await book.open(intent), Elsewhere):
        pass
    return opened


async def taken_over(pair: Pair) -> None:
    """Two answers to one question: the successor's on time, the zombie's late."""
    intent = asks("Ada", ON_HIT)
    old, new = await granted(pair.zombie, intent), await granted(pair.heir, intent)
    await pair.heir.settle(hit(new.key))
    await pair.zombie.settle(hit(old.key, response='{"other": 1}'))
    assert isinstance(await pair.heir.find(intent), Stored)


async def given_up(pair: Pair) -> None:
    """Booked as lost, then refused after all, so that it is asked again; then lost for good."""
    old = await granted(pair.zombie, asks("Ada"))
    assert isinstance(await pair.heir.open(asks("Ada")), Withheld)
    await pair.zombie.settle(ended(old.key, End.REFUSED))
    await pair.heir.settle(ended((await granted(pair.heir, asks("Ada"))).key, End.LOST))
    assert isinstance(await pair.heir.open(asks("Ada")), Withheld)


async def a_job(pair: Pair) -> None:
    """Lost before it had a number; submitted again, read, not done, read again."""
    job = asks("Ada", JOB)
    await pair.zombie.settle(ended((await granted(pair.zombie, job)).key, End.LOST))
    call = await granted(pair.heir, job)
    await pair.heir.note_job(call.key, "job-1")
    await pair.heir.settle(ended(call.key, End.LOST))
    again = await granted(pair.heir, job)
    assert again.job_id == "job-1"
    await pair.heir.settle(hit(again.key, ends_doubt=True))


def row(name: str, state: str, attempt: int, losses: int, **others: Any) -> dict[str, Any]:
    usual = {"cost_usd": usd(0), "unknown_usd": usd(0), "answer": None, "job_id": None}
    return {"name": name, "state": state, "attempt": attempt, "losses": losses, **usual, **others}


EMAIL = "ada@acme.com"
HISTORIES: dict[History, list[dict[str, Any]]] = {
    many_at_once: [
        row("Ada", "settled", 1, 0, cost_usd=PRICE, answer=EMAIL),
        row("Bob", "settled", 2, 0, cost_usd=PRICE, answer=EMAIL),
        row("Cyd", "unknown", 1, 1, unknown_usd=CEILING),
    ],
    within_caps: [
        row("Ada", "settled", 1, 0, cost_usd=PRICE, answer=EMAIL),
        row("Bob", "unknown", 1, 1, unknown_usd=CEILING),
    ],
    taken_over: [row("Ada", "settled", 2, 0, cost_usd=2 * PRICE, answer=EMAIL)],
    given_up: [row("Ada", "unknown", 2, 1, unknown_usd=CEILING)],
    a_job: [row("Ada", "settled", 3, 1, cost_usd=PRICE, unknown_usd=CEILING, answer=EMAIL, job_id="job-1")],
}
every_history = pytest.mark.parametrize("history", HISTORIES, ids=[history.__name__ for history in HISTORIES])


@dataclass
class Place:
    """A database at the end of a wire, and the same `beside` it, where nothing is cut."""

    carried: Wire
    engine: AsyncEngine
    beside: AsyncEngine
    books: psycopg.Connection[dict[str, Any]]

    async def lived(self, history: History, cuts: dict[int, Cut]) -> list[dict[str, Any]]:
        """The books after the history, on a wire that is cut so."""
        self.books.execute("DELETE FROM provider_calls; DELETE FROM budgets")
        pair = Pair(self.engine)
        await PostgresBudgets(self.beside).open(pair.campaign, NARROW if history is within_caps else WIDE)
        self.carried.statements, self.carried.cuts = 0, dict(cuts)
        try:
            await asyncio.wait_for(history(pair), 30)
            await self.carried.deliver()
        finally:
            await pair.close()
        assert self.books.execute(BUDGETS_ASTRAY).fetchall() == []
        return self.books.execute(BOOKS).fetchall()


@pytest.fixture
async def place(database_url: str) -> AsyncIterator[Place]:
    """Nothing is prepared, so that every history has the same number of statements."""
    address = driver_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    async with wire(database_url) as carried:
        engine = create_async_engine(
            driver_url(carried.url), pool_size=12, connect_args={"prepare_threshold": None}
        )
        with psycopg.connect(address, autocommit=True, row_factory=dict_row) as books:
            beside = create_async_engine(driver_url(database_url))
            yield Place(carried, engine, beside, books)
            await beside.dispose()
        await engine.dispose()


async def statements(place: Place, history: History) -> int:
    """How many there are where nothing breaks; the first time the engine has questions of its own."""
    for _ in range(2):
        assert await place.lived(history, {}) == HISTORIES[history]
    return place.carried.statements


# A refusal is noted in a transaction: what is late of that holds its locks until the server gives up.
CUTS = [(history, cut) for history in HISTORIES for cut in Cut if (history, cut) != (within_caps, Cut.LATE)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("history", "cut"), CUTS, ids=[f"{history.__name__}-{cut.name}" for history, cut in CUTS]
)
async def test_a_wire_cut_at_any_statement_changes_no_book(history: History, cut: Cut, place: Place) -> None:
    for number in range(1, await statements(place, history) + 1):
        books = await place.lived(history, {number: cut})
        assert place.carried.cuts == {}, "the wire was not cut"
        assert books == HISTORIES[history], f"cut at statement {number}"


@pytest.mark.slow
@every_history
async def test_the_repeat_may_be_cut_too(history: History, place: Place) -> None:
    for number in range(1, await statements(place, history) + 1):
        cuts = {number: Cut.AFTER, number + 1: Cut.AFTER, number + 2: Cut.BEFORE, number + 3: Cut.AFTER}
        assert await place.lived(history, cuts) == HISTORIES[history], f"cut from {number} on"
