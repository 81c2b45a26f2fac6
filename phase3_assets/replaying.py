"""A lead's turns taken again, over the ledger as it was then: nothing is asked and nothing is written."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from phase3_core.calls import Gap, NoAnswer, Reply, Role
from phase3_core.domains import MOST_LEADERS
from phase3_core.errors import NothingUsable
from phase3_core.leads import Lead
from phase3_core.ordering import Ordered
from phase3_core.ports.books import Books
from phase3_core.runs import Run
from phase3_core.statuses import ACCEPTED, Agent
from phase3_core.trace import (
    NO_ANSWER_THEN,
    LedgerCall,
    Noted,
    TracedStep,
    earlier_steps,
    email_steps,
    enrichment_steps,
)
from phase3_core.verify import plan_for
from resources.clock import SystemClock
from resources.postgres.database import PostgresBooks
from resources.postgres.dossier import Dossier
from resources.postgres.history import LedgerHistory, providers_asked
from resources.providers.catalogue import CATALOGUE
from resources.providers.enrichers import website
from resources.providers.open_providers import OneProvider, OpenProviders
from resources.providers.request import Question
from resources.providers.source import VendorSource
from resources.providers.website import SANDBOX_WEB
from resources.settings import Settings

NOT_NEEDED = "not needed: the ledger answers"
NOBODY = "nobody"  # no site is read, so nobody has to find us


@dataclass(frozen=True, slots=True)
class AsThen(OneProvider):
    """What the ledger does not know was not told, and nobody can say whether it was waited for."""

    async def _told(self, question: Question) -> Reply | NoAnswer:
        reply = await self.client.ask(question)
        untold = isinstance(reply, NoAnswer) and reply.gap is Gap.LATER
        return NoAnswer(Gap.PARKED, NO_ANSWER_THEN) if untold else reply


@dataclass(frozen=True, slots=True)
class Replay:
    """Of one lead. Each agent begins anew, as it did then: what the other spent is not in its caps."""

    books: PostgresBooks
    about: Dossier
    settings: Settings
    environment: Mapping[str, str]

    async def last_turns(self) -> list[TracedStep]:
        """Those that made the lead what it is, or will if nobody tells anything new."""
        about = self.about
        steps = await self._verified(about.verified_at)
        if about.lead.email_status in ACCEPTED:
            steps += await self._enriched(about.enriched_at, about.noted)
        return steps

    async def earlier_turns(self, calls: Iterable[LedgerCall]) -> list[TracedStep]:
        """The steps that took these calls at turns after which the lead waited, or its run was cut short."""
        steps: list[TracedStep] = []
        left = {call.key: call for call in calls}
        while left:
            latest = max(left.values(), key=lambda call: call.ended_at)
            turn = earlier_steps(await self._turn_of(latest), left.keys())
            steps = [*turn, *steps]
            for call in (latest, *(call for step in turn for call in step.calls)):
                left.pop(call.key, None)
        return steps

    async def _turn_of(self, call: LedgerCall) -> list[TracedStep]:
        turn = self._enriched if call.agent == Agent.ENRICHMENT else self._verified
        return await turn(call.ended_at)

    async def _verified(self, until: datetime | None) -> list[TracedStep]:
        history, policy = LedgerHistory(self.books.engine, until), self.settings.policy()
        async with self._replaying(history) as providers:
            try:
                plan = plan_for(providers, policy)
            except NothingUsable:
                return []
            order = Ordered(self.about.lead.campaign_id, self.books, providers, policy, SystemClock().now())
            plan = await order.plan(plan, keeps=False)
            return await email_steps(
                self.about.delivered, await self._leaders(), providers, plan, history.taken
            )

    async def _enriched(self, until: datetime | None, noted: Noted | None = None) -> list[TracedStep]:
        lead, history = self.about.lead, LedgerHistory(self.books.engine, until)
        profile = self.settings.budgets.lead_caps().profile(lead.tier)
        async with self._replaying(history) as providers:
            return await enrichment_steps(lead, providers, profile, history.taken, noted)

    async def _leaders(self) -> Sequence[Lead]:
        """The first leads of the company, as far as they went before this one."""
        lead = self.about.delivered
        if not lead.company_domain:
            return []
        first = await self.books.leads.finished_leads(lead.campaign_id, [lead.company_domain], MOST_LEADERS)
        ids = [leader.id for leader in first]
        return first[: ids.index(lead.id)] if lead.id in ids else first

    def _settings(self, asked: Collection[str]) -> Settings:
        return self.settings.with_contact(NOBODY) if website.SPEC.name in asked else self.settings

    @asynccontextmanager
    async def _replaying(self, history: LedgerHistory) -> AsyncIterator[OpenProviders]:
        @asynccontextmanager
        async def opened(books: Books, run: Run) -> AsyncIterator[LedgerHistory]:
            del books, run
            yield history

        run = Run("trace", self.about.lead.campaign_id, Agent.FINALIZER)
        asked = await providers_asked(self.books.engine)
        source = VendorSource(self._settings(asked), as_then(self.environment, asked), opened, SystemClock())
        async with source.open(run, self.books) as providers:
            yield _alone(providers)


def as_then(environment: Mapping[str, str], asked: Collection[str]) -> dict[str, str]:
    """Whoever has a call in the ledger had a key then; nobody else had, unless no finder was needed."""
    used = [row for row in CATALOGUE if row.name in asked]
    if not any(row.spec.role is Role.FINDER for row in used):
        used += [row for row in CATALOGUE if row.spec.role is Role.FINDER]
    theirs = {SANDBOX_WEB, *(name for row in CATALOGUE for name in row.spec.secrets)}
    ours = {name: value for name, value in environment.items() if name not in theirs}
    return ours | {name: NOT_NEEDED for row in used for name in row.spec.secrets}


def _alone(providers: OpenProviders) -> OpenProviders:
    """Nothing is gathered to be asked together: nothing is asked."""
    for one in providers.all:
        one.client.bulk = False
    roles = providers.finders, providers.verifiers, providers.enrichers
    finders, verifiers, enrichers = ([AsThen(one.client) for one in role] for role in roles)
    return replace(providers, finders=finders, verifiers=verifiers, enrichers=enrichers)
