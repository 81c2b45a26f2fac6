"""The question whether a campaign may go on to phase 4, and its answer."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from phase3_core.approval import Choice
from phase3_core.approval_request import Asked, MoreWanted, Nudge
from phase3_core.ruling import Decided, Ruling
from phase3_core.runs import Run
from phase3_core.statuses import ApprovalStatus


class Approvals(Protocol):
    async def request(self, run: Run, summary: Mapping[str, Any]) -> Asked:
        """The campaign's one pending request, bound to leads, spend, caps and `summary` as they are now.

        One that is bound to the same keeps its age; one that is not is withdrawn and followed by another.
        Raises WrongCampaignState where the campaign is decided already.
        """
        ...

    async def newest(self, campaign_id: UUID) -> ApprovalStatus | None:
        """The state of the campaign's newest request."""
        ...

    async def decide(self, campaign_id: UUID, choice: Choice, run: Run | None = None) -> Ruling:
        """One transaction: the binding is computed anew, the request decided once, the campaign moved.

        `run`: the run that holds the campaign and decides itself. Raises CampaignBusy while another run
        works on the campaign, UnknownCampaign, WrongCampaignState.
        """
        ...

    async def withdraw(self, campaign_id: UUID, run_id: str, why: str) -> bool:
        """Takes back the pending request that `run_id` made; False where there is none. Idempotent."""
        ...

    async def nudge(self, remind_after: timedelta, escalate_after: timedelta) -> list[Nudge]:
        """Reminds of requests that wait, then escalates, each once; by the database's clock."""
        ...

    async def decided_lately(self) -> list[tuple[UUID, Decided]]:
        """Campaigns with the decisions of the last day, except those of the last minute; oldest first."""
        ...

    async def more_wanted(self) -> list[MoreWanted]:
        """Campaigns that wait to be enriched again, with the request that was answered so."""
        ...
