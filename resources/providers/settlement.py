"""How a call ends in the books: what it cost, what is in doubt, what is kept of the answer."""

from collections.abc import Callable
from dataclasses import dataclass, field

from phase3_core.calls import Judgement, Miss, ReplayClass, Reply
from phase3_core.ledger import CallLedger, End, Granted, Outcome
from phase3_core.money import ZERO, Money
from phase3_core.ports import Clock
from resources.providers.catalogue import Terms
from resources.providers.plain import plain_json
from resources.providers.spec import Operation, Response


@dataclass
class Tally:
    """What this run has spent, USD."""

    spent: Money = ZERO


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
        cost = self.terms.price.charge(reply, told)
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
        self._count(granted.key, end, cost, ends_doubt=settles_doubt)
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

    def _count(self, call: bytes, end: End, cost: Money, *, ends_doubt: bool) -> None:
        """A lost call counts at its worst until an answer settles what it cost."""
        if end is End.LOST:
            cost = self.terms.price.ceiling
            self._doubts[call] = self._doubts.get(call, ZERO) + cost
        elif ends_doubt and end in {End.HIT, End.MISS}:
            cost -= self._doubts.pop(call, ZERO)
        self.tally.spent += cost
