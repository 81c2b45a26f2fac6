"""Events for a calling orchestrator, posted to its own address: signed, each with an id to drop repeats by.

The signature is the hex HMAC-SHA256, under the shared secret, of `v1:` + timestamp + `:` + the raw body.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from resources.http_client import Lost, NotSent, Received, Sending
from resources.sending import Later, Refused

TIMEOUT_S = 10.0
SUCCESS = range(200, 300)
BUSY, BROKEN, TOO_EARLY = 429, 500, 425


class Transport(Protocol):
    async def send(self, sending: Sending) -> Received: ...


@dataclass(frozen=True, slots=True)
class WebhookTerms:
    """Where events go, and the secret that proves that they are ours."""

    url: str
    secret: str = field(repr=False)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    base = b":".join((b"v1", timestamp.encode(), body))
    return f"v1={hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Webhook:
    transport: Transport
    terms: WebhookTerms

    async def post(self, event_id: str, event: Mapping[str, Any], now: datetime) -> None:
        """Raises Later and Refused."""
        body, stamp = json.dumps(event).encode(), str(int(now.timestamp()))
        headers = {
            "Content-Type": "application/json",
            "X-Phase3-Event-Id": event_id,
            "X-Phase3-Timestamp": stamp,
            "X-Phase3-Signature": signature(self.terms.secret, stamp, body),
        }
        sending = Sending("POST", self.terms.url, {}, headers, None, None, TIMEOUT_S, raw=body)
        try:
            received = await self.transport.send(sending)
        except (NotSent, Lost) as failure:
            raise Later(f"the webhook cannot be reached ({failure})") from None
        _read(received.status)


def _read(status: int) -> None:
    if status >= BROKEN or status in {BUSY, TOO_EARLY}:
        raise Later(f"the webhook answered {status}")
    if status not in SUCCESS:
        raise Refused(f"the webhook answered {status}")
