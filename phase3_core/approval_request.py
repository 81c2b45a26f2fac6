"""The question whether a campaign may go on to phase 4: what it is bound to, and how it is told."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from phase3_core.money import Money
from phase3_core.statuses import ApprovalStatus, OutboxKind

HASH_SHOWN = 12  # digits of a report's hash, on its page and in the names of its exports


@dataclass(frozen=True, slots=True)
class Binding:
    """What a request is about: these leads, this much spent (USD) and allowed, this report.

    `leads` is a digest of every lead's id, tier, address and states; the counts of ready leads come from the
    same snapshot. `report` is its hash (`report.report_hash`). `allowed`: the campaign's caps by name, USD;
    with what was spent they say what is left.
    """

    leads: str
    tier_a_ready: int
    ready: int
    spent: Money
    report: str
    allowed: str = ""

    @property
    def hash(self) -> str:
        ready = (str(self.tier_a_ready), str(self.ready))
        parts = (self.leads, *ready, f"{self.spent:.6f}", self.report, self.allowed)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        return {
            "leads": self.leads,
            "tier_a_ready": self.tier_a_ready,
            "ready": self.ready,
            "spent_usd": f"{self.spent:.6f}",
            "report": self.report,
            "allowed_usd": self.allowed,
        }


def changes(asked: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What is no longer as it was when the request was made, in words."""
    told = []
    if asked.get("leads") != now["leads"]:
        told.append("the leads")
    if asked.get("spent_usd") != now["spent_usd"]:
        told.append(f"what was spent (${asked.get('spent_usd', '?')}, now ${now['spent_usd']})")
    if asked.get("allowed_usd") != now["allowed_usd"]:
        before, after = (caps.get("allowed_usd") or "no cap" for caps in (asked, now))
        told.append(f"what may be spent ({before}, now {after})")
    if asked.get("report") != now["report"]:
        told.append("the report")
    return " and ".join(told) or "the snapshot"


@dataclass(frozen=True, slots=True)
class Asked:
    """A pending request and what it is bound to."""

    request_id: UUID
    binding: Binding


@dataclass(frozen=True, slots=True)
class Nudge:
    """A request that has waited long, and what was done about it now: a reminder or an escalation."""

    request_id: UUID
    campaign_id: UUID
    kind: OutboxKind


@dataclass(frozen=True, slots=True)
class MoreWanted:
    """A campaign whose approver asked for more enrichment, and the request that was answered so."""

    campaign_id: UUID
    campaign: str
    request_id: UUID


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A request as people are told of it; `channel` is where it was announced, if it was."""

    request_id: UUID
    campaign_id: UUID
    campaign: str
    status: ApprovalStatus
    report: Mapping[str, Any]
    feedback: str = ""
    decided_by: str = ""
    decided_at: datetime | None = None
    channel: Mapping[str, Any] | None = None

    @property
    def pending(self) -> bool:
        return self.status is ApprovalStatus.PENDING


def in_words(status: ApprovalStatus) -> str:
    return status.replace("_", " ")
