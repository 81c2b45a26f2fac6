"""Why the waterfall's policy took a step and no other, in words."""

from phase3_core.domains import Domain
from phase3_core.leads import Lead
from phase3_core.plan import Plan
from phase3_core.progress import DELIVERED, GUESS, Candidate, Progress
from phase3_core.routing import start_of
from phase3_core.waterfall import Find, Guess, Recall, SecondOpinion, Step, Stop, Verify

WHY_GUESS = "a verified guess costs less per valid address than the first finder"
WHY_GUESS_KNOWN = "an address of this company is known to follow this pattern"
WHY_STOP = {
    Stop.ACCEPTED: "there is an accepted address: nothing more is bought",
    Stop.SUPPRESSED: "the lead, or the address that was found, is on the suppression list",
    Stop.VERIFIER_GONE: "no verifier could look at the address: the lead waits",
    Stop.PATIENT: "a finder is out for the moment, and going on without it costs too much: the lead waits",
    Stop.OVER_BUDGET: "what is left of the lead's cap pays for no further step",
    Stop.NOT_WORTH: "a valid address from whoever is left would cost more than one of this tier is worth",
    Stop.EXHAUSTED: "every finder that may be asked was asked",
}


def why_in_order(lead: Lead, step: Step, plan: Plan, progress: Progress) -> str:
    """Where finders are not asked in a fixed order: why this one."""
    if not isinstance(step, Find):
        return ""
    if plan.starts and not progress.tried and step.provider == start_of(lead, plan.starts):
        share = dict(plan.starts)[step.provider]
        return f"dealt out: {share:.0%} of the leads start with it, so that all limits are used; "
    if plan.order is None:
        return ""
    return f"{plan.order.why(lead, progress.missed, step.provider)}; "


def reason(step: Step, plan: Plan, domain: Domain, progress: Progress) -> str:
    """Why the policy takes this step and no other."""
    match step:
        case Verify():
            return _why_verify(progress.candidates[-1])
        case SecondOpinion():
            return _why_second(progress.candidates[-1])
        case Recall(provider=provider):
            return f"{provider}, which is not asked any more, was paid for it in an earlier run"
        case Guess():
            return WHY_GUESS_KNOWN if domain.pattern else WHY_GUESS
        case Find():
            return _why_find(plan, domain, progress)
        case Stop():
            return WHY_STOP[step]


def _why_verify(candidate: Candidate) -> str:
    if candidate.source == DELIVERED:
        return "phase 2 delivered this address: it is verified before anything is bought"
    if candidate.source == GUESS:
        return "a guess is no address until its mailbox is verified"
    return f"{candidate.source} named this address: only a verified one counts"


def _why_second(candidate: Candidate) -> str:
    if candidate.lost:
        return "the first verifier's answer was lost and must not be bought again"
    return f"{candidate.verifier} saw a domain that takes any address"


def _why_find(plan: Plan, domain: Domain, progress: Progress) -> str:
    place = f"number {len(progress.tried) + 1} of at most {plan.max_providers_per_lead}"
    if progress.tried:
        return f"{progress.tried[-1]} brought no accepted address; {place}"
    if domain.catch_all and plan.guessing:
        return f"no guessing: the company's domain takes any address; {place}"
    if domain.without_mail and plan.guessing:
        return f"no guessing: no server takes mail for the company's domain; {place}"
    return f"no accepted address yet, and no guess is worth its price; {place}"
