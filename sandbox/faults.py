"""What goes wrong on purpose: which request is hit, and how an answer is spoiled."""

import json
import random
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiohttp import web

from sandbox.wire import HTML, Reply, encoded, text

HUGE_BYTES = 50 * 1024 * 1024
CHUNK = b" " * 65_536
EVERYBODY = "*"


class Kind(StrEnum):
    """Every fault, named for what the client sees."""

    LATENCY = "latency"
    TIMEOUT_BEFORE = "timeout_before_billing"
    TIMEOUT_AFTER = "timeout_after_billing"
    RESET_BEFORE = "reset_before_billing"
    RESET_AFTER = "reset_after_billing"
    RATE_LIMITED = "rate_limited"
    RATE_LIMITED_BARE = "rate_limited_bare"
    SERVER_ERROR = "server_error"
    MALFORMED_JSON = "malformed_json"
    TRUNCATED_JSON = "truncated_json"
    HTML_200 = "html_200"
    HUGE_BODY = "huge_body"
    SLOW_DRIP = "slow_drip"
    WRONG_TYPES = "wrong_types"
    UNAUTHORIZED = "unauthorized"
    OUT_OF_CREDITS = "out_of_credits"


# the vendor does its work and bills it; only the way back is disturbed
AFTER_BILLING = frozenset(
    (
        Kind.LATENCY,
        Kind.TIMEOUT_AFTER,
        Kind.RESET_AFTER,
        Kind.MALFORMED_JSON,
        Kind.TRUNCATED_JSON,
        Kind.HUGE_BODY,
        Kind.SLOW_DRIP,
        Kind.WRONG_TYPES,
    ),
)


@dataclass(slots=True)
class Fault:
    """One rule: skip `after` matching requests, then strike `count` times (None: always)."""

    vendor: str
    kind: Kind
    count: int | None = 1
    probability: float = 1.0
    after: int = 0
    operation: str | None = None
    ms: float = 1_000.0

    def meets(self, vendor: str, operation: str) -> bool:
        """Whether the rule is about this request."""
        return self.vendor in {EVERYBODY, vendor} and self.operation in {None, operation} and self.count != 0


class Faults:
    """The rules in force, oldest first; the first that strikes decides."""

    def __init__(self, seed: int) -> None:
        self.rules: list[Fault] = []
        self.rng = random.Random(seed)

    def draw(self, vendor: str, operation: str) -> Fault | None:
        """The fault that strikes this request."""
        for rule in self.rules:
            if rule.meets(vendor, operation) and self.strikes(rule):
                return rule
        return None

    def strikes(self, rule: Fault) -> bool:
        """Whether the rule's turn has come; counts it down."""
        if rule.after > 0:
            rule.after -= 1
            return False
        if self.rng.random() >= rule.probability:
            return False
        if rule.count is not None:
            rule.count -= 1
        return True


def spoiled(kind: Kind, reply: Reply) -> Reply:
    """The reply with its body damaged as the fault says; other faults leave it alone."""
    match kind:
        case Kind.MALFORMED_JSON:
            return Reply(reply.status, b'{"data": {"email": "dana@' + reply.body[:20], reply.content_type)
        case Kind.TRUNCATED_JSON:
            return Reply(reply.status, reply.body[: len(reply.body) // 2], reply.content_type)
        case Kind.WRONG_TYPES:
            return Reply(reply.status, _with_wrong_types(reply.body), reply.content_type)
        case _:
            return reply


def _with_wrong_types(body: bytes) -> bytes:
    """The document with other types; what is no JSON stays."""
    try:
        return encoded(wrong_types(json.loads(body))).encode()
    except ValueError:
        return body


def wrong_types(value: Any) -> Any:
    """Texts become numbers, numbers texts, lists objects; the outer objects keep their keys."""
    match value:
        case dict():
            return {key: wrong_types(item) for key, item in value.items()}
        case list():
            return {str(position): wrong_types(item) for position, item in enumerate(value)}
        case bool() | None:
            return "maybe"
        case str():
            return len(value)
        case _:
            return str(value)


def gateway_page() -> Reply:
    """A proxy's page where JSON was expected."""
    return text("<!doctype html><html><body><h1>One moment, please</h1></body></html>", 200, HTML)


def huge_chunks(reply: Reply) -> Iterator[bytes]:
    """The reply inside 50 MB of white space, valid JSON all along."""
    for _ in range(HUGE_BYTES // len(CHUNK)):
        yield CHUNK
    yield reply.body


def hang_up(request: web.Request) -> None:
    """Reset the connection: the client sees neither an answer nor an orderly end."""
    if request.transport is None:
        return
    plug = request.transport.get_extra_info("socket")
    if plug is not None:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()
