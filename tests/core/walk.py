"""One lead through the waterfall's policy, with dictionaries for the outside world."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from phase3_core.calls import Billing, FinderReply, Gap, Judgement, Miss, NoAnswer, Price, VerifierReply
from phase3_core.domains import Domain
from phase3_core.email_result import EmailResult, result_of
from phase3_core.leads import Lead
from phase3_core.money import usd
from phase3_core.plan import Plan, Quote
from phase3_core.progress import (
    Progress,
    after_find,
    after_guess,
    after_recall,
    after_second_opinion,
    after_verify,
    start,
)
from phase3_core.statuses import Verdict
from phase3_core.waterfall import Act, Find, Guess, Recall, SecondOpinion, Step, Stop, Verify, next_step

MOST_STEPS = 100
PER_HIT = Price(usd("0.01"), Billing.PER_HIT)
PER_CALL = Price(usd("0.001"), Billing.PER_CALL)
STRANGE = Domain()  # nothing is known of the company's mail


def a_plan(*finders: str, second: bool = True, guessing: bool = False, most: int = 7) -> Plan:
    return Plan(tuple(Quote(name, PER_HIT) for name in finders), PER_CALL, second, guessing, most)


@dataclass(frozen=True)
class Oracle:
    """Finders by name, verifiers by address; unscripted: a miss, no mailbox, no second answer."""

    finders: Mapping[str, FinderReply] = field(default_factory=dict)
    first: Mapping[str, VerifierReply] = field(default_factory=dict)
    second: Mapping[str, VerifierReply] = field(default_factory=dict)

    def take(self, act: Act, progress: Progress) -> Progress:
        match act:
            case Recall():
                return after_recall(progress)
            case Guess(email):
                return after_guess(progress, email)
            case Find(provider):
                return after_find(progress, provider, self.finders.get(provider, Miss()))
            case Verify(email):
                return after_verify(progress, "reoon", self.first.get(email, Judgement(Verdict.INVALID)))
            case SecondOpinion(email):
                return after_second_opinion(
                    progress, "mailverify", self.second.get(email, NoAnswer(Gap.DOWN))
                )


@dataclass(frozen=True)
class Walk:
    steps: tuple[Step, ...]
    progress: Progress
    result: EmailResult

    @property
    def stop(self) -> Step:
        return self.steps[-1]

    @property
    def asked(self) -> list[str]:
        return [step.provider for step in self.steps if isinstance(step, Find)]

    @property
    def verified(self) -> list[str]:
        return [step.email for step in self.steps if isinstance(step, Verify)]

    @property
    def guessed(self) -> list[str]:
        return [step.email for step in self.steps if isinstance(step, Guess)]

    @property
    def second_opinions(self) -> list[str]:
        return [step.email for step in self.steps if isinstance(step, SecondOpinion)]


def walk(lead: Lead, plan: Plan, oracle: Oracle, domain: Domain = STRANGE) -> Walk:
    """To the stop; the test fails where the policy does not come to one."""
    progress, steps = start(lead), list[Step]()
    while len(steps) < MOST_STEPS:
        step = next_step(lead, plan, domain, progress)
        steps.append(step)
        if isinstance(step, Stop):
            return Walk(tuple(steps), progress, result_of(lead, progress))
        progress = oracle.take(step, progress)
    raise AssertionError(f"no stop after {MOST_STEPS} steps: {steps[-5:]}")
