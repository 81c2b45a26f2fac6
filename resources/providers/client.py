"""Runs a declared provider: ask, read, price, record. The ledger is on every way to a vendor."""

import asyncio
import json
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from phase3_core.calls import Facts, Gap, Judgement, Miss, NoAnswer, ReplayClass, Reply
from phase3_core.ledger import CallLedger, Elsewhere, End, Granted, Intent, Outcome, Stored, Withheld, digest
from phase3_core.money import ZERO, Money
from phase3_core.ports import Clock
from resources.http_client import Lost, NotSent, Received, Sending
from resources.providers.bulk import Alone, BulkDesk, Member, Refused
from resources.providers.catalogue import Terms
from resources.providers.gate import Gate, Limits
from resources.providers.spec import (
    TOKEN,
    Answer,
    Bulk,
    Operation,
    Pending,
    Poll,
    Problem,
    ProviderSpec,
    Question,
    Remedy,
    Request,
    Response,
    Secrets,
    Signature,
)
from resources.providers.tokens import NoToken, TokenDesk

ATTEMPTS = 4
LONGEST_WAIT_S = 60.0
BREAKDOWNS_IN_A_ROW = 5  # then the provider is left alone for the rest of the run
SETTLING_S = 30.0  # how long after its timeout a call counts as lost for others
ELSEWHERE_EVERY_S = 0.25
SECRET_FROM = 6  # characters; anything shorter would redact ordinary words
RAW_KEPT = 20_000  # characters of a nonsensical answer that are kept
SAID_KEPT = 300  # characters of a vendor's own words
UNAUTHORISED = 401


Reached = Reply | NoAnswer | Elsewhere


class Transport(Protocol):
    async def send(self, sending: Sending) -> Received: ...


class AskAgain(Exception):
    """This attempt gave no answer and another is allowed; `wait_s` where the vendor said how long."""

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.wait_s = wait_s


@dataclass
class Tally:
    """What this run has spent, USD."""

    spent: Money = ZERO


@dataclass
class Health:
    """Why a provider is left alone for this run, if it is."""

    parked: str = ""
    breakdowns: int = 0
    latest: object = field(default=None, repr=False)

    def broke(self, why: str, by: object) -> None:
        """`by`: the failure itself, which is one breakdown however many calls it ends."""
        self.breakdowns += by is not self.latest
        self.latest = by
        if self.breakdowns >= BREAKDOWNS_IN_A_ROW:
            self.parked = f"{self.breakdowns} breakdowns in a row, the last: {why}"


@dataclass
class ProviderClient:
    """One provider with its key, behind the ledger.

    Identical questions asked at once share one call. Retries happen here and nowhere else. Clients that
    ask one vendor different questions share its `health`, `gate` and `tokens`. With `bulk`, operations
    that can be are asked many at a time.
    """

    spec: ProviderSpec
    terms: Terms
    secrets: Secrets
    base_url: str
    ledger: CallLedger
    transport: Transport
    clock: Clock
    tally: Tally
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    health: Health = field(default_factory=Health)
    gate: Gate | None = None
    tokens: TokenDesk | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    bulk: bool = False

    def __post_init__(self) -> None:
        self._gate = self.gate or Gate(self.terms.limits, self.clock.monotonic, self.sleep)
        self._readings = self._reading_gate()
        self._flying: dict[bytes, asyncio.Future[Reply | NoAnswer]] = {}
        self._signature = Signature() if self.tokens else self.spec.sign(self.secrets)
        self._hidden = self._hidden_texts()
        self._doubts: dict[bytes, Money] = {}
        self._resubmitted: set[bytes] = set()
        self._desks = {one.name: self._desk(one, one.bulk) for one in self.spec.operations if one.bulk}
        self.barred = ""

    def _hidden_texts(self) -> list[str]:
        """The secrets, also as an Authorization header encodes them; longest first."""
        credentials = self._signature.headers.get("Authorization", "").rpartition(" ")[2]
        texts = {*self.secrets.values(), credentials}
        return sorted((text for text in texts if len(text) >= SECRET_FROM), key=len, reverse=True)

    def _reading_gate(self) -> Gate:
        reads = self.terms.limits.reads_per_minute
        return Gate(Limits(per_minute=reads), self.clock.monotonic, self.sleep) if reads else self._gate

    def _desk(self, operation: Operation, bulk: Bulk) -> BulkDesk:
        """Needed also where nothing is submitted in bulk: an earlier run may have."""
        return BulkDesk(
            bulk=bulk,
            ledger=self.ledger,
            gate=Gate(bulk.limits, self.clock.monotonic, self.sleep) if bulk.limits else self._gate,
            clock=self.clock,
            parked=lambda: self.parked,
            sleep=self._sleeps,
            submit=lambda request: self._sent(request, bulk.sign(self.secrets), bulk.timeout_s),
            look=lambda task: self._looked(bulk.look(task), task, bulk.timeout_s),
            problem=self.spec.problem,
            answer=operation.poll.read if operation.poll else operation.read,
        )

    async def _sleeps(self, seconds: float) -> None:
        await self.sleep(seconds)

    @property
    def parked(self) -> str:
        """Why it is left alone, if it is: the vendor as a whole, or this question of it."""
        return self.health.parked or self.barred

    async def ask(self, question: Question) -> Reply | NoAnswer:
        """Never raises for a vendor's misbehaviour; only for the ledger's."""
        for operation in self.spec.operations:
            if (request := operation.ask(question)) is not None:
                return await self._shared(question, operation, request)
        return NoAnswer(Gap.NO_INPUT)

    async def drain(self) -> None:
        """Nothing new is asked; what is in flight is waited for, at most to its deadline, and settled.

        A bulk task is not waited for: it is noted, and the next run reads it.
        """
        self.health.parked = self.health.parked or "the run is ending"
        for desk in self._desks.values():
            desk.leave()
        while self._flying:
            await asyncio.wait(list(self._flying.values()))
            await asyncio.sleep(0)

    async def _shared(self, question: Question, operation: Operation, request: Request) -> Reply | NoAnswer:
        intent = self._intent(question, operation, request)
        if (flying := self._flying.get(intent.question)) is None:
            flying = asyncio.ensure_future(self._call(intent, operation, request))
            self._flying[intent.question] = flying
            flying.add_done_callback(lambda _: self._flying.pop(intent.question, None))
        return await asyncio.shield(flying)

    def _intent(self, question: Question, operation: Operation, request: Request) -> Intent:
        asked = request.as_json()
        poll_s = operation.poll.give_up_s if operation.poll else 0.0
        if operation.bulk and self.bulk:
            poll_s = operation.bulk.give_up_s + operation.bulk.timeout_s
        return Intent(
            question=digest(self.spec.name, operation.name, asked),
            provider=self.spec.name,
            operation=operation.name,
            request=asked,
            reserved=self.terms.price.ceiling,
            lead_id=question.lead.id,
            deadline_s=operation.timeout_s + poll_s + SETTLING_S,
            replay=self.terms.replay,
            replay_window=self.terms.replay_window,
        )

    async def _call(self, intent: Intent, operation: Operation, request: Request) -> Reply | NoAnswer:
        while isinstance(reply := await self._persistently(intent, operation, request), Elsewhere):
            await self.sleep(ELSEWHERE_EVERY_S)
        return reply

    async def _persistently(self, intent: Intent, operation: Operation, request: Request) -> Reached:
        """Nearly every call answers at once, so the machinery of retries is set up only after a failure."""
        try:
            return await self._attempt(intent, operation, request)
        except AskAgain as first:
            return await self._again_and_again(first, intent, operation, request)

    async def _again_and_again(
        self, first: AskAgain, intent: Intent, operation: Operation, request: Request
    ) -> Reached:
        failed = [first]

        async def attempt() -> Reached:
            if failed:
                raise failed.pop()
            return await self._attempt(intent, operation, request)

        attempts = AsyncRetrying(
            retry=retry_if_exception_type(AskAgain),
            stop=stop_after_attempt(ATTEMPTS),
            wait=_wait,
            sleep=self.sleep,
            reraise=True,
        )
        try:
            return await attempts(attempt)
        except AskAgain as last:
            self.health.broke(str(last), last)
            return NoAnswer(Gap.DOWN, str(last))

    async def _attempt(self, intent: Intent, operation: Operation, request: Request) -> Reached:
        desk = self._desks.get(operation.name) if self.bulk and not self.parked else None
        if desk:
            with suppress(Alone):
                return await self._together(desk, intent, operation, request)
        return await self._alone(intent, operation, request)

    async def _together(
        self, desk: BulkDesk, intent: Intent, operation: Operation, request: Request
    ) -> Reached:
        """What was answered before does not wait for others to gather."""
        if stored := await self.ledger.find(intent):
            return self._again(stored, operation, request)
        member = desk.join(intent, request)
        opened = await member.opened
        if isinstance(opened, Granted):
            return await self._granted(opened, operation, request, member)
        return self._ungranted(opened, operation, request)

    async def _alone(self, intent: Intent, operation: Operation, request: Request) -> Reached:
        """A place at the gate first, so that an intent never waits: what waits has not been asked."""
        if not await self._gate.enter_at_once():
            if stored := await self.ledger.find(intent):
                return self._again(stored, operation, request)
            if self.parked:
                return NoAnswer(Gap.PARKED, self.parked)
            await self._gate.enter()
        try:
            reached = await self._opened(intent, operation, request)
        finally:
            self._gate.leave()
        return await self._granted(reached, operation, request) if isinstance(reached, Granted) else reached

    async def _opened(self, intent: Intent, operation: Operation, request: Request) -> Reached | Granted:
        """A grant comes back where a task is to be read: that takes long, and no place at the gate."""
        if self.parked:
            stored = await self.ledger.find(intent)
            if stored:
                return self._again(stored, operation, request)
            return NoAnswer(Gap.PARKED, self.parked)
        opened = await self.ledger.open(intent)
        if not isinstance(opened, Granted):
            return self._ungranted(opened, operation, request)
        return (
            opened if _in_task(operation, opened.job_id) else await self._granted(opened, operation, request)
        )

    def _ungranted(
        self, opened: Stored | Withheld | Elsewhere, operation: Operation, request: Request
    ) -> Reached:
        match opened:
            case Stored() as stored:
                return self._again(stored, operation, request)
            case Withheld():
                return NoAnswer(Gap.LOST, "an earlier answer was lost and may have been billed")
            case Elsewhere() as elsewhere:
                return elsewhere

    def _again(self, stored: Stored, operation: Operation, request: Request) -> Reply | NoAnswer:
        """A stored answer is read anew, so that a better reader serves old answers too."""
        response = Response(stored.http_status, json.dumps(stored.response), request=request)
        match self.spec.problem(response) or _read_stored(operation, response):
            case Facts(fields):
                return Facts(_plain(dict(fields)), stored.settled_at)
            case Problem(Remedy.BAD_INPUT, detail):
                return Miss(detail)
            case Problem() | Pending():
                return NoAnswer(Gap.DOWN, "the stored answer cannot be read")
            case answer:
                return answer

    async def _granted(
        self, granted: Granted, operation: Operation, request: Request, member: Member | None = None
    ) -> Reply | NoAnswer:
        began = self.clock.monotonic()
        try:
            response, answer = await self._exchanged(granted, operation, request, member)
        except NotSent as failure:
            await self._settle(granted, End.NOT_SENT, began, error=str(failure))
            raise AskAgain(f"not sent: {failure}") from None
        except Lost as failure:
            await self._settle(granted, End.LOST, began, error=str(failure))
            self.health.broke(str(failure), failure)
            raise AskAgain(f"no answer: {failure}") from None
        except Alone as other:
            end = End.REFUSED if other.refusal else End.NOT_SENT
            await self._settle(granted, end, began, other.refusal, error=str(other))
            raise
        except (NoToken, Refused) as refusal:
            response, answer = refusal.response, refusal.problem
        if isinstance(answer, Problem):
            return await self._problem(granted, response, answer, began)
        if isinstance(answer, Pending):
            await self._settle(granted, End.LOST, began, response, error="the job is not done yet")
            return NoAnswer(Gap.DOWN, "the job is not done yet")
        self.health.breakdowns = 0
        await self._settle_reply(granted, operation, response, answer, began)
        return Facts(_plain(dict(answer.fields)), self.clock.now()) if isinstance(answer, Facts) else answer

    async def _exchanged(
        self, granted: Granted, operation: Operation, request: Request, member: Member | None
    ) -> tuple[Response, Answer]:
        """Where the question is part of a task, that task is read; only what failed is submitted again."""
        task = granted.job_id or (await member.task if member else None)
        if task is None or not _in_task(operation, task):
            async with self._gate.place() if member else nullcontext():
                return await self._exchange(granted, operation, request)
        response, answer = await self._desks[operation.name].part(task, request)
        if operation.poll is None or granted.job_id is None or not self._to_resubmit(granted, answer):
            return response, answer
        async with self._gate.place():
            return await self._submit(granted, operation, request)

    async def _exchange(
        self, granted: Granted, operation: Operation, request: Request
    ) -> tuple[Response, Answer]:
        if granted.job_id is not None:
            response, answer = await self._poll(operation, granted.job_id)
            if not self._to_resubmit(granted, answer):
                return response, answer
        return await self._submit(granted, operation, request)

    def _to_resubmit(self, granted: Granted, answer: Answer) -> bool:
        """Whether the job has failed and is submitted again, which is done once a run."""
        if not _failed_job(answer) or granted.key in self._resubmitted:
            return False
        self._resubmitted.add(granted.key)
        return True

    async def _submit(
        self, granted: Granted, operation: Operation, request: Request
    ) -> tuple[Response, Answer]:
        response = await self._send(request, operation.timeout_s)
        answer = self.spec.problem(response) or operation.read(response)
        if not isinstance(answer, Pending) or operation.poll is None:
            return response, answer
        await self.ledger.note_job(granted.key, _plain(answer.job_id))
        return await self._poll(operation, answer.job_id)

    async def _poll(self, operation: Operation, job_id: str) -> tuple[Response, Answer]:
        """Reads the job until it is done; what is not done in time is pending still."""
        if operation.poll is None:
            raise AssertionError("only an operation with a poll has jobs")
        until = self.clock.monotonic() + operation.poll.give_up_s
        while True:
            await self.sleep(operation.poll.every_s)
            response, answer = await self._look(operation.poll, job_id, operation.timeout_s)
            if not isinstance(answer, Pending) or self.clock.monotonic() >= until:
                return response, answer

    async def _look(self, poll: Poll, job_id: str, timeout_s: float) -> tuple[Response, Answer]:
        response, problem = await self._looked(poll.ask(job_id), job_id, timeout_s)
        return response, problem or poll.read(response)

    async def _looked(
        self, request: Request, job_id: str, timeout_s: float
    ) -> tuple[Response, Pending | Problem | None]:
        """A hiccup on the way to a job says nothing of the job: it is looked at again."""
        await self._readings.pace()
        try:
            response = await self._send(request, timeout_s)
        except (NotSent, Lost):
            return Response(0), Pending(job_id)
        problem = self.spec.problem(response)
        if problem is None:
            return response, None
        if problem.remedy is Remedy.RATE_LIMITED:
            self._readings.hold(min(problem.wait_s or 0.0, LONGEST_WAIT_S))
        passing = problem.remedy in {Remedy.DOWN, Remedy.RATE_LIMITED}
        return response, Pending(job_id) if passing else problem

    async def _send(self, request: Request, timeout_s: float) -> Response:
        if self.tokens is None:
            return await self._sent(request, self._signature, timeout_s)
        token = await self.tokens.token()
        response = await self._sent(request, self._signed_by(token), timeout_s)
        if response.status != UNAUTHORISED:
            return response
        return await self._sent(request, self._signed_by(await self.tokens.token(refused=token)), timeout_s)

    def _signed_by(self, token: str) -> Signature:
        return self.spec.sign({**self.secrets, TOKEN: token})

    async def _sent(self, request: Request, signature: Signature, timeout_s: float) -> Response:
        sending = Sending(
            method=request.method,
            url=self.base_url + request.path,
            query={**request.query, **signature.query},
            headers=signature.headers,
            body={**request.body, **signature.body} if signature.body else request.body,
            form=request.form,
            timeout_s=timeout_s,
        )
        received = await self.transport.send(sending)
        return Response(received.status, received.text, received.headers, request)

    async def _problem(
        self, granted: Granted, response: Response, problem: Problem, began: float
    ) -> Reply | NoAnswer:
        said = _plain(self._redacted(problem.detail))[:SAID_KEPT]
        match problem.remedy:
            case Remedy.BAD_INPUT:
                await self._settle(granted, End.MISS, began, response, error=said)
                return Miss(said)
            case Remedy.RATE_LIMITED:
                await self._settle(granted, End.REFUSED, began, response, error=said)
                wait_s = min(problem.wait_s or 0.0, LONGEST_WAIT_S)
                self._gate.hold(wait_s)
                raise AskAgain(f"rate limited: {said}", wait_s or None)
            case Remedy.BAD_KEY | Remedy.OUT_OF_CREDITS | Remedy.NOT_IN_PLAN:
                await self._settle(granted, End.REFUSED, began, response, error=said)
                self._park(problem.remedy, said)
                return NoAnswer(Gap.PARKED, self.parked)
            case Remedy.DOWN | Remedy.NONSENSE:
                await self._settle(granted, End.LOST, began, response, error=said)
                self.health.broke(said, problem)
                raise AskAgain(said)
            case Remedy.GONE:
                await self._settle(granted, End.LOST, began, response, error=said)
                self.health.broke(said, problem)
                return NoAnswer(Gap.LOST, said)

    def _park(self, remedy: Remedy, said: str) -> None:
        why = f"{remedy.value.replace('_', ' ')}: {said}"
        if remedy is Remedy.NOT_IN_PLAN:
            self.barred = why
        else:
            self.health.parked = why

    async def _settle_reply(
        self, granted: Granted, operation: Operation, response: Response, reply: Reply, began: float
    ) -> None:
        told = operation.credits(response) if operation.credits else None
        cost = self.terms.price.charge(reply, told)
        end = End.MISS if isinstance(reply, Miss) else End.HIT
        word = reply.verdict.value if isinstance(reply, Judgement) else end.value
        await self._settle(granted, end, began, response, cost=cost, told=word)

    async def _settle(
        self,
        granted: Granted,
        end: End,
        began: float,
        response: Response | None = None,
        *,
        cost: Money = ZERO,
        told: str = "",
        error: str | None = None,
    ) -> None:
        settles_doubt = self._settles_doubt(granted, end, cost)
        self._count(granted.key, end, cost, ends_doubt=settles_doubt)
        await self.ledger.settle(
            Outcome(
                key=granted.key,
                end=end,
                cost=cost,
                told=told or end.value,
                http_status=response.status if response else None,
                response=self._kept(response) if response else None,
                error=error,
                took_ms=round((self.clock.monotonic() - began) * 1000),
                ends_doubt=settles_doubt,
            )
        )

    def _settles_doubt(self, granted: Granted, end: End, cost: Money) -> bool:
        """A free repeat that says it cost nothing was paid for by the attempt that was lost."""
        repeated = self.terms.replay is ReplayClass.FREE or granted.job_id is not None
        return repeated and not (end is End.HIT and cost == ZERO)

    def _count(self, call: bytes, end: End, cost: Money, *, ends_doubt: bool) -> None:
        """A lost call counts at its worst until an answer settles what it cost."""
        if end is End.LOST:
            cost = self.terms.price.ceiling
            self._doubts[call] = self._doubts.get(call, ZERO) + cost
        elif ends_doubt and end in {End.HIT, End.MISS}:
            cost -= self._doubts.pop(call, ZERO)
        self.tally.spent += cost

    def _kept(self, response: Response) -> str:
        """The raw answer as JSON that Postgres takes; what is no JSON is kept as a JSON string."""
        if response.body is None:
            return json.dumps(_plain(self._redacted(response.text[:RAW_KEPT])))
        raw = response.text
        if UNSTORABLE.search(raw):
            raw = json.dumps(_plain(response.body))
        return self._redacted(raw)

    def _redacted(self, text: str) -> str:
        """A vendor that echoes the key must not bring it into the ledger."""
        token = self.tokens.value if self.tokens else ""
        for secret in [*self._hidden, token] if token else self._hidden:
            text = text.replace(secret, "[secret]")
        return text


def _in_task(operation: Operation, job_id: str | None) -> bool:
    """Whether that is a bulk task's number; a single search's is another."""
    return operation.bulk is not None and job_id is not None and job_id.startswith(operation.bulk.prefix)


def _failed_job(answer: Answer) -> bool:
    """The vendor gave up on it, and reading it would tell the same for ever: submitted again, once a run."""
    return isinstance(answer, Problem) and answer.remedy in {Remedy.DOWN, Remedy.OUT_OF_CREDITS}


UNSTORABLE = re.compile(r"\\u0000|\\u[dD][89a-fA-F]|\x00|[eE][+-]?\d{4,}|NaN|Infinity")


def _plain(value: Any) -> Any:
    """JSON without what Postgres refuses: NUL, lone surrogates, numbers beyond all measure."""
    match value:
        case str():
            return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
        case float() if not math.isfinite(value):
            return None
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {_plain(name): _plain(item) for name, item in value.items()}
        case _:
            return value


def _read_stored(operation: Operation, response: Response) -> Answer:
    """A job's stored answer is its result, or the submission's where that answered at once."""
    answer = operation.read(response)
    if operation.poll and isinstance(answer, Pending | Problem):
        return operation.poll.read(response)
    return answer


_BACKOFF = wait_random_exponential(multiplier=0.25, max=LONGEST_WAIT_S)


def _wait(state: RetryCallState) -> float:
    """As long as the vendor said, else exponential backoff with full jitter."""
    failure = state.outcome.exception() if state.outcome else None
    told = failure.wait_s if isinstance(failure, AskAgain) else None
    return told if told is not None else _BACKOFF(state)
