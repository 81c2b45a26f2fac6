"""Everything that is written down, and how it is opened."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from phase3_core.budget import Budget
from phase3_core.ports.approvals import Approvals
from phase3_core.ports.campaigns import CampaignRepository
from phase3_core.ports.checkpoints import Checkpoints
from phase3_core.ports.leads import LeadRepository
from phase3_core.ports.saga import Saga
from phase3_core.record import Count, Credit, Group, Kept, Record, Roles
from phase3_core.runs import Run


class Budgets(Protocol):
    async def of(self, campaign_id: UUID) -> list[Budget]:
        """The campaign's, then those of providers today; empty where nothing is capped."""
        ...

    async def newly_near(self, campaign_id: UUID, alert_at: Decimal) -> list[Budget]:
        """Those of which this share is spent, each once."""
        ...


class TrackRecord(Protocol):
    """What estimates rest on."""

    async def groups(self, campaign_id: UUID, finders: Collection[str]) -> list[Group]:
        """The campaign's leads, those that are alike counted together."""
        ...

    async def record(self, campaign_id: UUID, roles: Roles) -> Record:
        """Of the campaign itself, as far as it went, and of the newest that were finished before it."""
        ...

    async def kept(self, campaign_id: UUID) -> Kept | None:
        """What the campaign's order goes by; None where nothing was kept yet."""
        ...

    async def keep(self, campaign_id: UUID, kept: Kept) -> None:
        """For good: a later run goes by the same figures."""
        ...

    async def took_ms(self, providers: Sequence[str]) -> Mapping[str, int]:
        """Milliseconds that the newest single calls of each took, usually; who had none is left out."""
        ...

    async def billed(self, providers: Sequence[str]) -> Mapping[str, Count]:
        """Of the newest answers of each those that cost something; who has none is left out."""
        ...

    async def credit(self) -> Mapping[str, Credit]:
        """What is left in vendors' accounts, by vendor; whose was never read is left out."""
        ...

    async def used_today(self) -> Mapping[str, int]:
        """Requests of this UTC day, of all runs, by account."""
        ...


class Books(Protocol):
    """Everything that is written down: one database, opened for one run."""

    @property
    def leads(self) -> LeadRepository: ...

    @property
    def campaigns(self) -> CampaignRepository: ...

    @property
    def checkpoints(self) -> Checkpoints: ...

    @property
    def approvals(self) -> Approvals: ...

    @property
    def budgets(self) -> Budgets: ...

    @property
    def saga(self) -> Saga: ...

    @property
    def track_record(self) -> TrackRecord: ...


class Database(Protocol):
    def open(self, run: Run) -> AbstractAsyncContextManager[Books]:
        """Connects, and holds the campaign for this run alone; raises CampaignBusy, OutsideFailure."""
        ...

    def reading(self) -> AbstractAsyncContextManager[Books]:
        """Connects beside whatever run holds the campaign."""
        ...
