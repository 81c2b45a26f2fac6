"""Providers that answer from a script, behind bills that remember what was asked and paid."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar, cast
from uuid import UUID

from phase3_core.budget import why_spent
from phase3_core.calls import (
    Billing,
    EnricherReply,
    FinderReply,
    Gap,
    Hit,
    Judgement,
    Miss,
    NoAnswer,
    Price,
    VerifierReply,
)
from phase3_core.leads import Lead
from phase3_core.money import ZERO, Money, total, usd
from phase3_core.ports.books import Books
from phase3_core.ports.providers import Skipped
from phase3_core.rate_limits import Allowed
from phase3_core.runs import Run
from phase3_core.statuses import Verdict
from phase3_core.tiers import Topic
from phase3_core.waiting import Wait
from tests.fakes.bills import AnyReply, Bills, Question
from tests.fakes.clock import at_once

R = TypeVar("R", bound=AnyReply)

PER_HIT = Price(usd("0.01"), Billing.PER_HIT)
PER_CALL = Price(usd("0.001"), Billing.PER_CALL)
FREE = Price(ZERO, Billing.FREE)


@dataclass(frozen=True)
class Script(Generic[R]):
    """What a provider says: by dictionary or by function, and `otherwise` where neither knows."""

    name: str
    answers: Mapping[str, R] | Callable[[str], R]
    otherwise: R
    price: Price
    topics: frozenset[Topic] = frozenset()
    per_company: bool = False

    def answer(self, about: str) -> R:
        return self.answers(about) if callable(self.answers) else self.answers.get(about, self.otherwise)


def finder(
    name: str,
    answers: Mapping[str, FinderReply] | Callable[[str], FinderReply] | None = None,
    price: Price = PER_HIT,
) -> Script[FinderReply]:
    """Answers by full name."""
    return Script(name, {} if answers is None else answers, Miss(), price)


def verifier(
    name: str,
    answers: Mapping[str, VerifierReply] | Callable[[str], VerifierReply] | None = None,
    price: Price = PER_CALL,
    otherwise: VerifierReply | None = None,
) -> Script[VerifierReply]:
    """Answers by address; those that nobody scripted have no mailbox."""
    unscripted = otherwise or Judgement(Verdict.INVALID)
    return Script(name, {} if answers is None else answers, unscripted, price)


def enricher(
    name: str,
    topics: frozenset[Topic],
    answers: Mapping[str, EnricherReply] | Callable[[str], EnricherReply] | None = None,
    price: Price = FREE,
    *,
    per_company: bool = True,
) -> Script[EnricherReply]:
    """Answers by company domain, or by full name where it is not `per_company`."""
    return Script(name, {} if answers is None else answers, Miss(), price, topics, per_company)


@dataclass
class Line:
    """One run's way to the vendors. Like the real one it shares equal questions and hangs up on nobody."""

    run: Run
    bills: Bills
    pause: Callable[[], Awaitable[None]]
    asked: list[Question]
    spent: Money = ZERO
    flying: dict[Question, asyncio.Future[AnyReply]] = field(default_factory=dict)
    parked: dict[str, str] = field(default_factory=dict)
    away: dict[str, Wait] = field(default_factory=dict)
    in_work: dict[UUID, set[Question]] = field(default_factory=dict)
    earlier: dict[UUID, tuple[dict[Question, Money], Money]] = field(default_factory=dict)
    stopped: str = ""

    async def ask(self, script: Script[R], operation: str, about: str, lead: Lead) -> R:
        question = Question(script.name, operation, about)
        self.in_work.setdefault(lead.id, set()).add(question)
        if question in self.bills.answers:
            await at_once()
            return cast("R", self.bills.answers[question])
        if self.stopped and operation != "verify":
            return cast("R", NoAnswer(Gap.LATER, *why_spent(self.stopped)))
        if operation != "verify" and self._goes_beyond(question, script.price, lead):
            return cast("R", NoAnswer(Gap.CAPPED))
        if question not in self.flying:
            self.flying[question] = asyncio.ensure_future(self._call(script, question, lead))
            self.flying[question].add_done_callback(lambda _: self.flying.pop(question))
        return cast("R", await asyncio.shield(self.flying[question]))

    def _goes_beyond(self, question: Question, price: Price, lead: Lead) -> bool:
        paid, cap = self.earlier.get(lead.id, ({}, ZERO))
        if not paid or question in paid:
            return False
        now = {one: self.bills.paid.get((lead.id, one), ZERO) for one in self.in_work[lead.id]}
        return total({**paid, **now}.values()) + price.ceiling > cap

    async def _call(self, script: Script[R], question: Question, lead: Lead) -> AnyReply:
        await self.pause()
        self.asked.append(question)
        reply = script.answer(question.about)
        bill = self.bills.settle(self.run, lead.id, question, script.price, reply)
        self.spent += bill.booked
        if isinstance(reply, NoAnswer) and reply.gap is Gap.PARKED:
            self.parked[script.name] = reply.detail
        return reply

    async def drained(self) -> None:
        while self.flying:
            await asyncio.gather(*self.flying.values(), return_exceptions=True)
            await asyncio.sleep(0)


@dataclass(frozen=True)
class _Provider(Generic[R]):
    script: Script[R]
    line: Line
    remembers: bool = False  # and is asked for nothing new

    @property
    def name(self) -> str:
        return self.script.name

    @property
    def price(self) -> Price:
        return self.script.price

    async def _told(self, operation: str, about: str, lead: Lead) -> R:
        if not self.remembers:
            return await self.line.ask(self.script, operation, about, lead)
        question = Question(self.script.name, operation, about)
        return cast("R", self.line.bills.answers.get(question, NoAnswer(Gap.LOST)))


class FakeFinder(_Provider[FinderReply]):
    async def find(self, lead: Lead) -> FinderReply:
        return await self._told("find", lead.full_name, lead)


class FakeVerifier(_Provider[VerifierReply]):
    async def verify(self, lead: Lead, email: str) -> VerifierReply:
        return await self._told("verify", email, lead)


class FakeEnricher(_Provider[EnricherReply]):
    @property
    def topics(self) -> frozenset[Topic]:
        return self.script.topics

    @property
    def per_company(self) -> bool:
        return self.script.per_company

    async def enrich(self, lead: Lead) -> EnricherReply:
        about = lead.company_domain if self.per_company and lead.company_domain else lead.full_name
        return await self._told("enrich", about, lead)


@dataclass(frozen=True)
class FakeProviders:
    """One run's providers, in waterfall order."""

    line: Line
    finders: Sequence[FakeFinder] = ()
    verifiers: Sequence[FakeVerifier] = ()
    enrichers: Sequence[FakeEnricher] = ()
    left_out: Sequence[Skipped] = ()
    allowed: Mapping[str, Allowed] = field(default_factory=dict)

    @property
    def skipped(self) -> Sequence[Skipped]:
        return [*self.left_out, *(Skipped(name, why) for name, why in self.line.parked.items())]

    @property
    def away(self) -> Sequence[Wait]:
        return [Wait(name, why) for name, why in self.line.parked.items()] + list(self.line.away.values())

    @property
    def spent(self) -> Money:
        return self.line.spent

    @property
    def remembered(self) -> "FakeProviders":
        verifiers = [replace(one, remembers=True) for one in self.verifiers]
        finders = [replace(one, remembers=True) for one in self.finders]
        return replace(self, finders=finders, verifiers=verifiers)

    def spent_on(self, lead: Lead) -> Money:
        """Of what was asked since the lead came into work."""
        asked = self.line.in_work.get(lead.id, ())
        return total(self.line.bills.paid.get((lead.id, question), ZERO) for question in asked)

    async def recollect(self, caps: Mapping[UUID, Money]) -> Collection[UUID]:
        paid: dict[UUID, dict[Question, Money]] = {}
        for bill in self.line.bills.rows:
            if bill.agent is self.line.run.agent and bill.lead_id in caps and bill.booked:
                paid.setdefault(bill.lead_id, {})[bill.question] = bill.booked
        self.line.earlier.update({lead: (questions, caps[lead]) for lead, questions in paid.items()})
        return paid.keys()

    async def bought(self, lead: Lead) -> dict[str, Hit]:
        asked = {one.name for one in self.finders}
        hits = {
            question: reply
            for question, reply in self.line.bills.answers.items()
            if isinstance(reply, Hit) and question.about == lead.full_name and question.provider not in asked
        }
        self.line.in_work.setdefault(lead.id, set()).update(hits)
        return {question.provider: reply for question, reply in hits.items()}

    def stop_buying(self, scope: str) -> None:
        self.line.stopped = scope

    def done_with(self, lead: Lead) -> None:
        self.line.in_work.pop(lead.id, None)
        self.line.earlier.pop(lead.id, None)


@dataclass
class FakeProviderSource:
    """`asked` lists every question that left, of all runs.

    `pause` is how long an answer takes; where it raises, nothing left.
    """

    bills: Bills
    finders: Sequence[Script[FinderReply]] = ()
    verifiers: Sequence[Script[VerifierReply]] = ()
    enrichers: Sequence[Script[EnricherReply]] = ()
    left_out: Sequence[Skipped] = ()
    pause: Callable[[], Awaitable[None]] = at_once
    asked: list[Question] = field(default_factory=list)
    away: dict[str, Wait] = field(default_factory=dict)
    allowed: Mapping[str, Allowed] = field(default_factory=dict)

    @asynccontextmanager
    async def open(self, run: Run, books: Books) -> AsyncIterator[FakeProviders]:
        del books
        line = Line(run, self.bills, self.pause, self.asked, away=self.away)
        try:
            yield self._providers(line)
        finally:
            await asyncio.shield(line.drained())

    def _providers(self, line: Line) -> FakeProviders:
        return FakeProviders(
            line,
            finders=[FakeFinder(script, line) for script in self.finders],
            verifiers=[FakeVerifier(script, line) for script in self.verifiers],
            enrichers=[FakeEnricher(script, line) for script in self.enrichers],
            left_out=self.left_out,
            allowed=self.allowed,
        )
