"""Who sends the messages that wait in the outbox."""

from typing import Protocol
from uuid import UUID


class Relay(Protocol):
    """Sends what waits in the outbox, at least once; what cannot be sent is tried again later."""

    async def deliver(self) -> int:
        """How many messages were sent now."""
        ...

    async def announced(self, campaign_id: UUID) -> str:
        """Delivers, and says in words whether the campaign's request was announced; never fails for that."""
        ...
