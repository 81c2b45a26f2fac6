"""Runs a declared provider: ask, read, price, record. The ledger is on every way to a vendor."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from phase3_core.breaker import OPEN_S, Open
from phase3_core.budget import why_spent
from phase3_core.calls import Facts, Gap, Miss, NoAnswer, Reply, Role
from phase3_core.leads import Lead
from phase3_core.ledger import (
    CallLedger,
    Elsewhere,
    End,
    Granted,
    Intent,
    OverBudget,
    Stored,
    Submitted,
    Suppressed,
    Withheld,
    digest,
)
from phase3_core.money import ZERO, Money
from phase3_core.ports.clock import Clock
from phase3_core.suppression import subjects_of
from resources.http_client import Lost, NotSent
from resources.providers.answers import Answer, Pending, Problem, Remedy
from resources.providers.bulk import BulkDesk, Refused
from resources.providers.catalogue import Terms
from resources.providers.channel import Channel, Transport
from resources.providers.exchange import Exchange
from resources.providers.gate import Gate, Limits
from resources.providers.gates import CALLS, READINGS, TASKS
from resources.providers.gathering import Alone, Member
from resources.providers.health import Health
from resources.providers.hearsay import impersonal
from resources.providers.jobs import JobEnded, Jobs, in_task
from resources.providers.keys import Keys
from resources.providers.naps import Naps
from resources.providers.pace import QuotaSpent
from resources.providers.packs import PackDesk
from resources.providers.plain import plain
from resources.providers.request import Question, Request
from resources.providers.response import Response, told_to_pause
from resources.providers.retries import LONGEST_WAIT_S, AskAgain, persistently
from resources.providers.settlement import Settlement, Tally
from resources.providers.spec import Bulk, Operation, Pack, ProviderSpec
from resources.providers.stakes import Stakes
from resources.providers.tokens import NoToken, TokenDesk


@dataclass(frozen=True, slots=True)
class Anew:
    """Its job ended unbilled: it is asked again, as a call that list and budgets must grant."""


SETTLING_S = 30.0  # how long after its timeout a call counts as lost for others
ELSEWHERE_EVERY_S = 0.25
NO_SERVICE = "its service fails"
QUOTA_SPENT = "its quota is spent"
ROOM_EVERY_S = 0.5  # while reservations in flight fill a budget
NOT_REMEMBERED = NoAnswer(Gap.LOST, "no answer is remembered")
CAPPED = NoAnswer(Gap.CAPPED, "what the lead may cost was paid in earlier runs")
SUPPRESSED = NoAnswer(Gap.SUPPRESSED, "on the suppression list")
LONGEST_REST_S = 31 * 86_400.0  # whatever a vendor tells us to wait: no quota is reset later
SAID_KEPT = 300  # characters of a vendor's own words

ANEW = Anew()

Waiting = Elsewhere | OverBudget | Anew
Ungranted = Stored | Withheld | Elsewhere | OverBudget | Suppressed
Reached = Reply | NoAnswer | Waiting


@dataclass
class ProviderClient:
    """One provider with its key, behind the ledger.

    Identical questions asked at once share one call. Retries happen here and nowhere else. Clients that
    ask one vendor different questions share its `health`, `gate` and `tokens`; all clients of a run share
    `naps`. With `bulk`, operations that can be are asked many at a time. `keeps` USD must stay free beside
    each call: what it takes to verify the address that it may find. `subjects`: all that the suppression
    list may know a lead by, and an address that is held to be the lead's.
    """

    spec: ProviderSpec
    terms: Terms
    secrets: Keys
    base_url: str
    ledger: CallLedger
    transport: Transport
    clock: Clock
    tally: Tally
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    naps: Naps | None = None
    health: Health = field(default_factory=Health)
    gate: Gate | None = None
    gate_of: Callable[[str, Limits], Gate] | None = None
    tokens: TokenDesk | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    bulk: bool = False
    keeps: Money = ZERO
    stakes: Stakes = field(default_factory=Stakes)
    subjects: Callable[[Lead, str], tuple[str, ...]] = subjects_of

    def __post_init__(self) -> None:
        self._naps = self.naps or Naps(self.sleep)
        if not self.health.name:  # its own, so it lives in the client's time
            self.health.begin(self.spec.name, Exchange(self.clock.monotonic, self._naps))
        self._gate = self.gate or self._gate_of(CALLS, self.terms.limits)
        self._flying: dict[bytes, asyncio.Future[Reply | NoAnswer]] = {}
        self._channel = Channel(self.spec, self.secrets, self.base_url, self.transport, self.tokens)
        self._jobs = self._jobs_of(self.terms.limits.reads_per_minute)
        self._settlement = Settlement(self.terms, self.ledger, self.clock, self.tally, self._channel.redacted)
        self._desks = {one.name: self._desk(one, one.bulk) for one in self.spec.operations if one.bulk}
        self._packs = {one.name: self._pack(one, one.pack) for one in self.spec.operations if one.pack}
        self._singly: set[bytes] = set()  # what failed in a task is not put into another
        self.barred = ""
        self._put_off: NoAnswer | None = None

    def _gate_of(self, kind: str, limits: Limits) -> Gate:
        return self.gate_of(kind, limits) if self.gate_of else Gate(limits, self.clock.monotonic, self._naps)

    def _jobs_of(self, reads_per_minute: float | None) -> Jobs:
        limits = Limits(per_minute=reads_per_minute)
        readings = self._gate_of(READINGS, limits) if reads_per_minute else self._gate
        return Jobs(self.spec, self._channel, readings, self.ledger, self.clock, self.sleep)

    def _desk(self, operation: Operation, bulk: Bulk) -> BulkDesk:
        """Needed also where nothing is submitted in bulk: an earlier run may have."""
        return BulkDesk(
            bulk=bulk,
            ledger=self.ledger,
            gate=self._gate_of(TASKS, bulk.limits) if bulk.limits else self._gate,
            clock=self.clock,
            parked=lambda: self.left_alone,
            naps=self._naps,
            submit=lambda request: self._channel.send_signed(
                request, bulk.sign(self.secrets), bulk.timeout_s
            ),
            look=lambda request: self._jobs.look(request, "", bulk.timeout_s),
            problem=self.spec.problem,
            answer=operation.poll.read if operation.poll else operation.read,
        )

    def _pack(self, operation: Operation, pack: Pack) -> PackDesk:
        return PackDesk(
            pack=pack,
            ledger=self.ledger,
            gate=self._gate,
            parked=lambda: self.left_alone,
            naps=self._naps,
            submit=lambda request: self._channel.send(request, pack.timeout_s),
            problem=self.spec.problem,
            answer=operation.read,
        )

    @property
    def parked(self) -> str:
        """Why it is left alone, if it is: the vendor as a whole, or this question of it."""
        return self.health.parked or self.barred

    @property
    def left_alone(self) -> str:
        """Why it is not asked at this moment: parked, or its breaker is not closed."""
        return self.parked or self.health.broken

    async def ask(self, question: Question) -> Reply | NoAnswer:
        """Never raises for a vendor's misbehaviour; only for the ledger's."""
        for operation in self.spec.operations:
            if (request := operation.ask(question)) is not None:
                return await self._shared(question, operation, request)
        return NoAnswer(Gap.NO_INPUT)

    async def recall(self, question: Question) -> Reply | NoAnswer:
        """What was answered before and is fresh; the vendor is not asked."""
        for operation in self.spec.operations:
            if (request := operation.ask(question)) is not None:
                intent = self._intent(question, operation, request)
                stored = await self.ledger.find(intent)
                return self._again(stored, intent, operation, request) if stored else NOT_REMEMBERED
        return NoAnswer(Gap.NO_INPUT)

    async def drain(self) -> None:
        """Nothing new is asked; what is in flight is waited for, at most to its deadline, and settled.

        What queues or waits to be asked again is given back at once. A bulk task is not waited for: it is
        noted, and the next run reads it.
        """
        self.health.park("the run is ending")
        self._naps.end()
        self._gate.open_to_all()
        while self._flying:
            await asyncio.wait(list(self._flying.values()))
            await asyncio.sleep(0)

    async def _shared(self, question: Question, operation: Operation, request: Request) -> Reply | NoAnswer:
        """Who is suppressed is so alone: another lead with the same question asks it again."""
        intent = self._intent(question, operation, request)
        if self._goes_beyond(intent):
            stored = await self.ledger.find(intent)
            return self._again(stored, intent, operation, request) if stored else CAPPED
        flying = self._flying.get(intent.question)
        if mine := flying is None:
            flying = asyncio.create_task(self._call(intent, operation, request))
            self._flying[intent.question] = flying
            flying.add_done_callback(partial(self._landed, intent.question))
        reply = await asyncio.shield(flying)
        return reply if mine or reply != SUPPRESSED else await self._shared(question, operation, request)

    def _goes_beyond(self, intent: Intent) -> bool:
        """What it takes to verify an address was kept free when that was looked for."""
        return self.spec.role is not Role.VERIFIER and self.tally.goes_beyond(intent)

    def _landed(self, question: bytes, call: asyncio.Future[Reply | NoAnswer]) -> None:
        """Its failure is for whoever waits for it. In a run that is ending nobody may: that is no news."""
        self._flying.pop(question, None)
        if not call.cancelled():
            call.exception()

    def _intent(self, question: Question, operation: Operation, request: Request) -> Intent:
        asked = request.as_json()
        poll_s = operation.poll.give_up_s if operation.poll else 0.0
        if operation.bulk and self.bulk:
            poll_s = operation.bulk.give_up_s + operation.bulk.timeout_s
        elif operation.pack and self.bulk:
            poll_s = operation.pack.timeout_s
        return Intent(
            question=digest(self.spec.name, operation.name, self._meant(question, operation) or asked),
            provider=self.spec.name,
            operation=operation.name,
            request=asked,
            reserved=self.terms.price.ceiling,
            lead_id=question.lead.id,
            deadline_s=operation.timeout_s + poll_s + SETTLING_S,
            replay=self.stakes.replay(self.terms, question.lead.tier),
            replay_window=self.terms.replay_window,
            tier=question.lead.tier,
            keeps=self.keeps,
            subjects=self.subjects(question.lead, question.email),
            rank=question.lead.rank,
        )

    def _meant(self, question: Question, operation: Operation) -> dict[str, Any] | None:
        """What is asked about a company whatever its leads call it, so that one of them pays for all."""
        if not self.spec.per_company:
            return None
        request = operation.ask(replace(question, lead=replace(question.lead, company_name="")))
        return request.as_json() if request else None

    async def _call(self, intent: Intent, operation: Operation, request: Request) -> Reply | NoAnswer:
        while isinstance(reply := await self._reached(intent, operation, request), Waiting):
            if isinstance(reply, Anew):
                self._singly.add(intent.question)
            await self._naps(ROOM_EVERY_S if isinstance(reply, OverBudget) else ELSEWHERE_EVERY_S)
        if isinstance(reply, NoAnswer) and reply.gap is Gap.LATER and reply.detail != NO_SERVICE:
            self._put_off = reply
        return reply

    @property
    def put_off(self) -> NoAnswer | None:
        """By a quota or a cap, as long as that holds; of its health see `health`."""
        reply = self._put_off
        over = reply is None or (reply.until is not None and reply.until <= self.clock.now())
        return None if over else reply

    async def _reached(self, intent: Intent, operation: Operation, request: Request) -> Reached:
        try:
            attempt = partial(self._attempt, intent, operation, request)
            return await persistently(attempt, self._naps, self.health.budget)
        except QuotaSpent as spent:
            return NoAnswer(Gap.LATER, QUOTA_SPENT, spent.until)
        except AskAgain as last:
            if last.counted:
                return NoAnswer(Gap.DOWN, str(last))
            self.health.failed(str(last), last.by)
            return self._later(self.health.open)

    async def _attempt(self, intent: Intent, operation: Operation, request: Request) -> Reached:
        if over := self.ledger.spent_up(intent):
            seen = await self.ledger.glance(intent)
            if not isinstance(seen, Submitted):
                known = seen if isinstance(seen, Stored) else over
                return self._ungranted(known, intent, operation, request)
        desk = self._desks.get(operation.name) or self._packs.get(operation.name)
        if desk and self.bulk and not self.left_alone and intent.question not in self._singly:
            with suppress(Alone):
                return await self._together(desk, intent, operation, request)
        return await self._alone(intent, operation, request)

    async def _together(
        self, desk: BulkDesk | PackDesk, intent: Intent, operation: Operation, request: Request
    ) -> Reached:
        """What was answered before does not wait for others to gather."""
        if stored := await self.ledger.find(intent):
            return self._again(stored, intent, operation, request)
        member = desk.join(intent, request)
        opened = await member.opened
        if isinstance(opened, Granted):
            self.tally.asks(opened.key, intent.lead_id, opened.booked)
            return await self._granted(opened, operation, request, member)
        return self._ungranted(opened, intent, operation, request)

    async def _alone(self, intent: Intent, operation: Operation, request: Request) -> Reached:
        """A place at the gate first, so that an intent never waits: what waits has not been asked.

        Better leads go first, so that those of the best tiers, which take the most questions, are not the
        last to be done, and whoever is asked after all others has work from the beginning.
        A task is read without one, for that takes long.
        """
        moment = None
        if not await self._gate.enter_at_once():
            if known := await self._known(intent, operation, request):
                return known
            moment = await self._gate.enter(intent.rank)
        with ExitStack() as place:
            place.callback(self._gate.leave)
            opened = await self._opened(intent, operation, request)
            if isinstance(opened, Granted) and not in_task(operation, opened.job_id):
                return await self._granted(opened, operation, request, place=place)
            self._gate.not_asked(moment)
        return await self._granted(opened, operation, request) if isinstance(opened, Granted) else opened

    async def _known(self, intent: Intent, operation: Operation, request: Request) -> Reached | None:
        """What there is to say without coming in."""
        seen = await self.ledger.glance(intent)
        if isinstance(seen, Stored):
            return self._again(seen, intent, operation, request)
        if self._is_read(seen):
            return None
        if self.parked:
            return NoAnswer(Gap.PARKED, self.parked)
        if broken := self.health.open:
            return self._later(broken)
        return seen if isinstance(seen, Elsewhere) else None

    def _is_read(self, seen: Stored | Elsewhere | Submitted | None) -> bool:
        """An account without credits still tells what was bought with the last of them."""
        in_the_way = self.barred or (self.parked and not self.health.out_of_credits) or self.health.open
        return isinstance(seen, Submitted) and not in_the_way

    async def _opened(self, intent: Intent, operation: Operation, request: Request) -> Reached | Granted:
        if self.left_alone:
            seen = await self.ledger.glance(intent)
            if isinstance(seen, Stored):
                return self._again(seen, intent, operation, request)
            is_read = self.parked and self._is_read(seen)
            if not is_read and (self.barred or not await self.health.admits(_longest_s(operation))):
                return self._not_now()
        opened = await self.ledger.open(intent)
        if not isinstance(opened, Granted):
            self.health.not_asked()
            return self._ungranted(opened, intent, operation, request)
        self.tally.asks(opened.key, intent.lead_id, opened.booked)
        return opened

    def _not_now(self) -> NoAnswer:
        return NoAnswer(Gap.PARKED, self.parked) if self.parked else self._later(self.health.open)

    def _later(self, broken: Open | None) -> NoAnswer:
        """The lead waits; the reason is the same few words for all, so that they can be counted."""
        return NoAnswer(Gap.LATER, NO_SERVICE, self.asked_again_at(broken))

    def asked_again_at(self, broken: Open | None) -> datetime:
        wait_s = broken.worth_a_run_at - self.health.exchange.now() if broken else OPEN_S
        return self.clock.now() + timedelta(seconds=wait_s)

    def _ungranted(
        self, opened: Ungranted, intent: Intent, operation: Operation, request: Request
    ) -> Reached:
        match opened:
            case Stored() as stored:
                return self._again(stored, intent, operation, request)
            case Withheld(booked):
                self.tally.paid(intent.question, intent.lead_id, booked)
                return NoAnswer(Gap.LOST, "an earlier answer was lost and may have been billed")
            case Suppressed():
                return SUPPRESSED
            case OverBudget(scope, for_good=True):
                return NoAnswer(Gap.LATER, *why_spent(scope))
            case Elsewhere() | OverBudget() as waiting:
                return waiting

    def _again(
        self, stored: Stored, intent: Intent, operation: Operation, request: Request
    ) -> Reply | NoAnswer:
        """A stored answer is read anew, so that a better reader serves old answers too."""
        self.tally.paid(intent.question, intent.lead_id, stored.booked)
        response = Response(stored.http_status, json.dumps(stored.response), request=request)
        match self.spec.problem(response) or _read_stored(operation, response):
            case Facts(fields):
                return Facts(plain(dict(fields)), stored.settled_at)
            case Problem(Remedy.BAD_INPUT, detail):
                return Miss(detail)
            case Problem() | Pending():
                return NoAnswer(Gap.DOWN, "the stored answer cannot be read")
            case answer:
                return answer

    async def _granted(
        self,
        granted: Granted,
        operation: Operation,
        request: Request,
        member: Member | None = None,
        place: ExitStack | None = None,
    ) -> Reached:
        """Once a vendor has answered, its place is the next question's while the ledger writes."""
        began = self.clock.monotonic()
        try:
            response, answer = await self._exchanged(granted, operation, request, member)
        except QuotaSpent as spent:
            await self._settlement.settle(granted, End.NOT_SENT, began, error=str(spent))
            raise
        except NotSent as failure:
            await self._settlement.settle(granted, End.NOT_SENT, began, error=str(failure))
            self.health.hindered(str(failure))
            raise AskAgain(f"not sent: {failure}", failure) from None
        except Lost as failure:
            await self._settlement.settle(granted, End.LOST, began, error=str(failure))
            self.health.failed(str(failure), failure)
            self._gate.struggled()
            raise AskAgain(f"no answer: {failure}", failure, counted=True) from None
        except Alone as other:
            end = End.REFUSED if other.refusal else End.NOT_SENT
            await self._settlement.settle(granted, end, began, other.refusal, error=str(other))
            raise
        except JobEnded as ended:
            await self._settlement.settle(granted, End.REFUSED, began, ended.response, error=str(ended))
            return ANEW
        except (NoToken, Refused) as refusal:
            response, answer = refusal.response, refusal.problem
        if isinstance(answer, Problem):
            return await self._problem(granted, response, answer, began)
        if isinstance(answer, Pending):
            await self._settlement.settle(granted, End.LOST, began, response, error="the job is not done yet")
            return NoAnswer(Gap.DOWN, "the job is not done yet")
        self.health.answered(answer)
        self._gate.throve()
        self._hold(told_to_pause(response) or 0.0)
        if place:
            place.close()
        await self._settlement.reply(granted, operation, response, answer, began)
        return Facts(plain(dict(answer.fields)), self.clock.now()) if isinstance(answer, Facts) else answer

    async def _exchanged(
        self, granted: Granted, operation: Operation, request: Request, member: Member | None
    ) -> tuple[Response, Answer]:
        """Where the question is part of a task, that task is read; raises JobEnded."""
        if member and operation.pack:
            return await self._in_pack(member)
        task = granted.job_id or (await member.sent if member else None)
        if task is None or not in_task(operation, task):
            async with self._gate.place() if member else nullcontext():
                return await self._jobs.exchange(granted, operation, request)
        response, answer = await self._desks[operation.name].part(granted.key, task, request)
        if operation.poll and granted.job_id:
            await self._jobs.let_go(granted, response, answer)
        return response, answer

    async def _in_pack(self, member: Member) -> tuple[Response, Answer]:
        response, answer = await member.sent
        return response, answer

    async def _problem(
        self, granted: Granted, response: Response, problem: Problem, began: float
    ) -> Reply | NoAnswer:
        told = impersonal(self._channel.redacted(problem.detail), response.request)
        said = plain(told)[:SAID_KEPT]
        match problem.remedy:
            case Remedy.BAD_INPUT:
                miss = Miss(said)
                self.health.answered(miss)
                await self._settlement.settle(granted, End.MISS, began, response, error=said)
                return miss
            case Remedy.RATE_LIMITED:
                await self._settlement.settle(granted, End.REFUSED, began, response, error=said)
                wait_s = problem.wait_s or 0.0
                self.health.hindered(f"rate limited: {said}")
                if until := self._hold(wait_s):
                    return NoAnswer(Gap.LATER, QUOTA_SPENT, until)
                if not wait_s:
                    self._gate.strain()
                raise AskAgain(f"rate limited: {said}", problem, wait_s or None)
            case Remedy.BAD_KEY | Remedy.OUT_OF_CREDITS | Remedy.NOT_IN_PLAN:
                if problem.ends_job:
                    await self.ledger.drop_job(granted.key)
                await self._settlement.settle(granted, End.REFUSED, began, response, error=said)
                self._park(problem.remedy, said)
                return NoAnswer(Gap.PARKED, self.parked)
            case Remedy.DOWN | Remedy.NONSENSE:
                await self._settlement.settle(granted, End.LOST, began, response, error=said)
                self._failed(response, problem, said)
                self._gate.struggled()
                raise AskAgain(said, problem, counted=True)
            case Remedy.GONE:
                await self._settlement.settle(granted, End.LOST, began, response, error=said)
                self.health.failed(said, problem)
                return NoAnswer(Gap.LOST, said)

    def _failed(self, response: Response, problem: Problem, said: str) -> None:
        """JSON of another shape is the vendor's own; what is no JSON is some gateway's and passes."""
        if problem.remedy is Remedy.NONSENSE and response.body is not None:
            self.health.unreadable(said, problem)
        else:
            self.health.failed(said, problem)

    def _hold(self, wait_s: float) -> datetime | None:
        """Nobody asks for so long; until when it is skipped, where that is too long to wait for."""
        if wait_s <= LONGEST_WAIT_S:
            self._gate.hold(wait_s)
            return None
        wait_s = min(wait_s, LONGEST_REST_S)
        until = self.clock.now() + timedelta(seconds=wait_s)
        self._gate.rest(wait_s, until)
        return until

    def _park(self, remedy: Remedy, said: str) -> None:
        why = f"{remedy.value.replace('_', ' ')}: {said}"
        match remedy:
            case Remedy.NOT_IN_PLAN:
                self.barred = why
            case Remedy.OUT_OF_CREDITS:
                self.health.empties(why)
            case _:
                self.health.park(why)


def _longest_s(operation: Operation) -> float:
    """Seconds that a single call may take."""
    return operation.timeout_s + (operation.poll.give_up_s if operation.poll else 0.0) + SETTLING_S


def _read_stored(operation: Operation, response: Response) -> Answer:
    """A job's stored answer is its result, or the submission's where that answered at once."""
    answer = operation.read(response)
    if operation.poll and isinstance(answer, Pending | Problem):
        return operation.poll.read(response)
    return answer
