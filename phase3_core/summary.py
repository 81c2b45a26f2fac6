"""What an agent reports when it is done, and the rates and tables that every report is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phase3_core.budget import Budget, why_spent
from phase3_core.counts import CampaignCounts, ProviderSpend
from phase3_core.money import ZERO, Money, ratio, total, usd
from phase3_core.ports.providers import Skipped
from phase3_core.statuses import ACCEPTED, Agent, EmailStatus
from phase3_core.waiting import Waiting, in_brief

VALIDITY_WEIGHT, ENRICHMENT_WEIGHT, READINESS_WEIGHT = 0.4, 0.3, 0.3  # seed rule


@dataclass(frozen=True, slots=True)
class AgentSummary:
    """One agent's part of a campaign, all runs of it together; `duration_s` is of this run alone.

    `waiting`: whom leads wait for, as each agent's newest run left it. `budgets`: those that hold for it.
    """

    agent: Agent
    campaign_name: str
    counts: CampaignCounts
    spend: Sequence[ProviderSpend]
    skipped: Sequence[Skipped]
    duration_s: float
    worked_on: int
    resumed_from: int
    shortfall: str = ""
    waiting: Sequence[Waiting] = ()
    budgets: Sequence[Budget] = ()

    @property
    def partial(self) -> str:
        """Why not all was done that could be, in one line; empty where nobody waits and no cap was reached.

        At a cap a lead is done without what its tier does not require.
        """
        why = [in_brief(self.waiting)] if self.waiting else []
        why += self._spent_budgets
        return f"partial: {'; '.join(why)}" if why else ""

    @property
    def _spent_budgets(self) -> list[str]:
        """Where a call found no room, unless leads that wait tell of it already."""
        told = {one.wait.why for one in self.waiting}
        refused = {one: why_spent(one.scope)[0] for one in self.budgets if one.refused_at and self._buys(one)}
        return [
            f"{one.provider}: {why}" if one.day else why for one, why in refused.items() if why not in told
        ]

    def _buys(self, under: Budget) -> bool:
        """A provider's day is everybody's, whether or not this campaign asks that provider."""
        of_all = self.agent is Agent.FINALIZER
        if under.day:
            ours = (row for row in self.spend if of_all or row.agent is self.agent)
            return any(row.provider == under.provider for row in ours)
        return of_all or under.agent in {None, self.agent}

    @property
    def cost(self) -> Money:
        return cost_of(self.spend, self.agent)

    def as_json(self) -> dict[str, Any]:
        """What is kept on the campaign row."""
        return {
            "by_status": verdict_counts(self.counts),
            "find_rate": find_rate(self.counts),
            "valid_rate": valid_rate(self.counts),
            "providers": provider_table([row for row in self.spend if row.agent is self.agent]),
            "skipped": [{"provider": row.provider, "why": row.why} for row in self.skipped],
            "suppressed": self.counts.suppressed,
            "shortfall": self.shortfall,
            "waiting": [one.as_json() for one in self.waiting],
            "budgets": [one.as_json() for one in self.budgets],
        }


def cost_of(spend: Sequence[ProviderSpend], agent: Agent | None = None) -> Money:
    """USD settled plus USD booked for bills that are not known yet."""
    return total(row.cost + row.unknown for row in spend if agent in {None, row.agent})


def found(counts: CampaignCounts) -> int:
    return sum(tier.found for tier in counts.tiers)


def find_rate(counts: CampaignCounts) -> float:
    """Share of leads for which an address was found."""
    return ratio(found(counts), sum(tier.total for tier in counts.tiers))


def valid_rate(counts: CampaignCounts) -> float:
    """Share of found addresses that verification accepted."""
    accepted = sum(counts.by_email_status.get(status, 0) for status in ACCEPTED)
    return ratio(accepted, found(counts))


def verdict_counts(counts: CampaignCounts) -> dict[str, int]:
    return {status.value: counts.by_email_status.get(status, 0) for status in EmailStatus}


def provider_table(spend: Sequence[ProviderSpend]) -> list[dict[str, Any]]:
    """One row per agent and provider, amounts as text so that no float touches money."""
    rows: dict[tuple[Agent, str], list[ProviderSpend]] = {}
    for row in spend:
        rows.setdefault((row.agent, row.provider), []).append(row)
    return [
        {
            "agent": agent.value,
            "provider": provider,
            "calls": sum(row.calls for row in group),
            "hits": sum(row.hits for row in group),
            "misses": sum(row.misses for row in group),
            "errors": sum(row.errors for row in group),
            "cost_usd": str(total(row.cost for row in group)),
            "unknown_usd": str(total(row.unknown for row in group)),
        }
        for (agent, provider), group in sorted(rows.items())
    ]


def quality(counts: CampaignCounts) -> dict[str, float]:
    """Scores from 0 to 1 by the seed's weights: 0.4 validity, 0.3 enrichment, 0.3 readiness."""
    accepted = sum(tier.accepted for tier in counts.tiers)
    enriched = sum(tier.enriched for tier in counts.tiers)
    ready = sum(tier.ready for tier in counts.tiers)
    validity, enrichment = valid_rate(counts), ratio(enriched, accepted)
    readiness = ratio(ready, sum(tier.total for tier in counts.tiers))
    overall = VALIDITY_WEIGHT * validity + ENRICHMENT_WEIGHT * enrichment + READINESS_WEIGHT * readiness
    return {
        "validity": validity,
        "enrichment": enrichment,
        "readiness": readiness,
        "overall": round(overall, 4),
    }


def per_lead(cost: Money, leads: int) -> Money:
    """USD for one lead, to the micro-dollar; zero when there is none."""
    return usd(cost / leads) if leads else ZERO


def tier_table(counts: CampaignCounts) -> list[dict[str, Any]]:
    return [
        {
            "tier": tier.tier.value,
            "total": tier.total,
            "verified": tier.accepted,
            "enriched": tier.enriched,
            "partial": tier.partial,
            "ready": tier.ready,
            "average_score": tier.score,
            "cost_usd": str(tier.cost),
            "cost_per_ready_usd": str(per_lead(tier.cost, tier.ready)),
        }
        for tier in counts.tiers
    ]


def cost_table(spend: Sequence[ProviderSpend]) -> dict[str, Money]:
    return {
        "email_verification": cost_of(spend, Agent.EMAIL_VERIFICATION),
        "enrichment": cost_of(spend, Agent.ENRICHMENT),
        "total": cost_of(spend),
    }


def result_counts(counts: CampaignCounts) -> Mapping[str, int]:
    """The `result` object of the output JSON (design: contracts)."""
    ready = {tier.tier.value.lower(): tier.ready for tier in counts.tiers}
    return {
        "emails_found": found(counts),
        "emails_verified": sum(tier.accepted for tier in counts.tiers),
        "leads_enriched": sum(tier.enriched for tier in counts.tiers),
        **{f"tier_{tier}_ready": ready.get(tier, 0) for tier in "abc"},
        "total_ready": sum(ready.values()),
    }
