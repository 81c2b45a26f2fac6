"""What a question passes before it leaves: what is known already, the gate, the breaker, list and budgets."""

from contextlib import ExitStack, suppress
from dataclasses import dataclass

from phase3_core.budget import why_spent
from phase3_core.calls import Gap, NoAnswer, Reply
from phase3_core.ledger import (
    CallLedger,
    Elsewhere,
    Granted,
    OverBudget,
    Stored,
    Submitted,
    Suppressed,
    Withheld,
)
from resources.providers.bulk import BulkDesk
from resources.providers.call import Call, longest_s
from resources.providers.dispatch import Anew, Dispatch
from resources.providers.gathering import Alone
from resources.providers.jobs import in_task
from resources.providers.memory import Memory
from resources.providers.packs import PackDesk
from resources.providers.settlement import Tally
from resources.providers.standing import Standing

SUPPRESSED = NoAnswer(Gap.SUPPRESSED, "on the suppression list")

Desk = BulkDesk | PackDesk
Ungranted = Stored | Withheld | Elsewhere | OverBudget | Suppressed
Reached = Reply | NoAnswer | Elsewhere | OverBudget | Anew


@dataclass(frozen=True, slots=True)
class Admission:
    """One provider's."""

    ledger: CallLedger
    memory: Memory
    standing: Standing
    tally: Tally
    dispatch: Dispatch

    async def attempt(self, call: Call, desk: Desk | None) -> Reached:
        """One attempt, at the `desk` together with others if there is one; raises AskAgain, QuotaSpent."""
        if over := self.ledger.spent_up(call.intent):
            seen = await self.ledger.glance(call.intent)
            if not isinstance(seen, Submitted):
                return self._ungranted(seen if isinstance(seen, Stored) else over, call)
        if desk and not self.standing.left_alone:
            with suppress(Alone):
                return await self._together(desk, call)
        return await self._alone(call)

    async def _together(self, desk: Desk, call: Call) -> Reached:
        """What was answered before does not wait for others to gather."""
        if known := await self.memory.fresh(call):
            return known
        member = desk.join(call.intent, call.request)
        opened = await member.opened
        if isinstance(opened, Granted):
            self.tally.asks(opened.key, call.intent.lead_id, opened.booked)
            return await self.dispatch.send(call, opened, member)
        return self._ungranted(opened, call)

    async def _alone(self, call: Call) -> Reached:
        """A place at the gate first, so that an intent never waits: what waits has not been asked.

        Better leads go first, so that those of the best tiers, which take the most questions, are not the
        last to be done, and whoever is asked after all others has work from the beginning.
        A task is read without one, for that takes long.
        """
        gate, moment = self.standing.gate, None
        if not await gate.enter_at_once():
            if known := await self._known(call):
                return known
            moment = await gate.enter(call.intent.rank)
        with ExitStack() as place:
            place.callback(gate.leave)
            opened = await self._opened(call)
            if isinstance(opened, Granted) and not in_task(call.operation, opened.job_id):
                return await self.dispatch.send(call, opened, place=place)
            gate.not_asked(moment)
        return await self.dispatch.send(call, opened) if isinstance(opened, Granted) else opened

    async def _known(self, call: Call) -> Reached | None:
        """What there is to say without coming in."""
        seen = await self.ledger.glance(call.intent)
        if isinstance(seen, Stored):
            return self.memory.again(seen, call)
        if isinstance(seen, Submitted) and self.standing.jobs_are_read:
            return None
        if away := self.standing.away:
            return away
        return seen if isinstance(seen, Elsewhere) else None

    async def _opened(self, call: Call) -> Reached | Granted:
        if self.standing.left_alone:
            seen = await self.ledger.glance(call.intent)
            if isinstance(seen, Stored):
                return self.memory.again(seen, call)
            is_read = self.standing.parked and isinstance(seen, Submitted) and self.standing.jobs_are_read
            if not is_read and not await self._admitted(call):
                return self.standing.not_now()
        opened = await self.ledger.open(call.intent)
        if not isinstance(opened, Granted):
            self.standing.health.not_asked()
            return self._ungranted(opened, call)
        self.tally.asks(opened.key, call.intent.lead_id, opened.booked)
        return opened

    async def _admitted(self, call: Call) -> bool:
        """As a probe, or as one call to an account that may hold credits again."""
        if self.standing.barred:
            return False
        return await self.standing.health.admits(longest_s(call.operation))

    def _ungranted(self, opened: Ungranted, call: Call) -> Reached:
        match opened:
            case Stored() as stored:
                return self.memory.again(stored, call)
            case Withheld(lost, booked):
                self.tally.paid(lost, call.intent.lead_id, booked)
                return NoAnswer(Gap.LOST, "an earlier answer was lost and may have been billed")
            case Suppressed():
                return SUPPRESSED
            case OverBudget(scope, for_good=True):
                return NoAnswer(Gap.LATER, *why_spent(scope))
            case Elsewhere() | OverBudget() as waiting:
                return waiting
