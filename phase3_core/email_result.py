"""What agent 3.1 leaves of a lead."""

from dataclasses import dataclass
from uuid import UUID

from phase3_core.leads import Lead
from phase3_core.progress import DELIVERED, GUESS, Progress
from phase3_core.statuses import ACCEPTED, EmailStatus
from phase3_core.waiting import Wait


@dataclass(frozen=True, slots=True)
class EmailResult:
    """What agent 3.1 writes for one lead. `status` None: not finished, the next run goes on with it.

    `suppressed`: nothing else is written of it; `email` is the address that the list may name.
    """

    lead_id: UUID
    status: EmailStatus | None
    email: str = ""
    provider: str = ""
    verifier: str = ""
    confidence: int | None = None
    waits: tuple[Wait, ...] = ()
    suppressed: bool = False


_BEST_FIRST = (
    EmailStatus.VALID,
    EmailStatus.RISKY,
    EmailStatus.CATCH_ALL,
    EmailStatus.UNKNOWN,
    EmailStatus.ROLE_BASED,
    EmailStatus.DISPOSABLE,
    EmailStatus.INVALID,
)


def result_of(lead: Lead, progress: Progress) -> EmailResult:
    """The best candidate. A guess that was not accepted is no find; only an accepted find replaces the
    address that phase 2 delivered.
    """
    if progress.suppressed:
        latest = progress.candidates[-1].email if progress.candidates else ""
        return EmailResult(lead.id, None, latest, suppressed=True)
    if progress.unfinished:
        return EmailResult(lead.id, None, waits=progress.awaited)
    real = [c for c in progress.candidates if c.source != GUESS or c.status in ACCEPTED]
    if not real:
        return EmailResult(lead.id, EmailStatus.NOT_FOUND)
    best = min(real, key=lambda candidate: _BEST_FIRST.index(candidate.status))
    if best.status not in ACCEPTED:
        best = next((candidate for candidate in real if candidate.source == DELIVERED), best)
    score = best.judgement.score if best.judgement and best.judgement.score is not None else best.confidence
    return EmailResult(lead.id, best.status, best.email, best.source, best.verifier, score)
