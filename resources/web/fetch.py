"""One company page per domain, from a host somebody else chose.

Every hop is vetted, resolved once and connected to exactly what was vetted. Whatever a site does, the answer
is a `FetchOutcome`; an exception from here is a bug of ours.

robots.txt follows RFC 9309: a 4xx means there are no rules; while it answers 5xx the site is taken to refuse
everything, which is reported as the passing server error it is; one that cannot be reached fails the fetch
the way the page would have failed.
"""

import asyncio
import logging
import re
import time
import zlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, StrEnum, auto
from functools import partial
from ipaddress import ip_address
from ssl import SSLContext
from types import SimpleNamespace, TracebackType
from typing import Final, Self
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from resources.web.addresses import Host, Refusal, is_public, networks, vetted_host
from resources.web.dialling import (
    Dialler,
    Endpoint,
    NoSuchNameError,
    Pin,
    Resolver,
    SystemResolver,
    as_vetted,
    pinned,
    pinned_connector,
)
from resources.web.page import PageFacts, read_page
from resources.web.robots import Robots, read_robots

_log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """How a fetch ended; `FetchOutcome` knows what that means for a retry."""

    OK = auto()
    EMPTY = auto()
    BLOCKED_ADDRESS = auto()
    BLOCKED_HOST = auto()
    BLOCKED_REDIRECT = auto()
    DNS_FAILURE = auto()
    TIMEOUT = auto()
    CONNECT_ERROR = auto()
    SERVER_ERROR = auto()
    BOT_WALL = auto()
    TOO_LARGE = auto()
    WRONG_TYPE = auto()
    TLS_ERROR = auto()
    ROBOTS_REFUSED = auto()
    NOT_FOUND = auto()


_TRANSIENT = frozenset({Outcome.TIMEOUT, Outcome.CONNECT_ERROR, Outcome.SERVER_ERROR})
_BLOCKED = frozenset({Outcome.BLOCKED_ADDRESS, Outcome.BLOCKED_HOST, Outcome.BLOCKED_REDIRECT})
# Nobody answered under this address, so the next one deserves a try. From least to most telling.
_NOBODY_THERE = (Outcome.DNS_FAILURE, Outcome.CONNECT_ERROR, Outcome.TIMEOUT, Outcome.TLS_ERROR)


@dataclass(frozen=True, slots=True)
class FetchOutcome:
    """What is known after a fetch; `request_sent` is False only when provably nothing was asked."""

    outcome: Outcome
    domain: str
    url: str | None = None
    status: int | None = None
    address: str | None = None
    raw_bytes: int = 0
    facts: PageFacts | None = None
    request_sent: bool = False
    retry_after_s: float | None = None
    detail: str = ""

    @property
    def is_transient(self) -> bool:
        """Worth exactly one retry."""
        return self.outcome in _TRANSIENT

    @property
    def flags_lead(self) -> bool:
        """The name leads where no company's site can be: look at the lead, never retry."""
        return self.outcome in _BLOCKED


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one site can cost us."""

    connect_s: float = 5.0
    read_s: float = 10.0
    total_s: float = 20.0  # on the network, for all attempts of one fetch together
    raw_bytes: int = 2_000_000
    decoded_bytes: int = 2_000_000
    robots_bytes: int = 512_000
    error_page_bytes: int = 64_000
    redirects: int = 3
    pause_s: float = 1.0
    in_flight: int = 20
    turn_s: float = 60.0  # longest wait for a turn at a host to which others are sent as well
    inline_bytes: int = 64_000  # read within 5 ms: a thread would hold the interpreter as long


@dataclass(frozen=True, slots=True)
class Seams:
    """Where tests take hold. Nothing in here can be reached from configuration."""

    resolver: Resolver | None = None
    dialler: Dialler = as_vetted
    is_public: Callable[[str], bool] | None = None
    tls: SSLContext | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    limits: Limits = Limits()


class _Want(Enum):
    PAGE = auto()
    ROBOTS = auto()


@dataclass(frozen=True, slots=True)
class _Target:
    scheme: str
    host: Host
    path: str = "/"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host.name}"

    @property
    def url(self) -> URL:
        return URL(f"{self.origin}{self.path}")

    @property
    def port(self) -> int:
        return 443 if self.scheme == "https" else 80


@dataclass(frozen=True, slots=True)
class _Answer:
    target: _Target
    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    complete: bool = True


class _StoppedError(Exception):
    """The fetch, or this attempt at it, is over; never leaves this module."""

    def __init__(self, outcome: Outcome, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail
        self.retry_after_s = retry_after_s


@dataclass(slots=True)
class _Visit:
    """The state of one fetch. Names are resolved at most once in it, so no answer can change midway."""

    host: Host
    left_s: float
    addresses: dict[str, tuple[str, ...] | _StoppedError] = field(default_factory=dict)
    url: str | None = None
    status: int | None = None
    address: str | None = None
    raw_bytes: int = 0
    request_sent: bool = False

    def ended(
        self,
        outcome: Outcome,
        detail: str = "",
        *,
        facts: PageFacts | None = None,
        retry_after_s: float | None = None,
    ) -> FetchOutcome:
        _log.info(
            "web fetch: %s %s address=%s status=%s bytes=%d",
            self.host.name,
            outcome,
            self.address,
            self.status,
            self.raw_bytes,
        )
        return FetchOutcome(
            outcome,
            self.host.name,
            self.url,
            self.status,
            self.address,
            self.raw_bytes,
            facts,
            self.request_sent,
            retry_after_s,
            detail,
        )


_PRODUCT: Final = "Phase3Bot"
_CONTACT = re.compile(r"[!-'*-~]+")  # visible ASCII without the parentheses it is put in
_MAX_ADDRESSES = 4
_LOOKUPS = 4  # a lookup that was given up blocks its thread on; others must find one free
_MAX_LOCATION = 2_000
_PRODUCTION: Final = Seams()


class WebFetcher:
    """Reads company home pages, politely and from the public internet only.

    `contact` is an address or URL where a site's owner finds us. `own_networks` are our public addresses.
    `sandbox_web` sends names under the reserved `.example`, and only those, to a local server; it must be
    on loopback, and without it such names are refused like any unknown suffix. With it `contact` may be
    empty: then nobody else's sites are read.
    """

    def __init__(
        self,
        contact: str,
        *,
        own_networks: Sequence[str] = (),
        sandbox_web: tuple[str, int] | None = None,
        _seams: Seams = _PRODUCTION,
    ) -> None:
        if not _CONTACT.fullmatch(contact) and (contact or sandbox_web is None):
            raise ValueError("the contact must be an address or URL in plain ASCII")
        if sandbox_web is not None and not ip_address(sandbox_web[0]).is_loopback:
            raise ValueError("the sandbox must listen on a loopback address")
        self._sandbox = sandbox_web
        self._has_contact = bool(contact)
        self._user_agent = f"{_PRODUCT}/0.1 (+{contact})"
        self._is_public = _seams.is_public or partial(is_public, also_denied=networks(own_networks))
        self._seams = _seams
        self._limits = _seams.limits
        self._slots = asyncio.Semaphore(_seams.limits.in_flight)
        self._turns = _Turns(_seams)
        self._robots = _RobotsCache(_seams.clock)
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._resolver = self._seams.resolver or self._system_resolver()
        self._session = await self._open.enter_async_context(
            aiohttp.ClientSession(
                connector=pinned_connector(self._seams.tls),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,  # a proxy from the environment would go round the pin
                auto_decompress=False,
                headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity, gzip"},
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=self._limits.connect_s, sock_read=self._limits.read_s
                ),
                trace_configs=[_tracing()],
            )
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    def _system_resolver(self) -> Resolver:
        resolver = SystemResolver(self._limits.in_flight * _LOOKUPS)
        self._open.callback(resolver.close)
        return resolver

    async def fetch(self, domain: str) -> FetchOutcome:
        """The facts of the domain's home page, or the reason there are none."""
        host = self._vetted_host(domain, sandbox=self._sandbox is not None)
        if isinstance(host, Refusal):
            return FetchOutcome(Outcome.BLOCKED_HOST, domain, detail=host.value)
        visit = _Visit(host, self._limits.total_s)
        try:
            page = await self._home_page(visit)
        except _StoppedError as stop:
            return visit.ended(stop.outcome, stop.detail, retry_after_s=stop.retry_after_s)
        facts = await self._read(page)
        return visit.ended(Outcome.OK if facts.tell_something else Outcome.EMPTY, facts=facts)

    def _vetted_host(self, text: str, *, sandbox: bool) -> Host | Refusal:
        host = vetted_host(text, sandbox=sandbox)
        unnamed = isinstance(host, Host) and not (host.sandboxed or self._has_contact)
        return Refusal.NO_CONTACT if unnamed else host

    async def _home_page(self, visit: _Visit) -> _Answer:
        """The first of the usual addresses that answers; if none does, the most telling failure."""
        failures: list[_StoppedError] = []
        for target in _candidates(visit):
            if target.scheme == "http" and any(stop.outcome is Outcome.TLS_ERROR for stop in failures):
                break  # who fails to prove his name is not asked again without proof
            try:
                return await self._page(visit, target)
            except _StoppedError as stop:
                if stop.outcome not in _NOBODY_THERE:
                    raise
                failures.append(stop)
        raise max(failures, key=lambda stop: _NOBODY_THERE.index(stop.outcome))

    async def _page(self, visit: _Visit, target: _Target) -> _Answer:
        answer = await self._followed(visit, target, _Want.PAGE)
        visit.status = answer.status
        _judge(answer)
        return answer

    async def _followed(self, visit: _Visit, target: _Target, want: _Want) -> _Answer:
        for hop in range(self._limits.redirects + 1):
            try:
                if want is _Want.PAGE:
                    await self._mind_robots(visit, target)
                    visit.url = str(target.url)
                answer = await self._asked(visit, target, want)
            except _StoppedError as stop:
                raise _after_redirect(stop) if hop else stop from None
            location = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or not location:
                return answer
            target = self._redirected(visit, target, location)
        raise _StoppedError(Outcome.BLOCKED_REDIRECT, _TOO_MANY)

    def _redirected(self, visit: _Visit, target: _Target, location: str) -> _Target:
        """Where the site sends us, by the rules the domain itself had to pass."""
        try:
            text = urljoin(str(target.url), location.strip().replace(" ", "%20"))
            parts = urlsplit(text)
        except ValueError:
            raise _StoppedError(Outcome.BLOCKED_REDIRECT, "an unreadable address") from None
        # Only the sandbox sends visitors to the sandbox; a public site must not be able to.
        host = self._vetted_host(text, sandbox=visit.host.sandboxed)
        if isinstance(host, Refusal):
            raise _StoppedError(Outcome.BLOCKED_REDIRECT, host.value)
        if (target.scheme, parts.scheme) == ("https", "http"):
            raise _StoppedError(Outcome.BLOCKED_REDIRECT, "from https to http")
        path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        if len(path) > _MAX_LOCATION:
            raise _StoppedError(Outcome.BLOCKED_REDIRECT, "an unreasonably long address")
        return _Target(parts.scheme, host, path.encode("utf-8", "replace").decode())

    # --- robots.txt --------------------------------------------------------------------------------------

    async def _mind_robots(self, visit: _Visit, target: _Target) -> None:
        robots = self._robots.known(target.origin)
        if robots is None:
            robots = await self._asked_robots(visit, target)
        if not robots.allow(target.url.raw_path_qs):
            raise _StoppedError(Outcome.ROBOTS_REFUSED, f"robots.txt of {target.host.name}")

    async def _asked_robots(self, visit: _Visit, target: _Target) -> Robots:
        path = "/robots.txt"
        try:
            answer = await self._followed(visit, _Target(target.scheme, target.host, path), _Want.ROBOTS)
        except _StoppedError as stop:
            if stop.detail != _TOO_MANY:
                raise
            robots = Robots()  # "may assume that the robots.txt file is unavailable"
        else:
            robots = _rules(answer)
            if answer.target.path == path:
                self._robots.learn(answer.target.origin, robots)
        self._robots.learn(target.origin, robots)
        return robots

    # --- one request -------------------------------------------------------------------------------------

    async def _asked(self, visit: _Visit, target: _Target, want: _Want) -> _Answer:
        """One answer, redirects included, within what is left of the visit's time on the network."""
        await self._turns.wait(target.host.name)
        loop = asyncio.get_running_loop()
        async with self._slots:
            started = loop.time()
            try:
                async with asyncio.timeout(visit.left_s):
                    pin = await self._pinned(visit, target)
                    return await self._exchange(visit, target, pin, want)
            except TimeoutError:
                raise _StoppedError(Outcome.TIMEOUT, target.origin) from None
            finally:
                visit.left_s -= loop.time() - started

    async def _pinned(self, visit: _Visit, target: _Target) -> Pin:
        if target.host.sandboxed:
            return Pin(target.host.name, target.port, self._sandbox_endpoints(target))
        addresses = await self._vetted(visit, target.host.name)
        endpoints = tuple(self._seams.dialler(address, target.port) for address in addresses)
        return Pin(target.host.name, target.port, endpoints)

    def _sandbox_endpoints(self, target: _Target) -> tuple[Endpoint, ...]:
        if self._sandbox is None or target.scheme != "http":
            raise _StoppedError(Outcome.CONNECT_ERROR, "the sandbox speaks plain http")
        return (self._sandbox,)

    async def _vetted(self, visit: _Visit, name: str) -> tuple[str, ...]:
        known = visit.addresses.get(name)
        if known is None:
            known = visit.addresses[name] = await self._resolved(name)
        if isinstance(known, _StoppedError):
            raise known
        return known

    async def _resolved(self, name: str) -> tuple[str, ...] | _StoppedError:
        """Some of the vetted addresses. One bad address condemns all: a mixed answer is a rebinding sign."""
        try:
            async with asyncio.timeout(self._limits.connect_s):
                found = await self._resolver.addresses(name)
        except NoSuchNameError:
            return _StoppedError(Outcome.DNS_FAILURE, name)
        except TimeoutError:
            return _StoppedError(Outcome.TIMEOUT, f"resolving {name}")
        except (OSError, UnicodeError):
            return _StoppedError(Outcome.CONNECT_ERROR, f"resolving {name}")
        refused = [address for address in found if not self._is_public(address)]
        if refused:
            return _StoppedError(Outcome.BLOCKED_ADDRESS, f"{name} is {refused[0]}")
        return tuple(found[:_MAX_ADDRESSES]) or _StoppedError(Outcome.DNS_FAILURE, name)

    async def _exchange(self, visit: _Visit, target: _Target, pin: Pin, want: _Want) -> _Answer:
        try:
            with pinned(pin):
                async with self._session.get(
                    target.url, allow_redirects=False, trace_request_ctx=visit
                ) as response:
                    if pin.dialled:
                        visit.address = pin.dialled[-1][0]
                    return await self._answer(visit, target, response, want)
        except TimeoutError:
            raise
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError) as error:
            raise _StoppedError(Outcome.TLS_ERROR, f"{target.origin}: {type(error).__name__}") from error
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError) as error:
            raise _StoppedError(Outcome.CONNECT_ERROR, f"{target.origin}: {type(error).__name__}") from error
        except (aiohttp.ClientError, ValueError, LookupError) as error:  # it answered, but not in HTTP
            raise _StoppedError(Outcome.SERVER_ERROR, f"{target.origin}: {type(error).__name__}") from error

    async def _answer(
        self, visit: _Visit, target: _Target, response: aiohttp.ClientResponse, want: _Want
    ) -> _Answer:
        if response.status in _REDIRECTS:
            return _Answer(target, response.status, response.headers)
        is_page = want is _Want.PAGE and response.ok
        if is_page:
            _check_type(response)
        body = _Body(*self._caps(want, ok=response.ok), encoding=_encoding(response))
        try:
            complete = await body.read(response)
        finally:
            visit.raw_bytes = body.raw
        if is_page and not complete:
            raise _StoppedError(Outcome.TOO_LARGE, f"over {self._limits.raw_bytes} bytes")
        return _Answer(target, response.status, response.headers, bytes(body.decoded), complete)

    def _caps(self, want: _Want, *, ok: bool) -> tuple[int, int]:
        limits = self._limits
        if not ok:
            return limits.error_page_bytes, limits.error_page_bytes
        if want is _Want.ROBOTS:
            return limits.robots_bytes, limits.robots_bytes
        return limits.raw_bytes, limits.decoded_bytes

    async def _read(self, page: _Answer) -> PageFacts:
        read = partial(
            read_page,
            page.body,
            page.headers.get("Content-Type", ""),
            str(page.target.url),
            headers={name: page.headers.get(name, "") for name in ("server", "x-powered-by")},
        )
        return read() if len(page.body) <= self._limits.inline_bytes else await asyncio.to_thread(read)


# --- decisions -------------------------------------------------------------------------------------------

_SUCCESS = range(200, 300)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TOO_MANY = "more redirects than we follow"
_TYPES = frozenset({"text/html", "application/xhtml+xml", "text/plain"})
_KEEPS_OUT = frozenset({401, 403, 406, 407, 429, 451})
_CHALLENGE_HEADERS = ("cf-mitigated", "x-amzn-waf-action", "sg-captcha")
_CHALLENGE = re.compile(
    rb"/cdn-cgi/challenge-platform|cf-chl-|_Incapsula_Resource|px-captcha|captcha-delivery\.com|sgcaptcha"
    rb"|Checking your browser before|Attention Required! \| Cloudflare"
)
# Guards leave their scripts in the pages they let through as well; only a page of nothing else is a wall.
_MAX_WALL = 3_000
_SERVER_FAILS = 500
_MAX_RETRY_AFTER_S = 86_400.0


def _candidates(visit: _Visit) -> Iterator[_Target]:
    """Lazy: the last address depends on what became of the first."""
    host = visit.host
    www = Host(f"www.{host.name}", host.registrable, sandboxed=host.sandboxed)
    hosts = (host, www) if host.name == host.registrable else (host,)
    if host.sandboxed:
        yield from (_Target("http", candidate) for candidate in hosts)
        return
    yield from (_Target("https", candidate) for candidate in hosts)
    resolved = isinstance(visit.addresses.get(host.name), tuple)
    yield _Target("http", host if resolved else hosts[-1])


def _after_redirect(stop: _StoppedError) -> _StoppedError:
    """The domain itself was fine, so what its redirect ran into must not be said of the domain."""
    if stop.outcome in _BLOCKED:
        return _StoppedError(Outcome.BLOCKED_REDIRECT, stop.detail)
    if stop.outcome is Outcome.DNS_FAILURE:
        return _StoppedError(Outcome.NOT_FOUND, f"redirected to a name that does not exist: {stop.detail}")
    return stop


def _check_type(response: aiohttp.ClientResponse) -> None:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind not in _TYPES:
        raise _StoppedError(Outcome.WRONG_TYPE, kind[:100] or "no content type")


def _encoding(response: aiohttp.ClientResponse) -> str:
    encoding = ", ".join(response.headers.getall("Content-Encoding", ["identity"])).strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise _StoppedError(Outcome.WRONG_TYPE, f"content encoding {encoding[:50]}")
    return encoding


def _judge(answer: _Answer) -> None:
    """Stop at anything that is not the page itself."""
    wait_s = _retry_after_s(answer.headers.get("Retry-After", ""))
    if answer.status in _KEEPS_OUT or _is_challenge(answer):
        raise _StoppedError(Outcome.BOT_WALL, f"status {answer.status}", wait_s)
    if answer.status >= _SERVER_FAILS:
        raise _StoppedError(Outcome.SERVER_ERROR, f"status {answer.status}", wait_s)
    if answer.status in _REDIRECTS:
        raise _StoppedError(Outcome.BLOCKED_REDIRECT, "a redirect to nowhere")
    if answer.status not in _SUCCESS:
        raise _StoppedError(Outcome.NOT_FOUND, f"status {answer.status}")


def _is_challenge(answer: _Answer) -> bool:
    if any(name in answer.headers for name in _CHALLENGE_HEADERS):
        return True
    may_be_wall = answer.status >= _SERVER_FAILS or len(answer.body) <= _MAX_WALL
    return may_be_wall and _CHALLENGE.search(answer.body) is not None


def _retry_after_s(value: str) -> float | None:
    """Seconds from either form of the header, at most a day."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:10]), _MAX_RETRY_AFTER_S)
    try:
        wait = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait, 0.0), _MAX_RETRY_AFTER_S)


def _rules(answer: _Answer) -> Robots:
    if answer.status >= _SERVER_FAILS:
        raise _StoppedError(Outcome.SERVER_ERROR, f"robots.txt answered {answer.status}")
    if answer.status not in _SUCCESS:
        return Robots()
    return read_robots(answer.body.decode("utf-8", "replace"), _PRODUCT)


# --- parts -----------------------------------------------------------------------------------------------


class _Body:
    """A body read and unpacked up to its caps, whatever the headers promised."""

    def __init__(self, raw_cap: int, decoded_cap: int, encoding: str) -> None:
        self.raw = 0
        self.decoded = bytearray()
        self._raw_cap = raw_cap
        self._decoded_cap = decoded_cap
        self._unpacker = zlib.decompressobj(wbits=31) if encoding.endswith("gzip") else None

    async def read(self, response: aiohttp.ClientResponse) -> bool:
        """Whether all of it fitted."""
        async for chunk in response.content.iter_any():
            self.raw += len(chunk)
            self.decoded += self._unpacked(chunk)
            if self.raw > self._raw_cap or len(self.decoded) > self._decoded_cap:
                del self.decoded[self._decoded_cap :]
                return False
        return True

    def _unpacked(self, chunk: bytes) -> bytes:
        """At most one byte more than there is room for: enough to know, never a bomb in memory."""
        if self._unpacker is None:
            return chunk
        try:
            return self._unpacker.decompress(chunk, self._decoded_cap - len(self.decoded) + 1)
        except zlib.error:
            raise _StoppedError(Outcome.WRONG_TYPE, "broken gzip") from None


class _Turns:
    """One request per host and pause, in the order of asking."""

    _MAX_HOSTS = 10_000

    def __init__(self, seams: Seams) -> None:
        self._seams = seams
        self._free_at: dict[str, float] = {}

    async def wait(self, host: str) -> None:
        """A thousand domains that all redirect to one host must not hold up everybody behind them."""
        now = self._seams.clock()
        if len(self._free_at) > self._MAX_HOSTS:
            self._free_at = {name: at for name, at in self._free_at.items() if at > now}
        turn = max(now, self._free_at.get(host, now))
        if turn - now > self._seams.limits.turn_s:
            raise _StoppedError(Outcome.TIMEOUT, f"{host} is asked by many")
        self._free_at[host] = turn + self._seams.limits.pause_s
        if turn > now:
            await self._seams.sleep(turn - now)


class _RobotsCache:
    """Rules by origin, for the day RFC 9309 allows; all of them together have a bound."""

    _MAX_ORIGINS = 5_000
    _MAX_LETTERS = 8_000_000
    _MAX_AGE_S = 86_400.0

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Robots]] = OrderedDict()
        self._letters = 0

    def known(self, origin: str) -> Robots | None:
        learnt_at, robots = self._known.get(origin, (0.0, None))
        return robots if robots and self._clock() - learnt_at < self._MAX_AGE_S else None

    def learn(self, origin: str, robots: Robots) -> None:
        self._forget(origin)
        self._known[origin] = (self._clock(), robots)
        self._letters += robots.letters
        while len(self._known) > self._MAX_ORIGINS or self._letters > self._MAX_LETTERS:
            self._forget(next(iter(self._known)))

    def _forget(self, origin: str) -> None:
        _, robots = self._known.pop(origin, (0.0, Robots()))
        self._letters -= robots.letters


def _tracing() -> aiohttp.TraceConfig:
    """Marks the visit once a connection stands: from then on bytes may have left."""
    config = aiohttp.TraceConfig()
    config.on_connection_create_end.append(_mark_sent)
    config.on_connection_reuseconn.append(_mark_sent)
    return config


async def _mark_sent(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.request_sent = True
