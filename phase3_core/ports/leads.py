"""A campaign's leads, a page at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypedDict, Unpack
from uuid import UUID

from phase3_core.email_result import EmailResult
from phase3_core.enrichment import EnrichmentResult, Gathered
from phase3_core.leads import Lead
from phase3_core.money import Money
from phase3_core.tiers import Tier


@dataclass(frozen=True, slots=True)
class LeadPosition:
    """Where a page of leads ended: tier, then score downwards, then id."""

    tier: Tier
    score: int
    id: UUID


class LeadFilters(TypedDict, total=False):
    """What is left out, or None, filters nothing.

    `needs_verification`: agent 3.1 has (True: not) written a status. `is_enriched`: agent 3.2 has written
    `enriched`, `partial` or `failed`.
    """

    status: str | None
    exclude_status: Sequence[str]
    needs_email: bool | None
    needs_verification: bool | None
    has_verified_email: bool | None
    tier: Tier | None
    is_enriched: bool | None


class LeadRepository(Protocol):
    async def get_campaign_leads(
        self,
        campaign_id: UUID,
        *,
        limit: int = 500,
        after: LeadPosition | None = None,
        **wanted: Unpack[LeadFilters],
    ) -> list[Lead]:
        """A page of leads, tier A first, then highest score; `after` is the last lead of the page before.

        Leads in the states of `NOT_OURS` are never returned.
        """
        ...

    async def finished_leads(self, campaign_id: UUID, domains: Sequence[str], per_domain: int) -> list[Lead]:
        """The `per_domain` leads of each domain that agent 3.1 finished first, in that order.

        Those written together were finished in page order.

        They are returned as phase 2 delivered them (without the address that phase 3 found).
        """
        ...

    async def suppress_listed(self, campaign_id: UUID) -> None:
        """Marks the leads whom the suppression list names now, and releases those whom it no longer does.

        Marked leads are in no page, list or count but `CampaignCounts.suppressed`.
        """
        ...

    async def lead_set(self, campaign_id: UUID) -> str:
        """Digest of the ready leads by the rule of `report.lead_set_digest`; phase 4 gets these or none."""
        ...

    async def cost_of_decided(self, campaign_id: UUID) -> Money:
        """USD of the calls of agent 3.1 for leads that have a verdict."""
        ...

    async def save_email_results(self, campaign_id: UUID, results: Sequence[EmailResult]) -> None:
        """One transaction for the batch; each lead's `email_cost` is the sum of its calls in the ledger.

        An address that phase 2 delivered is replaced only by an accepted one. One that is on the
        suppression list is not kept: its lead is marked instead.
        """
        ...

    async def known_facts(self, leads: Sequence[UUID]) -> Mapping[UUID, Gathered]:
        """What earlier runs wrote of those among them that were enriched before."""
        ...

    async def save_enrichment_results(self, campaign_id: UUID, results: Sequence[EnrichmentResult]) -> None:
        """One statement for the batch; `enrichment_cost` is the sum of the lead's calls in the ledger."""
        ...
