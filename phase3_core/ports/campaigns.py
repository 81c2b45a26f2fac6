"""Campaigns: their state, their sums, and what agents leave on their rows."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from phase3_core.counts import CampaignCounts, ProviderSpend
from phase3_core.leads import Campaign
from phase3_core.money import Money
from phase3_core.runs import Run
from phase3_core.saga import Step
from phase3_core.statuses import CampaignStatus


@dataclass(frozen=True, slots=True)
class AgentResult:
    """What an agent leaves on the campaign row; `summary` is JSON."""

    counts: CampaignCounts
    cost: Money
    finished_at: datetime
    summary: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DueAgain:
    """A campaign that left leads waiting, and since when they can go on."""

    campaign: Campaign
    since: datetime


class CampaignRepository(Protocol):
    async def campaign(self, campaign_id: UUID) -> Campaign:
        """Raises UnknownCampaign."""
        ...

    async def move(
        self, campaign_id: UUID, to: CampaignStatus, why: str = "", *, ends: Run | None = None
    ) -> None:
        """One conditional update, with a line in the audit log; raises WrongCampaignState.

        `ends`: the agent that has completed with it; its saga steps are kept from then on.
        """
        ...

    async def put_back(
        self, step: Step, left_at: Collection[CampaignStatus], to: CampaignStatus, why: str
    ) -> bool:
        """From wherever of `left_at` it stands since `step`, its last move.

        False where it is elsewhere, or another run's: one that moved it since, or is at work on it.
        """
        ...

    async def call_off(self, campaign_id: UUID, before: datetime, why: str) -> bool:
        """Failed, where it was imported `before` that time and no run has begun with it; False elsewhere."""
        ...

    async def unpublish(self, campaign_id: UUID, url: str, before: str) -> None:
        """`before` is the list's URL again, if it is `url` now."""
        ...

    async def workbook(self, campaign_id: UUID) -> str:
        """The URL of the newest export, empty where there is none."""
        ...

    async def counts(self, campaign_id: UUID) -> CampaignCounts: ...

    async def spend(self, campaign_id: UUID) -> list[ProviderSpend]: ...

    async def spent(self, campaign_id: UUID) -> Money:
        """USD of all its calls, bills that are not known at their worst; at once, however many they are."""
        ...

    async def summary(self, campaign_id: UUID) -> Mapping[str, Any]:
        """What the agents left on the campaign row: each one's under its name, the report beside them."""
        ...

    async def update_email_verification_results(self, campaign_id: UUID, result: AgentResult) -> None: ...

    async def update_enrichment_results(self, campaign_id: UUID, result: AgentResult) -> None: ...

    async def update_verification_results(
        self, campaign_id: UUID, result: AgentResult, list_url: str
    ) -> None: ...

    async def import_completed(self) -> list[Campaign]:
        """Campaigns that phase 2 has handed over and no run has claimed, oldest import first."""
        ...

    async def due_again(self) -> list[DueAgain]:
        """Campaigns at rest and undecided whose waiting leads can go on now, the longest due first."""
        ...

    async def audit(self, campaign_id: UUID, action: str, details: Mapping[str, Any]) -> None: ...
