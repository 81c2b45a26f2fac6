"""One company page per domain, from a host somebody else chose.

Every hop is vetted, resolved once and connected to exactly what was vetted. Whatever a site does, the answer
is a `FetchOutcome`; an exception from here is a bug of ours.

robots.txt follows RFC 9309: a 4xx means there are no rules; while it answers 5xx the site is taken to refuse
everything, which is reported as the passing server error it is; one that cannot be reached fails the fetch
the way the page would have failed.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from functools import partial
from ipaddress import ip_address
from types import TracebackType
from typing import Final, Self
from urllib.parse import urljoin, urlsplit

from resources.web.addresses import Host, Refusal, vetted_host
from resources.web.facts import PageFacts
from resources.web.hops import Hops, Want
from resources.web.limits import Seams
from resources.web.outcome import BLOCKED, NOBODY_THERE, FetchOutcome, Outcome
from resources.web.page import read_page
from resources.web.robots import Robots
from resources.web.robots_cache import RobotsCache
from resources.web.verdict import PRODUCT, REDIRECTS, judge, rules_of
from resources.web.visit import Answer, StoppedError, Target, Visit

_TOO_MANY = "more redirects than we follow"
_CONTACT = re.compile(r"[!-'*-~]+")  # visible ASCII without the parentheses it is put in
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
        self._limits = _seams.limits
        self._hops = Hops(f"{PRODUCT}/0.1 (+{contact})", own_networks, sandbox_web, _seams)
        self._robots = RobotsCache(_seams.clock)

    async def __aenter__(self) -> Self:
        await self._hops.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._hops.__aexit__(kind, error, trace)

    async def fetch(self, domain: str) -> FetchOutcome:
        """The facts of the domain's home page, or the reason there are none."""
        host = self._vetted_host(domain, sandbox=self._sandbox is not None)
        if isinstance(host, Refusal):
            return FetchOutcome(Outcome.BLOCKED_HOST, domain, detail=host.value)
        visit = Visit(host, self._limits.total_s)
        try:
            page = await self._home_page(visit)
        except StoppedError as stop:
            return visit.ended(stop.outcome, stop.detail, retry_after_s=stop.retry_after_s)
        facts = await self._read(page)
        return visit.ended(Outcome.OK if facts.tell_something else Outcome.EMPTY, facts=facts)

    def _vetted_host(self, text: str, *, sandbox: bool) -> Host | Refusal:
        host = vetted_host(text, sandbox=sandbox)
        unnamed = isinstance(host, Host) and not (host.sandboxed or self._has_contact)
        return Refusal.NO_CONTACT if unnamed else host

    async def _home_page(self, visit: Visit) -> Answer:
        """The first of the usual addresses that answers; if none does, the most telling failure."""
        failures: list[StoppedError] = []
        for target in _candidates(visit):
            if target.scheme == "http" and any(stop.outcome is Outcome.TLS_ERROR for stop in failures):
                break  # who fails to prove his name is not asked again without proof
            try:
                return await self._page(visit, target)
            except StoppedError as stop:
                if stop.outcome not in NOBODY_THERE:
                    raise
                failures.append(stop)
        raise max(failures, key=lambda stop: NOBODY_THERE.index(stop.outcome))

    async def _page(self, visit: Visit, target: Target) -> Answer:
        answer = await self._followed(visit, target, Want.PAGE)
        visit.status = answer.status
        judge(answer)
        return answer

    async def _followed(self, visit: Visit, target: Target, want: Want) -> Answer:
        for hop in range(self._limits.redirects + 1):
            try:
                if want is Want.PAGE:
                    await self._mind_robots(visit, target)
                    visit.url = str(target.url)
                answer = await self._hops.answer(visit, target, want)
            except StoppedError as stop:
                raise _after_redirect(stop) if hop else stop from None
            location = answer.headers.get("Location")
            if answer.status not in REDIRECTS or not location:
                return answer
            target = self._redirected(visit, target, location)
        raise StoppedError(Outcome.BLOCKED_REDIRECT, _TOO_MANY)

    def _redirected(self, visit: Visit, target: Target, location: str) -> Target:
        """Where the site sends us, by the rules the domain itself had to pass."""
        try:
            text = urljoin(str(target.url), location.strip().replace(" ", "%20"))
            parts = urlsplit(text)
        except ValueError:
            raise StoppedError(Outcome.BLOCKED_REDIRECT, "an unreadable address") from None
        # Only the sandbox sends visitors to the sandbox; a public site must not be able to.
        host = self._vetted_host(text, sandbox=visit.host.sandboxed)
        if isinstance(host, Refusal):
            raise StoppedError(Outcome.BLOCKED_REDIRECT, host.value)
        if (target.scheme, parts.scheme) == ("https", "http"):
            raise StoppedError(Outcome.BLOCKED_REDIRECT, "from https to http")
        path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        if len(path) > _MAX_LOCATION:
            raise StoppedError(Outcome.BLOCKED_REDIRECT, "an unreasonably long address")
        return Target(parts.scheme, host, path.encode("utf-8", "replace").decode())

    async def _read(self, page: Answer) -> PageFacts:
        read = partial(
            read_page,
            page.body,
            page.headers.get("Content-Type", ""),
            str(page.target.url),
            headers={name: page.headers.get(name, "") for name in ("server", "x-powered-by")},
        )
        return read() if len(page.body) <= self._limits.inline_bytes else await asyncio.to_thread(read)

    # --- robots.txt --------------------------------------------------------------------------------------

    async def _mind_robots(self, visit: Visit, target: Target) -> None:
        robots = self._robots.known(target.origin)
        if robots is None:
            robots = await self._asked_robots(visit, target)
        if not robots.allow(target.url.raw_path_qs):
            raise StoppedError(Outcome.ROBOTS_REFUSED, f"robots.txt of {target.host.name}")

    async def _asked_robots(self, visit: Visit, target: Target) -> Robots:
        path = "/robots.txt"
        try:
            answer = await self._followed(visit, Target(target.scheme, target.host, path), Want.ROBOTS)
        except StoppedError as stop:
            if stop.detail != _TOO_MANY:
                raise
            robots = Robots()  # "may assume that the robots.txt file is unavailable"
        else:
            robots = rules_of(answer)
            if answer.target.path == path:
                self._robots.learn(answer.target.origin, robots)
        self._robots.learn(target.origin, robots)
        return robots


def _candidates(visit: Visit) -> Iterator[Target]:
    """Lazy: the last address depends on what became of the first."""
    host = visit.host
    www = Host(f"www.{host.name}", host.registrable, sandboxed=host.sandboxed)
    hosts = (host, www) if host.name == host.registrable else (host,)
    if host.sandboxed:
        yield from (Target("http", candidate) for candidate in hosts)
        return
    yield from (Target("https", candidate) for candidate in hosts)
    resolved = isinstance(visit.addresses.get(host.name), tuple)
    yield Target("http", host if resolved else hosts[-1])


def _after_redirect(stop: StoppedError) -> StoppedError:
    """The domain itself was fine, so what its redirect ran into must not be said of the domain."""
    if stop.outcome in BLOCKED:
        return StoppedError(Outcome.BLOCKED_REDIRECT, stop.detail)
    if stop.outcome is Outcome.DNS_FAILURE:
        return StoppedError(Outcome.NOT_FOUND, f"redirected to a name that does not exist: {stop.detail}")
    return stop
