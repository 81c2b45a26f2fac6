"""Many questions as one task: gathered, submitted together, and read once for all who asked.

The task's number stands on every question's row as its job; where the vendor lists its tasks, until the
number is known our name for it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from secrets import token_hex

from phase3_core.ledger import CallLedger, Intent
from phase3_core.ports.clock import Clock
from resources.http_client import NotSent
from resources.providers.answers import Answer, Pending, Problem, Remedy
from resources.providers.gate import Gate
from resources.providers.gathering import Alone, Gathering, Member
from resources.providers.naps import Naps
from resources.providers.request import Request
from resources.providers.response import Response
from resources.providers.spec import Bulk, Listing

TEXT_KEPT = 1_000  # characters of a task's answer, which would stand on each of its rows
NAMED = "named:"  # between a task's prefix and our name for it, which is no number
LOOKS = 2  # at the vendor's list, before a task that is not in it counts as lost
UNANSWERED = {Remedy.DOWN, Remedy.NONSENSE}
NO_ANSWER = {*UNANSWERED, Remedy.RATE_LIMITED}


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
    look: Callable[[Request], Awaitable[tuple[Response, Pending | Problem | None]]]
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
        name = f"phase3-{token_hex(8)}"  # of this submission and no other; vendors show 25 characters
        request = self.bulk.ask(name, [member.request for member in fresh.values()])
        task = await (
            self._taken_by_name(name, fresh, request) if self.bulk.listing else self._taken(request)
        )
        await self._note(fresh, task)
        for member in fresh.values():
            member.sent.set_result(task)

    async def _note(self, calls: Iterable[bytes], task: str) -> None:
        await asyncio.gather(*(self.ledger.note_job(call, task) for call in calls))

    async def _taken_by_name(self, name: str, calls: Iterable[bytes], request: Request) -> str:
        """Whoever reads the rows finds the task, though its number never comes or this process dies."""
        await self._note(calls, f"{self.bulk.prefix}{NAMED}{name}")
        try:
            return await self._taken(request)
        except (NotSent, Alone, Refused) as failure:
            if not _in_doubt(failure):
                await asyncio.gather(*map(self.ledger.drop_job, calls))
            raise

    async def _taken(self, request: Request) -> str:
        response = await self.submit(request)
        match self.problem(response) or self.bulk.read(response):
            case Pending(task):
                return task
            case Problem(Remedy.BAD_INPUT, detail):
                self._gathering.unwanted = f"the vendor takes no such task: {detail}"
                raise Alone(self._gathering.unwanted, response)
            case Problem() as problem:
                raise Refused(response, problem)

    async def part(self, call: bytes, task: str, request: Request) -> tuple[Response, Answer]:
        """One question's answer, once the task is done; pending if that takes too long."""
        response, state = await asyncio.shield(self._reading(task))
        if isinstance(state, Pending) and self._name_of(task) and not self._name_of(state.job_id):
            await self.ledger.note_job(call, state.job_id)
            return await self.part(call, state.job_id, request)
        if state is not None:
            return _brief(response), state
        part = self.bulk.part(response, request)
        answer = self.problem(part) or self.answer(part)
        return part, _gone(answer, NO_ANSWER - self.bulk.again) if isinstance(answer, Problem) else answer

    def _reading(self, task: str) -> asyncio.Task[tuple[Response, Pending | Problem | None]]:
        """One loop for all who wait for the task."""
        if task not in self._tasks:
            name, listing = self._name_of(task), self.bulk.listing
            reading = self._find(listing, task, name) if listing and name else self._read(task)
            self._tasks[task] = asyncio.create_task(reading)
            self._tasks[task].add_done_callback(lambda _: self._tasks.pop(task, None))
        return self._tasks[task]

    def _name_of(self, task: str) -> str:
        """Our name for it, where the vendor's number is not known."""
        before, named, name = task.partition(NAMED)
        return name if named and before == self.bulk.prefix else ""

    async def _find(self, listing: Listing, task: str, name: str) -> tuple[Response, Pending | Problem]:
        """Pending under its number once the vendor lists it; what cannot be read does not tell of it."""
        until, looks = self.clock.monotonic() + self.bulk.give_up_s, 0
        for pause_s in self.bulk.pauses_s():
            await self.naps(pause_s)
            if self.naps.over or self.clock.monotonic() >= until:
                break
            response, problem = await self.look(listing.request)
            if problem is None and (number := listing.number(response, name)):
                return response, Pending(number)
            if isinstance(problem, Problem) and problem.remedy not in {Remedy.NONSENSE, Remedy.BAD_INPUT}:
                return response, problem
            looks += not isinstance(problem, Pending)
            if looks == LOOKS:
                return response, Problem(Remedy.DOWN, "the vendor lists no task of that name")
        return Response(0), Pending(task)

    async def _read(self, task: str) -> tuple[Response, Pending | Problem | None]:
        until = self.clock.monotonic() + self.bulk.give_up_s
        pauses_s = self.bulk.pauses_s()
        while True:
            await self.naps(next(pauses_s))
            if self.naps.over:
                return Response(0), Pending(task)
            response, problem = await self.look(self.bulk.look(task))
            state = problem or self.bulk.state(response)
            if isinstance(state, Problem):
                return response, _gone(state, {*NO_ANSWER, Remedy.BAD_INPUT} - self.bulk.again)
            if state is None or self.clock.monotonic() >= until:
                return response, state


def _in_doubt(failure: Exception) -> bool:
    """Whether a task may have been taken that was not, as it seems."""
    return isinstance(failure, Refused) and failure.problem.remedy in UNANSWERED


def _gone(problem: Problem, remedies: set[Remedy]) -> Problem:
    """What says nothing of the address may have been billed all the same."""
    return replace(problem, remedy=Remedy.GONE) if problem.remedy in remedies else problem


def _brief(response: Response) -> Response:
    return replace(response, text=response.text[:TEXT_KEPT])
