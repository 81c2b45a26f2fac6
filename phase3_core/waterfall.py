"""The waterfall: a plan and what is known of a lead -> the next step, or the reason to stop.

Pure and deterministic: the same outcomes give the same steps, so a resumed run repeats the decisions of
the one before and the call ledger answers what was already paid for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from phase3_core.domains import Domain, learn
from phase3_core.leads import Lead
from phase3_core.money import ZERO, Money, total
from phase3_core.patterns import guesses, worth_guessing
from phase3_core.plan import Plan, Quote
from phase3_core.progress import GUESS, Candidate, Progress
from phase3_core.routing import start_of, with_first
from phase3_core.statuses import Verdict


@dataclass(frozen=True, slots=True)
class Verify:
    email: str


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    email: str


@dataclass(frozen=True, slots=True)
class Find:
    provider: str


@dataclass(frozen=True, slots=True)
class Guess:
    email: str


@dataclass(frozen=True, slots=True)
class Recall:
    """An address that an earlier run was sold by a finder that this one does without."""

    email: str
    provider: str


class Stop(StrEnum):
    ACCEPTED = "accepted"
    EXHAUSTED = "exhausted"
    NOT_WORTH = "not_worth"  # a valid address would cost more than one of the lead's tier is worth
    OVER_BUDGET = "over_budget"  # what is left of the lead's own cap pays for no further step
    SUPPRESSED = "suppressed"  # the lead, or an address that was found: nobody is asked
    VERIFIER_GONE = "verifier_gone"  # the candidate waits as found and unverified
    PATIENT = "patient"  # a finder is out for the moment, and going on without it is too dear


Act = Verify | SecondOpinion | Recall | Guess | Find
Step = Act | Stop


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
    """What was bought comes first. A finder is asked only while what it finds can be verified too."""
    if progress.bought and plan.verifier.ceiling <= left:
        return Recall(progress.bought[0].email, progress.bought[0].source)
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
    affordable = [q.provider for q in untried if reserved + q.price.ceiling + plan.verification <= left]
    if not affordable:
        return Stop.OVER_BUDGET
    return Stop.PATIENT if _waits(plan, progress, affordable) else Find(affordable[0])


def _waits(plan: Plan, progress: Progress, others: Sequence[str]) -> bool:
    """Whether a finder that is out is worth waiting for, rather than asking the others now."""
    if plan.patience is None:
        return False
    others = others[: plan.max_providers_per_lead - len(progress.tried)]
    out = [wait.provider for wait in progress.waits if wait.briefly]
    return any(plan.patience.waits(one, others, progress.missed) for one in out)


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
    """Guesses come before any finder, and end at the first sign that the domain takes any mail or none."""
    if not plan.guessing or not plan.finders or domain.catch_all or progress.tried or progress.guesses_over:
        return None
    if learn(domain, lead, progress).without_mail:
        return None
    finder = plan.cost_per_valid
    for email, chance in guesses(lead, domain.pattern):
        if progress.judgement_of(email):
            continue
        return Guess(email) if worth_guessing(chance, plan.verifier.ceiling, finder) else None
    return None
