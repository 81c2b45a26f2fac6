"""The waterfall's policy: what is known of a lead -> the next step, or the reason to stop.

Pure and deterministic: the same outcomes give the same steps, so a resumed run repeats the decisions of
the one before and the call ledger answers what was already paid for.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from phase3_core.calls import Billing, FinderReply, Gap, Hit, Judgement, NoAnswer, Price
from phase3_core.leads import Lead
from phase3_core.money import ZERO, Money, total
from phase3_core.order import NOBODY, CheapestValid
from phase3_core.patterns import Pattern, guesses, pattern_of, worth_guessing
from phase3_core.rates import USUAL_FIND_RATE, USUAL_VALID_RATE
from phase3_core.routing import Shares, start_of, with_first
from phase3_core.statuses import ACCEPTED, EmailStatus, Reason, Verdict, email_status
from phase3_core.waiting import Wait

DELIVERED = "delivered"  # the address that phase 2 brought
GUESS = "pattern_guess"

MOST_LEADERS = 3  # leads of a domain that go one after another until its mail pattern is known


@dataclass(frozen=True, slots=True)
class Quote:
    """A finder in the plan, with its price."""

    provider: str
    price: Price

    def cost_per_valid(self, verification: float) -> float:
        """Expected USD for one valid address from this finder alone, verification included."""
        per_credit = float(self.price.per_credit)
        fee = per_credit / USUAL_FIND_RATE if self.price.billing is Billing.PER_CALL else per_credit
        return (fee + verification) / USUAL_VALID_RATE


WITHOUT_END = Money("Infinity")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a campaign's waterfall may use. `finders` in the order in which they are asked.

    `lead_cap`: USD that one lead may cost.
    """

    finders: tuple[Quote, ...]
    verifier: Price
    second_opinion: bool
    guessing: bool = True
    max_providers_per_lead: int = 7
    second: Price | None = None
    lead_cap: Money = WITHOUT_END
    order: CheapestValid | None = None
    starts: Shares = ()

    def in_turn(self, missed: Collection[str] = (), start: str = "") -> list[Quote]:
        """Finders in the order in which a lead of whom nothing else is known asks them.

        `start`: with whom it begins, where that is not who would be the first.
        """
        by_name = {quote.provider: quote for quote in self.finders if quote.provider not in missed}
        if self.order is None:
            return [by_name[name] for name in with_first(list(by_name), start)]
        turn = [start] if start in by_name else []
        while bids := self.order.bids(frozenset((*missed, *turn))):
            turn.append(bids[0].provider)
        return [by_name[name] for name in turn]

    @property
    def cost_per_valid(self) -> float:
        """Expected USD for one valid address from the finder that is asked first."""
        if self.order is not None:
            return self.order.bids(NOBODY)[0].cost
        return self.finders[0].cost_per_valid(float(self.verifier.ceiling))

    @property
    def verification(self) -> Money:
        """USD at worst for one address: verified, and by the second verifier too."""
        return self.verifier.ceiling + (self.second.ceiling if self.second else ZERO)


@dataclass(frozen=True, slots=True)
class Domain:
    """What a company's other leads have shown about its mail."""

    pattern: Pattern | None = None
    catch_all: bool = False

    @property
    def known(self) -> bool:
        return self.catch_all or self.pattern is not None


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
    """One lead's outcomes so far, oldest first. `waits`: who could not be asked now."""

    candidates: tuple[Candidate, ...] = ()
    tried: tuple[str, ...] = ()
    verifier_gone: bool = False
    guesses_over: bool = False
    waits: tuple[Wait, ...] = ()
    suppressed: bool = False

    @property
    def accepted(self) -> bool:
        return any(candidate.status in ACCEPTED for candidate in self.candidates)

    @property
    def unfinished(self) -> bool:
        """The next run goes on with this lead."""
        if self.suppressed:
            return False
        return self.verifier_gone or (bool(self.waits) and not self.accepted)

    @property
    def missed(self) -> frozenset[str]:
        """Finders that brought no accepted address; who is waited for may still."""
        return frozenset(self.tried) - {wait.provider for wait in self.waits}

    def judgement_of(self, email: str) -> Candidate | None:
        return next((c for c in self.candidates if c.email.casefold() == email.casefold()), None)


@dataclass(frozen=True, slots=True)
class Verify:
    email: str


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    email: str


@dataclass(frozen=True, slots=True)
class Find:
    provider: str


class Stop(StrEnum):
    ACCEPTED = "accepted"
    EXHAUSTED = "exhausted"
    NOT_WORTH = "not_worth"  # a valid address would cost more than one of the lead's tier is worth
    OVER_BUDGET = "over_budget"  # what is left of the lead's own cap pays for no further step
    SUPPRESSED = "suppressed"  # the lead, or an address that was found: nobody is asked
    VERIFIER_GONE = "verifier_gone"  # the candidate waits as found and unverified (rule 19)


@dataclass(frozen=True, slots=True)
class Guess:
    email: str


Act = Verify | SecondOpinion | Guess | Find
Step = Act | Stop


def start(lead: Lead) -> Progress:
    """An address that is there already goes straight to verification."""
    return Progress(candidates=(Candidate(lead.email, DELIVERED),) if lead.email else ())


def next_step(lead: Lead, plan: Plan, domain: Domain, progress: Progress, spent: Money = ZERO) -> Step:
    """`spent` USD that the lead has cost so far: a step that may go beyond its cap is not taken."""
    left = plan.lead_cap - spent
    if progress.suppressed:
        return Stop.SUPPRESSED
    if progress.verifier_gone:
        return Stop.VERIFIER_GONE
    latest = progress.candidates[-1] if progress.candidates else None
    if latest and not latest.judged:
        return Verify(latest.email) if plan.verifier.ceiling <= left else Stop.OVER_BUDGET
    second = plan.second.ceiling if plan.second else ZERO
    if latest and plan.second_opinion and _deserves_second_opinion(latest) and second <= left:
        return SecondOpinion(latest.email)
    if progress.accepted:
        return Stop.ACCEPTED
    return _next_source(lead, plan, domain, progress, left)


def _deserves_second_opinion(candidate: Candidate) -> bool:
    """A catch-all verdict, or one that was paid for and lost; a guess on a catch-all proves nothing."""
    if candidate.second_asked or candidate.source == GUESS:
        return False
    catch_all = candidate.judgement is not None and candidate.judgement.verdict is Verdict.CATCH_ALL
    return catch_all or candidate.lost


def _next_source(lead: Lead, plan: Plan, domain: Domain, progress: Progress, left: Money) -> Step:
    """A finder is asked only while what it finds can be verified too."""
    guess = _next_guess(lead, plan, domain, progress)
    if guess and plan.verifier.ceiling <= left:
        return guess
    if len(progress.tried) >= plan.max_providers_per_lead:
        return Stop.EXHAUSTED
    untried = _untried(lead, plan, progress)
    if not untried:
        return Stop.EXHAUSTED if len(progress.tried) >= len(plan.finders) else Stop.NOT_WORTH
    later = {wait.provider for wait in progress.waits}  # will be asked too, at these prices
    reserved = total(
        quote.price.ceiling + plan.verification for quote in plan.finders if quote.provider in later
    )
    affordable = (q for q in untried if reserved + q.price.ceiling + plan.verification <= left)
    chosen = next(affordable, None)
    return Find(chosen.provider) if chosen else Stop.OVER_BUDGET


def _untried(lead: Lead, plan: Plan, progress: Progress) -> list[Quote]:
    """In the order of asking."""
    if plan.order is None and not plan.starts:
        return [quote for quote in plan.finders if quote.provider not in progress.tried]
    names = [quote.provider for quote in plan.finders]
    if plan.order is not None:
        names = plan.order.ranked(lead, progress.missed)
    if plan.starts:
        names = with_first(names, start_of(lead, plan.starts))
    by_name = {quote.provider: quote for quote in plan.finders}
    return [by_name[name] for name in names if name not in progress.tried]


def _next_guess(lead: Lead, plan: Plan, domain: Domain, progress: Progress) -> Guess | None:
    """Guesses come before any finder, and end at the first sign that the domain takes everything."""
    if not plan.guessing or not plan.finders or domain.catch_all or progress.tried or progress.guesses_over:
        return None
    finder = plan.cost_per_valid
    for email, chance in guesses(lead, domain.pattern):
        if progress.judgement_of(email):
            continue
        return Guess(email) if worth_guessing(chance, plan.verifier.ceiling, finder) else None
    return None


def after_find(progress: Progress, provider: str, reply: FinderReply) -> Progress:
    """A hit is a new candidate unless its address was already judged for this lead.

    A guess that a finder names too is from then on the finder's, with the verdict that it has.
    """
    tried = replace(progress, tried=(*progress.tried, provider))
    if isinstance(reply, NoAnswer) and reply.gap is Gap.LATER:
        return _waiting(tried, provider, reply)
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
    wait = Wait(provider, reply.detail or reply.gap.value, reply.until)
    return replace(progress, waits=(*progress.waits, wait))


def _judged(candidate: Candidate, verifier: str, judgement: Judgement) -> Candidate:
    seen = judgement.verdict is Verdict.CATCH_ALL or judgement.reason is Reason.CATCH_ALL_CONFIRMED
    return replace(candidate, judgement=judgement, verifier=verifier, catch_all=candidate.catch_all or seen)


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
        return EmailResult(lead.id, None, waits=progress.waits)
    real = [c for c in progress.candidates if c.source != GUESS or c.status in ACCEPTED]
    if not real:
        return EmailResult(lead.id, EmailStatus.NOT_FOUND)
    best = min(real, key=lambda candidate: _BEST_FIRST.index(candidate.status))
    if best.status not in ACCEPTED:
        best = next((candidate for candidate in real if candidate.source == DELIVERED), best)
    score = best.judgement.score if best.judgement and best.judgement.score is not None else best.confidence
    return EmailResult(lead.id, best.status, best.email, best.source, best.verifier, score)


def learn(domain: Domain, lead: Lead, progress: Progress) -> Domain:
    """What this lead's verified candidates show about its company's mail."""
    for candidate in progress.candidates:
        if candidate.email.partition("@")[2].casefold() != lead.company_domain:
            continue
        if candidate.catch_all:
            return replace(domain, catch_all=True)
        if candidate.status is EmailStatus.VALID:
            pattern = pattern_of(candidate.email, lead.mailbox_names)
            return replace(domain, pattern=domain.pattern or pattern)
    return domain
