"""Opens the providers for one run: those with a key, each behind the ledger, in the configured order."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from ipaddress import ip_address
from urllib.parse import urlsplit
from uuid import UUID

from phase3_core.breaker import BreakerBook
from phase3_core.calls import Role
from phase3_core.errors import BadInput
from phase3_core.ledger import CallLedger
from phase3_core.ports.books import Books
from phase3_core.ports.clock import Clock
from phase3_core.ports.providers import Skipped
from phase3_core.rate_limits import RateLimits
from phase3_core.reconciliation import Agreement, ReadingBook, Reconciled
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from resources.http_client import HttpClient, Lost, NotSent, Sending, http_client
from resources.providers.accounts import Account, watched
from resources.providers.balances import BALANCES, read_balance
from resources.providers.catalogue import Row, Terms
from resources.providers.channel import Transport
from resources.providers.client import ProviderClient
from resources.providers.enrichers import website
from resources.providers.exchange import Exchange
from resources.providers.gate import Limits
from resources.providers.gates import CALLS, Gates, account_name, kind_of
from resources.providers.health import Health
from resources.providers.keys import Keys
from resources.providers.line_up import agreed, chosen, in_order, own_settings
from resources.providers.naps import Naps
from resources.providers.open_providers import OneProvider, OpenProviders
from resources.providers.reconciling import VendorAccount, account_of, newest_of, news, reconcile
from resources.providers.response import Response
from resources.providers.settlement import Tally
from resources.providers.spec import ProviderSpec
from resources.providers.tokens import TokenDesk
from resources.providers.website import SANDBOX_WEB, website_transport
from resources.settings import ProviderSettings, Settings, pseudonyms

_log = logging.getLogger(__name__)

BALANCE_TIMEOUT_S = 30.0
LONGEST_ALONE_S = 1_800.0  # single calls may take so long; what would take longer is done in bulk
QUESTIONS_PER_LEAD = 1.5
ANSWER_S = 3.0
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


@dataclass
class Shared:
    """What the clients of one run have in common: tally, naps, gates; of one vendor health, account, token.

    Questions under the same terms pass one gate: terms are what a vendor counts by.
    """

    tally: Tally
    exchange: Exchange
    gates: Gates
    healths: dict[str, Health] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    desks: dict[str, TokenDesk] = field(default_factory=dict)

    @property
    def naps(self) -> Naps:
        return self.exchange.naps

    def health(self, provider: str) -> Health:
        if provider not in self.healths:
            self.healths[provider] = Health()
            self.healths[provider].begin(provider, self.exchange)
        return self.healths[provider]


@dataclass(frozen=True, slots=True)
class Standing:
    """A provider before a run: its row, the terms that hold, and why it would be left out, if it would."""

    row: Row
    why_not: str
    terms: Terms


@dataclass(frozen=True, slots=True)
class VendorSource:
    """Implements `ProviderSource`. `environment` holds keys and base URLs; only this class reads it.

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

    @asynccontextmanager
    async def open(self, run: Run, books: Books) -> AsyncIterator[OpenProviders]:
        own = [str(network) for network in self.settings.web.own_networks]
        web = website_transport(self.settings.web.contact, self._sandbox_web(), own)
        async with (
            self.open_ledger(books, run) as ledger,
            self.open_limits(books, run) as limits,
            self.open_http() as http,
            web as pages,
        ):
            waiting = await self._waiting(run, books)
            buying = self.readings is not None and waiting > 0
            shared = self._shared(books, limits)
            providers = self._providers(ledger, http, pages, waiting, shared)
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

    def _sandbox_web(self) -> str | None:
        """Raises BadInput where its door would stand open in a run that asks real vendors."""
        if door := self.environment.get(SANDBOX_WEB):
            for each in self.standings():
                url = self._base_url(each.row.spec)
                if url and not each.why_not and not _on_loopback(url):
                    raise BadInput(
                        f"{SANDBOX_WEB} is set, but {each.row.name} would be asked at {url}: unset it, "
                        f"or set {each.row.spec.env}_BASE_URL to the sandbox's."
                    )
        return door

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
        accounts = [one for one in self._vendor_accounts(http) if only in {"", one.provider}]
        known = await book.newest()
        told = await reconcile(accounts, book, self.clock)
        for one in news(told, known):
            await books.campaigns.audit(campaign_id, "balance_drift", one.as_json())
        return newest_of(accounts, told, known)

    def _vendor_accounts(self, http: HttpClient) -> list[VendorAccount]:
        """Of usable providers that cost something, one for each vendor."""
        usable = (one for one in self.standings() if not one.why_not and one.terms.price.ceiling)
        by_name = {one.row.name: one for one in usable}
        return [self._vendor_account(one, http) for one in by_name.values()]

    def _vendor_account(self, one: Standing, http: HttpClient) -> VendorAccount:
        account = account_of(self._secrets(one.row.spec))
        return VendorAccount(
            one.row.name, account, one.terms.price.per_credit, lambda: self.balance(one.row, http)
        )

    def _shared(self, books: Books, limits: RateLimits | None) -> Shared:
        book = self.breakers(books) if self.breakers else None
        exchange = Exchange(self.clock.monotonic, Naps(self.sleep), book)
        return Shared(Tally(), exchange, Gates(self.clock.monotonic, exchange.naps, limits))

    async def _waiting(self, run: Run, books: Books) -> int:
        """Leads that wait for this agent, where anything depends on it."""
        able = [one.row for one in self.standings() if _takes_tasks(one.row.spec) and not one.why_not]
        undecided = any(own_settings(self.settings, row.spec).bulk == "auto" for row in able)
        if run.agent is Agent.FINALIZER or not (undecided or self.readings):
            return 0
        counts = await books.campaigns.counts(run.campaign_id)
        emails = run.agent is Agent.EMAIL_VERIFICATION
        return counts.pending_verification if emails else counts.pending_enrichment

    def standings(self) -> list[Standing]:
        """Every provider that could be used, in order, and why one would be left out."""
        rows = chosen(in_order(self.settings), self.environment)
        return [Standing(row, self._left_out(row), self._terms(row)) for row in rows]

    def _left_out(self, row: Row) -> str:
        skipped = self._skipped(row)
        return skipped.why if skipped else ""

    def _terms(self, row: Row) -> Terms:
        return agreed(row.terms, own_settings(self.settings, row.spec))

    async def balance(self, row: Row, http: HttpClient) -> Decimal | None:
        """Credits left in a usable provider's account; None where the vendor does not tell."""
        account = BALANCES.get(row.name)
        if account is None or row.spec.token is not None:
            return None
        signature = row.spec.sign(self._secrets(row.spec))
        sending = Sending(
            method=account.ask.method,
            url=self._base_url(row.spec) + account.ask.path,
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
        self, ledger: CallLedger, http: HttpClient, pages: Transport, waiting: int, shared: Shared
    ) -> OpenProviders:
        usable: dict[Role, list[OneProvider]] = {role: [] for role in Role}
        left_out: dict[Skipped, None] = {}
        for row in chosen(in_order(self.settings), self.environment):
            if skipped := self._skipped(row):
                left_out[skipped] = None
                continue
            transport = pages if row.spec is website.SPEC else http
            client = self._client(row, ledger, transport, shared)
            shared.accounts.setdefault(row.name, self._account(row, client, http))
            client.bulk = in_bulk(own_settings(self.settings, row.spec), client, waiting)
            account = kind_of(self.account_name(row), CALLS)
            usable[row.spec.role].append(OneProvider(client, account))
        return OpenProviders(
            finders=usable[Role.FINDER],
            verifiers=usable[Role.VERIFIER],
            enrichers=usable[Role.ENRICHER],
            left_out=list(left_out),
            ledger=ledger,
            tally=shared.tally,
        )

    def _account(self, row: Row, client: ProviderClient, http: HttpClient) -> Account:
        return Account(client.health, client.terms.price.worst_credits, lambda: self.balance(row, http))

    def _skipped(self, row: Row) -> Skipped | None:
        if why := self._why_not(row):
            return Skipped(row.name, why)
        options = self._options(row.spec)
        unset = [name for name in row.spec.options if not options[name]]
        return Skipped(row.spec.label, f"set {' and '.join(unset)}") if unset else None

    def _options(self, spec: ProviderSpec) -> dict[str, str]:
        return {name: self.environment.get(name) or usual for name, usual in spec.options.items()}

    def _why_not(self, row: Row) -> str:
        """Why a provider is left out, in words for the user; empty when it is usable."""
        own = own_settings(self.settings, row.spec)
        missing = [name for name in row.spec.secrets if not self.environment.get(name)]
        if not own.enabled:
            return "switched off in the settings"
        if missing:
            return f"no key: set {' and '.join(missing)}"
        nameless = not self.settings.web.contact and SANDBOX_WEB not in self.environment
        if row.spec is website.SPEC and nameless:
            return (
                "set web.contact in the settings: site owners must be able to reach whoever reads their sites"
            )
        if not row.terms.confirmed and not own.opt_in:
            return "its protocol is unconfirmed: set opt_in = true in the settings to use it"
        return ""

    def _client(self, row: Row, ledger: CallLedger, transport: Transport, shared: Shared) -> ProviderClient:
        terms, counted = self._terms(row), self.account_name(row)
        return ProviderClient(
            spec=row.spec,
            terms=terms,
            secrets=self._secrets(row.spec),
            base_url=self._base_url(row.spec),
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
            options=self._options(row.spec),
            subjects=pseudonyms(self.environment).subjects_of,
        )

    def account_name(self, row: Row) -> str:
        """Whose limits a provider's calls count against, without its key."""
        return account_name(row, self._secrets(row.spec), self._base_url(row.spec))

    def _secrets(self, spec: ProviderSpec) -> Keys:
        return Keys({name: self.environment[name] for name in spec.secrets})

    def _base_url(self, spec: ProviderSpec, usual: str = "") -> str:
        url = self.environment.get(f"{spec.env}_BASE_URL") or usual or spec.base_url
        return url.rstrip("/")

    def _desk(self, spec: ProviderSpec, transport: Transport, shared: Shared) -> TokenDesk | None:
        if spec.token is None:
            return None
        url = self._base_url(spec, spec.token.base_url)
        desk = TokenDesk(spec.token, self._secrets(spec), url, transport.send, self.clock.monotonic)
        return shared.desks.setdefault(spec.name, desk)


def _on_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _takes_tasks(spec: ProviderSpec) -> bool:
    return any(operation.bulk or operation.pack for operation in spec.operations)


def in_bulk(own: ProviderSettings, client: ProviderClient, waiting: int) -> bool:
    """As the settings say; `auto`: where single calls would take over half an hour for the leads waiting."""
    if own.bulk != "auto" or not _takes_tasks(client.spec):
        return own.bulk == "always"
    return _alone_s(client.terms.limits, waiting) > LONGEST_ALONE_S


def _alone_s(limits: Limits, waiting: int) -> float:
    """A lead is expected to cost one reading where readings are what the vendor counts.

    Else one and a half questions of three seconds, so many at once and in a second as the vendor takes.
    """
    if limits.reads_per_minute:
        return waiting / limits.reads_per_minute * 60
    questions = waiting * QUESTIONS_PER_LEAD
    return max(questions * ANSWER_S / limits.in_flight, questions / limits.rate if limits.rate else 0.0)


async def _drained(providers: OpenProviders, gates: Gates) -> None:
    await asyncio.gather(*(one.client.drain() for one in providers.all))
    await gates.close()
