"""The tier report: what a campaign came to, in exact amounts, and the hash that a decision is bound to."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from phase3_core.counts import CampaignCounts, ProviderSpend
from phase3_core.money import Money, ratio, usd
from phase3_core.ports.books import Books
from phase3_core.ports.providers import Skipped
from phase3_core.statuses import Agent, EmailStatus, EnrichmentStatus
from phase3_core.summary import (
    cost_of,
    cost_table,
    find_rate,
    found,
    per_lead,
    provider_table,
    quality,
    tier_table,
    valid_rate,
    verdict_counts,
)
from phase3_core.waiting import Waiting

# What somebody decides on. Not the campaign's name, who was skipped, caps, exports: they are circumstances.
DECIDED_ON = (
    "campaign_id",
    "lead_set",
    "funnel",
    "tiers",
    "quality",
    "email_status",
    "costs",
    "providers",
    "waiting",
)


@dataclass(frozen=True, slots=True)
class Findings:
    """What the books say of a campaign. `lead_set`: digest of the leads that phase 4 would get.

    `caps`: USD by agent, by `tier_a` and so on, or `total`; what is not in it has no cap.
    """

    campaign_id: UUID
    campaign: str
    counts: CampaignCounts
    spend: Sequence[ProviderSpend]
    lead_set: str
    skipped: Sequence[Skipped] = ()
    waiting: Sequence[Waiting] = ()
    caps: Mapping[str, Money] | None = None


async def read_report(books: Books, campaign_id: UUID, skipped: Sequence[Skipped] = ()) -> dict[str, Any]:
    """The report as the books stand now, at any time; raises UnknownCampaign.

    Who was skipped in the agents' last runs is added to `skipped`.
    """
    campaign = await books.campaigns.campaign(campaign_id)
    told = await books.campaigns.summary(campaign_id)
    findings = Findings(
        campaign_id=campaign_id,
        campaign=campaign.name,
        counts=await books.campaigns.counts(campaign_id),
        spend=await books.campaigns.spend(campaign_id),
        lead_set=await books.leads.lead_set(campaign_id),
        skipped=tuple(skipped_by_all(told, skipped)),
        waiting=await books.checkpoints.waiting(campaign_id),
        caps={one.name: one.cap for one in await books.budgets.of(campaign_id) if not one.provider},
    )
    return tier_report(findings)


def tier_report(findings: Findings) -> dict[str, Any]:
    """As JSON: amounts are USD as text to six places, rates lie between 0 and 1.

    Holds no duration and no time of day: the same books make the same report.
    """
    counts, spend = findings.counts, findings.spend
    costs = cost_table(spend)
    funnel = _funnel(counts)
    report = {
        "campaign": findings.campaign,
        "campaign_id": str(findings.campaign_id),
        "lead_set": findings.lead_set,
        "funnel": funnel,
        "find_rate": find_rate(counts),
        "valid_rate": valid_rate(counts),
        "tiers": tier_table(counts),
        "quality": quality(counts),
        "email_status": verdict_counts(counts),
        "costs": {name: str(amount) for name, amount in costs.items()},
        "cost_of_no_lead_usd": str(counts.cost_of_no_lead),
        "cost_per_ready_usd": str(per_lead(costs["total"], funnel["ready"])),
        "providers": scored(provider_table(spend), counts, costs["total"]),
        "sources": sources(counts),
        "budget": {name: str(cap) for name, cap in (findings.caps or {}).items()},
        "skipped": [{"provider": row.provider, "why": row.why} for row in findings.skipped],
        "waiting": {
            "verification": counts.pending_verification,
            "enrichment": counts.pending_enrichment,
        },
        "suppressed": counts.suppressed,
        "waiting_for": [one.as_json() for one in findings.waiting],
        "rest": rest(findings),
    }
    return report | {"report_hash": report_hash(report)}


def report_hash(report: Mapping[str, Any]) -> str:
    """SHA-256 of what is decided on: leads, spend, results; equal for equal books, whenever they are read."""
    decided = {name: report[name] for name in DECIDED_ON}
    text = json.dumps(decided, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def lead_set_digest(leads: Iterable[tuple[UUID, str, str]]) -> str:
    """SHA-256 over `id|tier|address` of the ready leads, a line each, in the order of their ids."""
    lines = (f"{lead_id}|{tier}|{email}" for lead_id, tier, email in sorted(leads))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def skipped_by_all(told: Mapping[str, Any], skipped: Sequence[Skipped]) -> Iterable[Skipped]:
    """Those of now, then those of the agents' last runs, each once."""
    earlier = (row for agent in Agent for row in _skipped(told.get(agent)))
    known = {row.provider: row for row in (*skipped, *earlier)}
    return known.values()


def _skipped(agent_told: Any) -> list[Skipped]:
    rows = agent_told.get("skipped", ()) if isinstance(agent_told, Mapping) else ()
    return [Skipped(str(row["provider"]), str(row["why"])) for row in rows]


def _funnel(counts: CampaignCounts) -> dict[str, int]:
    return {
        "leads": sum(tier.total for tier in counts.tiers),
        "found": found(counts),
        "accepted": sum(tier.accepted for tier in counts.tiers),
        "enriched": sum(tier.enriched for tier in counts.tiers),
        "ready": sum(tier.ready for tier in counts.tiers),
    }


# --- providers


def scored(table: Sequence[Mapping[str, Any]], counts: CampaignCounts, whole: Money) -> list[dict[str, Any]]:
    """Each provider's share of the cost; of a finder also how good its addresses were and what one cost."""
    return [dict(row) | _score(row, counts, whole) for row in table]


def _score(row: Mapping[str, Any], counts: CampaignCounts, whole: Money) -> dict[str, Any]:
    booked = usd(row["cost_usd"]) + usd(row["unknown_usd"])
    name = row["provider"] if row["agent"] == Agent.EMAIL_VERIFICATION else ""
    found_by, accepted = counts.by_finder.get(name, 0), counts.accepted_by_finder.get(name, 0)
    return {
        "total_usd": str(booked),
        "share": ratio(booked, whole),
        "valid_rate": ratio(accepted, found_by) if found_by else None,
        "cost_per_valid_usd": str(per_lead(booked, accepted)) if accepted else None,
    }


def sources(counts: CampaignCounts) -> list[dict[str, Any]]:
    """Where the addresses came from, the most fertile source first; phase 2 and guesses are among them."""
    return [
        {
            "source": source,
            "found": number,
            "accepted": counts.accepted_by_finder.get(source, 0),
            "valid_rate": ratio(counts.accepted_by_finder.get(source, 0), number),
        }
        for source, number in sorted(counts.by_finder.items(), key=lambda pair: (-pair[1], pair[0]))
    ]


# --- what is not there, and what it would take

_RUN_AGAIN = "run the campaign again"
_ASK_MORE = "switch on the providers that were skipped"
_ALL_ASKED = "nothing more: every provider was asked"
_LEAVE = "nothing: such an address must not be mailed"
_LEAVE_ALONE = "nothing: nobody may write to them, so nobody was asked about them"
_WHY_NO_ADDRESS = {
    EmailStatus.NOT_FOUND: "no finder knew an address",
    EmailStatus.INVALID: "every address that was found is invalid",
    EmailStatus.CATCH_ALL: "the domain takes any address, and no second opinion confirmed this one",
    EmailStatus.UNKNOWN: "no verifier could tell",
    EmailStatus.DISPOSABLE: "a throw-away address",
    EmailStatus.ROLE_BASED: "an office's address, no person's",
}
_WHY_NOT_ENRICHED = {
    EnrichmentStatus.PARTIAL: "fields that the tier's profile requires are not known",
    EnrichmentStatus.FAILED: "no enricher knew anything",
}


def rest(findings: Findings) -> list[dict[str, Any]]:
    """Leads that are not ready: why, and what it would take; `estimate_usd` at this campaign's own costs."""
    more = _ASK_MORE if findings.skipped else _ALL_ASKED
    counts = findings.counts
    rows = [*_waiting(findings), *_without_address(counts, more), *_thin(counts, more), _suppressed(counts)]
    return [row for row in rows if row["leads"]]


def _waiting(findings: Findings) -> Iterator[dict[str, Any]]:
    counts, spend = findings.counts, findings.spend
    judged = sum(counts.by_email_status.values())
    a_verdict = per_lead(cost_of(spend, Agent.EMAIL_VERIFICATION), judged)
    told = sum(counts.by_enrichment_status.values())
    a_lead = per_lead(cost_of(spend, Agent.ENRICHMENT), told)
    yield _left(counts.pending_verification, "not verified yet", _RUN_AGAIN, a_verdict)
    yield _left(counts.pending_enrichment, "accepted, not enriched yet", _RUN_AGAIN, a_lead)


def _without_address(counts: CampaignCounts, more: str) -> Iterator[dict[str, Any]]:
    for status, why in _WHY_NO_ADDRESS.items():
        unmailable = status in {EmailStatus.DISPOSABLE, EmailStatus.ROLE_BASED}
        yield _left(counts.by_email_status.get(status, 0), why, _LEAVE if unmailable else more)


def _thin(counts: CampaignCounts, more: str) -> Iterator[dict[str, Any]]:
    for status, why in _WHY_NOT_ENRICHED.items():
        yield _left(counts.by_enrichment_status.get(status, 0), why, more)


def _suppressed(counts: CampaignCounts) -> dict[str, Any]:
    return _left(counts.suppressed, "on the suppression list, and in no other figure here", _LEAVE_ALONE)


def _left(leads: int, why: str, remedy: str, each: Money | None = None) -> dict[str, Any]:
    estimate = None if each is None else str(usd(each * leads))
    return {"leads": leads, "why": why, "do": remedy, "estimate_usd": estimate}
