"""What a campaign's owner may set: thresholds, how wide the waterfall is, how many leads are in flight."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

from phase3_core.approval import ApprovalPolicy
from phase3_core.counts import CampaignCounts
from phase3_core.money import Money, usd
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


class Ordering(StrEnum):
    """Whom the waterfall asks next."""

    AS_LISTED = "as_listed"
    CHEAPEST_VALID = "cheapest_valid"


class Routing(StrEnum):
    """With whom leads start in the waterfall."""

    FIRST = "first"  # all with the first of the order
    EARLIEST = "earliest"  # so that the campaign ends as early as limits and budget allow


@dataclass(frozen=True, slots=True)
class Policy:
    """`worth`: USD at most for one valid address, by tier; where there is none, any price is paid.

    `patience`: a lead waits for a finder whose service fails where going on is expected to cost so many USD
    more; None: it never does. `per_valid`: USD that the campaign's valid addresses may cost on average; None:
    any amount.
    """

    thresholds: Thresholds = field(default_factory=Thresholds)
    force_continue: bool = False
    guessing: bool = True
    max_providers_per_lead: int = 7
    ordering: Ordering = Ordering.AS_LISTED
    worth: Mapping[Tier, Money] = field(default_factory=dict)
    patience: Money | None = None
    routing: Routing = Routing.FIRST
    leads_in_flight: int = 3000
    lead_caps: LeadCaps = field(default_factory=LeadCaps)
    per_valid: Money | None = None
    alert_at: Decimal = Decimal("0.8")
    approval: ApprovalPolicy = field(default_factory=ApprovalPolicy)


def accepted(counts: CampaignCounts) -> int:
    return sum(tier.accepted for tier in counts.tiers)


def enriched(counts: CampaignCounts) -> int:
    return counts.by_enrichment_status.get(EnrichmentStatus.ENRICHED, 0)


def tier_a_ready(counts: CampaignCounts) -> int:
    return sum(tier.ready for tier in counts.tiers if tier.tier is Tier.A)


@dataclass(frozen=True, slots=True)
class Threshold:
    """`have` of `what` must be as many as `need` says before `next_step` is worth its money."""

    what: str
    next_step: str
    have: Callable[[CampaignCounts], int]
    need: Callable[[Thresholds], int]

    def shortfall(self, counts: CampaignCounts, thresholds: Thresholds) -> str:
        """Why the next step should not start, in words for the user; empty when it may."""
        have, need = self.have(counts), self.need(thresholds)
        if have >= need:
            return ""
        return (
            f"{have:,} {self.what}, and {self.next_step} wants at least {need:,}. Everything bought is kept: "
            "add providers or leads and run again, use the pilot preset for a small campaign, "
            "or set force_continue."
        )


EMAILS = Threshold("accepted emails", "enrichment", accepted, lambda least: least.min_emails)
ENRICHED = Threshold("enriched leads", "the tier report", enriched, lambda least: least.min_enriched)
TIER_A_READY = Threshold("ready tier A leads", "approval", tier_a_ready, lambda least: least.min_tier_a_ready)
