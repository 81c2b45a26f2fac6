"""A granted call: it leaves, what comes back is settled, and what that shows of the provider is noted."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass

from phase3_core.calls import Facts, Gap, Miss, NoAnswer, Reply
from phase3_core.ledger import CallLedger, End, Granted
from phase3_core.ports.clock import Clock
from resources.http_client import Lost, NotSent
from resources.providers.answers import Answer, Pending, Problem, Remedy
from resources.providers.bulk import BulkDesk, Refused
from resources.providers.call import Call
from resources.providers.gathering import Alone, Member
from resources.providers.hearsay import impersonal
from resources.providers.jobs import JobEnded, Jobs, in_task
from resources.providers.pace import QuotaSpent
from resources.providers.plain import plain
from resources.providers.response import Response
from resources.providers.retries import AskAgain
from resources.providers.settlement import Settlement
from resources.providers.standing import QUOTA_SPENT, Standing
from resources.providers.tokens import NoToken

SAID_KEPT = 300  # characters of a vendor's own words


@dataclass(frozen=True, slots=True)
class Anew:
    """Its job ended unbilled: it is asked again, as a call that list and budgets must grant."""


ANEW = Anew()


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One provider's. `desks` by operation; `redacted` takes secrets out of a text."""

    jobs: Jobs
    desks: Mapping[str, BulkDesk]
    settlement: Settlement
    standing: Standing
    ledger: CallLedger
    clock: Clock
    redacted: Callable[[str], str]

    async def send(
        self, call: Call, granted: Granted, member: Member | None = None, place: ExitStack | None = None
    ) -> Reply | NoAnswer | Anew:
        """Once a vendor has answered, its place is the next question's while the ledger writes.

        Raises AskAgain and QuotaSpent, and Alone where the question is a `member` of a batch.
        """
        began = self.clock.monotonic()
        try:
            response, answer = await self._exchanged(call, granted, member)
        except (QuotaSpent, NotSent, Lost, Alone) as failure:
            raise await self._unanswered(granted, failure, began) from None
        except JobEnded as ended:
            self.standing.health.not_asked()
            await self.settlement.settle(granted, End.REFUSED, began, ended.response, error=str(ended))
            return ANEW
        except (NoToken, Refused) as refusal:
            response, answer = refusal.response, refusal.problem
        if isinstance(answer, Problem):
            return await self._problem(granted, response, answer, began)
        if isinstance(answer, Pending):
            self.standing.health.not_asked()
            await self.settlement.settle(granted, End.LOST, began, response, error="the job is not done yet")
            return NoAnswer(Gap.DOWN, "the job is not done yet")
        self.standing.answered(answer, response)
        if place:
            place.close()
        await self.settlement.reply(granted, call.operation, response, answer, began)
        return Facts(plain(dict(answer.fields)), self.clock.now()) if isinstance(answer, Facts) else answer

    async def _exchanged(
        self, call: Call, granted: Granted, member: Member | None
    ) -> tuple[Response, Answer]:
        """Where the question is part of a task, that task is read; raises JobEnded."""
        if member and call.operation.pack:
            return await self._in_pack(member)
        task = granted.job_id or (await member.sent if member else None)
        if task is None or not in_task(call.operation, task):
            async with self.standing.gate.place() if member else nullcontext():
                return await self.jobs.exchange(granted, call.operation, call.request)
        response, answer = await self.desks[call.operation.name].part(granted.key, task, call.request)
        if call.operation.poll and granted.job_id:
            await self.jobs.let_go(granted, response, answer)
        return response, answer

    async def _in_pack(self, member: Member) -> tuple[Response, Answer]:
        response, answer = await member.sent
        return response, answer

    async def _unanswered(
        self, granted: Granted, failure: QuotaSpent | NotSent | Lost | Alone, began: float
    ) -> QuotaSpent | AskAgain | Alone:
        """Settles it, and tells what to raise."""
        match failure:
            case QuotaSpent():
                self.standing.health.not_asked()
                await self.settlement.settle(granted, End.NOT_SENT, began, error=str(failure))
                return failure
            case NotSent():
                await self.settlement.settle(granted, End.NOT_SENT, began, error=str(failure))
                self.standing.health.hindered(str(failure))
                return AskAgain(f"not sent: {failure}", failure)
            case Lost():
                await self.settlement.settle(granted, End.LOST, began, error=str(failure))
                self.standing.lost(failure)
                return AskAgain(f"no answer: {failure}", failure, counted=True)
            case Alone():
                await self.settlement.settle(granted, _end(failure), began, failure.said, error=str(failure))
                return failure

    async def _problem(
        self, granted: Granted, response: Response, problem: Problem, began: float
    ) -> Reply | NoAnswer:
        told = impersonal(self.redacted(problem.detail), response.request)
        said = plain(told)[:SAID_KEPT]
        match problem.remedy:
            case Remedy.BAD_INPUT:
                miss = Miss(said)
                self.standing.health.answered(miss)
                await self.settlement.settle(granted, End.MISS, began, response, error=said)
                return miss
            case Remedy.RATE_LIMITED:
                await self.settlement.settle(granted, End.REFUSED, began, response, error=said)
                return self._rate_limited(problem, said)
            case Remedy.BAD_KEY | Remedy.OUT_OF_CREDITS | Remedy.NOT_IN_PLAN:
                if problem.ends_job:
                    await self.ledger.drop_job(granted.key)
                await self.settlement.settle(granted, End.REFUSED, began, response, error=said)
                self.standing.park(problem.remedy, said)
                return NoAnswer(Gap.PARKED, self.standing.parked)
            case Remedy.DOWN | Remedy.NONSENSE:
                await self.settlement.settle(granted, End.LOST, began, response, error=said)
                self.standing.failed(response, problem, said)
                raise AskAgain(said, problem, counted=True)
            case Remedy.GONE:
                await self.settlement.settle(granted, End.LOST, began, response, error=said)
                self.standing.health.failed(said, problem)
                return NoAnswer(Gap.LOST, said)

    def _rate_limited(self, problem: Problem, said: str) -> NoAnswer:
        wait_s = problem.wait_s or 0.0
        self.standing.health.hindered(f"rate limited: {said}")
        if until := self.standing.hold(wait_s):
            return NoAnswer(Gap.LATER, QUOTA_SPENT, until)
        if not wait_s:
            self.standing.gate.strain()
        raise AskAgain(f"rate limited: {said}", problem, wait_s or None)


def _end(alone: Alone) -> End:
    if alone.billed:
        return End.LOST
    return End.REFUSED if alone.said else End.NOT_SENT
