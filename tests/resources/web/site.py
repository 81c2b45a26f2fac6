"""A made-up internet on loopback: names, addresses, a server that says whatever a test wants."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from resources.web.addresses import is_public
from resources.web.dialling import Endpoint, NoSuchNameError
from resources.web.fetch import WebFetcher
from resources.web.limits import Limits, Seams

PUBLIC = "203.0.113.10"
CONTACT = "mailto:crawler@example.com"
Script = Callable[[asyncio.StreamWriter], Awaitable[None]]
PAGE = b"<title>Northwind</title><meta name=description content='Robots for wind farms'>"


def reply(
    body: bytes = PAGE, *, status: int = 200, kind: str = "text/html", headers: Sequence[str] = ()
) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", f"Content-Type: {kind}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def redirect(location: str) -> bytes:
    return reply(b"", status=301, headers=[f"Location: {location}"])


NOT_FOUND = reply(b"", status=404)


@dataclass
class Site:
    """Answers by host and path, for example `northwind.com/about`; 404 otherwise."""

    pages: dict[str, bytes | Script] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    tls_port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                await self.answer(head, writer)
        writer.close()

    async def answer(self, head: str, writer: asyncio.StreamWriter) -> None:
        path = head.split(" ")[1]
        host = head.lower().split("\r\nhost: ")[1].split("\r\n")[0]
        self.asked.append(host + path)
        self.headers.append(head)
        page = self.pages.get(host + path, NOT_FOUND)
        if isinstance(page, bytes):
            writer.write(page)
            await writer.drain()
        else:
            await page(writer)


@contextlib.asynccontextmanager
async def running(site: Site, tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    plain = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    site.port = plain.sockets[0].getsockname()[1]
    servers = [plain]
    with closed_port() as nobody:
        site.tls_port = nobody
        if tls:
            servers.append(await asyncio.start_server(site.serve, "127.0.0.1", 0, ssl=tls))
            site.tls_port = servers[1].sockets[0].getsockname()[1]
        try:
            yield site
        finally:
            for server in servers:
                server.close()


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """A port that refuses connections and cannot be taken by anybody else meanwhile."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@dataclass
class Names:
    """A resolver whose answers may change: each name has a list of them, the last one stays."""

    answers: dict[str, list[list[str]]]
    lookups: list[str] = field(default_factory=list)

    async def addresses(self, name: str) -> Sequence[str]:
        self.lookups.append(name)
        if name not in self.answers:
            raise NoSuchNameError(name)
        left = self.answers[name]
        return left.pop(0) if len(left) > 1 else left[0]


@dataclass
class Clock:
    """Time that passes only by sleeping."""

    now: float = 1_000.0
    pauses: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def names(*known: str, **answers: list[list[str]]) -> Names:
    return Names({name: [[PUBLIC]] for name in known} | answers)


def documentation_counts_as_public(address: str) -> bool:
    return is_public(address) or ip_address(address) in ip_network("203.0.113.0/24")


def fetcher(
    site: Site,
    resolver: Names,
    *,
    limits: Limits | None = None,
    tls: ssl.SSLContext | None = None,
    clock: Clock | None = None,
    sandbox_web: tuple[str, int] | None = None,
    own_networks: Sequence[str] | None = None,
    contact: str = CONTACT,
) -> WebFetcher:
    """A production fetcher whose internet is `site`; with `own_networks` under the production policy."""
    clock = clock or Clock()

    def dialler(address: str, port: int) -> Endpoint:
        assert address == PUBLIC, "only the vetted address may be dialled"
        return "127.0.0.1", site.tls_port if port == 443 else site.port

    policy = documentation_counts_as_public if own_networks is None else None
    return WebFetcher(
        contact,
        own_networks=own_networks or (),
        sandbox_web=sandbox_web,
        _seams=Seams(resolver, dialler, policy, tls, clock, clock.sleep, limits or Limits()),
    )
