"""One hop of a visit: vetted, resolved once, and connected to exactly what was vetted."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from enum import Enum, auto
from functools import partial
from types import SimpleNamespace, TracebackType
from typing import Self

import aiohttp

from resources.web.addresses import is_public, networks
from resources.web.body import Body
from resources.web.dialling import (
    Endpoint,
    NoSuchNameError,
    Pin,
    Resolver,
    SystemResolver,
    pinned,
    pinned_connector,
)
from resources.web.limits import Seams
from resources.web.outcome import Outcome
from resources.web.turns import Turns
from resources.web.verdict import REDIRECTS, check_type, encoding_of
from resources.web.visit import Answer, StoppedError, Target, Visit

_MAX_ADDRESSES = 4
_LOOKUPS = 4  # a lookup that was given up blocks its thread on; others must find one free


class Want(Enum):
    PAGE = auto()
    ROBOTS = auto()


class Hops:
    """Those of all visits. `own_networks` are our public addresses; `sandbox` is where its names are sent."""

    def __init__(
        self, user_agent: str, own_networks: Sequence[str], sandbox: Endpoint | None, seams: Seams
    ) -> None:
        self._user_agent = user_agent
        self._sandbox = sandbox
        self._is_public = seams.is_public or partial(is_public, also_denied=networks(own_networks))
        self._seams = seams
        self._limits = seams.limits
        self._slots = asyncio.Semaphore(seams.limits.in_flight)
        self._turns = Turns(seams)
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

    async def answer(self, visit: Visit, target: Target, want: Want) -> Answer:
        """One answer, which may be a redirect, within what is left of the visit's time on the network."""
        await self._turns.wait(target.host.name)
        loop = asyncio.get_running_loop()
        async with self._slots:
            started = loop.time()
            try:
                async with asyncio.timeout(visit.left_s):
                    pin = await self._pinned(visit, target)
                    return await self._exchange(visit, target, pin, want)
            except TimeoutError:
                raise StoppedError(Outcome.TIMEOUT, target.origin) from None
            finally:
                visit.left_s -= loop.time() - started

    async def _pinned(self, visit: Visit, target: Target) -> Pin:
        if target.host.sandboxed:
            return Pin(target.host.name, target.port, self._sandbox_endpoints(target))
        addresses = await self._vetted(visit, target.host.name)
        endpoints = tuple(self._seams.dialler(address, target.port) for address in addresses)
        return Pin(target.host.name, target.port, endpoints)

    def _sandbox_endpoints(self, target: Target) -> tuple[Endpoint, ...]:
        if self._sandbox is None or target.scheme != "http":
            raise StoppedError(Outcome.CONNECT_ERROR, "the sandbox speaks plain http")
        return (self._sandbox,)

    async def _vetted(self, visit: Visit, name: str) -> tuple[str, ...]:
        known = visit.addresses.get(name)
        if known is None:
            known = visit.addresses[name] = await self._resolved(name)
        if isinstance(known, StoppedError):
            raise known
        return known

    async def _resolved(self, name: str) -> tuple[str, ...] | StoppedError:
        """Some of the vetted addresses. One bad address condemns all: a mixed answer is a rebinding sign."""
        try:
            async with asyncio.timeout(self._limits.connect_s):
                found = await self._resolver.addresses(name)
        except NoSuchNameError:
            return StoppedError(Outcome.DNS_FAILURE, name)
        except TimeoutError:
            return StoppedError(Outcome.TIMEOUT, f"resolving {name}")
        except (OSError, UnicodeError):
            return StoppedError(Outcome.CONNECT_ERROR, f"resolving {name}")
        refused = [address for address in found if not self._is_public(address)]
        if refused:
            return StoppedError(Outcome.BLOCKED_ADDRESS, f"{name} is {refused[0]}")
        return tuple(found[:_MAX_ADDRESSES]) or StoppedError(Outcome.DNS_FAILURE, name)

    async def _exchange(self, visit: Visit, target: Target, pin: Pin, want: Want) -> Answer:
        try:
            with pinned(pin):
                async with self._session.get(
                    target.url, allow_redirects=False, trace_request_ctx=visit
                ) as response:
                    if pin.dialled:
                        visit.address = pin.dialled[-1][0]
                    return await self._received(visit, target, response, want)
        except TimeoutError:
            raise
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError) as error:
            raise StoppedError(Outcome.TLS_ERROR, f"{target.origin}: {type(error).__name__}") from error
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError) as error:
            raise StoppedError(Outcome.CONNECT_ERROR, f"{target.origin}: {type(error).__name__}") from error
        except (aiohttp.ClientError, ValueError, LookupError) as error:  # it answered, but not in HTTP
            raise StoppedError(Outcome.SERVER_ERROR, f"{target.origin}: {type(error).__name__}") from error

    async def _received(
        self, visit: Visit, target: Target, response: aiohttp.ClientResponse, want: Want
    ) -> Answer:
        if response.status in REDIRECTS:
            return Answer(target, response.status, response.headers)
        is_page = want is Want.PAGE and response.ok
        if is_page:
            check_type(response)
        body = Body(*self._caps(want, ok=response.ok), encoding=encoding_of(response))
        try:
            complete = await body.read(response)
        finally:
            visit.raw_bytes = body.raw
        if is_page and not complete:
            raise StoppedError(Outcome.TOO_LARGE, f"over {self._limits.raw_bytes} bytes")
        return Answer(target, response.status, response.headers, bytes(body.decoded), complete)

    def _caps(self, want: Want, *, ok: bool) -> tuple[int, int]:
        limits = self._limits
        if not ok:
            return limits.error_page_bytes, limits.error_page_bytes
        if want is Want.ROBOTS:
            return limits.robots_bytes, limits.robots_bytes
        return limits.raw_bytes, limits.decoded_bytes


def _tracing() -> aiohttp.TraceConfig:
    """Marks the visit once a connection stands: from then on bytes may have left."""
    config = aiohttp.TraceConfig()
    config.on_connection_create_end.append(_mark_sent)
    config.on_connection_reuseconn.append(_mark_sent)
    return config


async def _mark_sent(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.request_sent = True
