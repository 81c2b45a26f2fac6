"""What goes wrong on purpose: which request is hit, and how an answer is spoiled."""

import gzip
import json
import random
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from aiohttp import web

from sandbox.wire import HTML, TEXT, Reply, answer, encoded, text

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
    HTTP_408_BEFORE = "http_408_before_billing"
    HTTP_408_AFTER = "http_408_after_billing"
    RATE_LIMITED = "rate_limited"
    RATE_LIMITED_BARE = "rate_limited_bare"
    RATE_LIMITED_LATE = "rate_limited_late"  # the wait that it tells is over
    DAY_SPENT = "day_spent"
    SERVER_ERROR = "server_error"
    MALFORMED_JSON = "malformed_json"
    TRUNCATED_JSON = "truncated_json"
    BROKEN_OFF = "broken_off"
    ERROR_200 = "error_200"
    REDIRECT = "redirect"
    HTML_200 = "html_200"
    HUGE_BODY = "huge_body"
    GZIP_BOMB = "gzip_bomb"
    SLOW_DRIP = "slow_drip"
    WRONG_TYPES = "wrong_types"
    WRONG_LABEL = "wrong_label"
    UNAUTHORIZED = "unauthorized"
    OUT_OF_CREDITS = "out_of_credits"


# the vendor does its work and bills it; only the way back is disturbed
AFTER_BILLING = frozenset(
    (
        Kind.LATENCY,
        Kind.TIMEOUT_AFTER,
        Kind.RESET_AFTER,
        Kind.HTTP_408_AFTER,
        Kind.MALFORMED_JSON,
        Kind.TRUNCATED_JSON,
        Kind.BROKEN_OFF,
        Kind.HUGE_BODY,
        Kind.GZIP_BOMB,
        Kind.SLOW_DRIP,
        Kind.WRONG_TYPES,
        Kind.WRONG_LABEL,
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


# in place of the vendor's answer, whoever the vendor is
OVER_LONG_AGO = {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT", "X-RateLimit-Reset": "1445412480"}
ALIKE_EVERYWHERE: Mapping[Kind, Reply] = {
    Kind.HTTP_408_BEFORE: Reply(408, b"Request Timeout", TEXT),
    Kind.HTTP_408_AFTER: Reply(408, b"Request Timeout", TEXT),
    Kind.RATE_LIMITED_BARE: Reply(429, b"Too Many Requests", TEXT),
    Kind.RATE_LIMITED_LATE: Reply(429, b"Too Many Requests", TEXT, OVER_LONG_AGO),
    Kind.ERROR_200: answer({"error": {"code": "internal_error", "message": "Something went wrong."}}),
    Kind.REDIRECT: Reply(302, b"", TEXT, {"Location": "https://login.example/"}),
    Kind.HTML_200: text("<!doctype html><html><body><h1>One moment, please</h1></body></html>", 200, HTML),
}


def spoiled(kind: Kind, reply: Reply) -> Reply:
    """The reply damaged, or replaced, as the fault says; other faults leave it alone."""
    match kind:
        case Kind.WRONG_LABEL:
            return replace(reply, content_type=HTML)
        case Kind.GZIP_BOMB:
            return replace(reply, body=_packed(reply.body), headers={"Content-Encoding": "gzip"})
        case _:
            return ALIKE_EVERYWHERE.get(kind) or replace(reply, body=_damaged(kind, reply.body))


def _damaged(kind: Kind, body: bytes) -> bytes:
    match kind:
        case Kind.MALFORMED_JSON:
            return b'{"data": {"email": "dana@' + body[:20]
        case Kind.TRUNCATED_JSON:
            return body[: len(body) // 2]
        case Kind.WRONG_TYPES:
            return _with_wrong_types(body)
        case _:
            return body


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


def _packed(body: bytes) -> bytes:
    """As huge as `huge_chunks` once it is unpacked, and small until then."""
    return gzip.compress(b" " * HUGE_BYTES + body, compresslevel=1)


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
