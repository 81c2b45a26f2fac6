"""What the use cases need of the outside world; adapters live in `resources`, fakes in `tests/fakes`."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol, TypedDict, Unpack
from uuid import UUID

from phase3_core.approval import Asked, Choice, Decided, MoreWanted, Nudge, Ruling
from phase3_core.budget import Budget
from phase3_core.calls import EnricherReply, FinderReply, Price, VerifierReply
from phase3_core.enrichment import EnrichmentResult, Source
from phase3_core.leads import Campaign, Lead
from phase3_core.money import ZERO, Money
from phase3_core.rate_limits import Allowed
from phase3_core.record import Group, Kept, Record, Roles
from phase3_core.saga import Step, StepKind, StepState, Successor
from phase3_core.statuses import Agent, ApprovalStatus, CampaignStatus, EmailStatus, EnrichmentStatus
from phase3_core.tiers import Tier
from phase3_core.waiting import Wait, Waiting
from phase3_core.waterfall import EmailResult


@dataclass(frozen=True, slots=True)
class Run:
    """Who works: one agent of one Dagster run on one campaign."""

    id: str
    campaign_id: UUID
    agent: Agent


class Clock(Protocol):
    """Time comes from here, never from the operating system directly."""

    def now(self) -> datetime:
        """The time in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds for measuring durations."""
        ...


class Finder(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def price(self) -> Price: ...

    async def find(self, lead: Lead) -> FinderReply: ...


class Verifier(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def price(self) -> Price: ...

    async def verify(self, lead: Lead, email: str) -> VerifierReply: ...


class Enricher(Source, Protocol):
    async def enrich(self, lead: Lead) -> EnricherReply: ...


@dataclass(frozen=True, slots=True)
class Skipped:
    """A provider that this run does without, and why, in words for the user."""

    provider: str
    why: str


class Providers(Protocol):
    """The providers that this run may use, in waterfall order.

    `skipped` grows while the run goes on: a key that is refused parks its provider.
    """

    @property
    def finders(self) -> Sequence[Finder]: ...

    @property
    def verifiers(self) -> Sequence[Verifier]:
        """Whoever verifies first, and whoever is asked for a second opinion."""
        ...

    @property
    def enrichers(self) -> Sequence[Enricher]: ...

    @property
    def skipped(self) -> Sequence[Skipped]: ...

    @property
    def away(self) -> Sequence[Wait]:
        """Those of them that may not be asked at this moment, why, and until when."""
        ...

    @property
    def allowed(self) -> Mapping[str, Allowed]:
        """What their vendors allow them, by name."""
        ...

    @property
    def spent(self) -> Money:
        """USD that this run's calls have cost so far, unknown bills at their worst."""
        ...

    @property
    def remembered(self) -> "Providers":
        """The same, who tell again what they were paid for and are asked for nothing new."""
        ...

    def spent_on(self, lead: Lead) -> Money:
        """USD that this lead's own calls have cost, of those that were needed again in this run."""
        ...

    def done_with(self, lead: Lead) -> None:
        """Nothing more is asked for this lead: what is kept free to verify its address is free again."""
        ...


@dataclass(frozen=True, slots=True)
class LeadPosition:
    """Where a page of leads ended: tier, then score downwards, then id."""

    tier: Tier
    score: int
    id: UUID


class LeadFilters(TypedDict, total=False):
    """What is left out, or None, filters nothing.

    `needs_verification`: agent 3.1 has (True: not) written a status. `is_enriched`: agent 3.2 has written
    `enriched`, `partial` or `failed`.
    """

    status: str | None
    exclude_status: Sequence[str]
    needs_email: bool | None
    needs_verification: bool | None
    has_verified_email: bool | None
    tier: Tier | None
    is_enriched: bool | None


class LeadRepository(Protocol):
    async def get_campaign_leads(
        self,
        campaign_id: UUID,
        *,
        limit: int = 500,
        after: LeadPosition | None = None,
        **wanted: Unpack[LeadFilters],
    ) -> list[Lead]:
        """A page of leads, tier A first, then highest score; `after` is the last lead of the page before.

        Leads in the states of `NOT_OURS` are never returned.
        """
        ...

    async def finished_leads(self, campaign_id: UUID, domains: Sequence[str], per_domain: int) -> list[Lead]:
        """The `per_domain` leads of each domain that agent 3.1 finished first, in that order.

        Those written together were finished in page order.

        They are returned as phase 2 delivered them (without the address that phase 3 found).
        """
        ...

    async def suppress_listed(self, campaign_id: UUID) -> None:
        """Marks the leads whom the suppression list names now, and releases those whom it no longer does.

        Marked leads are in no page, list or count but `CampaignCounts.suppressed`.
        """
        ...

    async def lead_set(self, campaign_id: UUID) -> str:
        """Digest of the ready leads by the rule of `report.lead_set_digest`; phase 4 gets these or none."""
        ...

    async def save_email_results(self, campaign_id: UUID, results: Sequence[EmailResult]) -> None:
        """One transaction for the batch; each lead's `email_cost` is the sum of its calls in the ledger.

        An address that phase 2 delivered is replaced only by an accepted one. One that is on the
        suppression list is not kept: its lead is marked instead.
        """
        ...

    async def save_enrichment_results(self, campaign_id: UUID, results: Sequence[EnrichmentResult]) -> None:
        """One statement for the batch; `enrichment_cost` is the sum of the lead's calls in the ledger."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderSpend:
    """One provider's calls for one agent of a campaign, from the ledger.

    `cost` USD settled; `unknown` USD booked for calls whose bill is not known.
    """

    agent: Agent
    provider: str
    operation: str
    calls: int
    hits: int
    misses: int
    errors: int
    cost: Money
    unknown: Money


@dataclass(frozen=True, slots=True)
class TierCounts:
    """One tier's leads. `score` is the mean lead score of its ready leads."""

    tier: Tier
    total: int
    found: int
    accepted: int
    enriched: int
    partial: int
    ready: int
    score: float
    cost: Money


@dataclass(frozen=True, slots=True)
class CampaignCounts:
    """The state of a campaign's leads. `cost_of_no_lead`: USD of calls whose lead is gone.

    `suppressed` leads are counted nowhere else.
    """

    tiers: Sequence[TierCounts]
    by_email_status: Mapping[EmailStatus, int]
    by_finder: Mapping[str, int]
    accepted_by_finder: Mapping[str, int]
    by_enrichment_status: Mapping[EnrichmentStatus, int]
    pending_verification: int
    pending_enrichment: int
    cost_of_no_lead: Money = ZERO
    suppressed: int = 0


@dataclass(frozen=True, slots=True)
class AgentResult:
    """What an agent leaves on the campaign row; `summary` is JSON."""

    counts: CampaignCounts
    cost: Money
    finished_at: datetime
    summary: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DueAgain:
    """A campaign that left leads waiting, and since when they can go on."""

    campaign: Campaign
    since: datetime


class CampaignRepository(Protocol):
    async def campaign(self, campaign_id: UUID) -> Campaign:
        """Raises UnknownCampaign."""
        ...

    async def move(
        self, campaign_id: UUID, to: CampaignStatus, why: str = "", *, ends: Run | None = None
    ) -> None:
        """One conditional update, with a line in the audit log; raises WrongCampaignState.

        `ends`: the agent that has completed with it; its saga steps are kept from then on.
        """
        ...

    async def put_back(self, step: Step, to: CampaignStatus, why: str) -> bool:
        """From the state that `step` had moved it to; False where it is elsewhere, or another run's."""
        ...

    async def unpublish(self, campaign_id: UUID, url: str, before: str) -> None:
        """`before` is the list's URL again, if it is `url` now."""
        ...

    async def workbook(self, campaign_id: UUID) -> str:
        """The URL of the newest export, empty where there is none."""
        ...

    async def counts(self, campaign_id: UUID) -> CampaignCounts: ...

    async def spend(self, campaign_id: UUID) -> list[ProviderSpend]: ...

    async def summary(self, campaign_id: UUID) -> Mapping[str, Any]:
        """What the agents left on the campaign row: each one's under its name, the report beside them."""
        ...

    async def update_email_verification_results(self, campaign_id: UUID, result: AgentResult) -> None: ...

    async def update_enrichment_results(self, campaign_id: UUID, result: AgentResult) -> None: ...

    async def update_verification_results(
        self, campaign_id: UUID, result: AgentResult, list_url: str
    ) -> None: ...

    async def import_completed(self) -> list[Campaign]:
        """Campaigns that phase 2 has handed over and no run has claimed, oldest import first."""
        ...

    async def due_again(self) -> list[DueAgain]:
        """Campaigns at rest and undecided whose waiting leads can go on now, the longest due first."""
        ...

    async def audit(self, campaign_id: UUID, action: str, details: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class Advance:
    """How far an agent is; `spent` is USD of this agent on this campaign so far, all runs.

    `alerts`: budgets that have just come near their caps, in words for the user.
    """

    agent: Agent
    done: int
    total: int
    spent: Money
    alerts: tuple[str, ...] = ()


class Checkpoints(Protocol):
    async def save(self, run: Run, step: str, status: str, advance: Advance, data: Mapping[str, Any]) -> None:
        """One row per (run, agent, step), rewritten as the step goes on."""
        ...

    async def earlier_runs(self, run: Run) -> int:
        """How many runs before this one worked on this agent's part of the campaign."""
        ...

    async def waiting(self, campaign_id: UUID) -> list[Waiting]:
        """Whom leads wait for, as each agent's newest run left it (`waiting` in its data)."""
        ...


class Approvals(Protocol):
    async def request(self, run: Run, summary: Mapping[str, Any]) -> Asked:
        """The campaign's one pending request, bound to leads, spend and `summary` as they are now.

        One that is bound to the same keeps its age; one that is not is withdrawn and followed by another.
        Raises WrongCampaignState where the campaign is decided already.
        """
        ...

    async def newest(self, campaign_id: UUID) -> ApprovalStatus | None:
        """The state of the campaign's newest request."""
        ...

    async def decide(self, campaign_id: UUID, choice: Choice, run: Run | None = None) -> Ruling:
        """One transaction: the binding is computed anew, the request decided once, the campaign moved.

        `run`: the run that holds the campaign and decides itself. Raises CampaignBusy while another run
        works on the campaign, UnknownCampaign, WrongCampaignState.
        """
        ...

    async def withdraw(self, campaign_id: UUID, run_id: str, why: str) -> bool:
        """Takes back the pending request that `run_id` made; False where there is none. Idempotent."""
        ...

    async def nudge(self, remind_after: timedelta, escalate_after: timedelta) -> list[Nudge]:
        """Reminds of requests that wait, then escalates, each once; by the database's clock."""
        ...

    async def decided_lately(self) -> list[tuple[UUID, Decided]]:
        """Campaigns with the decisions of the last day, except those of the last minute; oldest first."""
        ...

    async def more_wanted(self) -> list[MoreWanted]:
        """Campaigns that wait to be enriched again, with the request that was answered so."""
        ...


@dataclass(frozen=True, slots=True)
class Released:
    """Calls of a run that nobody waits for any more: `lost` booked so now, `in_time` not overdue yet."""

    lost: int
    in_time: int


class Saga(Protocol):
    async def note(self, run: Run, undo: Mapping[StepKind, Mapping[str, Any]]) -> None:
        """Before the steps themselves, so that nothing is done whose undo is not known."""
        ...

    async def steps(self, run_id: str) -> list[Step]:
        """All steps of a run, those of agents that completed too."""
        ...

    async def open_steps(self) -> list[Step]:
        """Of every run: those that are neither kept nor compensated, oldest first."""
        ...

    async def outlived(self, run_id: str, campaign_id: UUID) -> bool:
        """Whether the run is dead; a zombie of it writes nothing from then on."""
        ...

    async def successor(self, step: Step) -> Successor: ...

    async def trying(self, step: Step) -> None: ...

    async def ended(self, step: Step, state: StepState, told: Mapping[str, Any]) -> None:
        """How a try ended, with a line in the audit log when it is over or fails for the first time."""
        ...

    async def kept_exports(self, campaign_id: UUID) -> list[Step]:
        """What completed reports of the campaign left, oldest first, until it is `retired`."""
        ...

    async def retired(self, step: Step, told: Mapping[str, Any]) -> None:
        """A step that was kept is taken back after all, with a line in the audit log."""
        ...

    async def release(self, step: Step) -> Released:
        """The run's calls in flight whose deadline has passed are lost from now on."""
        ...

    async def jobs(self, step: Step) -> Mapping[str, int]:
        """How many of the run's jobs each vendor may still be working on."""
        ...


class Budgets(Protocol):
    async def of(self, campaign_id: UUID) -> list[Budget]:
        """The campaign's, then those of providers today; empty where nothing is capped."""
        ...

    async def newly_near(self, campaign_id: UUID, alert_at: Decimal) -> list[Budget]:
        """Those of which this share is spent, each once."""
        ...


class TrackRecord(Protocol):
    """What estimates rest on."""

    async def groups(self, campaign_id: UUID) -> list[Group]:
        """The campaign's leads, those that are alike counted together."""
        ...

    async def record(self, campaign_id: UUID, roles: Roles) -> Record:
        """Of the campaign itself, as far as it went, and of the newest that were finished before it."""
        ...

    async def kept(self, campaign_id: UUID) -> Kept | None:
        """What the campaign's order goes by; None where nothing was kept yet."""
        ...

    async def keep(self, campaign_id: UUID, kept: Kept) -> None:
        """For good: a later run goes by the same figures."""
        ...

    async def used_today(self) -> Mapping[str, int]:
        """Requests of this UTC day, of all runs, by account."""
        ...


class Books(Protocol):
    """Everything that is written down: one database, opened for one run."""

    @property
    def leads(self) -> LeadRepository: ...

    @property
    def campaigns(self) -> CampaignRepository: ...

    @property
    def checkpoints(self) -> Checkpoints: ...

    @property
    def approvals(self) -> Approvals: ...

    @property
    def budgets(self) -> Budgets: ...

    @property
    def saga(self) -> Saga: ...

    @property
    def track_record(self) -> TrackRecord: ...


class Database(Protocol):
    def open(self, run: Run) -> AbstractAsyncContextManager[Books]:
        """Connects, and holds the campaign for this run alone; raises CampaignBusy, OutsideFailure."""
        ...

    def reading(self) -> AbstractAsyncContextManager[Books]:
        """Connects beside whatever run holds the campaign."""
        ...


class ProviderSource(Protocol):
    def open(self, run: Run, books: Books) -> AbstractAsyncContextManager[Providers]:
        """The providers that have a key, each behind the call ledger; settles what is in flight on exit."""
        ...


class Observer(Protocol):
    """Who is told of progress: Dagster, a progress bar, nobody."""

    def __call__(self, advance: Advance) -> None: ...


class Relay(Protocol):
    """Sends what waits in the outbox, at least once; what cannot be sent is tried again later."""

    async def deliver(self) -> int:
        """How many messages were sent now."""
        ...

    async def announced(self, campaign_id: UUID) -> str:
        """Delivers, and says in words whether the campaign's request was announced; never fails for that."""
        ...


class ExportKind(StrEnum):
    WORKBOOK = "workbook"
    PAGE = "page"
    JSON = "json"
    CSV = "csv"
    SHEETS = "sheets"


@dataclass(frozen=True, slots=True)
class Export:
    """Something written for people; its URL holds the beginning of the report's hash."""

    kind: ExportKind
    url: str
    rows: int = 0

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind.value, "url": self.url, "rows": self.rows}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Export":
        return cls(ExportKind(told["kind"]), str(told["url"]), int(told["rows"]))


@dataclass(frozen=True, slots=True)
class Published:
    """What was written. `notes`: what went wrong on the way, in words for the reader."""

    exports: Sequence[Export]
    notes: Sequence[str] = ()

    @property
    def workbook(self) -> Export:
        return next(export for export in self.exports if export.kind is ExportKind.WORKBOOK)


class Exporter(Protocol):
    def planned(self, campaign: Campaign, report: Mapping[str, Any]) -> Sequence[Export]:
        """What `write` will leave behind, without the counts of rows: enough to withdraw it."""
        ...

    async def write(self, campaign: Campaign, report: Mapping[str, Any], leads: LeadRepository) -> Published:
        """Writing the same report again replaces its exports. Raises OutsideFailure."""
        ...

    async def withdraw(self, export: Export) -> None:
        """Idempotent: what is not there has been withdrawn. Raises OutsideFailure."""
        ...
