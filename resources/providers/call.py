"""A question as one vendor is asked it, and as the ledger books it."""

from dataclasses import dataclass

from phase3_core.ledger import Intent
from resources.providers.request import Request
from resources.providers.spec import Operation

SETTLING_S = 30.0  # how long after its timeout a call counts as lost for others


@dataclass(frozen=True, slots=True)
class Call:
    intent: Intent
    operation: Operation
    request: Request


def longest_s(operation: Operation, *, bulk: bool = False) -> float:
    """Seconds that a call may take. With `bulk`, one that is asked together with others."""
    poll_s = operation.poll.give_up_s if operation.poll else 0.0
    if operation.bulk and bulk:
        poll_s = operation.bulk.give_up_s + operation.bulk.timeout_s
    elif operation.pack and bulk:
        poll_s = operation.pack.timeout_s
    return operation.timeout_s + poll_s + SETTLING_S
