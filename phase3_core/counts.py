"""What a campaign's leads and calls add up to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from phase3_core.money import ZERO, Money
from phase3_core.statuses import Agent, EmailStatus, EnrichmentStatus
from phase3_core.tiers import Tier


@dataclass(frozen=True, slots=True)
class ProviderSpend:
    """One provider's calls for one agent of a campaign, from the ledger.

    `cost` USD settled; `unknown` USD booked for calls whose bill is not known.
    """

    agent: Agent
    provider: str
    operation: str
    calls: int
    hits: int
    misses: int
    errors: int
    cost: Money
    unknown: Money


@dataclass(frozen=True, slots=True)
class TierCounts:
    """One tier's leads. `score` is the mean lead score of its ready leads."""

    tier: Tier
    total: int
    found: int
    accepted: int
    enriched: int
    partial: int
    ready: int
    score: float
    cost: Money


@dataclass(frozen=True, slots=True)
class CampaignCounts:
    """The state of a campaign's leads. `cost_of_no_lead`: USD of calls whose lead is gone.

    `suppressed` leads are counted nowhere else.
    """

    tiers: Sequence[TierCounts]
    by_email_status: Mapping[EmailStatus, int]
    by_finder: Mapping[str, int]
    accepted_by_finder: Mapping[str, int]
    by_enrichment_status: Mapping[EnrichmentStatus, int]
    pending_verification: int
    pending_enrichment: int
    cost_of_no_lead: Money = ZERO
    suppressed: int = 0
