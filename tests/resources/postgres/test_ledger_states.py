"""The ledger against a vendor that keeps its own bill, through deaths, losses and late answers."""

import asyncio
import os
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from phase3_core.budget import Caps
from phase3_core.calls import ReplayClass
from phase3_core.ledger import (
    Elsewhere,
    End,
    Granted,
    Intent,
    Opened,
    Outcome,
    OverBudget,
    Stored,
    Withheld,
    digest,
)
from phase3_core.money import ZERO, Money, usd
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from phase3_core.tiers import Tier
from resources.postgres.budgets import PostgresBudgets
from resources.postgres.database import driver_url
from resources.postgres.ledger import PostgresLedger
from tests.polling import until

Result = TypeVar("Result")

PRICE = usd("0.01")
AGE = timedelta(days=31)  # past every answer's freshness and every free window
WINDOW = timedelta(days=30)
MOST_SENDS = {
    ReplayClass.PER_CALL: 1,
    ReplayClass.ON_HIT: 2,
    ReplayClass.JOB: 2,
    ReplayClass.FREE: 2,
}
CAMPAIGNS = [uuid4(), uuid4()]
QUESTIONS = [(replay, is_hit) for replay in ReplayClass for is_hit in (True, False)]
ANY_QUESTION = st.integers(0, len(QUESTIONS) - 1)
PICKS = st.integers(0, 11)
STAGES = st.sampled_from(["intend", "newest", "claim"])
ENDS = st.sampled_from([End.HIT, End.HIT, End.LOST, End.LOST, End.REFUSED, End.NOT_SENT])


SUMS = """
SELECT b.scope, (b.spent_usd, b.reserved_usd)::text AS told,
       (coalesce(sum(c.cost_usd + c.unknown_usd), 0)::numeric(12,6),
        coalesce(sum(c.reserved_usd) FILTER (WHERE c.state = 'intent'), 0)::numeric(12,6))::text AS counted
FROM budgets AS b LEFT JOIN provider_calls AS c
    ON coalesce(b.campaign_id = c.campaign_id, true) AND coalesce(b.agent = c.agent, true)
    AND coalesce(b.tier = c.tier, true) AND coalesce(b.provider = c.provider AND b.day = c.day, true)
GROUP BY b.scope, b.spent_usd, b.reserved_usd
"""
NOTING_OVERRUNS = (
    "CREATE TABLE overruns (scope text, held numeric)",
    """
    CREATE FUNCTION note_overrun() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO overruns VALUES (NEW.scope, NEW.spent_usd + NEW.reserved_usd); RETURN NULL; END $$
    """,
    """
    CREATE TRIGGER noting AFTER INSERT OR UPDATE ON budgets FOR EACH ROW
        WHEN (NEW.spent_usd + NEW.reserved_usd > NEW.cap_usd) EXECUTE FUNCTION note_overrun()
    """,
)


class Loop:
    """One event loop and one place for connections, for all the examples."""

    def __init__(self, url: str) -> None:
        self.runner = asyncio.Runner()
        self.engine: AsyncEngine = create_async_engine(driver_url(url), pool_size=80)

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)

    async def rows(self, statement: str, **values: Any) -> list[Any]:
        async with self.engine.begin() as connection:
            result = await connection.execute(text(statement), values)
            return list(result) if result.returns_rows else []


@dataclass(eq=False)
class Flight:
    """A granted call: its question, when it was asked, and what the vendor did with it."""

    question: int
    key: bytes
    age: int
    job_id: str | None = None
    end: End | None = None


@dataclass(eq=False)
class Process:
    book: PostgresLedger
    run: Run
    flights: list[Flight] = field(default_factory=list)


@dataclass
class Vendor:
    """Bills by key of the ledger, as the replay class of the question says."""

    bills: dict[bytes, Money] = field(default_factory=dict)
    sends: dict[bytes, int] = field(default_factory=dict)
    billed: set[tuple[int, int]] = field(default_factory=set)
    jobs: int = 0

    def asked(self, flight: Flight) -> Money:
        """What this question costs, now that it has arrived.

        It left within its deadline or never will: to the vendor it is as old as its intent.
        """
        replay, is_hit = QUESTIONS[flight.question]
        if flight.job_id is None:
            self.sends[flight.key] = self.sends.get(flight.key, 0) + 1
        free = replay is ReplayClass.FREE and (flight.question, flight.age) in self.billed
        charged = is_hit or replay is ReplayClass.PER_CALL
        if charged and flight.job_id is None and not free:
            self.bills[flight.key] = self.bills.get(flight.key, ZERO) + PRICE
            self.billed.add((flight.question, flight.age))
        return PRICE if charged else ZERO

    def ends_unbilled(self, flight: Flight) -> None:
        """As if the job had never been submitted."""
        flight.job_id = None
        self.sends[flight.key] -= 1
        if flight.key in self.bills:
            self.bills[flight.key] -= PRICE

    def forgets(self, flight: Flight, *, billed: bool) -> None:
        """It tells nothing of the job any more, and has billed it or never will."""
        flight.job_id = None
        if not billed and flight.key in self.bills:
            self.bills[flight.key] -= PRICE


class LedgerMachine(RuleBasedStateMachine):
    loop: Loop
    caps: Caps | None = None

    def __init__(self) -> None:
        super().__init__()
        self.vendor = Vendor()
        self.age = 0
        self.living: dict[UUID, Process] = {}
        self.zombies: list[Process] = []
        self.dead: list[Process] = []
        self.answers: dict[bytes, int] = {}
        self.before: dict[bytes, Any] = {}

    @initialize()
    def begin(self) -> None:
        self._run(self.loop.rows("TRUNCATE provider_calls, budgets"))
        if self.caps:
            self._run(self.loop.rows("TRUNCATE overruns"))
        for campaign in CAMPAIGNS:
            self.start(campaign)

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.loop.run(work)

    @rule(campaign=st.sampled_from(CAMPAIGNS))
    def start(self, campaign: UUID) -> None:
        """A new run of the campaign; the one before, if any, has died, but may not know it."""
        if campaign in self.living:
            self.zombies.append(self.living.pop(campaign))
        run = Run(uuid4().hex, campaign, Agent.EMAIL_VERIFICATION)
        if self.caps:
            self._run(PostgresBudgets(self.loop.engine).open(campaign, self.caps))
        book = PostgresLedger(run, timedelta(days=7).total_seconds(), self.loop.engine, caps=self.caps)
        self.living[campaign] = Process(book, run)

    def _intent(self, question: int) -> Intent:
        replay, _ = QUESTIONS[question]
        request = {"question": question}
        window = WINDOW if replay is ReplayClass.FREE else None
        return Intent(
            question=digest("vendor", "ask", request),
            provider="vendor",
            operation="ask",
            request=request,
            reserved=PRICE,
            lead_id=None,
            deadline_s=60.0,
            replay=replay,
            replay_window=window,
            tier=Tier.A if question % 2 else Tier.B,
        )

    def _asking(self, process: Process, question: int) -> bool:
        """A process asks a question once at a time (single flight)."""
        return any(flight.question == question for flight in process.flights)

    @rule(campaign=st.sampled_from(CAMPAIGNS), question=ANY_QUESTION)
    def open(self, campaign: UUID, question: int) -> None:
        process = self.living.get(campaign)
        if process and not self._asking(process, question) and self._comes_in(process):
            self._opened(process, question, self._run(process.book.open(self._intent(question))))

    @rule(question=ANY_QUESTION, end=ENDS)
    def open_at_once(self, question: int, end: End) -> None:
        """Two processes, one of them twice. Whoever wins ends at once, so that it does not matter who.

        Under caps it would, for the winner's campaign pays: one process alone then, twice.
        """
        processes = [p for p in self.living.values() if not self._asking(p, question)]
        processes = processes[:1] if self.caps else processes
        askers = [p for p in (*processes, *processes[:1]) if self._comes_in(p)]

        async def ask() -> list[Opened]:
            return await asyncio.gather(*(p.book.open(self._intent(question)) for p in askers))

        results = self._run(ask())
        assert sum(isinstance(result, Granted) for result in results) <= 1
        for process, result in zip(askers, results, strict=True):
            self._opened(process, question, result, alone=False)
        for process in processes:
            for flight in [flight for flight in process.flights if flight.question == question]:
                self._send(flight, end, billed=True)
                self._settle(process, flight, end)

    @rule(campaign=st.sampled_from(CAMPAIGNS), question=ANY_QUESTION, stage=STAGES)
    def open_and_cancel(self, campaign: UUID, question: int, stage: str) -> None:
        process = self.living.get(campaign)
        if process is None or self._asking(process, question) or not self._comes_in(process):
            return
        opened = self._run(_cancelled(process.book, process.book.open(self._intent(question)), stage))
        self._run(_quiet(process.book))
        self._opened(process, question, opened)

    def _comes_in(self, process: Process) -> bool:
        """Whether it may ask at all; `_came_in` then tells what became of it."""
        del process
        return True

    def _came_in(self, process: Process, opened: Opened | None) -> None:
        """None: cancelled before anything was said."""

    def _opened(self, process: Process, question: int, opened: Opened | None, *, alone: bool = True) -> None:
        self._came_in(process, opened)
        match opened:
            case Granted(key, job_id):
                assert self.answers.get(key) != self.age, "a fresh answer is never asked for again"
                process.flights.append(Flight(question, key, self.age, job_id))
            case Stored(response=response):
                assert response == question
                assert self.age in self._answered_at(question)
            case OverBudget():
                assert self.caps, "nothing is capped"
            case Withheld():
                assert self._lost(question), "only a lost call is withheld"
            case Elsewhere():
                assert not alone or self._others_ask(process, question)

    def _answered_at(self, question: int) -> set[int]:
        asked = self._intent(question).question
        return {age for key, age in self.answers.items() if key.startswith(asked)}

    def _lost(self, question: int) -> bool:
        asked = self._intent(question).question
        return any(row.losses for key, row in self._rows().items() if key.startswith(asked))

    def _others_ask(self, process: Process, question: int) -> bool:
        others = [*self.living.values(), *self.zombies, *self.dead]
        return any(other is not process and self._asking(other, question) for other in others)

    def _flights(self) -> list[tuple[Process, Flight]]:
        return [(p, flight) for p in (*self.living.values(), *self.zombies) for flight in p.flights]

    @precondition(lambda self: self._flights())
    @rule(pick=PICKS, end=ENDS, billed=st.booleans())
    def send(self, pick: int, end: End, *, billed: bool) -> None:
        """It arrives, or it does not; what the caller hears comes later. A lost one may be billed."""
        _, flight = self._picked(pick)
        if flight.end is None:
            self._send(flight, end, billed=billed)

    def _send(self, flight: Flight, end: End, *, billed: bool) -> None:
        flight.end = end
        if end is End.HIT or (end is End.LOST and billed):
            self.vendor.asked(flight)

    def _picked(self, pick: int) -> tuple[Process, Flight]:
        return _of(self._flights(), pick)

    def _jobs(self, *, taken: bool) -> list[tuple[Process, Flight]]:
        """What the vendor may take as a job, or has taken, and nobody has heard the end of."""
        jobs = [one for one in self._flights() if QUESTIONS[one[1].question][0] is ReplayClass.JOB]
        return [one for one in jobs if one[1].end is None and (one[1].job_id is not None) is taken]

    @precondition(lambda self: self._jobs(taken=False))
    @rule(pick=PICKS)
    def note_job(self, pick: int) -> None:
        """The vendor takes it and bills it; its result may come any time."""
        process, flight = _of(self._jobs(taken=False), pick)
        self.vendor.asked(flight)
        self.vendor.jobs += 1
        flight.job_id = f"job-{self.vendor.jobs}"
        self._run(process.book.note_job(flight.key, flight.job_id))

    @precondition(lambda self: self._flights())
    @rule(pick=PICKS, stage=st.none() | st.sampled_from(["_settle", "_settle_late"]))
    def settle(self, pick: int, stage: str | None) -> None:
        """What the caller heard is booked, by a living process or a zombie, cancelled meanwhile or not."""
        process, flight = self._picked(pick)
        if flight.end is not None:
            self._settle(process, flight, flight.end, stage)

    @precondition(lambda self: self._jobs(taken=True))
    @rule(pick=PICKS)
    def drop_job(self, pick: int) -> None:
        """The vendor ends it and bills nothing: whoever has the call sends it anew, or tells of a refusal."""
        process, flight = _of(self._jobs(taken=True), pick)
        if not self._answers(flight) and self._run(process.book.drop_job(flight.key)):
            self.vendor.ends_unbilled(flight)

    @precondition(lambda self: self._jobs(taken=True))
    @rule(pick=PICKS, billed=st.booleans())
    def forget_job(self, pick: int, *, billed: bool) -> None:
        """The vendor knows it no more, billed or not: whoever has the call tells of a loss."""
        process, flight = _of(self._jobs(taken=True), pick)
        if not billed and self._answers(flight):
            return
        if self._run(process.book.drop_job(flight.key)):
            self.vendor.forgets(flight, billed=billed)
            flight.end = End.LOST

    def _answers(self, flight: Flight) -> bool:
        """Whether the job has told, or may still tell, somebody else something."""
        readers = [other for _, other in self._flights() if other.job_id == flight.job_id]
        told = any(other.end in {None, End.HIT} for other in readers if other is not flight)
        return told or flight.key in self.answers

    def _settle(self, process: Process, flight: Flight, end: End, stage: str | None = None) -> None:
        process.flights.remove(flight)
        settling = process.book.settle(self._outcome(flight, end))
        if stage is None:
            self._run(settling)
        else:
            self._run(_cancelled(process.book, settling, stage))
            self._run(_quiet(process.book))
        if end is End.HIT:
            self.answers.setdefault(flight.key, self.age)

    def _outcome(self, flight: Flight, end: End) -> Outcome:
        replay, is_hit = QUESTIONS[flight.question]
        if end is not End.HIT:
            return Outcome(flight.key, end, ZERO, error=end.value)
        found = End.HIT if is_hit else End.MISS
        cost = PRICE if is_hit or replay is ReplayClass.PER_CALL else ZERO
        ends_doubt = replay is ReplayClass.FREE or flight.job_id is not None
        return Outcome(flight.key, found, cost, found.value, 200, str(flight.question), ends_doubt=ends_doubt)

    @precondition(lambda self: self.zombies)
    @rule(pick=PICKS)
    def die(self, pick: int) -> None:
        """Without a word: what it had asked stays on the vendor's bill."""
        zombie = self.zombies.pop(pick % len(self.zombies))
        self.dead.append(zombie)
        self._run(zombie.book.close())

    @rule()
    def let_deadlines_pass(self) -> None:
        self._run(self.loop.rows("UPDATE provider_calls SET lost_after = now() - interval '1 second'"))

    @rule()
    def grow_old(self) -> None:
        self.age += 1
        shifted = ", ".join(
            f"{name} = {name} - interval '31 days'"
            for name in ("asked_at", "lost_after", "settled_at", "expires_at")
        )
        self._run(self.loop.rows(f"UPDATE provider_calls SET {shifted}"))

    def _rows(self) -> dict[bytes, Any]:
        rows = self._run(
            self.loop.rows(
                "SELECT key, state, outcome, attempt, losses, cost_usd, unknown_usd, response,"
                " CASE WHEN state = 'intent' THEN reserved_usd ELSE 0 END AS open_usd FROM provider_calls"
            )
        )
        return {row.key: row for row in rows}

    @invariant()
    def the_ledger_shows_no_less_than_the_bill(self) -> None:
        rows = self._rows()
        for key, bill in self.vendor.bills.items():
            row = rows[key]
            assert bill <= row.cost_usd + row.unknown_usd + row.open_usd
            if row.state == "settled" and not row.unknown_usd:
                assert bill == row.cost_usd or self._unheard(key)
        self._moved(rows)

    def _unheard(self, key: bytes) -> bool:
        """Its outcome is still on its way; only a free replay can have been settled before."""
        return any(flight.key == key for _, flight in self._flights())

    def _moved(self, rows: dict[bytes, Any]) -> None:
        for key, old in self.before.items():
            _check_move(old, rows[key])
        assert set(self.before) <= set(rows), "nothing disappears"
        self.before = rows

    @invariant()
    def no_question_is_sent_too_often(self) -> None:
        replays = {self._intent(n).question: replay for n, (replay, _) in enumerate(QUESTIONS)}
        for key, sends in self.vendor.sends.items():
            assert sends <= MOST_SENDS[replays[key[:-4]]]

    @invariant()
    def the_budgets_are_what_the_calls_say_and_never_held_more_than_their_caps(self) -> None:
        sums = self._run(self.loop.rows(SUMS))
        assert [row.scope for row in sums if row.told != row.counted] == []
        if self.caps:
            assert self._run(self.loop.rows("SELECT * FROM overruns")) == []

    def teardown(self) -> None:
        for process in (*self.living.values(), *self.zombies):
            self._run(process.book.close())


def _of(flights: list[tuple[Process, Flight]], pick: int) -> tuple[Process, Flight]:
    return flights[pick % len(flights)]


def _check_move(old: Any, new: Any) -> None:
    if old.state == "settled" and old.outcome != "error":
        assert (new.state, new.outcome, new.response) == (old.state, old.outcome, old.response)
    if new.attempt != old.attempt:
        assert new.attempt == old.attempt + 1
    elif new.state != old.state:
        assert (old.state, new.state) in {
            ("intent", "settled"),
            ("intent", "unknown"),
            ("unknown", "settled"),
        }


async def _cancelled(book: PostgresLedger, work: Awaitable[Result], stage: str) -> Result | None:
    """Cancelled as soon as the work waits at this stage of the ledger; None if it was."""
    task = asyncio.ensure_future(work)
    await until(lambda: task.done() or getattr(book._batches, stage)._waiting, every_s=0)
    task.cancel()
    await asyncio.wait([task])
    return None if task.cancelled() else task.result()


async def _quiet(book: PostgresLedger) -> None:
    batches = book._batches
    for group in (batches.intend, batches.claim, batches.newest, batches._settle, batches._settle_late):
        await group.finish()


@pytest.mark.slow
def test_no_history_pays_twice_or_hides_a_bill(database_url: str) -> None:
    class Machine(LedgerMachine):
        loop = Loop(database_url)

    play(Machine)


@pytest.mark.slow
def test_no_history_goes_beyond_a_cap(database_url: str) -> None:
    """At any commit: the database itself notes it."""

    class Machine(LedgerMachine):
        loop = Loop(database_url)
        caps = Caps(
            {Agent.EMAIL_VERIFICATION: 4 * PRICE},
            {Tier.A: 2 * PRICE, Tier.B: 3 * PRICE},
            {"vendor": 5 * PRICE},
        )

    for statement in NOTING_OVERRUNS:
        Machine.loop.run(Machine.loop.rows(statement))
    play(Machine)


def play(machine: type[LedgerMachine], examples: int = 40) -> None:
    """`PHASE3_LEDGER_EXAMPLES` histories where that is set."""
    examples_of_each = settings(
        max_examples=int(os.environ.get("PHASE3_LEDGER_EXAMPLES", examples)),
        stateful_step_count=40,
        deadline=None,
        derandomize="CI" in os.environ,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_machine(machine, settings=examples_of_each)
    finally:
        machine.loop.run(machine.loop.engine.dispose())
        machine.loop.runner.close()
