"""A tier report of a small campaign, made by the real rules from figures that a test can know."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from phase3_core.counts import CampaignCounts, ProviderSpend, TierCounts
from phase3_core.money import ZERO, usd
from phase3_core.ports.providers import Skipped
from phase3_core.report import Findings, tier_report
from phase3_core.statuses import Agent, EmailStatus, EnrichmentStatus
from phase3_core.tiers import Tier
from tests.fakes.people import CAMPAIGN

TOMBA = ProviderSpend(
    Agent.EMAIL_VERIFICATION, "tomba", "find", 30, 20, 8, 2, usd("1.500000"), usd("0.100000")
)
REOON = replace(TOMBA, provider="reoon", operation="verify", cost=usd("0.300000"), unknown=ZERO)
APOLLO = replace(TOMBA, agent=Agent.ENRICHMENT, provider="apollo", cost=usd("0.100000"), unknown=ZERO)
COUNTS = CampaignCounts(
    tiers=[
        TierCounts(Tier.A, 10, 8, 6, 3, 2, 3, 91.5, usd("1.20")),
        TierCounts(Tier.B, 20, 12, 9, 5, 1, 4, 60.0, usd("0.80")),
        TierCounts(Tier.C, 10, 0, 0, 0, 0, 0, 0.0, ZERO),
    ],
    by_email_status={EmailStatus.VALID: 12, EmailStatus.RISKY: 3, EmailStatus.CATCH_ALL: 5},
    by_finder={"tomba": 20},
    accepted_by_finder={"tomba": 12},
    by_enrichment_status={EnrichmentStatus.ENRICHED: 8, EnrichmentStatus.PARTIAL: 3},
    pending_verification=20,
    pending_enrichment=4,
)


def findings(counts: CampaignCounts = COUNTS, **facts: Any) -> Findings:
    usual = {"spend": [TOMBA, REOON, APOLLO], "lead_set": "abc", "campaign": "spring"}
    return Findings(campaign_id=CAMPAIGN, counts=counts, **{**usual, **facts})


def a_report(skipped: Sequence[Skipped] = (), **facts: Any) -> dict[str, Any]:
    return tier_report(findings(skipped=skipped, **facts))
