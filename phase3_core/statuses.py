"""The words for states: of an address, a lead, a campaign, an approval."""

from enum import StrEnum


class Verdict(StrEnum):
    """What a verifier's facts say of an address."""

    VALID = "valid"
    RISKY = "risky"
    CATCH_ALL = "catch_all"
    INVALID = "invalid"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why a verdict is what it is, where there is more to say."""

    NONE = ""
    DISPOSABLE = "disposable"
    ROLE_ACCOUNT = "role_account"
    SPAMTRAP = "spamtrap"
    DISABLED = "disabled"
    INBOX_FULL = "inbox_full"
    CATCH_ALL_CONFIRMED = "catch_all_confirmed"
    NO_MAIL_SERVERS = "no_mail_servers"


class EmailStatus(StrEnum):
    """The column `leads.email_status`, in the seed's words."""

    VALID = "valid"
    RISKY = "risky"
    CATCH_ALL = "catchall"
    INVALID = "invalid"
    DISPOSABLE = "disposable"
    ROLE_BASED = "role_based"
    UNKNOWN = "unknown"
    NOT_FOUND = "not_found"


ACCEPTED = frozenset({EmailStatus.VALID, EmailStatus.RISKY})

_STATUS_BY_REASON = {
    Reason.DISPOSABLE: EmailStatus.DISPOSABLE,
    Reason.ROLE_ACCOUNT: EmailStatus.ROLE_BASED,
    Reason.INBOX_FULL: EmailStatus.UNKNOWN,  # it exists and takes no mail now: not to be sent to
}
_STATUS_BY_VERDICT = {
    Verdict.VALID: EmailStatus.VALID,
    Verdict.RISKY: EmailStatus.RISKY,
    Verdict.CATCH_ALL: EmailStatus.CATCH_ALL,
    Verdict.INVALID: EmailStatus.INVALID,
    Verdict.UNKNOWN: EmailStatus.UNKNOWN,
}


def email_status(verdict: Verdict, reason: Reason = Reason.NONE) -> EmailStatus:
    """A disposable, role or full address is named for what it is, whatever the verdict on its mailbox."""
    return _STATUS_BY_REASON.get(reason) or _STATUS_BY_VERDICT[verdict]


class EnrichmentStatus(StrEnum):
    """The column `leads.enrichment_status`."""

    ENRICHED = "enriched"
    PARTIAL = "partial"
    FAILED = "failed"


class LeadStatus(StrEnum):
    """States of phase 2 in which a lead is not ours to touch."""

    DUPLICATE = "duplicate"
    INVALID = "invalid"
    CROSS_CAMPAIGN_DUPLICATE = "cross_campaign_duplicate"


NOT_OURS = tuple(LeadStatus)


CANCELLED = "cancelled"  # begins the reason of a campaign whose run somebody stopped


class CampaignStatus(StrEnum):
    """The column `campaigns.status` as far as phase 3 moves it (design: campaign status)."""

    IMPORT_COMPLETE = "import_complete"
    VERIFYING_EMAILS = "verifying_emails"
    EMAILS_VERIFIED = "emails_verified"
    ENRICHING = "enriching"
    ENRICHED = "enriched"
    VERIFICATION_COMPLETE = "verification_complete"
    APPROVED = "approved_for_personalization"
    REJECTED = "rejected"
    RE_ENRICHMENT_REQUESTED = "re_enrichment_requested"
    FAILED = "phase3_failed"
    STOPPED = "phase3_stopped"


_S = CampaignStatus
BETWEEN_AGENTS = frozenset({_S.EMAILS_VERIFIED, _S.ENRICHED})  # one has completed, the next has not begun
UNDER_WAY = BETWEEN_AGENTS | {_S.VERIFYING_EMAILS, _S.ENRICHING}  # where no campaign stays
DECIDED = frozenset({_S.APPROVED, _S.REJECTED})  # no run works on them any more
_RUNNABLE = frozenset(_S) - DECIDED
_BEFORE: dict[CampaignStatus, frozenset[CampaignStatus]] = {
    _S.VERIFYING_EMAILS: _RUNNABLE,
    _S.EMAILS_VERIFIED: frozenset({_S.VERIFYING_EMAILS}),
    _S.ENRICHING: _RUNNABLE - {_S.IMPORT_COMPLETE},
    _S.ENRICHED: frozenset({_S.ENRICHING}),
    _S.VERIFICATION_COMPLETE: frozenset({_S.ENRICHED, _S.VERIFICATION_COMPLETE, _S.FAILED, _S.STOPPED}),
    _S.APPROVED: frozenset({_S.VERIFICATION_COMPLETE}),
    _S.REJECTED: frozenset({_S.VERIFICATION_COMPLETE}),
    _S.RE_ENRICHMENT_REQUESTED: frozenset({_S.VERIFICATION_COMPLETE}),
    _S.FAILED: _RUNNABLE,
    _S.STOPPED: _RUNNABLE,
}


def may_become(status: CampaignStatus) -> frozenset[CampaignStatus]:
    """The states from which a campaign may move to `status`; any run may start over what it left."""
    return _BEFORE.get(status, frozenset())


def shown(status: str, reason: str) -> str:
    """What people read: a cancelled campaign is `phase3_failed` to programs and `cancelled` to them."""
    cancelled = status == CampaignStatus.FAILED and reason.startswith(CANCELLED)
    return CANCELLED if cancelled else status


class ApprovalStatus(StrEnum):
    """The column `approval_requests.status`."""

    PENDING = "pending"
    APPROVED_FULL = "approved_full"
    APPROVED_TIER_A = "approved_tier_a"
    MORE_ENRICHMENT = "more_enrichment"
    REJECTED = "rejected"
    AUTO_APPROVED = "auto_approved"
    WITHDRAWN = "withdrawn"


class OutboxKind(StrEnum):
    """The column `outbox.kind`: what a message that waits to be sent is for."""

    ANNOUNCE = "slack_announce"
    UPDATE = "slack_update"
    REMIND = "slack_remind"
    ESCALATE = "slack_escalate"
    EVENT = "webhook_event"


class Agent(StrEnum):
    """The seed's three agents: who a call was made for."""

    EMAIL_VERIFICATION = "email_verification"
    ENRICHMENT = "waterfall_enrichment"
    FINALIZER = "verification_finalizer"
