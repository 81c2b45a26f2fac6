"""Opens the providers for one run: those with a key, each behind the ledger, in the configured order."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from uuid import UUID

from phase3_core.breaker import BreakerBook
from phase3_core.calls import Role
from phase3_core.circumstances import USUAL_ANSWER_MS
from phase3_core.ledger import CallLedger
from phase3_core.ports.books import Books
from phase3_core.ports.clock import Clock
from phase3_core.ports.providers import Skipped
from phase3_core.rate_limits import RateLimits
from phase3_core.reconciliation import Agreement, ReadingBook, Reconciled
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from resources.forget_key import pseudonyms
from resources.http_client import HttpClient, Lost, NotSent, Sending, http_client
from resources.providers.accounts import Account, watched
from resources.providers.balances import BALANCES, read_balance
from resources.providers.bulk_choice import in_bulk, takes_tasks
from resources.providers.catalogue import Row
from resources.providers.channel import Transport
from resources.providers.client import ProviderClient
from resources.providers.enrichers import website
from resources.providers.exchange import Exchange
from resources.providers.gates import CALLS, Gates, kind_of
from resources.providers.health import Health
from resources.providers.keys import Keys
from resources.providers.line_up import own_settings
from resources.providers.naps import Naps
from resources.providers.open_providers import OneProvider, OpenProviders
from resources.providers.reconciling import VendorAccount, account_of, newest_of, news, reconcile
from resources.providers.response import Response
from resources.providers.roster import Entry, Roster
from resources.providers.settlement import Tally
from resources.providers.shared import Shared
from resources.providers.spec import ProviderSpec
from resources.providers.stakes import Stakes, stakes_of
from resources.providers.tokens import TokenDesk
from resources.providers.website import website_transport
from resources.settings import Settings

_log = logging.getLogger(__name__)

BALANCE_TIMEOUT_S = 30.0
Sleep = Callable[[float], Awaitable[None]]
HttpOpener = Callable[[], AbstractAsyncContextManager[HttpClient]]
BreakerOpener = Callable[[Books], BreakerBook]
LimitsOpener = Callable[[Books, Run], AbstractAsyncContextManager[RateLimits | None]]
ReadingOpener = Callable[[Books], ReadingBook]
LedgerOpener = Callable[[Books, Run], AbstractAsyncContextManager[CallLedger]]


@asynccontextmanager
async def unshared(books: Books, run: Run) -> AsyncIterator[None]:
    """Every limit is this process's own."""
    del books, run
    yield


@dataclass(frozen=True, slots=True)
class Awaited:
    """`leads` that wait for the run's agent. By provider: `took_ms`, how long single answers took before, and
    what repeating its lost calls puts at stake.
    """

    leads: int = 0
    took_ms: Mapping[str, int] = field(default_factory=dict)
    stakes: Mapping[str, Stakes] = field(default_factory=dict)

    def answer_s(self, provider: str) -> float:
        return self.took_ms.get(provider, USUAL_ANSWER_MS) / 1000


@dataclass(frozen=True, slots=True)
class VendorSource:
    """Implements `ProviderSource`. `environment` holds keys and base URLs.

    Without `breakers` nothing is shared with other runs, without `readings` no balance is kept.
    """

    settings: Settings
    environment: Mapping[str, str] = field(repr=False)
    open_ledger: LedgerOpener
    clock: Clock
    sleep: Sleep = asyncio.sleep
    open_http: HttpOpener = http_client
    breakers: BreakerOpener | None = None
    open_limits: LimitsOpener = unshared
    readings: ReadingOpener | None = None

    @property
    def roster(self) -> Roster:
        return Roster(self.settings, self.environment)

    @asynccontextmanager
    async def open(self, run: Run, books: Books) -> AsyncIterator[OpenProviders]:
        own = [str(network) for network in self.settings.web.own_networks]
        web = website_transport(self.settings.web.contact, self.roster.sandbox_web(), own)
        async with (
            self.open_ledger(books, run) as ledger,
            self.open_limits(books, run) as limits,
            self.open_http() as http,
            web as pages,
        ):
            awaited = replace(await self._awaited(run, books), stakes=await self._stakes(books))
            buying = self.readings is not None and awaited.leads > 0
            shared = self._shared(books, limits)
            providers = self._providers(ledger, http, pages, shared, awaited)
            accounts = list(shared.accounts.values())
            async with shared.exchange.open(), watched(accounts, self.clock.monotonic):
                if buying:
                    await self._reconciled(run, books, http, shared.healths)
                try:
                    yield providers
                finally:
                    await asyncio.shield(_drained(providers, shared.gates))
                if buying:
                    await self._reconciled(run, books, http, {})

    async def _reconciled(
        self, run: Run, books: Books, http: HttpClient, healths: Mapping[str, Health]
    ) -> None:
        """Balances beside the books; whose account drifted too far is parked."""
        if self.readings is None:
            return
        try:
            told = await self.reconcile(run.campaign_id, books, self.readings(books), http)
        except Exception as failure:  # noqa: BLE001 - a reading is a courtesy: no run fails for it
            _log.warning("No balance was kept: %s", type(failure).__name__)
            return
        for one in told:
            if one.agreement is Agreement.PARKED and one.provider in healths:
                healths[one.provider].park(one.why_parked)

    async def reconcile(
        self, campaign_id: UUID, books: Books, book: ReadingBook, http: HttpClient, only: str = ""
    ) -> list[Reconciled]:
        """The newest word on each account with a key; a case that is new goes to the audit log."""
        named = [one for name, one in self.accounts.items() if only in {"", name}]
        accounts = [self._vendor_account(one, http) for one in named]
        known = await book.newest()
        told = await reconcile(accounts, book, self.clock)
        for one in news(told, known):
            await books.campaigns.audit(campaign_id, "balance_drift", one.as_json())
        return newest_of(accounts, told, known)

    @property
    def accounts(self) -> dict[str, Entry]:
        """By vendor: those with a key that cost something, whether or not they tell a balance."""
        usable = (one for one in self.roster.entries() if not one.why_not and one.terms.price.ceiling)
        return {one.row.name: one for one in usable}

    def _vendor_account(self, one: Entry, http: HttpClient) -> VendorAccount:
        account = account_of(self.roster.secrets(one.row.spec))
        return VendorAccount(
            one.row.name, account, one.terms.price.per_credit, lambda: self.balance(one.row, http)
        )

    def _shared(self, books: Books, limits: RateLimits | None) -> Shared:
        book = self.breakers(books) if self.breakers else None
        exchange = Exchange(self.clock.monotonic, Naps(self.sleep), book)
        return Shared(Tally(), exchange, Gates(self.clock.monotonic, exchange.naps, limits))

    async def _awaited(self, run: Run, books: Books) -> Awaited:
        """Looked up only where anything depends on it."""
        undecided = self._undecided()
        if run.agent is Agent.FINALIZER or not (undecided or self.readings):
            return Awaited()
        counts = await books.campaigns.counts(run.campaign_id)
        emails = run.agent is Agent.EMAIL_VERIFICATION
        leads = counts.pending_verification if emails else counts.pending_enrichment
        return Awaited(leads, await books.track_record.took_ms(undecided) if leads and undecided else {})

    async def _stakes(self, books: Books) -> dict[str, Stakes]:
        tolerated = self.settings.waterfall.tolerated_losses
        return await stakes_of(self.roster.entries(), tolerated, books) if tolerated else {}

    def _undecided(self) -> list[str]:
        """Who may be asked one by one or in tasks, whichever suits the campaign."""
        able = [one.row for one in self.roster.entries() if takes_tasks(one.row.spec) and not one.why_not]
        return [row.name for row in able if own_settings(self.settings, row.spec).bulk == "auto"]

    async def balance(self, row: Row, http: HttpClient) -> Decimal | None:
        """Credits left in a usable provider's account; None where the vendor does not tell."""
        account = BALANCES.get(row.name)
        if account is None or row.spec.token is not None:
            return None
        signature = row.spec.sign(self.roster.secrets(row.spec))
        sending = Sending(
            method=account.ask.method,
            url=self.roster.base_url(row.spec) + account.ask.path,
            query={**account.ask.query, **signature.query},
            headers=signature.headers,
            body=account.ask.body,
            form=None,
            timeout_s=BALANCE_TIMEOUT_S,
        )
        try:
            received = await http.send(sending)
        except (NotSent, Lost):
            return None
        return read_balance(row.name, Response(received.status, received.text, received.headers))

    def _providers(
        self, ledger: CallLedger, http: HttpClient, pages: Transport, shared: Shared, awaited: Awaited
    ) -> OpenProviders:
        usable: dict[Role, list[OneProvider]] = {role: [] for role in Role}
        left_out: dict[Skipped, None] = {}
        for row in self.roster.rows():
            if skipped := self.roster.skipped(row):
                left_out[skipped] = None
                continue
            transport = pages if row.spec is website.SPEC else http
            client = self._client(row, ledger, transport, shared)
            shared.accounts.setdefault(row.name, self._account(row, client, http))
            own = own_settings(self.settings, row.spec)
            answer_s = awaited.answer_s(row.name)
            client.bulk = in_bulk(own, row.spec, client.terms.limits, awaited.leads, answer_s)
            client.stakes = awaited.stakes.get(row.name, client.stakes)
            account = kind_of(self.roster.account_name(row), CALLS)
            usable[row.spec.role].append(OneProvider(client, account))
        return OpenProviders(
            finders=usable[Role.FINDER],
            verifiers=usable[Role.VERIFIER],
            enrichers=usable[Role.ENRICHER],
            left_out=list(left_out),
            former=[OneProvider(self._former(row, ledger, http, shared)) for row in self.roster.former()],
            ledger=ledger,
            tally=shared.tally,
        )

    def _former(self, row: Row, ledger: CallLedger, http: HttpClient, shared: Shared) -> ProviderClient:
        """Without a key or an account: it can but tell again what it was paid for."""
        return ProviderClient(
            spec=row.spec,
            terms=self.roster.terms(row),
            secrets=Keys(dict.fromkeys(row.spec.secrets, "")),
            base_url="",
            ledger=ledger,
            transport=http,
            clock=self.clock,
            tally=shared.tally,
            options=self.roster.options(row.spec),
        )

    def _account(self, row: Row, client: ProviderClient, http: HttpClient) -> Account:
        return Account(client.health, client.terms.price.worst_credits, lambda: self.balance(row, http))

    def _client(self, row: Row, ledger: CallLedger, transport: Transport, shared: Shared) -> ProviderClient:
        terms, counted = self.roster.terms(row), self.roster.account_name(row)
        return ProviderClient(
            spec=row.spec,
            terms=terms,
            secrets=self.roster.secrets(row.spec),
            base_url=self.roster.base_url(row.spec),
            ledger=ledger,
            transport=transport,
            clock=self.clock,
            tally=shared.tally,
            sleep=self.sleep,
            naps=shared.naps,
            health=shared.health(row.name),
            gate=shared.gates.of(kind_of(counted, CALLS), terms.limits),
            gate_of=lambda kind, limits: shared.gates.of(kind_of(counted, kind), limits),
            tokens=self._desk(row.spec, transport, shared),
            options=self.roster.options(row.spec),
            subjects=pseudonyms(self.environment).subjects_of,
        )

    def _desk(self, spec: ProviderSpec, transport: Transport, shared: Shared) -> TokenDesk | None:
        if spec.token is None:
            return None
        url = self.roster.base_url(spec, spec.token.base_url)
        desk = TokenDesk(spec.token, self.roster.secrets(spec), url, transport.send, self.clock.monotonic)
        return shared.desks.setdefault(spec.name, desk)


async def _drained(providers: OpenProviders, gates: Gates) -> None:
    await asyncio.gather(*(one.client.drain() for one in providers.all))
    await gates.close()
