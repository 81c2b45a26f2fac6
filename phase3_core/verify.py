"""Agent 3.1: each lead's best address, found and verified once and paid for once."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from phase3_core.agent import Shift, Surroundings, on_shift
from phase3_core.budget import CostPerValid
from phase3_core.domains import MOST_LEADERS, Domain
from phase3_core.email_result import EmailResult, result_of
from phase3_core.errors import BadInput, NothingUsable
from phase3_core.foresight import foresee
from phase3_core.leaders import Domains
from phase3_core.leads import Lead
from phase3_core.money import Money
from phase3_core.ordering import Ordered
from phase3_core.plan import Plan, Quote
from phase3_core.policy import EMAILS, Policy, accepted
from phase3_core.ports.books import Books, Database
from phase3_core.ports.campaigns import AgentResult
from phase3_core.ports.leads import LeadPosition
from phase3_core.ports.providers import Providers, ProviderSource, Verifier
from phase3_core.progress import Progress, start
from phase3_core.results_behind import PAGE, ResultsBehind, position, results_behind, worked_through
from phase3_core.runs import Run
from phase3_core.statuses import ACCEPTED, CampaignStatus, EmailStatus
from phase3_core.steps import Steps
from phase3_core.summary import AgentSummary
from phase3_core.waiting import Wait
from phase3_core.waterfall import Step, Stop, next_step


async def verify_campaign(
    run: Run, database: Database, source: ProviderSource, around: Surroundings
) -> AgentSummary:
    """Raises NothingUsable before anything is spent, CampaignBusy, UnknownCampaign, WrongCampaignState."""
    async with on_shift(run, database, around) as shift, source.open(run, shift.books) as providers:
        plan = plan_for(providers, around.policy)
        order = Ordered(run.campaign_id, shift.books, providers, around.policy, around.clock.now())
        plan = await order.plan(plan, keeps=True)
        await _foretell(shift, providers, plan)
        await shift.begin(CampaignStatus.VERIFYING_EMAILS)
        worked_on = await _verify_leads(shift, providers, plan)
        summary = await shift.summary(providers.skipped, worked_on, EMAILS)
        result = AgentResult(summary.counts, summary.cost, around.clock.now(), summary.as_json())
        await shift.books.campaigns.update_email_verification_results(run.campaign_id, result)
        await shift.conclude(CampaignStatus.EMAILS_VERIFIED, summary)
        return summary


async def _foretell(shift: Shift, providers: Providers, plan: Plan) -> None:
    """Before the first paid call; where nothing is left to do there is nothing to tell."""
    around = shift.around
    now, caps = around.clock.now(), around.policy.lead_caps
    foreseen = await foresee(shift.run.campaign_id, shift.books, providers, plan, caps, now)
    if foreseen.lines:
        around.foretell(foreseen)


def plan_for(providers: Providers, policy: Policy) -> Plan:
    """Fails before anything is spent when there is no finder or no verifier that may be asked."""
    away = {wait.provider: wait for wait in providers.away}
    why = "; ".join(f"{row.provider}: {row.why}" for row in providers.skipped)
    if all(finder.name in away for finder in providers.finders):
        raise NothingUsable(f"No usable finder, so nothing was spent. {why}")
    if _nobody_verifies(providers.verifiers[:2], away):
        raise NothingUsable(f"No usable verifier, so nothing was spent. {why}")
    verifier, second = providers.verifiers[0], next(iter(providers.verifiers[1:]), None)
    plan = Plan(
        finders=tuple(Quote(finder.name, finder.price) for finder in providers.finders),
        verifier=verifier.price,
        second_opinion=second is not None,
        guessing=policy.guessing,
        max_providers_per_lead=policy.max_providers_per_lead,
        second=second.price if second else None,
        lead_cap=policy.lead_caps.verification,
    )
    if plan.verification > plan.lead_cap:
        raise BadInput(
            f"To verify one address may cost {plan.verification} USD, and a lead may cost "
            f"{plan.lead_cap}: raise budgets.email_verification_per_lead_usd."
        )
    return plan


def _nobody_verifies(verifiers: Sequence[Verifier], away: Mapping[str, Wait]) -> bool:
    """What the first verifier cannot look at waits for it: for minutes that is worth it, not for a person."""
    waits = [away.get(one.name) for one in verifiers]
    return all(waits) or (waits[0] is not None and waits[0].until is None)


async def _verify_leads(shift: Shift, providers: Providers, plan: Plan) -> int:
    books = shift.books
    pending = (await books.campaigns.counts(shift.run.campaign_id)).pending_verification
    behind = await results_behind(shift, books.leads.save_email_results, providers, pending)
    costs = await _costs_so_far(shift)
    if costs.is_spent:
        providers.stop_buying(costs.scope)
    work = Waterfall(providers, plan, behind, costs)
    return await worked_through(lambda: _turns(shift.run, books, work), work.verify_lead, behind)


async def _costs_so_far(shift: Shift) -> CostPerValid:
    """Of all runs; looked up only where it matters."""
    campaign_id, most = shift.run.campaign_id, shift.around.policy.per_valid
    if most is None:
        return CostPerValid(campaign_id, None)
    counts = await shift.books.campaigns.counts(campaign_id)
    spent = await shift.books.leads.cost_of_decided(campaign_id)
    return CostPerValid(campaign_id, most, sum(counts.by_email_status.values()), accepted(counts), spent)


@dataclass(frozen=True, slots=True)
class Turn:
    """A lead's turn in the waterfall. `rerun`: finished earlier; repeated from the ledger, for nothing,
    to know again what it taught about its company's mail.
    """

    lead: Lead
    rerun: bool = False


async def _turns(run: Run, books: Books, work: "Waterfall") -> AsyncIterator[Turn]:
    after: LeadPosition | None = None
    while page := await books.leads.get_campaign_leads(
        run.campaign_id, needs_verification=True, limit=PAGE, after=after
    ):
        named = {lead.company_domain for lead in page} - {""}
        unknown = sorted(domain for domain in named if domain not in work.domains)
        leaders = await books.leads.finished_leads(run.campaign_id, unknown, MOST_LEADERS)
        await work.recollect(leaders)
        for lead in leaders:
            yield Turn(lead, rerun=True)
        await work.recollect(page)
        for lead in page:
            yield Turn(lead)
        after = position(page[-1])


class Waterfall:
    """Drives the policy: asks for the next step, takes it, until the policy says stop."""

    def __init__(
        self, providers: Providers, plan: Plan, behind: ResultsBehind[EmailResult], costs: CostPerValid
    ) -> None:
        self.domains = Domains(learns=plan.guessing)
        self._providers = providers
        self._steps = Steps(providers)
        self._remembered = Steps(providers.remembered)
        self._plan = plan
        self._behind = behind
        self._paid_for: set[UUID] = set()  # leads in work, by earlier runs
        self._costs = costs

    async def recollect(self, page: Sequence[Lead]) -> None:
        if page:
            caps = {lead.id: self._plan.lead_cap for lead in page}
            self._paid_for.update(await self._providers.recollect(caps))

    async def verify_lead(self, turn: Turn) -> None:
        """A leader that breaks never leaves: the run is ending, and nobody is asked without its knowledge."""
        domain, leading = await self.domains.enter(turn.lead)
        progress = await self._run(turn.lead, domain, self._remembered if turn.rerun else self._steps)
        result = result_of(turn.lead, progress)
        if result.status and not turn.rerun:
            self._count(self._providers.spent_on(turn.lead), result.status)
        self._providers.done_with(turn.lead)
        self._paid_for.discard(turn.lead.id)
        if leading:
            self.domains.leave(turn.lead, progress)
        if not turn.rerun:
            await self._behind.add(result)

    def _count(self, spent: Money, status: EmailStatus) -> None:
        """Only leads that are decided: those in work have cost something and have no address yet."""
        self._costs.add(spent, accepted=status in ACCEPTED)
        if self._costs.is_spent:
            self._providers.stop_buying(self._costs.scope)

    async def _run(self, lead: Lead, domain: Domain, steps: Steps) -> Progress:
        bought = await self._providers.bought(lead) if lead.id in self._paid_for else {}
        progress = start(lead, bought)
        while not isinstance(step := self._next_step(lead, domain, progress), Stop):
            progress = await steps.take(lead, progress, step)
        return progress

    def _next_step(self, lead: Lead, domain: Domain, progress: Progress) -> Step:
        return next_step(lead, self._plan, domain, progress, self._providers.spent_on(lead))
