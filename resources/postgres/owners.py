"""Whether the run that asks a question still lives, for one that waits for the answer on another campaign.

A run that has died is taken back within a minute where somebody looks; where nobody does, its calls would be
waited for until their deadlines, which is an hour for a bulk task.
"""

import asyncio
import math
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from resources.postgres.lease import Sighting, sighting
from resources.postgres.outage import Outage
from resources.postgres.signs_of_life import SignsOfLife

# A living run may be long in noticing that its connection is dead. Who only waits for it loses but time.
GONE_AFTER_S = 120.0
LOOK_EVERY_S = 1.0
LONGEST_BLIND_S = 30.0  # between looks: longer ago is no sign that the lock was free all the time
STEADY_S = 30.0  # without an outage: by then whoever was answered meanwhile has written it
LONGEST_BELIEVED_S = 600.0  # past its deadline: where the database is away again and again


@dataclass
class _Owner:
    """The run that took a campaign last, and when it was last looked for."""

    signs: SignsOfLife = field(default_factory=lambda: SignsOfLife(GONE_AFTER_S, LONGEST_BLIND_S))
    looked: float = -math.inf


@dataclass
class Owners:
    """What one run knows of the runs of other campaigns.

    An outage of the database takes the lock from the living, too, and keeps them from writing down what they
    were told: what speaks against them counts from its end.
    """

    engine: AsyncEngine
    outage: Outage
    _seen: dict[UUID, _Owner] = field(default_factory=dict)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def gone(self, campaign_id: UUID | None, run_id: str | None) -> bool:
        """Another run has its campaign, or nobody has had it for a while; never where no lease tells."""
        if campaign_id is None:
            return False
        async with self._one_at_a_time:
            owner = self._seen.setdefault(campaign_id, _Owner())
            lease = owner.signs.lease
            is_younger = lease is not None and lease.run_id != run_id  # the question, than what was seen
            if is_younger or self._now() - owner.looked >= LOOK_EVERY_S:
                await self._look(campaign_id, owner)
        lease = owner.signs.lease
        return lease is not None and (lease.run_id != run_id or owner.signs.is_dead(lease.run_id))

    def too_late(self, overdue_s: float) -> bool:
        """Whether who asked may be taken to have had no answer, so many seconds after its deadline."""
        steady = self._now() - self.outage.last_seen >= STEADY_S
        return overdue_s > (0.0 if steady else LONGEST_BELIEVED_S)

    def _now(self) -> float:
        return self.outage.monotonic()

    async def _look(self, campaign_id: UUID, owner: _Owner) -> None:
        found = await self.outage.outlast(lambda: self._sighting(campaign_id))
        if self.outage.last_seen >= owner.looked:  # by any statement of ours
            owner.signs.look_failed()
        owner.looked = self._now()
        owner.signs.seen(found, owner.looked)

    async def _sighting(self, campaign_id: UUID) -> Sighting:
        async with self.engine.connect() as connection:
            return await sighting(connection, campaign_id)
