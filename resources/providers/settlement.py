"""How a call ends in the books: what it cost, what is in doubt, what is kept of the answer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from phase3_core.calls import Judgement, Miss, Price, ReplayClass, Reply
from phase3_core.ledger import CallLedger, End, Granted, Intent, Outcome, Paid
from phase3_core.money import ZERO, Money, total
from phase3_core.ports.clock import Clock
from resources.providers.catalogue import Terms
from resources.providers.plain import plain_json
from resources.providers.response import Response
from resources.providers.spec import Operation


@dataclass(frozen=True, slots=True)
class Earlier:
    """What earlier runs paid for a lead, and what it may cost, USD."""

    paid: Paid
    cap: Money


@dataclass
class Tally:
    """What this run has spent, USD, and what its leads have cost that are in work, earlier runs included.

    Decisions go by what was needed again in this run, so that a resumed run repeats them; a cap holds for all
    that was ever paid, though whoever was paid may be gone by now, or come later.
    """

    spent: Money = ZERO
    _payers: dict[bytes, UUID] = field(default_factory=dict)
    _by_lead: dict[UUID, dict[bytes, Money]] = field(default_factory=dict)
    _earlier: dict[UUID, Earlier] = field(default_factory=dict)

    def asks(self, call: bytes, lead_id: UUID | None, booked: Money) -> None:
        """This lead pays for the call; `booked` USD for attempts before."""
        if lead_id:
            self._payers[call] = lead_id
            self.paid(call, lead_id, booked)

    def paid(self, call: bytes, lead_id: UUID | None, booked: Money) -> None:
        if lead_id:
            self._by_lead.setdefault(lead_id, {})[call] = booked

    def book(self, call: bytes, cost: Money, of_lead: Money) -> None:
        """`cost` USD of this attempt; `of_lead`, with those before, as the ledger has it."""
        self.spent += cost
        if payer := self._payers.get(call):
            self._by_lead.setdefault(payer, {})[call] = of_lead

    def ended(self, call: bytes) -> None:
        self._payers.pop(call, None)

    def of(self, lead_id: UUID) -> Money:
        return total(self._by_lead.get(lead_id, {}).values())

    def recollect(self, lead_id: UUID, paid: Paid, cap: Money) -> None:
        self._earlier[lead_id] = Earlier(paid, cap)

    def goes_beyond(self, intent: Intent) -> bool:
        """Whether a question that the lead has not paid for yet might take it beyond its cap.

        One whose answer is stale is such a question.
        """
        earlier = self._earlier.get(intent.lead_id) if intent.lead_id else None
        if earlier is None or intent.lead_id is None or intent.question in earlier.paid.standing:
            return False
        paid = total({**earlier.paid.calls, **self._by_lead.get(intent.lead_id, {})}.values())
        return paid + intent.reserved + intent.keeps > earlier.cap

    def forget(self, lead_id: UUID) -> None:
        self._by_lead.pop(lead_id, None)
        self._earlier.pop(lead_id, None)


@dataclass
class Settlement:
    """One provider's. `began` is on the monotonic clock; `redacted` takes secrets out of a text."""

    terms: Terms
    ledger: CallLedger
    clock: Clock
    tally: Tally
    redacted: Callable[[str], str]
    _doubts: dict[bytes, Money] = field(default_factory=dict)

    async def reply(
        self, granted: Granted, operation: Operation, response: Response, reply: Reply, began: float
    ) -> None:
        told = operation.credits(response) if operation.credits else None
        cost = self._price(granted).charge(reply, told)
        end = End.MISS if isinstance(reply, Miss) else End.HIT
        word = reply.verdict.value if isinstance(reply, Judgement) else end.value
        await self.settle(granted, end, began, response, cost=cost, told=word)

    async def settle(
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
        self._count(granted, end, cost, ends_doubt=settles_doubt)
        await self.ledger.settle(
            Outcome(
                key=granted.key,
                end=end,
                cost=cost,
                told=told or end.value,
                http_status=response.status if response else None,
                response=self.redacted(plain_json(response)) if response else None,
                error=error,
                took_ms=round((self.clock.monotonic() - began) * 1000),
                ends_doubt=settles_doubt,
            )
        )

    def _settles_doubt(self, granted: Granted, end: End, cost: Money) -> bool:
        """A free repeat that says it cost nothing was paid for by the attempt that was lost."""
        repeated = self.terms.replay is ReplayClass.FREE or granted.job_id is not None
        return repeated and not (end is End.HIT and cost == ZERO)

    def _price(self, granted: Granted) -> Price:
        """The vendor bills a job as it was submitted, whoever reads it and when."""
        return self.terms.price if granted.reserved is None else self.terms.price.at(granted.reserved)

    def _count(self, granted: Granted, end: End, cost: Money, *, ends_doubt: bool) -> None:
        """A lost call counts at its worst until an answer settles what it cost, whichever run lost it."""
        call, before, doubt = granted.key, granted.booked, ZERO
        if end is End.LOST:
            cost = self._price(granted).ceiling
            self._doubts[call] = self._doubts.get(call, ZERO) + cost
        elif ends_doubt and end in {End.HIT, End.MISS}:
            doubt = self._doubts.pop(call, ZERO)
            before = ZERO if self.terms.replay is ReplayClass.FREE else before
        self.tally.book(call, cost - doubt, before + cost)
        self.tally.ended(call)
