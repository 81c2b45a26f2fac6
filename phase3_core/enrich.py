"""Agent 3.2: what a lead's tier deserves to know, company questions asked once per company."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from phase3_core.agent import Shift, Surroundings, on_shift, refuse_below
from phase3_core.calls import EnricherReply, Gap, NoAnswer
from phase3_core.enrichment import (
    EnrichmentResult,
    Gathered,
    after_reply,
    in_order,
    kept,
    next_source,
    result_of,
    told_before,
)
from phase3_core.flow import Lanes
from phase3_core.leads import Lead
from phase3_core.policy import EMAILS, ENRICHED
from phase3_core.ports.books import Books, Database
from phase3_core.ports.campaigns import AgentResult
from phase3_core.ports.leads import LeadPosition
from phase3_core.ports.providers import Enricher, Providers, ProviderSource
from phase3_core.results_behind import PAGE, ResultsBehind, position, results_behind, worked_through
from phase3_core.runs import Run
from phase3_core.statuses import CampaignStatus
from phase3_core.summary import AgentSummary

OF_ONE_LEAD = frozenset({Gap.LATER, Gap.SUPPRESSED, Gap.CAPPED})  # what says nothing to its colleagues
COMPANIES_REMEMBERED = 10_000  # beyond that the ledger answers again, for nothing


async def enrich_campaign(
    run: Run, database: Database, source: ProviderSource, around: Surroundings
) -> AgentSummary:
    """Raises StoppedAtThreshold when agent 3.1 left too few emails, CampaignBusy, WrongCampaignState.

    With no enricher at all it still runs: every lead ends `failed`, and the report says why.
    """
    async with on_shift(run, database, around) as shift, source.open(run, shift.books) as providers:
        await refuse_below(shift, EMAILS)
        await shift.begin(CampaignStatus.ENRICHING)
        worked_on = await _enrich_leads(shift, providers)
        summary = await shift.summary(providers.skipped, worked_on, ENRICHED)
        result = AgentResult(summary.counts, summary.cost, around.clock.now(), summary.as_json())
        await shift.books.campaigns.update_enrichment_results(run.campaign_id, result)
        await shift.conclude(CampaignStatus.ENRICHED, summary)
        return summary


async def _enrich_leads(shift: Shift, providers: Providers) -> int:
    books = shift.books
    pending = (await books.campaigns.counts(shift.run.campaign_id)).pending_enrichment
    behind = await results_behind(shift, books.leads.save_enrichment_results, providers, pending)
    work = Enrichment(providers, behind)
    return await worked_through(lambda: _leads(shift.run, books, work), work.enrich_lead, behind)


async def _leads(run: Run, books: Books, work: "Enrichment") -> AsyncIterator[Lead]:
    after: LeadPosition | None = None
    while page := await books.leads.get_campaign_leads(
        run.campaign_id, has_verified_email=True, is_enriched=False, limit=PAGE, after=after
    ):
        await work.recollect(page)
        for lead in page:
            yield lead
        after = position(page[-1])


class Companies:
    """Answers about companies, shared by their leads while they are remembered.

    A company's leads take turns, so that its first lead asks and pays whatever the tiers of the others
    and the order in which answers arrive.
    """

    def __init__(self) -> None:
        self._lanes = Lanes()
        self._answers: OrderedDict[tuple[str, str], EnricherReply] = OrderedDict()

    async def enter(self, lead: Lead) -> None:
        if lead.company_domain:
            await self._lanes.enter(lead.company_domain)

    def leave(self, lead: Lead) -> None:
        if lead.company_domain:
            self._lanes.leave(lead.company_domain)

    async def ask(self, enricher: Enricher, lead: Lead) -> EnricherReply:
        if not enricher.per_company or not lead.company_domain:
            return await enricher.enrich(lead)
        key = (lead.company_domain, enricher.name)
        if key in self._answers:
            return self._answers[key]
        reply = await enricher.enrich(lead)
        if not (isinstance(reply, NoAnswer) and reply.gap in OF_ONE_LEAD):
            self._answers[key] = reply
        while len(self._answers) > COMPANIES_REMEMBERED:
            self._answers.popitem(last=False)
        return reply


class Enrichment:
    """Drives the policy for each lead: asks for the next source until there is none."""

    def __init__(self, providers: Providers, behind: ResultsBehind[EnrichmentResult]) -> None:
        enrichers = providers.enrichers
        self._providers = providers
        self._caps = behind.shift.around.policy.lead_caps
        self._enrichers = [enrichers[i] for i in in_order(enrichers)]
        self._of_companies = [enricher for enricher in self._enrichers if enricher.per_company]
        self._by_name = {enricher.name: enricher for enricher in self._enrichers}
        self._companies = Companies()
        self._known: dict[UUID, Gathered] = {}
        self._leads = behind.shift.books.leads
        self._behind = behind

    async def recollect(self, page: Sequence[Lead]) -> None:
        await self._providers.recollect({lead.id: self._caps.profile(lead.tier).cap for lead in page})
        self._known |= await self._leads.known_facts([lead.id for lead in page])

    async def enrich_lead(self, lead: Lead) -> None:
        """A lead that breaks keeps its company's turn: the run is ending, and nobody is to pay instead."""
        known = self._known.pop(lead.id, Gathered())
        await self._companies.enter(lead)
        gathered = await self._gather(lead, self._of_companies, told_before(known, self._enrichers))
        self._companies.leave(lead)
        gathered = await self._gather(lead, self._enrichers, gathered)
        result = result_of(lead.id, lead.tier, self._caps.profile(lead.tier), kept(known, gathered))
        if not result.waits:  # else its next turn goes on from what it has cost
            self._providers.done_with(lead)
        await self._behind.add(result)

    async def _gather(self, lead: Lead, sources: Sequence[Enricher], gathered: Gathered) -> Gathered:
        profile = self._caps.profile(lead.tier)
        while name := next_source(profile, sources, gathered, self._providers.spent_on(lead)):
            enricher = self._by_name[name]
            gathered = after_reply(gathered, enricher, await self._companies.ask(enricher, lead))
        return gathered
