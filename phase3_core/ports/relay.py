"""Who sends the messages that wait in the outbox."""

from typing import Protocol
from uuid import UUID


class Relay(Protocol):
    """Sends what waits in the outbox, at least once; what cannot be sent is tried again later."""

    async def deliver(self) -> int:
        """How many messages were sent now."""
        ...

    async def announced(self, campaign_id: UUID) -> str:
        """Announces, for a few seconds, and says in words whether the campaign's request was; never fails
        for that. `deliver` sends the rest.
        """
        ...
