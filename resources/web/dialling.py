"""Connections that go to a vetted address or nowhere.

aiohttp never resolves here. Its resolver repeats the addresses pinned for the request being made, and its
sockets are made by a factory that knows the same pin: a literal address, which aiohttp dials without asking
any resolver, stops there.
"""

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Protocol

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

Endpoint = tuple[str, int]
AddressInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]

# Kept alive long enough for robots.txt and the page, not until the next fetch.
_KEEP_ALIVE_S = 5.0
_NO_SUCH_NAME = {socket.EAI_NONAME} | {getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


class NoSuchNameError(Exception):
    """The name does not exist or has no address: a fact about the domain, not a failure of ours."""


class NotPinnedError(Exception):
    """A connection was about to leave for somewhere nobody vetted: a bug in this package.

    Neither OSError nor RuntimeError, because the layers between would take those for an unreachable
    address and try the next one.
    """


class Resolver(Protocol):
    """Where names become addresses."""

    async def addresses(self, name: str) -> Sequence[str]:
        """Every address of `name`. Raises NoSuchNameError, or OSError when nobody could tell."""
        ...


class SystemResolver:
    """The operating system's resolver, on threads of its own: dead domains block for many seconds."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="web-dns")

    async def addresses(self, name: str) -> Sequence[str]:
        """Absolute names only: the dot keeps the search list of a cluster's resolv.conf out of it."""
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._threads, _looked_up, f"{name}.")
        except socket.gaierror as error:
            if error.errno in _NO_SUCH_NAME:
                raise NoSuchNameError(name) from error
            raise
        return list(dict.fromkeys(found))

    def close(self) -> None:
        """Does not wait for lookups under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _looked_up(name: str) -> list[str]:
    return [str(info[4][0]) for info in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]


@dataclass(slots=True)
class Pin:
    """Where one request may connect to."""

    host: str
    port: int
    endpoints: tuple[Endpoint, ...]
    dialled: list[Endpoint] = field(default_factory=list)


_pin: ContextVar[Pin | None] = ContextVar("web_pin", default=None)


@contextmanager
def pinned(pin: Pin) -> Iterator[None]:
    """Let the requests made inside connect to `pin` and to nothing else."""
    token = _pin.set(pin)
    try:
        yield
    finally:
        _pin.reset(token)


class _PinnedResolver(AbstractResolver):
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del family  # the pin holds what was vetted; aiohttp sorts by family itself
        pin = _pin.get()
        if pin is None or (host, port) != (pin.host, pin.port):
            raise NotPinnedError(host)
        return [_resolved(host, endpoint) for endpoint in pin.endpoints]

    async def close(self) -> None:
        """Nothing to release."""


def _resolved(host: str, endpoint: Endpoint) -> ResolveResult:
    address, port = endpoint
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)


def _pinned_socket(info: AddressInfo) -> socket.socket:
    family, kind, protocol, _, address = info
    endpoint = (str(address[0]), int(address[1]))
    pin = _pin.get()
    if pin is None or endpoint not in pin.endpoints:
        raise NotPinnedError(endpoint)
    pin.dialled.append(endpoint)
    return socket.socket(family, kind, protocol)


def pinned_connector(tls: SSLContext | None) -> aiohttp.TCPConnector:
    """A connector without a resolver, a cache or a literal shortcut of its own; needs a running loop."""
    return aiohttp.TCPConnector(
        resolver=_PinnedResolver(),
        socket_factory=_pinned_socket,
        use_dns_cache=False,
        ssl=tls or True,
        limit=0,  # the fetcher counts what is in flight
        keepalive_timeout=_KEEP_ALIVE_S,
    )


Dialler = Callable[[str, int], Endpoint]


def as_vetted(address: str, port: int) -> Endpoint:
    """The production dialler: the address that was checked is the one dialled."""
    return address, port
