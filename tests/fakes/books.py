"""The database in memory: the same rules as the tables and statements of `resources/postgres`."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar, Unpack
from uuid import UUID

from phase3_core.approval import EFFECTS, Choice
from phase3_core.approval_request import Asked, Binding, MoreWanted, Nudge
from phase3_core.budget import Budget
from phase3_core.calls import NoAnswer
from phase3_core.counts import CampaignCounts, ProviderSpend, TierCounts
from phase3_core.email_result import EmailResult
from phase3_core.enrichment import EnrichmentResult, Gathered
from phase3_core.errors import CampaignBusy, NotAtTheGate, OutsideFailure, UnknownCampaign, WrongCampaignState
from phase3_core.leads import Campaign, Lead
from phase3_core.money import ZERO, Money, ratio, total
from phase3_core.ports.campaigns import AgentResult, DueAgain
from phase3_core.ports.leads import LeadFilters, LeadPosition
from phase3_core.progress import DELIVERED
from phase3_core.record import LAST_PLACE, Count, Credit, Group, Kept, Record, Roles
from phase3_core.report import lead_set_digest, report_hash
from phase3_core.ruling import Decided, NeverAsked, OtherReport, Ruling, Stale, TooLate
from phase3_core.runs import Advance, Run
from phase3_core.saga import Step
from phase3_core.statuses import (
    ACCEPTED,
    NOT_OURS,
    Agent,
    ApprovalStatus,
    CampaignStatus,
    EmailStatus,
    EnrichmentStatus,
    may_become,
)
from phase3_core.suppression import is_suppressed
from phase3_core.tiers import Tier
from phase3_core.waiting import Waiting, from_json
from tests.fakes.bills import Bills
from tests.fakes.clock import NOON, at_once
from tests.fakes.saga import FakeSaga, Steps

Word = TypeVar("Word")


@dataclass
class Row:
    """A row of `leads`: the lead as phase 2 delivered it, and what phase 3 has written beside it."""

    lead: Lead
    status: str = ""
    email: str = ""
    email_status: EmailStatus | None = None
    email_provider: str = ""
    email_verifier: str = ""
    email_confidence: int | None = None
    email_cost: Money = ZERO
    email_batch: int = field(default=0, compare=False)  # which writing finished it
    enrichment_status: EnrichmentStatus | None = None
    enrichment_fields: Mapping[str, Any] = field(default_factory=dict)
    enrichment_data: Mapping[str, Any] = field(default_factory=dict)
    enrichment_cost: Money = ZERO
    suppressed: bool = False

    @property
    def ours(self) -> bool:
        return self.status not in NOT_OURS and not self.suppressed

    @property
    def found(self) -> bool:
        return self.email_status not in {None, EmailStatus.NOT_FOUND}

    @property
    def accepted(self) -> bool:
        return self.email_status in ACCEPTED

    @property
    def ready(self) -> bool:
        return self.accepted and self.enrichment_status is EnrichmentStatus.ENRICHED

    @property
    def place(self) -> tuple[Tier, int, UUID]:
        return self.lead.tier, -self.lead.score, self.lead.id

    def as_lead(self) -> Lead:
        return replace(self.lead, email=self.email, email_status=self.email_status)


@dataclass
class CampaignRow:
    id: UUID
    name: str
    status: CampaignStatus
    reason: str = ""
    results: dict[Agent, AgentResult] = field(default_factory=dict)
    list_url: str = ""


@dataclass
class Tables:
    """`gone`: every statement fails from now on, as when the database has died.

    `writing` is how long a batch of results takes.
    """

    bills: Bills
    campaigns: dict[UUID, CampaignRow] = field(default_factory=dict)
    leads: dict[UUID, Row] = field(default_factory=dict)
    audit: list[tuple[UUID, str, Mapping[str, Any]]] = field(default_factory=list)
    checkpoints: dict[tuple[str, Agent, str], tuple[Run, str, Advance]] = field(default_factory=dict)
    approvals: list["FakeRequest"] = field(default_factory=list)
    held: set[UUID] = field(default_factory=set)
    waiting: dict[tuple[UUID, Agent], list[Waiting]] = field(default_factory=dict)
    waiting_long: list[Nudge] = field(default_factory=list)
    saga: Steps = field(default_factory=Steps)
    budgets: list[Budget] = field(default_factory=list)
    listed: set[str] = field(default_factory=set)
    kept: dict[UUID, Kept] = field(default_factory=dict)
    record: Record = field(default_factory=Record)
    billed: dict[str, Count] = field(default_factory=dict)
    gone: bool = False
    writing: Callable[[], Awaitable[None]] = at_once

    async def reached(self) -> None:
        """Every statement suspends, and may fail."""
        await asyncio.sleep(0)
        if self.gone:
            raise OutsideFailure("The database is gone.")

    def all_of(self, campaign_id: UUID) -> list[Row]:
        return [row for row in self.leads.values() if row.lead.campaign_id == campaign_id]

    def of(self, campaign_id: UUID) -> list[Row]:
        """The campaign's leads that are ours, in page order."""
        rows = (row for row in self.all_of(campaign_id) if row.ours)
        return sorted(rows, key=lambda row: row.place)

    def campaign(self, campaign_id: UUID) -> CampaignRow:
        if campaign_id not in self.campaigns:
            raise UnknownCampaign(str(campaign_id))
        return self.campaigns[campaign_id]


def _fits(row: Row, wanted: LeadFilters) -> bool:
    return (
        wanted.get("status") in {None, row.status}
        and wanted.get("tier") in {None, row.lead.tier}
        and row.status not in wanted.get("exclude_status", ())
        and _wished(not row.email, wish=wanted.get("needs_email"))
        and _wished(row.email_status is None, wish=wanted.get("needs_verification"))
        and _wished(row.accepted, wish=wanted.get("has_verified_email"))
        and _wished(row.enrichment_status is not None, wish=wanted.get("is_enriched"))
    )


def _wished(fact: object, *, wish: bool | None) -> bool:
    return wish is None or wish is bool(fact)


@dataclass(frozen=True)
class FakeLeads:
    tables: Tables

    async def get_campaign_leads(
        self,
        campaign_id: UUID,
        *,
        limit: int = 500,
        after: LeadPosition | None = None,
        **wanted: Unpack[LeadFilters],
    ) -> list[Lead]:
        await self.tables.reached()
        behind = (after.tier, -after.score, after.id) if after else None
        page = [
            row.as_lead()
            for row in self.tables.of(campaign_id)
            if _fits(row, wanted) and (behind is None or row.place > behind)
        ]
        return page[:limit]

    async def finished_leads(self, campaign_id: UUID, domains: Sequence[str], per_domain: int) -> list[Lead]:
        await self.tables.reached()
        seen: Counter[str] = Counter()
        first = []
        for row in sorted(self.tables.of(campaign_id), key=lambda row: row.email_batch):
            domain = row.lead.company_domain
            if row.email_status is not None and domain in domains and seen[domain] < per_domain:
                seen[domain] += 1
                first.append(row.lead)
        return first

    async def suppress_listed(self, campaign_id: UUID) -> None:
        await self.tables.reached()
        for row in self.tables.leads.values():
            if row.lead.campaign_id == campaign_id:
                row.suppressed = is_suppressed(row.as_lead(), self.tables.listed)

    async def lead_set(self, campaign_id: UUID) -> str:
        await self.tables.reached()
        ready = (row for row in self.tables.of(campaign_id) if row.ready)
        return lead_set_digest((row.lead.id, row.lead.tier, row.email) for row in ready)

    async def cost_of_decided(self, campaign_id: UUID) -> Money:
        await self.tables.reached()
        decided = [row.lead.id for row in self.tables.of(campaign_id) if row.email_status is not None]
        return total(self.tables.bills.cost_of(lead_id, Agent.EMAIL_VERIFICATION) for lead_id in decided)

    async def save_email_results(self, campaign_id: UUID, results: Sequence[EmailResult]) -> None:
        await self.tables.reached()
        await self.tables.writing()
        batch = 1 + max(row.email_batch for row in self.tables.leads.values())
        for result in results:
            row = self.tables.leads[result.lead_id]
            row.suppressed |= result.suppressed
            if result.status is not None and row.lead.campaign_id == campaign_id:
                row.email_batch = batch
                self._save_email(row, result, result.status)

    def _save_email(self, row: Row, result: EmailResult, status: EmailStatus) -> None:
        """An address that phase 2 delivered is replaced only by an accepted one."""
        row.email_cost = self.tables.bills.cost_of(row.lead.id, Agent.EMAIL_VERIFICATION)
        other = result.email.casefold() != row.email.casefold()
        if other and row.email and status not in ACCEPTED:
            row.email_status = row.email_status or EmailStatus.UNKNOWN
            row.email_provider = row.email_provider or DELIVERED
            return
        row.email = result.email if other else row.email
        row.email_status = status
        row.email_provider = result.provider
        row.email_verifier = result.verifier
        row.email_confidence = result.confidence

    async def known_facts(self, leads: Sequence[UUID]) -> dict[UUID, Gathered]:
        await self.tables.reached()
        known = {lead_id: self.tables.leads[lead_id].enrichment_data for lead_id in leads}
        return {lead_id: Gathered(data["fields"], data["sources"]) for lead_id, data in known.items() if data}

    async def save_enrichment_results(self, campaign_id: UUID, results: Sequence[EnrichmentResult]) -> None:
        await self.tables.reached()
        await self.tables.writing()
        for result in results:
            row = self.tables.leads[result.lead_id]
            row.suppressed |= result.suppressed
            if row.lead.campaign_id == campaign_id and result.status is not None:
                row.enrichment_status = result.status
                row.enrichment_fields = {**row.enrichment_fields, **result.fields}
                row.enrichment_data = {**row.enrichment_data, **result.data}
                row.enrichment_cost = self.tables.bills.cost_of(row.lead.id, Agent.ENRICHMENT)


@dataclass(frozen=True)
class FakeCampaigns:
    tables: Tables

    async def campaign(self, campaign_id: UUID) -> Campaign:
        await self.tables.reached()
        return self._campaign(self.tables.campaign(campaign_id))

    def _campaign(self, row: CampaignRow) -> Campaign:
        return Campaign(row.id, row.name, row.status, len(self.tables.of(row.id)), None, row.reason)

    async def move(
        self, campaign_id: UUID, to: CampaignStatus, why: str = "", *, ends: Run | None = None
    ) -> None:
        await self.tables.reached()
        row = self.tables.campaign(campaign_id)
        if row.status not in may_become(to):
            raise WrongCampaignState(str(campaign_id), row.status, to)
        if ends is not None:
            self.tables.saga.keep(ends)
        row.status, row.reason = to, why
        self.tables.audit.append((campaign_id, "status_changed", {"to": to, "why": why}))

    async def put_back(
        self, step: Step, left_at: Collection[CampaignStatus], to: CampaignStatus, why: str
    ) -> bool:
        await self.tables.reached()
        row = self.tables.campaign(step.campaign_id)
        saga = self.tables.saga
        nobody_since = saga.taken_by.get(row.id) == step.run_id or row.id not in self.tables.held
        mine = nobody_since and saga.is_last_move(step)
        if not mine or row.status not in left_at:
            return False
        row.status, row.reason = to, why
        self.tables.audit.append((row.id, "status_changed", {"to": to, "why": why}))
        return True

    async def call_off(self, campaign_id: UUID, before: datetime, why: str) -> bool:
        """Nobody imports anything anew."""
        del before
        await self.tables.reached()
        row = self.tables.campaign(campaign_id)
        if row.status is not CampaignStatus.IMPORT_COMPLETE:
            return False
        row.status, row.reason = CampaignStatus.FAILED, why
        return True

    async def unpublish(self, campaign_id: UUID, url: str, before: str) -> None:
        await self.tables.reached()
        row = self.tables.campaign(campaign_id)
        row.list_url = before if row.list_url == url else row.list_url

    async def workbook(self, campaign_id: UUID) -> str:
        return self.tables.campaign(campaign_id).list_url

    async def counts(self, campaign_id: UUID) -> CampaignCounts:
        await self.tables.reached()
        rows = self.tables.of(campaign_id)
        found = [row for row in rows if row.found]
        return CampaignCounts(
            tiers=[self._tier(tier, rows) for tier in Tier],
            by_email_status=_tally(row.email_status for row in rows),
            by_finder=_tally(row.email_provider or None for row in found),
            accepted_by_finder=_tally(row.email_provider or None for row in found if row.accepted),
            by_enrichment_status=_tally(row.enrichment_status for row in rows),
            pending_verification=_number(rows, lambda row: row.email_status is None),
            pending_enrichment=_number(rows, lambda row: row.accepted and row.enrichment_status is None),
            cost_of_no_lead=self._cost_of_no_lead(campaign_id),
            suppressed=_number(self.tables.all_of(campaign_id), lambda row: row.suppressed),
        )

    def _cost_of_no_lead(self, campaign_id: UUID) -> Money:
        ours = (bill for bill in self.tables.bills.rows if bill.campaign_id == campaign_id)
        return total(bill.booked for bill in ours if bill.lead_id not in self.tables.leads)

    async def summary(self, campaign_id: UUID) -> Mapping[str, Any]:
        await self.tables.reached()
        results = self.tables.campaign(campaign_id).results
        report = results.get(Agent.FINALIZER)
        return {
            **{agent: result.summary for agent, result in results.items()},
            **(report.summary if report else {}),
        }

    def _tier(self, tier: Tier, everyone: Sequence[Row]) -> TierCounts:
        rows = [row for row in everyone if row.lead.tier is tier]
        ready = [row for row in rows if row.ready]
        ids = {row.lead.id for row in rows}
        return TierCounts(
            tier=tier,
            total=len(rows),
            found=_number(rows, lambda row: row.found),
            accepted=_number(rows, lambda row: row.accepted),
            enriched=_number(rows, lambda row: row.enrichment_status is EnrichmentStatus.ENRICHED),
            partial=_number(rows, lambda row: row.enrichment_status is EnrichmentStatus.PARTIAL),
            ready=len(ready),
            score=ratio(sum(row.lead.score for row in ready), len(ready)),
            cost=total(bill.booked for bill in self.tables.bills.rows if bill.lead_id in ids),
        )

    async def spend(self, campaign_id: UUID) -> list[ProviderSpend]:
        await self.tables.reached()
        return self.tables.bills.spend(campaign_id)

    async def spent(self, campaign_id: UUID) -> Money:
        return total(row.cost + row.unknown for row in await self.spend(campaign_id))

    async def update_email_verification_results(self, campaign_id: UUID, result: AgentResult) -> None:
        await self._finish(campaign_id, Agent.EMAIL_VERIFICATION, result)

    async def update_enrichment_results(self, campaign_id: UUID, result: AgentResult) -> None:
        await self._finish(campaign_id, Agent.ENRICHMENT, result)

    async def update_verification_results(
        self, campaign_id: UUID, result: AgentResult, list_url: str
    ) -> None:
        await self._finish(campaign_id, Agent.FINALIZER, result)
        self.tables.campaign(campaign_id).list_url = list_url

    async def _finish(self, campaign_id: UUID, agent: Agent, result: AgentResult) -> None:
        await self.tables.reached()
        self.tables.campaign(campaign_id).results[agent] = result
        self.tables.audit.append((campaign_id, f"{agent}_finished", {"cost_usd": result.cost}))

    async def import_completed(self) -> list[Campaign]:
        await self.tables.reached()
        rows = self.tables.campaigns.values()
        return [self._campaign(row) for row in rows if row.status is CampaignStatus.IMPORT_COMPLETE]

    async def due_again(self) -> list[DueAgain]:
        """Nothing here looks at the time."""
        await self.tables.reached()
        return []

    async def audit(self, campaign_id: UUID, action: str, details: Mapping[str, Any]) -> None:
        await self.tables.reached()
        self.tables.audit.append((campaign_id, action, details))


def _tally(words: Iterable[Word | None]) -> dict[Word, int]:
    return dict(Counter(word for word in words if word is not None))


def _number(rows: Sequence[Row], fact: Callable[[Row], bool]) -> int:
    return sum(1 for row in rows if fact(row))


@dataclass(frozen=True)
class FakeCheckpoints:
    tables: Tables

    async def save(self, run: Run, step: str, status: str, advance: Advance, data: Mapping[str, Any]) -> None:
        await self.tables.reached()
        self.tables.checkpoints[run.id, run.agent, step] = (run, status, advance)
        if "waiting" in data:
            waiting = [from_json(one) for one in data["waiting"]]
            self.tables.waiting[run.campaign_id, run.agent] = waiting

    async def earlier_runs(self, run: Run) -> int:
        await self.tables.reached()
        worked = {
            other.id
            for other, _, _ in self.tables.checkpoints.values()
            if other.campaign_id == run.campaign_id and other.agent is run.agent and other.id != run.id
        }
        return len(worked)

    async def waiting(self, campaign_id: UUID) -> list[Waiting]:
        await self.tables.reached()
        left = self.tables.waiting.items()
        return [one for (of, _), waiting in left if of == campaign_id for one in waiting]


class FakeRequest(NamedTuple):
    """A row of `approval_requests`."""

    id: UUID
    campaign_id: UUID
    status: ApprovalStatus
    run_id: str
    binding: Binding
    by: str = ""
    feedback: str = ""


@dataclass(frozen=True)
class FakeApprovals:
    tables: Tables

    async def request(self, run: Run, summary: Mapping[str, Any]) -> Asked:
        """A pending request that is bound to the same is kept, another one withdrawn."""
        await self.tables.reached()
        status = self.tables.campaign(run.campaign_id).status
        if status in {CampaignStatus.APPROVED, CampaignStatus.REJECTED}:
            raise WrongCampaignState(str(run.campaign_id), status, CampaignStatus.VERIFICATION_COMPLETE)
        binding = self._binding(run.campaign_id, summary)
        pending = self._of(run.campaign_id, lambda one: one.status is ApprovalStatus.PENDING)
        if pending and pending.binding == binding:
            self._change(pending, run_id=run.id)
            return Asked(pending.id, binding)
        if pending:
            self._change(pending, status=ApprovalStatus.WITHDRAWN)
        request_id = UUID(int=len(self.tables.approvals) + 1)
        asked = FakeRequest(request_id, run.campaign_id, ApprovalStatus.PENDING, run.id, binding)
        self.tables.approvals.append(asked)
        return Asked(request_id, binding)

    async def newest(self, campaign_id: UUID) -> ApprovalStatus | None:
        await self.tables.reached()
        newest = self._of(campaign_id, lambda _: True)
        return newest.status if newest else None

    async def decide(self, campaign_id: UUID, choice: Choice, run: Run | None = None) -> Ruling:
        await self.tables.reached()
        campaign = self.tables.campaign(campaign_id)
        request = self._of(campaign_id, lambda one: choice.request_id in {None, one.id})
        effect = EFFECTS[choice.status]
        if request is None:
            return NeverAsked()
        if request.status is not ApprovalStatus.PENDING:
            return TooLate(request.status, request.by, NOON)
        if run is None and campaign_id in self.tables.held:
            raise CampaignBusy(str(campaign_id))
        if campaign.status not in may_become(effect.campaign):
            raise NotAtTheGate(str(campaign_id), campaign.status)
        if not request.binding.report.startswith(choice.report):
            return OtherReport(request.binding.report)
        if self._leads_and_spend(campaign_id) != (request.binding.leads, request.binding.spent):
            self._change(request, status=ApprovalStatus.WITHDRAWN)
            return Stale("the leads")
        self._change(request, status=choice.status, by=choice.by, feedback=choice.feedback)
        campaign.status = effect.campaign
        self.tables.audit.append((campaign_id, f"approval_{choice.status}", {"by": choice.by}))
        return Decided(request.id, choice.status, choice.by, NOON, choice.feedback)

    async def withdraw(self, campaign_id: UUID, run_id: str, why: str) -> bool:
        await self.tables.reached()
        pending = self._of(
            campaign_id, lambda one: one.run_id == run_id and one.status is ApprovalStatus.PENDING
        )
        if pending:
            self._change(pending, status=ApprovalStatus.WITHDRAWN, feedback=why)
        return pending is not None

    async def nudge(self, remind_after: timedelta, escalate_after: timedelta) -> list[Nudge]:
        """The fake's requests are as old as the test says: those in `waiting_long` are due."""
        del remind_after, escalate_after
        await self.tables.reached()
        due, self.tables.waiting_long[:] = list(self.tables.waiting_long), []
        return due

    async def decided_lately(self) -> list[tuple[UUID, Decided]]:
        await self.tables.reached()
        decided = [one for one in self.tables.approvals if one.status in EFFECTS]
        return [(one.campaign_id, Decided(one.id, one.status, one.by, NOON, one.feedback)) for one in decided]

    async def more_wanted(self) -> list[MoreWanted]:
        await self.tables.reached()
        return [
            MoreWanted(one.campaign_id, self.tables.campaign(one.campaign_id).name, one.id)
            for one in self.tables.approvals
            if one.status is ApprovalStatus.MORE_ENRICHMENT
            and self.tables.campaign(one.campaign_id).status is CampaignStatus.RE_ENRICHMENT_REQUESTED
        ]

    def _of(self, campaign_id: UUID, fits: Callable[[FakeRequest], bool]) -> FakeRequest | None:
        """The newest that fits."""
        asked = [one for one in self.tables.approvals if one.campaign_id == campaign_id and fits(one)]
        return asked[-1] if asked else None

    def _change(self, request: FakeRequest, **columns: Any) -> None:
        self.tables.approvals[self.tables.approvals.index(request)] = request._replace(**columns)

    def _binding(self, campaign_id: UUID, summary: Mapping[str, Any]) -> Binding:
        ready = [row for row in self.tables.of(campaign_id) if row.ready]
        tier_a = _number(ready, lambda row: row.lead.tier is Tier.A)
        roll, spent = self._leads_and_spend(campaign_id)
        return Binding(roll, tier_a, len(ready), spent, report_hash(summary))

    def _leads_and_spend(self, campaign_id: UUID) -> tuple[str, Money]:
        rows = self.tables.of(campaign_id)
        roll = [(row.lead.id, row.email, row.email_status, row.enrichment_status) for row in rows]
        return repr(roll), total(row.cost for row in self.tables.bills.spend(campaign_id))


@dataclass(frozen=True)
class FakeBudgets:
    tables: Tables

    async def of(self, campaign_id: UUID) -> list[Budget]:
        del campaign_id
        await self.tables.reached()
        return list(self.tables.budgets)

    async def newly_near(self, campaign_id: UUID, alert_at: Decimal) -> list[Budget]:
        del campaign_id
        await self.tables.reached()
        near = [one for one in self.tables.budgets if not one.alerted_at and one.spent >= one.cap * alert_at]
        told = [replace(one, alerted_at=NOON) for one in near]
        self.tables.budgets = [one for one in self.tables.budgets if one not in near] + told
        return told


@dataclass(frozen=True)
class FakeTrackRecord:
    """Earlier campaigns have shown what a test says."""

    tables: Tables

    async def groups(self, campaign_id: UUID, finders: Collection[str]) -> list[Group]:
        await self.tables.reached()
        missed = self._asked_in_vain(finders)
        rows = [row for row in self.tables.of(campaign_id) if row.ours]
        place = {row.lead.id: _place(row, rows) for row in rows}
        return [
            Group(
                tier=row.lead.tier,
                place=place[row.lead.id],
                delivered=bool(row.lead.email),
                to_verify=int(row.email_status is None),
                to_enrich=int(row.accepted and row.enrichment_status is None),
                firsts=int(row.accepted and row.enrichment_status is None and place[row.lead.id] <= 1),
                colleagues=_colleagues(row, rows),
                missed=frozenset(missed[row.lead.id] if row.email_status is None else ()),
            )
            for row in rows
        ]

    def _asked_in_vain(self, finders: Collection[str]) -> Mapping[UUID, set[str]]:
        missed = defaultdict[UUID, set[str]](set)
        for bill in self.tables.bills.rows:
            if bill.question.provider in finders and not isinstance(bill.reply, NoAnswer):
                missed[bill.lead_id].add(bill.question.provider)
        return missed

    async def record(self, campaign_id: UUID, roles: Roles) -> Record:
        del campaign_id, roles
        await self.tables.reached()
        return self.tables.record

    async def kept(self, campaign_id: UUID) -> Kept | None:
        await self.tables.reached()
        return self.tables.kept.get(campaign_id)

    async def keep(self, campaign_id: UUID, kept: Kept) -> None:
        await self.tables.reached()
        self.tables.kept.setdefault(campaign_id, kept)

    async def took_ms(self, providers: Sequence[str]) -> Mapping[str, int]:
        del providers
        await self.tables.reached()
        return {}

    async def billed(self, providers: Sequence[str]) -> Mapping[str, Count]:
        await self.tables.reached()
        return {name: self.tables.billed[name] for name in providers if name in self.tables.billed}

    async def credit(self) -> Mapping[str, Credit]:
        return {}

    async def used_today(self) -> Mapping[str, int]:
        return {}


def _colleagues(row: Row, rows: Sequence[Row]) -> float:
    domain = row.lead.company_domain
    return float(sum(one.lead.company_domain == domain for one in rows)) if domain else 1.0


def _place(row: Row, rows: Sequence[Row]) -> int:
    domain = row.lead.company_domain
    colleagues = sorted(one.place for one in rows if one.lead.company_domain == domain)
    return min(LAST_PLACE, 1 + colleagues.index(row.place)) if domain else 0


@dataclass(frozen=True)
class FakeBooks:
    leads: FakeLeads
    campaigns: FakeCampaigns
    checkpoints: FakeCheckpoints
    approvals: FakeApprovals
    budgets: FakeBudgets
    saga: FakeSaga
    track_record: FakeTrackRecord


class FakeDatabase:
    """`tables` are open to the test; use cases see the ports alone."""

    def __init__(self) -> None:
        self.bills = Bills()
        self.tables = Tables(self.bills)

    @property
    def held(self) -> set[UUID]:
        return self.tables.held

    def add(self, campaign_id: UUID, leads: Iterable[Lead], name: str = "spring") -> None:
        """What phase 2 does: a campaign that is handed over, with its leads."""
        self.tables.campaigns[campaign_id] = CampaignRow(campaign_id, name, CampaignStatus.IMPORT_COMPLETE)
        self.tables.leads |= {lead.id: Row(lead, email=lead.email) for lead in leads}

    @asynccontextmanager
    async def open(self, run: Run) -> AsyncIterator[FakeBooks]:
        await self.tables.reached()
        if run.campaign_id in self.held:
            raise CampaignBusy(str(run.campaign_id))
        self.held.add(run.campaign_id)
        self.tables.saga.taken_by[run.campaign_id] = run.id
        try:
            yield self._books()
        finally:
            self.held.discard(run.campaign_id)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[FakeBooks]:
        await self.tables.reached()
        yield self._books()

    def _books(self) -> FakeBooks:
        return FakeBooks(
            FakeLeads(self.tables),
            FakeCampaigns(self.tables),
            FakeCheckpoints(self.tables),
            FakeApprovals(self.tables),
            FakeBudgets(self.tables),
            FakeSaga(self.tables.saga, self.tables.audit, self.tables.held),
            FakeTrackRecord(self.tables),
        )
