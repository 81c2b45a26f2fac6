"""Questions that a vendor answers later: submitted once, noted, and read until they are done."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from phase3_core.ledger import CallLedger, Granted
from phase3_core.ports.clock import Clock
from resources.http_client import Lost, NotSent
from resources.providers.answers import Answer, Pending, Problem, Remedy
from resources.providers.channel import Channel
from resources.providers.gate import Gate
from resources.providers.pace import QuotaSpent
from resources.providers.plain import plain
from resources.providers.request import Request
from resources.providers.response import Response
from resources.providers.retries import LONGEST_WAIT_S
from resources.providers.spec import Operation, Poll, ProviderSpec


class JobEnded(Exception):
    """The vendor gave a job up and bills nothing for it: the question may be asked anew, if it is granted."""

    def __init__(self, response: Response) -> None:
        super().__init__("the vendor ended the job and bills nothing for it")
        self.response = response


@dataclass
class Jobs:
    """One provider's. `readings` paces the reading of results."""

    spec: ProviderSpec
    channel: Channel
    readings: Gate
    ledger: CallLedger
    clock: Clock
    sleep: Callable[[float], Awaitable[None]]
    _dropped: set[bytes] = field(default_factory=set)

    async def exchange(
        self, granted: Granted, operation: Operation, request: Request
    ) -> tuple[Response, Answer]:
        """One question and its answer, which a job that the vendor has already may hold; raises JobEnded."""
        if granted.job_id is None:
            return await self._submit(granted, operation, request)
        response, answer = await self._poll(operation, granted.job_id)
        await self.let_go(granted, response, answer)
        return response, answer

    async def let_go(self, granted: Granted, response: Response, answer: Answer) -> None:
        """Forgets a job that its vendor has given up, once a run; raises JobEnded where it bills nothing.

        A job that is merely unknown may be billed: without its number it is a lost call, and asked again as
        such.
        """
        if not isinstance(answer, Problem) or not _fails_job(answer) or granted.key in self._dropped:
            return
        self._dropped.add(granted.key)
        if await self.ledger.drop_job(granted.key) and answer.ends_job:
            raise JobEnded(response)

    async def _submit(
        self, granted: Granted, operation: Operation, request: Request
    ) -> tuple[Response, Answer]:
        response = await self.channel.send(request, operation.timeout_s)
        answer = self.spec.problem(response) or operation.read(response)
        if not isinstance(answer, Pending) or operation.poll is None:
            return response, answer
        if not operation.poll.billed:
            await self.ledger.note_job(granted.key, plain(answer.job_id))
        return await self._poll(operation, answer.job_id)

    async def _poll(self, operation: Operation, job_id: str) -> tuple[Response, Answer]:
        """Reads the job until it is done; what is not done in time is pending still."""
        if operation.poll is None:
            raise AssertionError("only an operation with a poll has jobs")
        until = self.clock.monotonic() + operation.poll.give_up_s
        while True:
            await self.sleep(operation.poll.every_s)
            response, answer = await self._read(operation.poll, job_id, operation.timeout_s)
            if not isinstance(answer, Pending) or self.clock.monotonic() >= until:
                return response, answer

    async def _read(self, poll: Poll, job_id: str, timeout_s: float) -> tuple[Response, Answer]:
        request = poll.ask(job_id)
        if poll.billed:
            response, problem = await self._ask_on(request, timeout_s)
        else:
            response, problem = await self.look(request, job_id, timeout_s)
        return response, problem or poll.read(response)

    async def _ask_on(self, request: Request, timeout_s: float) -> tuple[Response, Pending | Problem | None]:
        """There is no job: what becomes of this request becomes of the call. Raises as a first one would."""
        if not await self.readings.pace():
            raise NotSent("the run is ending")
        response = await self.channel.send(request, timeout_s)
        return response, self.spec.problem(response)

    async def look(
        self, request: Request, job_id: str, timeout_s: float
    ) -> tuple[Response, Pending | Problem | None]:
        """A hiccup on the way to a job says nothing of the job: it is looked at again."""
        try:
            if not await self.readings.pace():
                return Response(0), Pending(job_id)
            response = await self.channel.send(request, timeout_s)
        except (NotSent, Lost, QuotaSpent):
            return Response(0), Pending(job_id)
        problem = self.spec.problem(response)
        if problem is None:
            return response, None
        if problem.remedy is Remedy.RATE_LIMITED:
            self.readings.hold(min(problem.wait_s or 0.0, LONGEST_WAIT_S))
        passing = problem.remedy in {Remedy.DOWN, Remedy.RATE_LIMITED}
        return response, Pending(job_id) if passing else problem


def in_task(operation: Operation, job_id: str | None) -> bool:
    """Whether that is a bulk task's number; a single search's is another."""
    return operation.bulk is not None and job_id is not None and job_id.startswith(operation.bulk.prefix)


def _fails_job(problem: Problem) -> bool:
    """The vendor gave up on it or knows it no more, and reading it would tell the same for ever."""
    return problem.remedy is Remedy.DOWN or problem.ends_job
