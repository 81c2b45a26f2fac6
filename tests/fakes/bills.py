"""The call ledger as far as use cases see it: what was answered stays answered, and what it cost."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from uuid import UUID

from phase3_core.calls import Facts, Gap, Hit, Judgement, Miss, NoAnswer, Price
from phase3_core.counts import ProviderSpend
from phase3_core.money import ZERO, Money, total
from phase3_core.runs import Run
from phase3_core.statuses import Agent

AnyReply = Hit | Judgement | Facts | Miss | NoAnswer


@dataclass(frozen=True, slots=True)
class Question:
    """One question to one provider; equal questions are asked once."""

    provider: str
    operation: str
    about: str


@dataclass(frozen=True, slots=True)
class Bill:
    """One call that left. `unknown` USD are booked for an answer that never came."""

    campaign_id: UUID
    agent: Agent
    lead_id: UUID
    question: Question
    reply: AnyReply
    cost: Money
    unknown: Money

    @property
    def booked(self) -> Money:
        return self.cost + self.unknown


@dataclass
class Bills:
    rows: list[Bill] = field(default_factory=list)
    answers: dict[Question, AnyReply] = field(default_factory=dict)
    by_lead: dict[tuple[UUID, Agent], Money] = field(default_factory=dict)
    paid: dict[tuple[UUID, Question], Money] = field(default_factory=dict)

    def settle(self, run: Run, lead_id: UUID, question: Question, price: Price, reply: AnyReply) -> Bill:
        """A failure may be asked again; an answer, or one that was paid for and lost, stands."""
        lost = isinstance(reply, NoAnswer) and reply.gap is Gap.LOST
        cost = ZERO if isinstance(reply, NoAnswer) else price.charge(reply)
        unknown = price.ceiling if lost else ZERO
        bill = Bill(run.campaign_id, run.agent, lead_id, question, reply, cost, unknown)
        self.rows.append(bill)
        self.by_lead[lead_id, run.agent] = self.cost_of(lead_id, run.agent) + bill.booked
        self.paid[lead_id, question] = self.paid.get((lead_id, question), ZERO) + bill.booked
        if lost or not isinstance(reply, NoAnswer):
            self.answers[question] = reply
        return bill

    def cost_of(self, lead_id: UUID, agent: Agent) -> Money:
        return self.by_lead.get((lead_id, agent), ZERO)

    def spend(self, campaign_id: UUID) -> list[ProviderSpend]:
        ours = sorted((bill for bill in self.rows if bill.campaign_id == campaign_id), key=_place)
        return [_spend(list(bills)) for _, bills in groupby(ours, key=_place)]


def _place(bill: Bill) -> tuple[Agent, str, str]:
    return bill.agent, bill.question.provider, bill.question.operation


def _spend(bills: Sequence[Bill]) -> ProviderSpend:
    agent, provider, operation = _place(bills[0])
    misses = sum(isinstance(bill.reply, Miss) for bill in bills)
    errors = sum(isinstance(bill.reply, NoAnswer) for bill in bills)
    return ProviderSpend(
        agent=agent,
        provider=provider,
        operation=operation,
        calls=len(bills),
        hits=len(bills) - misses - errors,
        misses=misses,
        errors=errors,
        cost=total(bill.cost for bill in bills),
        unknown=total(bill.unknown for bill in bills),
    )
