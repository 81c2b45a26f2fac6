"""The decision whether a campaign goes on: what people may decide, and who may."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from phase3_core.approval_request import Binding
from phase3_core.errors import DecisionRefused
from phase3_core.statuses import ApprovalStatus, CampaignStatus


class Decision(StrEnum):
    """What a person may decide."""

    APPROVE_FULL = "approve_full"
    APPROVE_TIER_A_ONLY = "approve_tier_a_only"
    REQUEST_MORE_ENRICHMENT = "request_more_enrichment"
    REJECT = "reject"

    @property
    def status(self) -> ApprovalStatus:
        return _STATUS[self]


_STATUS = {
    Decision.APPROVE_FULL: ApprovalStatus.APPROVED_FULL,
    Decision.APPROVE_TIER_A_ONLY: ApprovalStatus.APPROVED_TIER_A,
    Decision.REQUEST_MORE_ENRICHMENT: ApprovalStatus.MORE_ENRICHMENT,
    Decision.REJECT: ApprovalStatus.REJECTED,
}
_BEGINNING = re.compile("[0-9a-f]{6,64}")  # of a report's hash
ANYONE = "*"  # among the approvers: whoever has a shell or the Dagster UI
NEED_FEEDBACK = frozenset({Decision.REQUEST_MORE_ENRICHMENT, Decision.REJECT})


class Scope(StrEnum):
    """The column `campaigns.personalization_scope`: whose leads phase 4 may see."""

    TIER_A_AND_B = "tier_a_and_b"
    TIER_A_ONLY = "tier_a_only"


@dataclass(frozen=True, slots=True)
class Effect:
    """What a decision makes of the campaign."""

    campaign: CampaignStatus
    scope: Scope | None = None


EFFECTS = {
    ApprovalStatus.APPROVED_FULL: Effect(CampaignStatus.APPROVED, Scope.TIER_A_AND_B),
    ApprovalStatus.APPROVED_TIER_A: Effect(CampaignStatus.APPROVED, Scope.TIER_A_ONLY),
    ApprovalStatus.AUTO_APPROVED: Effect(CampaignStatus.APPROVED, Scope.TIER_A_AND_B),
    ApprovalStatus.MORE_ENRICHMENT: Effect(CampaignStatus.RE_ENRICHMENT_REQUESTED),
    ApprovalStatus.REJECTED: Effect(CampaignStatus.REJECTED),
}


class Channel(StrEnum):
    """Where a decision was made."""

    DAGSTER = "dagster"
    COMMAND_LINE = "command_line"
    SLACK = "slack"
    AUTOMATIC = "automatic"


@dataclass(frozen=True, slots=True)
class Choice:
    """One decision on a campaign. `request_id`: the request that was answered; None is the newest.

    `report`: the beginning of the hash of the report that was read; empty where nobody says.
    """

    status: ApprovalStatus
    by: str
    channel: Channel
    feedback: str = ""
    request_id: UUID | None = None
    report: str = ""


@dataclass(frozen=True, slots=True)
class AutoApproval:
    """Counts of ready leads from which on no person is asked (seed rule)."""

    min_tier_a_ready: int = 500
    min_ready: int = 5_000

    def reason(self, binding: Binding) -> str:
        """Why the snapshot needs no person; empty when it does."""
        if binding.tier_a_ready < self.min_tier_a_ready or binding.ready < self.min_ready:
            return ""
        return (
            f"{binding.tier_a_ready:,} ready leads of tier A (at least {self.min_tier_a_ready:,}) "
            f"and {binding.ready:,} in all (at least {self.min_ready:,})"
        )


@dataclass(frozen=True, slots=True)
class ApprovalPolicy:
    """Who may decide, when people are reminded, and whether they are asked at all.

    `approvers`: names, and Slack's user ids; nobody unless named. `ANYONE` opens form and shell, where a name
    is a claim; never Slack, where a channel may be full of strangers and everybody is known for sure.
    """

    approvers: Sequence[str] = ()
    auto: AutoApproval | None = None
    remind_after: timedelta = timedelta(hours=24)
    escalate_after: timedelta = timedelta(hours=24)

    @property
    def named(self) -> frozenset[str]:
        """In one spelling."""
        return frozenset(name.casefold() for name in self.approvers) - {ANYONE}

    def allows(self, who: str, channel: Channel) -> bool:
        open_to_all = ANYONE in self.approvers and channel is not Channel.SLACK
        return open_to_all or who.strip().casefold() in self.named


def person_choice(
    policy: ApprovalPolicy,
    decision: Decision,
    by: str,
    channel: Channel,
    *,
    feedback: str = "",
    request_id: UUID | None = None,
    known_as: str = "",
) -> Choice:
    """`known_as`: the name among the approvers, where it is not `by`.

    Raises DecisionRefused for a person who may not decide, and for feedback that is missing.
    """
    who, why = by.strip(), feedback.strip()
    if not who:
        raise DecisionRefused("Say who decides: --by NAME.")
    if not policy.allows(known_as or who, channel):
        raise DecisionRefused(_not_an_approver(policy, who))
    if decision in NEED_FEEDBACK and not why:
        raise DecisionRefused(f"{decision.replace('_', ' ')} needs feedback: say what is wrong or missing.")
    return Choice(decision.status, who, channel, why, request_id)


def _not_an_approver(policy: ApprovalPolicy, who: str) -> str:
    if policy.approvers:
        return f"{who} is not among the approvers. [approval] approvers in the settings names them."
    return "Nobody may decide yet: name who may as [approval] approvers in the settings (docs/approval.md)."


def having_read(choice: Choice, report: str) -> Choice:
    """The choice for this report and no other; raises DecisionRefused for what is no hash's beginning."""
    digits = report.strip().lower()
    if digits and not _BEGINNING.fullmatch(digits):
        raise DecisionRefused(
            f"{report!r} is no report: give the first digits of its hash, six or more, as its page does."
        )
    return replace(choice, report=digits)
