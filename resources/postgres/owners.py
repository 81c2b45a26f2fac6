"""Whether the run that asks a question still lives, for one that waits for the answer on another campaign.

A run that has died is taken back within a minute where somebody looks; where nobody does, its calls would be
waited for until their deadlines, which is an hour for a bulk task.
"""

import asyncio
import math
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from resources.postgres.lease import Standing, standing
from resources.postgres.outage import Outage

GONE_AFTER_S = 30.0  # a living run whose connection broke has its lock again within seconds, a busy one later
LOOK_EVERY_S = 1.0


@dataclass
class _Owner:
    """A campaign's newest lease, and since when it has been seen without its lock."""

    lease: Standing | None = None
    looked: float = -math.inf
    free_since: float = math.inf


@dataclass
class Owners:
    """What one run knows of the runs of other campaigns."""

    engine: AsyncEngine
    outage: Outage
    _seen: dict[UUID, _Owner] = field(default_factory=dict)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def gone(self, campaign_id: UUID | None, run_id: str | None) -> bool:
        """Another run has its campaign, or nobody has had it for a while; never where no lease tells.

        An outage of the database takes the lock from the living, too: the while begins anew with each.
        """
        if campaign_id is None:
            return False
        async with self._one_at_a_time:
            owner = await self._owner(campaign_id)
        if owner.lease is None:
            return False
        free_since = max(owner.free_since, self.outage.last_seen)
        return owner.lease.run_id != run_id or self.outage.monotonic() - free_since >= GONE_AFTER_S

    async def _owner(self, campaign_id: UUID) -> _Owner:
        owner = self._seen.setdefault(campaign_id, _Owner())
        if self.outage.monotonic() - owner.looked >= LOOK_EVERY_S:
            owner.lease = await self.outage.outlast(lambda: self._lease(campaign_id))
            owner.looked = self.outage.monotonic()
            held = owner.lease is None or owner.lease.held
            owner.free_since = math.inf if held else min(owner.free_since, owner.looked)
        return owner

    async def _lease(self, campaign_id: UUID) -> Standing | None:
        async with self.engine.connect() as connection:
            return await standing(connection, campaign_id)
