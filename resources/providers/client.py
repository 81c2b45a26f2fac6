"""Runs a declared provider: ask, read, price, record. The ledger is on every way to a vendor."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from phase3_core.calls import Gap, NoAnswer, Reply, Role
from phase3_core.leads import Lead
from phase3_core.ledger import CallLedger, Elsewhere, Intent, OverBudget, digest
from phase3_core.money import ZERO, Money
from phase3_core.ports.clock import Clock
from phase3_core.suppression import subjects_of
from resources.providers.admission import SUPPRESSED, Admission, Desk, Reached
from resources.providers.bulk import BulkDesk
from resources.providers.call import Call, longest_s
from resources.providers.catalogue import Terms
from resources.providers.channel import Channel, Transport
from resources.providers.dispatch import Anew, Dispatch
from resources.providers.exchange import Exchange
from resources.providers.gate import Gate, Limits
from resources.providers.gates import CALLS, READINGS, TASKS
from resources.providers.health import Health
from resources.providers.jobs import Jobs
from resources.providers.keys import Keys
from resources.providers.memory import Memory
from resources.providers.naps import Naps
from resources.providers.pace import QuotaSpent
from resources.providers.packs import PackDesk
from resources.providers.request import Question, Request
from resources.providers.retries import AskAgain, persistently
from resources.providers.settlement import Settlement, Tally
from resources.providers.spec import Bulk, Operation, Pack, ProviderSpec
from resources.providers.stakes import Stakes
from resources.providers.standing import QUOTA_SPENT, Standing
from resources.providers.tokens import TokenDesk

ELSEWHERE_EVERY_S = 0.25
ROOM_EVERY_S = 0.5  # while reservations in flight fill a budget
NOT_REMEMBERED = NoAnswer(Gap.LOST, "no answer is remembered")
CAPPED = NoAnswer(Gap.CAPPED, "what the lead may cost was paid in earlier runs")

Landed = Reply | NoAnswer | OverBudget


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

    # --- what it is put together from

    def __post_init__(self) -> None:
        self._naps = self.naps or Naps(self.sleep)
        if not self.health.name:  # its own, so it lives in the client's time
            self.health.begin(self.spec.name, Exchange(self.clock.monotonic, self._naps))
        self._gate = self.gate or self._gate_of(CALLS, self.terms.limits)
        self._flying: dict[bytes, asyncio.Future[Landed]] = {}
        self._channel = Channel(self.spec, self.secrets, self.base_url, self.transport, self.tokens)
        self._jobs = self._jobs_of(self.terms.limits.reads_per_minute)
        self.standing = Standing(self.health, self._gate, self.clock)
        self._desks = {one.name: self._desk(one, one.bulk) for one in self.spec.operations if one.bulk}
        self._packs = {one.name: self._pack(one, one.pack) for one in self.spec.operations if one.pack}
        self._singly: set[bytes] = set()  # what failed in a task is not put into another
        self._memory = Memory(self.ledger, self.tally, self.spec.problem)
        self._admission = Admission(self.ledger, self._memory, self.standing, self.tally, self._dispatch())

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
            parked=lambda: self.standing.left_alone,
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
            parked=lambda: self.standing.left_alone,
            naps=self._naps,
            submit=lambda request: self._channel.send(request, pack.timeout_s),
            problem=self.spec.problem,
            answer=operation.read,
        )

    def _dispatch(self) -> Dispatch:
        redacted = self._channel.redacted
        return Dispatch(
            jobs=self._jobs,
            desks=self._desks,
            settlement=Settlement(self.terms, self.ledger, self.clock, self.tally, redacted),
            standing=self.standing,
            ledger=self.ledger,
            clock=self.clock,
            redacted=redacted,
        )

    # --- what it is asked

    async def ask(self, question: Question) -> Reply | NoAnswer:
        """Never raises for a vendor's misbehaviour; only for the ledger's."""
        call = self._call_of(question)
        return await self._shared(call) if call else NoAnswer(Gap.NO_INPUT)

    async def recall(self, question: Question) -> Reply | NoAnswer:
        """What was answered before, however long ago; the vendor is not asked."""
        call = self._call_of(question)
        if call is None:
            return NoAnswer(Gap.NO_INPUT)
        return await self._memory.recall(call) or NOT_REMEMBERED

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

    # --- a question as a call

    def _call_of(self, question: Question) -> Call | None:
        """None where no operation can be asked about the lead."""
        question = question.canonical
        for operation in self.spec.operations:
            if (request := operation.ask(question)) is not None:
                return Call(self._intent(question, operation, request), operation, request)
        return None

    def _intent(self, question: Question, operation: Operation, request: Request) -> Intent:
        asked = request.as_json()
        return Intent(
            question=digest(self.spec.name, operation.name, self._meant(question, operation) or asked),
            provider=self.spec.name,
            operation=operation.name,
            request=asked,
            reserved=self.terms.price.ceiling,
            lead_id=question.lead.id,
            deadline_s=longest_s(operation, bulk=self.bulk),
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

    # --- a call of this run's, however many leads have the question

    async def _shared(self, call: Call) -> Reply | NoAnswer:
        """Who is suppressed is so alone: another lead with the same question asks it again.

        So is who finds no room in a budget, for that may be promised to the other lead.
        """
        while True:
            if self._goes_beyond(call.intent):
                return await self._memory.fresh(call) or CAPPED
            flying = self._flying.get(call.intent.question)
            mine = flying is None
            reply = await asyncio.shield(flying or self._begun(call))
            if isinstance(reply, OverBudget):
                if mine:
                    await self._naps(ROOM_EVERY_S)
            elif mine or reply != SUPPRESSED:
                return reply

    def _begun(self, call: Call) -> asyncio.Future[Landed]:
        question = call.intent.question
        self._flying[question] = flying = asyncio.create_task(self._answered(call))
        flying.add_done_callback(partial(self._landed, question))
        return flying

    def _goes_beyond(self, intent: Intent) -> bool:
        """What it takes to verify an address was kept free when that was looked for."""
        return self.spec.role is not Role.VERIFIER and self.tally.goes_beyond(intent)

    def _landed(self, question: bytes, call: asyncio.Future[Landed]) -> None:
        """Its failure is for whoever waits for it. In a run that is ending nobody may: that is no news."""
        self._flying.pop(question, None)
        if not call.cancelled():
            call.exception()

    async def _answered(self, call: Call) -> Landed:
        while isinstance(reply := await self._reached(call), Elsewhere | Anew):
            if isinstance(reply, Anew):
                self._singly.add(call.intent.question)
            await self._naps(ELSEWHERE_EVERY_S)
        if not isinstance(reply, OverBudget):
            self.standing.note(reply)
        return reply

    async def _reached(self, call: Call) -> Reached:
        try:
            attempt = partial(self._admission.attempt, call, self._desk_for(call))
            return await persistently(attempt, self._naps, self.health.budget)
        except QuotaSpent as spent:
            return NoAnswer(Gap.LATER, QUOTA_SPENT, spent.until)
        except AskAgain as last:
            if last.counted:
                return NoAnswer(Gap.DOWN, str(last))
            self.health.failed(str(last), last.by)
            return self.standing.later(self.health.open)

    def _desk_for(self, call: Call) -> Desk | None:
        """Where its question gathers with others, if it is asked in that way."""
        if not self.bulk or call.intent.question in self._singly:
            return None
        return self._desks.get(call.operation.name) or self._packs.get(call.operation.name)
