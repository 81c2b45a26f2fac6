"""What is known of one lead's address, and what each answer adds to it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from phase3_core.calls import FinderReply, Gap, Hit, Judgement, NoAnswer
from phase3_core.leads import Lead
from phase3_core.statuses import ACCEPTED, EmailStatus, Reason, Verdict, email_status
from phase3_core.waiting import Wait

DELIVERED = "delivered"  # the address that phase 2 brought
GUESS = "pattern_guess"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An address and what verifiers said of it so far."""

    email: str
    source: str
    confidence: int | None = None
    judgement: Judgement | None = None
    verifier: str = ""
    lost: bool = False  # the verifier's answer never came and may not be asked for again
    second_asked: bool = False
    catch_all: bool = False  # some verifier saw the domain take everything

    @property
    def status(self) -> EmailStatus:
        if self.judgement is None:
            return EmailStatus.UNKNOWN
        return email_status(self.judgement.verdict, self.judgement.reason)

    @property
    def judged(self) -> bool:
        return self.judgement is not None or self.lost


@dataclass(frozen=True, slots=True)
class Progress:
    """One lead's outcomes so far, oldest first. `waits`: who could not be asked now.

    `bought`: addresses from earlier runs whose finders this one does without. `parked`: finders that are
    left alone.
    """

    candidates: tuple[Candidate, ...] = ()
    tried: tuple[str, ...] = ()
    verifier_gone: bool = False
    guesses_over: bool = False
    waits: tuple[Wait, ...] = ()
    suppressed: bool = False
    bought: tuple[Candidate, ...] = ()
    parked: tuple[Wait, ...] = ()

    @property
    def accepted(self) -> bool:
        return any(candidate.status in ACCEPTED for candidate in self.candidates)

    @property
    def unfinished(self) -> bool:
        """The next run goes on with this lead."""
        if self.suppressed:
            return False
        return self.verifier_gone or (bool(self.awaited) and not self.accepted)

    @property
    def awaited(self) -> tuple[Wait, ...]:
        """Who is parked is done without; only where no finder could be asked, nothing is known without it."""
        nobody_asked = len(self.parked) == len(self.tried)
        return self.waits or (self.parked if nobody_asked else ())

    @property
    def missed(self) -> frozenset[str]:
        """Finders that brought no accepted address; who is waited for may still."""
        return frozenset(self.tried) - {wait.provider for wait in self.waits}

    def judgement_of(self, email: str) -> Candidate | None:
        return next((c for c in self.candidates if c.email.casefold() == email.casefold()), None)


def start(lead: Lead, bought: Mapping[str, Hit] | None = None) -> Progress:
    """An address that is there already goes straight to verification. `bought`: by finder."""
    found = tuple(Candidate(hit.email, name, hit.confidence) for name, hit in (bought or {}).items())
    return Progress((Candidate(lead.email, DELIVERED),) if lead.email else (), bought=found)


def after_recall(progress: Progress) -> Progress:
    """What was bought is a candidate, unless its address was judged already for this lead."""
    first, *rest = progress.bought
    new = () if progress.judgement_of(first.email) else (first,)
    return replace(progress, candidates=(*progress.candidates, *new), bought=tuple(rest))


def after_find(progress: Progress, provider: str, reply: FinderReply) -> Progress:
    """A hit is a new candidate unless its address was already judged for this lead.

    A guess that a finder names too is from then on the finder's, with the verdict that it has.
    """
    tried = replace(progress, tried=(*progress.tried, provider))
    if isinstance(reply, NoAnswer) and reply.gap is Gap.LATER:
        return _waiting(tried, provider, reply)
    if isinstance(reply, NoAnswer) and reply.gap is Gap.PARKED:
        return replace(tried, parked=(*tried.parked, _wait(provider, reply)))
    if _is_suppression(reply):
        return replace(tried, suppressed=True)
    if not isinstance(reply, Hit):
        return tried
    known = progress.judgement_of(reply.email)
    if known and known.source != GUESS:
        return tried
    others = (candidate for candidate in progress.candidates if candidate is not known)
    found = known or Candidate(reply.email, provider)
    return replace(tried, candidates=(*others, replace(found, source=provider, confidence=reply.confidence)))


def after_guess(progress: Progress, email: str) -> Progress:
    return replace(progress, candidates=(*progress.candidates, Candidate(email, GUESS)))


def after_verify(progress: Progress, verifier: str, reply: Judgement | NoAnswer) -> Progress:
    """A lost answer marks the address, never as invalid; a verifier that is gone ends the lead for now."""
    latest = progress.candidates[-1]
    if isinstance(reply, Judgement):
        over = latest.source == GUESS and reply.verdict in {Verdict.CATCH_ALL, Verdict.UNKNOWN}
        judged = _judged(latest, verifier, reply)
        return replace(
            progress,
            candidates=(*progress.candidates[:-1], judged),
            guesses_over=progress.guesses_over or over,
        )
    if _is_suppression(reply):
        return replace(progress, suppressed=True)
    if reply.gap is Gap.LOST:
        return replace(
            progress,
            candidates=(*progress.candidates[:-1], replace(latest, lost=True)),
            guesses_over=progress.guesses_over or latest.source == GUESS,
        )
    return _without_verifier(progress, verifier, reply)


def after_second_opinion(progress: Progress, verifier: str, reply: Judgement | NoAnswer) -> Progress:
    """The second verifier decides where it answers; where it does not, the first verdict stands.

    One that may be asked later is waited for: a finder's next address would cost more.
    """
    if isinstance(reply, NoAnswer) and reply.gap is Gap.LATER:
        return _without_verifier(progress, verifier, reply)
    if _is_suppression(reply):
        return replace(progress, suppressed=True)
    asked = replace(progress.candidates[-1], second_asked=True)
    if isinstance(reply, Judgement) and reply.verdict is not Verdict.UNKNOWN:
        asked = replace(_judged(asked, verifier, reply), lost=False)
    return replace(progress, candidates=(*progress.candidates[:-1], asked))


def _is_suppression(reply: FinderReply | Judgement) -> bool:
    return isinstance(reply, NoAnswer) and reply.gap is Gap.SUPPRESSED


def _without_verifier(progress: Progress, verifier: str, reply: NoAnswer) -> Progress:
    return replace(_waiting(progress, verifier, reply), verifier_gone=True)


def _waiting(progress: Progress, provider: str, reply: NoAnswer) -> Progress:
    return replace(progress, waits=(*progress.waits, _wait(provider, reply)))


def _wait(provider: str, reply: NoAnswer) -> Wait:
    return Wait(provider, reply.detail or reply.gap.value, reply.until, reply.briefly)


def _judged(candidate: Candidate, verifier: str, judgement: Judgement) -> Candidate:
    seen = judgement.verdict is Verdict.CATCH_ALL or judgement.reason is Reason.CATCH_ALL_CONFIRMED
    return replace(candidate, judgement=judgement, verifier=verifier, catch_all=candidate.catch_all or seen)
