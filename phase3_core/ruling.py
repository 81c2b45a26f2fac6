"""What became of a decision: it counts, or why it does not."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from phase3_core.approval_request import HASH_SHOWN, in_words
from phase3_core.errors import DecisionRefused
from phase3_core.statuses import ApprovalStatus


@dataclass(frozen=True, slots=True)
class Decided:
    """The decision counts."""

    request_id: UUID
    status: ApprovalStatus
    by: str
    at: datetime
    feedback: str = ""


@dataclass(frozen=True, slots=True)
class TooLate:
    """Somebody was faster, or the request was withdrawn."""

    status: ApprovalStatus
    by: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Stale:
    """Something changed since the request was made, so it was withdrawn; `changed` says what."""

    changed: str


@dataclass(frozen=True, slots=True)
class OtherReport:
    """The request is about another report than whoever decided has read; it stays as it is."""

    report: str


@dataclass(frozen=True, slots=True)
class NeverAsked:
    """There is no request for the campaign."""


Ruling = Decided | TooLate | Stale | OtherReport | NeverAsked


def ruled(campaign: str, ruling: Ruling) -> Decided:
    """The decision, where it counts; else raises DecisionRefused with a line for whoever decided."""
    match ruling:
        case Decided() as decided:
            return decided
        case TooLate(ApprovalStatus.WITHDRAWN):
            why = "The request was withdrawn. Materialize tier_report again (it costs nothing) for a new one."
        case TooLate(status, by, at):
            when = f" at {at:%Y-%m-%d %H:%M:%S} UTC" if at else ""
            why = f"Already decided: {in_words(status)} by {by}{when}."
        case Stale(changed):
            why = (
                f"Not decided: {changed} changed since approval was asked for, so that request is withdrawn. "
                "Materialize tier_report again (it costs nothing), read the new report, then decide."
            )
        case OtherReport(report):
            why = (
                f"Not decided: the request is about report {report[:HASH_SHOWN]}, which is another one than "
                "you have read. Read it, then decide."
            )
        case NeverAsked():
            why = f"Nobody has asked to approve campaign {campaign} yet: run it first."
    raise DecisionRefused(why)
