"""What left and what did not, on real sockets: the difference decides whether a vendor may be asked again."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from resources.http_client import MOST_BYTES, HttpClient, Lost, NotSent, Sending, http_client

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def sending(url: str, **changes: Any) -> Sending:
    facts: dict[str, Any] = {
        "method": "GET",
        "url": url,
        "query": {"key": "sk_very_secret"},
        "headers": {"Authorization": "Bearer sk_very_secret"},
        "body": None,
        "form": None,
        "timeout_s": 5.0,
    }
    return Sending(**(facts | changes))


@asynccontextmanager
async def served(talk: Conversation) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that talks as told; the URL, and every request head that arrived."""
    heads: list[bytes] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                heads.append(head)
                await talk(reader, writer, len(heads))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/find", heads
    finally:
        server.close()


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    async with http_client() as opened:
        yield opened


async def test_a_billed_get_is_never_repeated_when_a_kept_alive_connection_breaks(client: HttpClient) -> None:
    async def bill_then_reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, nth: int) -> None:
        if nth == 1:
            writer.write(OK)
            await writer.drain()
        else:
            writer.transport.abort()

    async with served(bill_then_reset) as (url, heads):
        assert (await client.send(sending(url))).status == 200
        with pytest.raises(Lost):
            await client.send(sending(url))
        assert len(heads) == 2


async def test_nobody_listening_means_nothing_was_sent(client: HttpClient) -> None:
    async with served(lambda *_: asyncio.sleep(0)) as (url, _):
        pass
    with pytest.raises(NotSent):
        await client.send(sending(url))


async def test_an_unknown_name_means_nothing_was_sent(client: HttpClient) -> None:
    with pytest.raises(NotSent):
        await client.send(sending("http://nowhere.invalid/find"))


async def test_silence_after_the_request_is_lost(client: HttpClient) -> None:
    never = asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter, _nth: int) -> None:
        await never.wait()

    async with served(silent) as (url, heads):
        with pytest.raises(Lost):
            await client.send(sending(url, timeout_s=0.2))
        assert len(heads) == 1
        never.set()


async def test_an_answer_that_breaks_off_is_lost(client: HttpClient) -> None:
    async def broken(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _nth: int) -> None:
        writer.write(OK.replace(b"Length: 2", b"Length: 200"))
        await writer.drain()
        writer.close()

    async with served(broken) as (url, _):
        with pytest.raises(Lost):
            await client.send(sending(url))


async def test_a_body_beyond_all_measure_is_lost_and_not_read_to_its_end(client: HttpClient) -> None:
    written = 0

    async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _nth: int) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        while written < 20 * MOST_BYTES:
            writer.write(chunk)
            written += 0x10000
            await writer.drain()

    async with served(endless) as (url, _):
        with pytest.raises(Lost):
            await client.send(sending(url))
    assert written < 20 * MOST_BYTES


async def test_a_compressed_bomb_is_lost(client: HttpClient) -> None:
    bomb = gzip.compress(b"0" * (MOST_BYTES + 1))

    async def explosive(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _nth: int) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
        writer.write(head.encode() + bomb)
        await writer.drain()

    async with served(explosive) as (url, _):
        with pytest.raises(Lost):
            await client.send(sending(url))


async def test_a_redirect_is_not_followed(client: HttpClient) -> None:
    async def moved(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _nth: int) -> None:
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with served(moved) as (url, heads):
        assert (await client.send(sending(url))).status == 302
        assert len(heads) == 1


async def test_an_error_names_no_url_and_no_key(client: HttpClient) -> None:
    async def rude(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _nth: int) -> None:
        writer.write(b"this is not HTTP\r\n\r\n")
        await writer.drain()

    async with served(rude) as (url, _):
        with pytest.raises(Lost) as caught:
            await client.send(sending(url))
    assert "secret" not in repr(caught.value)
    assert "127.0.0.1" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
