"""The guarded web fetch as a transport, so that it too is a call in the ledger."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from phase3_core.errors import BadInput
from resources.http_client import Received, Sending
from resources.web.fetch import WebFetcher

SANDBOX_WEB = "PHASE3_SANDBOX_WEB"
NOWHERE = "127.0.0.1:9"  # the port that discards


class WebsiteTransport:
    """The request's path is a domain; the answer is the fetcher's outcome and facts as JSON.

    A site that seems to be down is tried once more.
    """

    def __init__(self, fetcher: WebFetcher) -> None:
        self._fetcher = fetcher

    async def send(self, sending: Sending) -> Received:
        fetched = await self._fetcher.fetch(sending.url)
        if fetched.is_transient:
            fetched = await self._fetcher.fetch(sending.url)
        facts = fetched.facts.as_json() if fetched.facts else None
        body = {"outcome": fetched.outcome.value, "status": fetched.status, "facts": facts}
        return Received(200, json.dumps(body), {})


@asynccontextmanager
async def website_transport(
    contact: str, sandbox_web: str | None, own_networks: Sequence[str] = ()
) -> AsyncIterator[WebsiteTransport]:
    """`sandbox_web`: `127.0.0.1:PORT`, where names under the reserved `.example` are then found.

    Without `contact` and sandbox nothing is read: every site is refused.
    """
    gate = sandbox_web or (None if contact else NOWHERE)
    try:
        fetcher = WebFetcher(contact, own_networks=own_networks, sandbox_web=_gate(gate))
    except ValueError as failure:
        raise BadInput(f"web.contact or {SANDBOX_WEB} cannot be used: {failure}") from None
    async with fetcher:
        yield WebsiteTransport(fetcher)


def _gate(sandbox_web: str | None) -> tuple[str, int] | None:
    host, _, port = (sandbox_web or "").rpartition(":")
    return (host, int(port)) if sandbox_web else None
