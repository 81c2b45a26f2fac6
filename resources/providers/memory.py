"""What was answered before: told again from the ledger, without asking the vendor."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from phase3_core.calls import Facts, Gap, Miss, NoAnswer, Reply
from phase3_core.ledger import CallLedger, Stored
from resources.providers.answers import Answer, Pending, Problem, Remedy
from resources.providers.call import Call
from resources.providers.plain import plain
from resources.providers.response import Response
from resources.providers.settlement import Tally
from resources.providers.spec import Operation


@dataclass(frozen=True, slots=True)
class Memory:
    """One provider's answers."""

    ledger: CallLedger
    tally: Tally
    problem: Callable[[Response], Problem | None]

    async def fresh(self, call: Call) -> Reply | NoAnswer | None:
        stored = await self.ledger.find(call.intent)
        return self.again(stored, call) if stored else None

    async def recall(self, call: Call) -> Reply | NoAnswer | None:
        """However long ago it was."""
        stored = await self.ledger.recall(call.intent)
        return self.again(stored, call) if stored else None

    def again(self, stored: Stored, call: Call) -> Reply | NoAnswer:
        """A stored answer is read anew, so that a better reader serves old answers too."""
        self.tally.paid(stored.key, call.intent.lead_id, stored.booked)
        response = Response(stored.http_status, json.dumps(stored.response), request=call.request)
        match self.problem(response) or _read_stored(call.operation, response):
            case Facts(fields):
                return Facts(plain(dict(fields)), stored.settled_at)
            case Problem(Remedy.BAD_INPUT, detail):
                return Miss(detail)
            case Problem() | Pending():
                return NoAnswer(Gap.DOWN, "the stored answer cannot be read")
            case answer:
                return answer


def _read_stored(operation: Operation, response: Response) -> Answer:
    """A job's stored answer is its result, or the submission's where that answered at once."""
    answer = operation.read(response)
    if operation.poll and isinstance(answer, Pending | Problem):
        return operation.poll.read(response)
    return answer
