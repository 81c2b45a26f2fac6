"""What the ledger's statements are told, and what they tell: calls that are asked for, rows, endings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from phase3_core.calls import ReplayClass
from phase3_core.ledger import End, Intent, Outcome, Suppressed
from phase3_core.money import ZERO, Money
from resources.postgres.admission import Refusal
from resources.postgres.jsonb import json_text


@dataclass(frozen=True, slots=True)
class Row:
    """The newest epoch of a question, as the database sees it now.

    `stale`: what became of it is so long ago that an answer would not be fresh any more.
    """

    place: int
    key: bytes
    state: str
    outcome: str | None
    attempt: int
    losses: int
    job_id: str | None
    run_id: str | None
    campaign_id: UUID | None
    lead_id: UUID | None
    booked: Money
    reserved: Money
    http_status: int | None
    response: Any
    asked_at: datetime
    settled_at: datetime
    now: datetime
    lost_after: datetime | None
    fresh: bool
    stale: bool
    overdue_s: float

    @property
    def answered(self) -> bool:
        return self.state == "settled" and self.outcome not in {None, "error"}


@dataclass(frozen=True, slots=True)
class Asking:
    """An intent under its key: the `attempt`-th. `seen` is the row before, `booked` as in CLAIM.

    `has_job`: the vendor has taken it, so that only an answer tells what became of it.
    """

    intent: Intent
    key: bytes
    attempt: int = 1
    seen: Row | None = None
    booked: int = 0
    has_job: bool = False

    @property
    def reserved(self) -> Money:
        """USD, as CLAIM has it: what reads a job is booked as its submission was."""
        return self.seen.reserved if self.seen and self.seen.job_id else self.intent.reserved


Admitted = bool | Refusal | Suppressed  # what a statement says of one call


@dataclass(frozen=True, slots=True)
class Ending:
    """An outcome and the attempt it belongs to, if this run made it."""

    outcome: Outcome
    asking: Asking | None

    @property
    def answered(self) -> bool:
        return self.outcome.end in {End.HIT, End.MISS}

    @property
    def ends_doubt(self) -> bool:
        """Reading a job tells nothing of submissions lost before it."""
        free = self.asking is None or self.asking.intent.replay is ReplayClass.FREE
        return self.outcome.ends_doubt and self.answered and free

    @property
    def counts_late(self) -> bool:
        """A job is one attempt, whoever reads it: who could not tells nothing of what is in doubt."""
        of_a_job = self.asking is not None and self.asking.has_job
        return self.answered or not (of_a_job or self.outcome.end is End.LOST)


def calls(askings: Sequence[Asking]) -> dict[str, Any]:
    """Columns of what INTEND and CLAIM both ask for."""
    return {
        "provider": [asking.intent.provider for asking in askings],
        "tier": [asking.intent.tier for asking in askings],
        "key": [asking.key for asking in askings],
        "reserved": [asking.intent.reserved for asking in askings],
        "lead_id": [asking.intent.lead_id for asking in askings],
        "subjects": ["\n".join(asking.intent.subjects) for asking in askings],
        "deadline_s": [asking.intent.deadline_s for asking in askings],
    }


def questions(askings: Sequence[Asking]) -> dict[str, Any]:
    """Columns of INTEND alone."""
    return {
        "operation": [asking.intent.operation for asking in askings],
        "request": [json_text(asking.intent.request) for asking in askings],
    }


def as_seen(askings: Sequence[Asking]) -> dict[str, Any]:
    """Columns of CLAIM alone: the row as its caller saw it."""
    rows = [asking.seen for asking in askings if asking.seen]
    return {
        "attempt": [row.attempt for row in rows],
        "state": [row.state for row in rows],
        "lost_after": [row.lost_after for row in rows],
        "booked": [asking.booked for asking in askings],
    }


def outcomes(endings: Sequence[Ending], ttl_s: float) -> dict[str, Any]:
    """Columns of SETTLE and SETTLE_LATE."""
    names = ("key", "cost", "http_status", "response", "error", "took_ms")
    columns = {name: [getattr(ending.outcome, name) for ending in endings] for name in names}
    return columns | {
        "ttl_s": ttl_s,
        "told": [e.outcome.told if e.answered else "error" for e in endings],
        "attempt": [e.asking.attempt if e.asking else None for e in endings],
        "reserved": [e.asking.reserved if e.asking else None for e in endings],
        "lost": [e.outcome.end is End.LOST for e in endings],
        "answered": [e.answered for e in endings],
        "ends_doubt": [e.ends_doubt for e in endings],
    }


def as_refusal(why_not: Sequence[Any]) -> Suppressed | Refusal:
    """As the statements tell it behind a key."""
    barred, _, scope, for_good = why_not
    return Suppressed() if barred else Refusal(scope, for_good)


def paid(intent: Intent, row: Row, booked: int = 0) -> Money:
    """USD that this call has cost the lead who asks, nothing where it was another's; `booked` as in CLAIM."""
    if row.lead_id is None or row.lead_id != intent.lead_id:
        return ZERO
    return max(row.booked + booked * row.reserved, ZERO)


def without_response(ending: Ending) -> Ending:
    told = "the answer could not be stored as JSON"
    return replace(ending, outcome=replace(ending.outcome, response=None, error=told))
