"""Many questions as one task: gathered, submitted together, and read once for all who asked.

Each question keeps its own row, price and outcome; the task's number stands on every row as its job.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

from phase3_core.ledger import CallLedger, Granted, Intent, Opened
from phase3_core.ports import Clock
from resources.providers.gate import Gate
from resources.providers.naps import Naps
from resources.providers.spec import Answer, Bulk, Pending, Problem, Remedy, Request, Response

TEXT_KEPT = 1_000  # characters of a task's answer, which would stand on each of its rows
NO_ANSWER = {Remedy.DOWN, Remedy.NONSENSE, Remedy.RATE_LIMITED}


class Alone(Exception):
    """The question is asked by itself. `refusal`: what the vendor said to the task; None: nothing left."""

    def __init__(self, why: str, refusal: Response | None = None) -> None:
        super().__init__(why)
        self.refusal = refusal


class Refused(Exception):
    """The vendor did not take the task."""

    def __init__(self, response: Response, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.response = response
        self.problem = problem


def _future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


@dataclass(eq=False, slots=True)
class Member:
    """A question that waits for its batch; once `opened` is a grant, `task` is where its answer will be."""

    intent: Intent
    request: Request
    opened: asyncio.Future[Opened] = field(default_factory=_future)
    task: asyncio.Future[str] = field(default_factory=_future)


@dataclass(eq=False)
class BulkDesk:
    """One operation's questions of one run. `look` passes over hiccups, `submit` signs as tasks are signed.

    Once `naps` are over, what gathers is not submitted any more, and tasks are left to the next run.

    A batch's rows are opened just before it leaves, so what gathers has not been asked. Its place at the
    gate is free again as soon as the vendor has taken the task.
    """

    bulk: Bulk
    ledger: CallLedger
    gate: Gate
    clock: Clock
    parked: Callable[[], str]
    naps: Naps
    submit: Callable[[Request], Awaitable[Response]]
    look: Callable[[str], Awaitable[tuple[Response, Pending | Problem | None]]]
    problem: Callable[[Response], Problem | None]
    answer: Callable[[Response], Answer]

    def __post_init__(self) -> None:
        self._gathering: list[Member] = []
        self._timer: asyncio.Task[None] | None = None
        self._working: set[asyncio.Task[None]] = set()
        self._tasks: dict[str, asyncio.Task[tuple[Response, Pending | Problem | None]]] = {}
        self._unwanted = ""

    # --- gathering and submitting

    def join(self, intent: Intent, request: Request) -> Member:
        """Raises Alone once the vendor has refused a task as such."""
        if self._unwanted:
            raise Alone(self._unwanted)
        member = Member(intent, request)
        self._gathering.append(member)
        if len(self._gathering) >= self.bulk.size:
            self._depart()
        else:
            self._timer = self._timer or asyncio.create_task(self._linger())
        return member

    async def _linger(self) -> None:
        await self.naps(self.bulk.linger_s)
        self._timer = None
        self._depart()

    def _depart(self) -> None:
        """Of two that are one row to the vendor the second goes with the next batch."""
        batch: dict[str, Member] = {}
        later = [
            one for one in self._gathering if batch.setdefault(self.bulk.row(one.request), one) is not one
        ]
        if self._timer:
            self._timer.cancel()
        self._gathering = later
        self._timer = asyncio.create_task(self._linger()) if later else None
        self._start(self._serve(list(batch.values())))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _serve(self, batch: list[Member]) -> None:
        if len(batch) < self.bulk.least:
            _fail((one.opened for one in batch), Alone("too few for a task"))
            return
        async with self.gate.place():
            if why := self.parked() or self._unwanted:
                _fail((one.opened for one in batch), Alone(why))
                return
            fresh = await self._open(batch)
            if fresh:
                await self._submit(fresh)

    async def _open(self, batch: list[Member]) -> dict[bytes, Member]:
        """Those whose submission is granted, by their keys; the others are told what the ledger says."""
        opened = await asyncio.gather(*map(self._opened, batch))
        granted = zip(opened, batch, strict=True)
        return {one.key: member for one, member in granted if isinstance(one, Granted) and not one.job_id}

    async def _opened(self, member: Member) -> Opened | None:
        try:
            opened = await self.ledger.open(member.intent)
        except Exception as failure:  # noqa: BLE001 - handed on to whoever asked
            member.opened.set_exception(failure)
            return None
        member.opened.set_result(opened)
        return opened

    async def _submit(self, fresh: dict[bytes, Member]) -> None:
        """Nobody reads the task before every row has it."""
        waiting = [member.task for member in fresh.values()]
        try:
            task = await self._taken(fresh)
            await asyncio.gather(*(self.ledger.note_job(call, task) for call in fresh))
        except Exception as failure:  # noqa: BLE001 - handed on to everyone who waits for the task
            _fail(waiting, failure)
            return
        for one in waiting:
            one.set_result(task)

    async def _taken(self, fresh: dict[bytes, Member]) -> str:
        if len(fresh) < self.bulk.least:
            raise Alone("too few for a task")
        requests = [member.request for member in fresh.values()]
        response = await self.submit(self.bulk.ask(_named(fresh), requests))
        match self.problem(response) or self.bulk.read(response):
            case Pending(task):
                return task
            case Problem(Remedy.BAD_INPUT, detail):
                self._unwanted = f"the vendor takes no such task: {detail}"
                raise Alone(self._unwanted, response)
            case Problem() as problem:
                raise Refused(response, problem)

    # --- reading

    async def part(self, task: str, request: Request) -> tuple[Response, Answer]:
        """One question's answer, once the task is done; pending if that takes too long."""
        response, state = await asyncio.shield(self._reading(task))
        if state is not None:
            return _brief(response), state
        part = self.bulk.part(response, request)
        answer = self.problem(part) or self.answer(part)
        return part, _gone(answer, NO_ANSWER - self.bulk.again) if isinstance(answer, Problem) else answer

    def _reading(self, task: str) -> asyncio.Task[tuple[Response, Pending | Problem | None]]:
        """One loop for all who wait for the task."""
        if task not in self._tasks:
            self._tasks[task] = asyncio.create_task(self._read(task))
            self._tasks[task].add_done_callback(lambda _: self._tasks.pop(task, None))
        return self._tasks[task]

    async def _read(self, task: str) -> tuple[Response, Pending | Problem | None]:
        until = self.clock.monotonic() + self.bulk.give_up_s
        while True:
            await self.naps(self.bulk.every_s)
            if self.naps.over:
                return Response(0), Pending(task)
            response, problem = await self.look(task)
            state = problem or self.bulk.state(response)
            if isinstance(state, Problem):
                return response, _gone(state, {*NO_ANSWER, Remedy.BAD_INPUT} - self.bulk.again)
            if state is None or self.clock.monotonic() >= until:
                return response, state


def _fail(waiting: Iterable[asyncio.Future[Any]], failure: Exception) -> None:
    for one in waiting:
        one.set_exception(failure)


def _gone(problem: Problem, remedies: set[Remedy]) -> Problem:
    """What says nothing of the address may have been billed all the same."""
    return replace(problem, remedy=Remedy.GONE) if problem.remedy in remedies else problem


def _brief(response: Response) -> Response:
    return replace(response, text=response.text[:TEXT_KEPT])


def _named(fresh: Iterable[bytes]) -> str:
    """Our name for a task, from the calls in it; vendors show 25 characters of it."""
    return f"phase3-{blake2b(b''.join(sorted(fresh)), digest_size=8).hexdigest()}"
