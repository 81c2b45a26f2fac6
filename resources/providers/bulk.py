"""Many questions as one task: gathered, submitted together, and read once for all who asked.

The task's number stands on every question's row as its job.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b

from phase3_core.ledger import CallLedger, Intent
from phase3_core.ports.clock import Clock
from resources.providers.answers import Answer, Pending, Problem, Remedy
from resources.providers.gate import Gate
from resources.providers.gathering import Alone, Gathering, Member
from resources.providers.naps import Naps
from resources.providers.request import Request
from resources.providers.response import Response
from resources.providers.spec import Bulk

TEXT_KEPT = 1_000  # characters of a task's answer, which would stand on each of its rows
NO_ANSWER = {Remedy.DOWN, Remedy.NONSENSE, Remedy.RATE_LIMITED}


class Refused(Exception):
    """The vendor did not take the task."""

    def __init__(self, response: Response, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.response = response
        self.problem = problem


@dataclass(eq=False)
class BulkDesk:
    """One operation's questions of one run. `look` passes over hiccups, `submit` signs as tasks are signed.

    A batch's place at the gate is free again as soon as the vendor has taken the task. Once `naps` are
    over, tasks are left to the next run.
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
        self._gathering = Gathering(
            least=self.bulk.least,
            size=self.bulk.size,
            linger_s=self.bulk.linger_s,
            row=self.bulk.row,
            ledger=self.ledger,
            gate=self.gate,
            parked=self.parked,
            naps=self.naps,
            submit=self._submit,
        )
        self._tasks: dict[str, asyncio.Task[tuple[Response, Pending | Problem | None]]] = {}

    def join(self, intent: Intent, request: Request) -> Member:
        """Its `sent` is the number of the task that holds its answer. Raises Alone."""
        return self._gathering.join(intent, request)

    async def _submit(self, fresh: dict[bytes, Member]) -> None:
        """Nobody reads the task before every row has it."""
        task = await self._taken(fresh)
        await asyncio.gather(*(self.ledger.note_job(call, task) for call in fresh))
        for member in fresh.values():
            member.sent.set_result(task)

    async def _taken(self, fresh: dict[bytes, Member]) -> str:
        requests = [member.request for member in fresh.values()]
        response = await self.submit(self.bulk.ask(_named(fresh), requests))
        match self.problem(response) or self.bulk.read(response):
            case Pending(task):
                return task
            case Problem(Remedy.BAD_INPUT, detail):
                self._gathering.unwanted = f"the vendor takes no such task: {detail}"
                raise Alone(self._gathering.unwanted, response)
            case Problem() as problem:
                raise Refused(response, problem)

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
        pauses_s = self.bulk.pauses_s()
        while True:
            await self.naps(next(pauses_s))
            if self.naps.over:
                return Response(0), Pending(task)
            response, problem = await self.look(task)
            state = problem or self.bulk.state(response)
            if isinstance(state, Problem):
                return response, _gone(state, {*NO_ANSWER, Remedy.BAD_INPUT} - self.bulk.again)
            if state is None or self.clock.monotonic() >= until:
                return response, state


def _gone(problem: Problem, remedies: set[Remedy]) -> Problem:
    """What says nothing of the address may have been billed all the same."""
    return replace(problem, remedy=Remedy.GONE) if problem.remedy in remedies else problem


def _brief(response: Response) -> Response:
    return replace(response, text=response.text[:TEXT_KEPT])


def _named(fresh: Iterable[bytes]) -> str:
    """Our name for a task, from the calls in it; vendors show 25 characters of it."""
    return f"phase3-{blake2b(b''.join(sorted(fresh)), digest_size=8).hexdigest()}"
