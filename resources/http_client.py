"""The one HTTP client: what left, what came back, and never a secret in an error.

aiohttp repeats idempotent requests by itself when a kept-alive connection breaks, and a repeated GET may
be billed twice; the repeat is switched off here, by a private name that a test guards.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import aiohttp

MOST_BYTES = 5_000_000  # no vendor's answer is larger; a hostile one would fill the memory
CONNECT_S = 10.0
KEEP_ALIVE_S = 15.0


class NotSent(Exception):
    """Nothing left this machine: asking again costs nothing."""


class Lost(Exception):
    """The request left and no whole answer came back: it may have been billed."""


@dataclass(frozen=True, slots=True)
class Received:
    """`headers` are found whatever the case of their names."""

    status: int
    text: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sending:
    """One request, signed. Its `repr` shows where it goes and none of what it says: keys and people."""

    method: str
    url: str
    query: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: Any = field(repr=False)
    form: Mapping[str, str] | None = field(repr=False)
    timeout_s: float
    raw: bytes | None = field(default=None, repr=False)  # signed as it is, in place of `body` and `form`


class HttpClient:
    """Sends and reads, at most `MOST_BYTES`; no redirects, no proxies from the environment, no cookies."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def send(self, sending: Sending) -> Received:
        """Raises NotSent or Lost; messages name the failure's class only."""
        try:
            return await self._send(sending)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as failure:
            raise NotSent(type(failure).__name__) from None
        except (TimeoutError, aiohttp.ClientError, UnicodeError, ValueError) as failure:
            raise Lost(type(failure).__name__) from None

    async def _send(self, sending: Sending) -> Received:
        async with self._session.request(
            sending.method,
            sending.url,
            params=sending.query or None,
            headers=sending.headers,
            json=sending.body,
            data=sending.form if sending.raw is None else sending.raw,
            allow_redirects=False,
            timeout=_timeout(sending.timeout_s),
        ) as response:
            raw = await _read_capped(response)
            return Received(response.status, raw.decode("utf-8", "replace"), response.headers)


@cache
def _timeout(total_s: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=total_s, connect=CONNECT_S)


async def _read_capped(response: aiohttp.ClientResponse) -> bytes:
    plain = "Content-Encoding" not in response.headers
    if plain and response.content_length is not None and response.content_length <= MOST_BYTES:
        return await response.read()
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MOST_BYTES:
            raise aiohttp.ClientPayloadError("the answer is too large")
        chunks.append(chunk)
    return b"".join(chunks)


@asynccontextmanager
async def http_client(connections: int = 256) -> AsyncIterator[HttpClient]:
    """Open inside the event loop that uses it."""
    connector = aiohttp.TCPConnector(limit=connections, keepalive_timeout=KEEP_ALIVE_S, ttl_dns_cache=60)
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=True
    ) as session:
        session._retry_connection = False  # noqa: SLF001 - the only switch against silent, billed repeats
        yield HttpClient(session)
    await asyncio.sleep(0)  # lets TLS transports close before the loop does
