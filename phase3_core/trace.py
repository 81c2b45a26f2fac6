"""Why a lead went the way it went: the policy run again over what the ledger says, a reason to each step.

Nothing is asked and nothing is written: the providers here answer from the ledger alone. The policy is pure,
so it takes the steps that it took then, as long as plan and settings are those of then.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from phase3_core.calls import EnricherReply, Facts, Gap, Miss, NoAnswer
from phase3_core.domains import Domain
from phase3_core.enrichment import FIELDS_OF, Gathered, after_reply, in_order, next_source
from phase3_core.leaders import Domains
from phase3_core.leads import Lead
from phase3_core.money import ZERO, Money
from phase3_core.plan import Plan
from phase3_core.ports.providers import Enricher, Providers
from phase3_core.progress import Progress, start
from phase3_core.statuses import Agent
from phase3_core.step_reasons import reason, why_in_order
from phase3_core.steps import Steps
from phase3_core.tiers import PROFILES, Profile
from phase3_core.waterfall import Act, Find, Guess, Recall, SecondOpinion, Step, Stop, Verify, next_step


@dataclass(frozen=True, slots=True)
class LedgerCall:
    """A call as the ledger has it. `cost` USD settled, `unknown` USD booked; `lead_id`: who paid for it.

    `ended_at`: when its answer came, or what stood in place of one.
    """

    key: bytes
    provider: str
    operation: str
    outcome: str
    cost: Money
    unknown: Money
    asked_at: datetime
    ended_at: datetime
    answered: bool
    attempts: int
    took_ms: int | None
    error: str
    lead_id: UUID | None
    campaign_id: UUID | None
    agent: str

    def booked_for(self, lead_id: UUID) -> Money:
        """USD that it cost this lead: nothing where another lead has paid."""
        return self.cost + self.unknown if self.lead_id == lead_id else ZERO


@dataclass(frozen=True, slots=True)
class TracedStep:
    """One step of one agent: what was done, why it was the next one, what came of it."""

    agent: Agent
    step: str
    why: str
    outcome: str
    calls: tuple[LedgerCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Noted:
    """What enriching a lead brought: `sources`, what each told; `gaps`, why others gave no answer."""

    sources: Mapping[str, Mapping[str, Any]]
    gaps: Mapping[str, str]

    def reply(self, source: str, now: EnricherReply) -> EnricherReply | None:
        """What the lead was told, whatever the ledger has come to know since; None: it was not asked."""
        if source in self.sources:
            return Facts(self.sources[source])
        if source in self.gaps:
            return NoAnswer(Gap.DOWN, self.gaps[source])
        nothing = isinstance(now, Miss) or now == NoAnswer(Gap.NO_INPUT)
        return now if nothing else None


ASK = "ask "
NO_ANSWER_THEN = "no answer at the time"

Taken = Callable[[], tuple[LedgerCall, ...]]  # what was read of the ledger since it was last asked


async def email_steps(
    lead: Lead, leaders: Sequence[Lead], providers: Providers, plan: Plan, taken: Taken
) -> list[TracedStep]:
    """`leaders`: the company's leads that went before, in order; what they showed is known to this one."""
    steps, domains = Steps(providers), Domains()
    for leader in leaders:
        domain, leading = await domains.enter(leader)
        progress = start(leader, await providers.bought(leader))
        while not isinstance(
            step := next_step(leader, plan, domain, progress, providers.spent_on(leader)), Stop
        ):
            progress = await steps.take(leader, progress, step)
        if leading:
            domains.leave(leader, progress)
    taken()
    domain, _ = await domains.enter(lead)
    return await _walk(lead, domain, plan, providers, taken)


async def _walk(
    lead: Lead, domain: Domain, plan: Plan, providers: Providers, taken: Taken
) -> list[TracedStep]:
    steps, traced = Steps(providers), list[TracedStep]()
    progress = start(lead, await providers.bought(lead))
    recalled = taken()
    while True:
        step = next_step(lead, plan, domain, progress, providers.spent_on(lead))
        why = why_in_order(lead, step, plan, progress) + reason(step, plan, domain, progress)
        if isinstance(step, Stop):
            return [*traced, TracedStep(Agent.EMAIL_VERIFICATION, "stop", why, step.value)]
        progress = await steps.take(lead, progress, step)
        calls = taken()
        if isinstance(step, Recall):
            calls = tuple(call for call in recalled if call.provider == step.provider)
        told = outcome(step, progress, calls)
        traced.append(TracedStep(Agent.EMAIL_VERIFICATION, in_words(step), why, told, calls))


def in_words(act: Act) -> str:
    match act:
        case Find(provider):
            return f"{ASK}{provider}"
        case Recall(email, provider):
            return f"take {email}, bought of {provider}"
        case Guess(email):
            return f"guess {email}"
        case Verify(email):
            return f"verify {email}"
        case SecondOpinion(email):
            return f"second opinion on {email}"


def outcome(step: Step, progress: Progress, calls: Sequence[LedgerCall]) -> str:
    """What the step brought, read from the progress after it and the calls that it took."""
    latest = progress.candidates[-1] if progress.candidates else None
    match step:
        case Find(provider):
            named = [one.email for one in progress.candidates if one.source == provider]
            return named[-1] if named else _without_address(calls)
        case Recall() | Guess():
            return "to be verified"
        case Verify() | SecondOpinion() if progress.verifier_gone:
            return "not asked"
        case _ if latest is None:
            return ""
        case _ if latest.lost:
            return "the answer was lost"
        case _:
            return latest.status.value


def _without_address(calls: Sequence[LedgerCall]) -> str:
    if not calls:
        return "not asked"
    return "no address" if any(call.answered for call in calls) else NO_ANSWER_THEN


async def enrichment_steps(
    lead: Lead, providers: Providers, profile: Profile, taken: Taken, noted: Noted | None = None
) -> list[TracedStep]:
    """Company questions first, as agent 3.2 asks them. `noted`, once that is done, is what it was told."""
    enrichers = providers.enrichers
    sources = [enrichers[place] for place in in_order(enrichers)]
    company = [source for source in sources if source.per_company]
    traced: list[TracedStep] = []
    gathered = Gathered()
    taken()
    for group in (company, sources):
        while name := next_source(profile, group, gathered, providers.spent_on(lead)):
            source = next(one for one in group if one.name == name)
            now = await source.enrich(lead)
            reply = noted.reply(name, now) if noted else now
            after = after_reply(gathered, source, reply or Miss())
            calls = _calls_of(lead, reply, taken())
            if reply:
                why, told = _why_source(lead, source, gathered), _told(source, gathered, after)
                traced.append(TracedStep(Agent.ENRICHMENT, f"{ASK}{name}", why, told, calls))
            gathered = after
    return [*traced, _enough(lead, gathered)]


def _calls_of(
    lead: Lead, reply: EnricherReply | None, calls: tuple[LedgerCall, ...]
) -> tuple[LedgerCall, ...]:
    """Where the lead was told nothing, an answer that another lead got is none of its own."""
    if not isinstance(reply, NoAnswer):
        return calls
    return tuple(call for call in calls if call.lead_id == lead.id or not call.answered)


def _why_source(lead: Lead, source: Enricher, gathered: Gathered) -> str:
    wanted = PROFILES[lead.tier].topics & source.topics
    open_topics = sorted(topic.value for topic in wanted if not FIELDS_OF[topic] <= gathered.fields.keys())
    price = f"${source.price.ceiling:f} at most" if source.price.ceiling else "free"
    return f"tier {lead.tier.value} deserves {', '.join(open_topics)}; {price}, within the tier's cap"


def _told(source: Enricher, before: Gathered, after: Gathered) -> str:
    new = sorted(after.fields.keys() - before.fields.keys())
    return ", ".join(new) or after.gaps.get(source.name, "nothing new")


def _enough(lead: Lead, gathered: Gathered) -> TracedStep:
    missing = sorted(PROFILES[lead.tier].required - gathered.fields.keys())
    told = f"missing: {', '.join(missing)}" if missing else "every required field is there"
    why = "nobody is left who could add a field within the tier's cap"
    return TracedStep(Agent.ENRICHMENT, "stop", why, told)


def earlier_steps(turn: Sequence[TracedStep], wanted: Collection[bytes]) -> list[TracedStep]:
    """Of a turn that was taken before the last one, the steps that took these calls, and in whose place."""
    silent: list[str] = []
    found: list[TracedStep] = []
    for step in turn:
        calls = tuple(call for call in step.calls if call.key in wanted)
        if calls:
            found.append(replace(step, why=_in_place_of(silent, step.why), calls=calls))
        elif step.step.startswith(ASK) and not any(call.answered for call in step.calls):
            silent.append(step.step.removeprefix(ASK))
    return found


def _in_place_of(silent: Sequence[str], why: str) -> str:
    return f"{', '.join(silent)} gave no answer at the time; {why}" if silent else why
