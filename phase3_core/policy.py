"""What a campaign's owner may set: thresholds, how wide the waterfall is, how many leads are in flight."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from phase3_core.approval import ApprovalPolicy
from phase3_core.money import Money, usd
from phase3_core.ports import CampaignCounts
from phase3_core.statuses import EnrichmentStatus
from phase3_core.tiers import PROFILES, Profile, Tier


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Counts of leads below which a campaign is not worth the next agent's money (seed rule)."""

    min_emails: int = 500
    min_enriched: int = 500
    min_tier_a_ready: int = 100


STANDARD = Thresholds()
PILOT = Thresholds(min_emails=50, min_enriched=50, min_tier_a_ready=10)


HALF_A_DOLLAR = usd("0.50")  # twice what the whole waterfall costs at the catalogue's prices


@dataclass(frozen=True, slots=True)
class LeadCaps:
    """USD that one lead may cost: for its address whatever its tier, for its enrichment by tier."""

    verification: Money = HALF_A_DOLLAR
    enrichment: Mapping[Tier, Money] = field(
        default_factory=lambda: {tier: profile.cap for tier, profile in PROFILES.items()}
    )

    def profile(self, tier: Tier) -> Profile:
        return replace(PROFILES[tier], cap=self.enrichment[tier])


@dataclass(frozen=True, slots=True)
class Policy:
    thresholds: Thresholds = field(default_factory=Thresholds)
    force_continue: bool = False
    guessing: bool = True
    max_providers_per_lead: int = 7
    leads_in_flight: int = 3000
    lead_caps: LeadCaps = field(default_factory=LeadCaps)
    alert_at: Decimal = Decimal("0.8")
    approval: ApprovalPolicy = field(default_factory=ApprovalPolicy)


def accepted(counts: CampaignCounts) -> int:
    return sum(tier.accepted for tier in counts.tiers)


def enriched(counts: CampaignCounts) -> int:
    return counts.by_enrichment_status.get(EnrichmentStatus.ENRICHED, 0)


def tier_a_ready(counts: CampaignCounts) -> int:
    return sum(tier.ready for tier in counts.tiers if tier.tier is Tier.A)


def email_shortfall(counts: CampaignCounts, thresholds: Thresholds) -> str:
    """Why enrichment should not start, in words for the user; empty when it may."""
    return _shortfall(accepted(counts), thresholds.min_emails, "accepted emails", "enrichment")


def enrichment_shortfall(counts: CampaignCounts, thresholds: Thresholds) -> str:
    return _shortfall(enriched(counts), thresholds.min_enriched, "enriched leads", "the tier report")


def ready_shortfall(counts: CampaignCounts, thresholds: Thresholds) -> str:
    return _shortfall(tier_a_ready(counts), thresholds.min_tier_a_ready, "ready tier A leads", "approval")


def _shortfall(have: int, need: int, what: str, next_step: str) -> str:
    if have >= need:
        return ""
    return (
        f"{have:,} {what}, and {next_step} wants at least {need:,}. Everything bought is kept: add providers "
        "or leads and run again, use the pilot preset for a small campaign, or set force_continue."
    )
