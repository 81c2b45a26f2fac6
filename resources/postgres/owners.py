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

# A living run may take a minute to notice that its connection is dead, and then takes its lock again.
GONE_AFTER_S = 120.0
LOOK_EVERY_S = 1.0
LONGEST_BLIND_S = 30.0  # between looks: longer ago is no sign that the lock was free all the time
STEADY_S = 30.0  # without an outage: by then whoever was answered meanwhile has written it
LONGEST_BELIEVED_S = 600.0  # past its deadline: where the database is away again and again


@dataclass(frozen=True, slots=True)
class _Owner:
    """A campaign's newest lease, and since when it has been seen without its lock."""

    lease: Standing | None = None
    looked: float = -math.inf
    free_since: float = math.inf


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
            owner = await self._owner(campaign_id)
            if owner.lease and owner.lease.run_id != run_id:
                owner = await self._look(campaign_id)  # the question may be younger than what was seen
        if owner.lease is None:
            return False
        free_since = max(owner.free_since, self.outage.last_seen)
        return owner.lease.run_id != run_id or self._now() - free_since >= GONE_AFTER_S

    def too_late(self, overdue_s: float) -> bool:
        """Whether who asked may be taken to have had no answer, so many seconds after its deadline."""
        steady = self._now() - self.outage.last_seen >= STEADY_S
        return overdue_s > (0.0 if steady else LONGEST_BELIEVED_S)

    def _now(self) -> float:
        return self.outage.monotonic()

    async def _owner(self, campaign_id: UUID) -> _Owner:
        owner = self._seen.get(campaign_id)
        if owner and self._now() - owner.looked < LOOK_EVERY_S:
            return owner
        return await self._look(campaign_id)

    async def _look(self, campaign_id: UUID) -> _Owner:
        before = self._seen.get(campaign_id, _Owner())
        lease = await self.outage.outlast(lambda: self._lease(campaign_id))
        now = self._now()
        owner = self._seen[campaign_id] = _Owner(lease, now, _free_since(lease, before, now))
        return owner

    async def _lease(self, campaign_id: UUID) -> Standing | None:
        async with self.engine.connect() as connection:
            return await standing(connection, campaign_id)


def _free_since(lease: Standing | None, before: _Owner, now: float) -> float:
    if lease is None or lease.held:
        return math.inf
    return now if now - before.looked > LONGEST_BLIND_S else min(before.free_since, now)
