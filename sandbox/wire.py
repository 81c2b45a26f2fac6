"""A request as a vendor reads it, and the reply it decides on before a byte is written."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

JSON = "application/json"
HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
NOTHING: Mapping[str, str] = {}
encoded = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(slots=True)
class Reply:
    """Status, body and headers, all decided before the first byte is written."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> web.Response:
        """The reply as aiohttp sends it."""
        headers = {"Content-Type": self.content_type, **self.headers}
        return web.Response(body=self.body, status=self.status, headers=headers)


def answer(payload: Any, status: int = 200, headers: Mapping[str, str] = NOTHING) -> Reply:
    """A JSON reply."""
    return Reply(status, encoded(payload).encode(), JSON, headers)


def text(words: str, status: int = 200, content_type: str = TEXT) -> Reply:
    """A reply in words, or in a given text format."""
    return Reply(status, words.encode(), content_type)


class Ask:
    """One request. Bodies that do not parse read as empty: the vendor then misses its fields and says so."""

    def __init__(self, request: web.Request, body: bytes) -> None:
        self.method = request.method
        self.headers: Mapping[str, str] = request.headers
        self.query = request.query
        self.body = body
        self.path = ""  # behind the vendor's prefix
        self.args: tuple[str, ...] = ()  # what stood at the placeholders of the path

    @cached_property
    def document(self) -> Any:
        """The JSON body, of whatever type; None when there is none."""
        try:
            return json.loads(self.body) if self.body else None
        except ValueError:
            return None

    @cached_property
    def data(self) -> dict[str, Any]:
        """The JSON body, when it is an object."""
        return self.document if isinstance(self.document, dict) else {}

    @cached_property
    def form(self) -> dict[str, str]:
        """The form-encoded body; percent-escapes that are not UTF-8 read as question marks."""
        return dict(parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True))

    def word(self, name: str) -> str:
        """A text field of the JSON body, trimmed; empty when missing or of another type."""
        return word(self.data.get(name))

    def param(self, name: str) -> str:
        """A query parameter, trimmed."""
        return self.query.get(name, "").strip()

    def params(self, name: str) -> list[str]:
        """Every value of a repeated query parameter."""
        return self.query.getall(name, [])

    @property
    def bearer(self) -> str:
        """The token after `Bearer`."""
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    @property
    def basic(self) -> tuple[str, str]:
        """User name and password of HTTP Basic; empty ones when the header does not parse."""
        scheme, _, encoded_pair = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return "", ""
        try:
            user, _, password = base64.b64decode(encoded_pair).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return user, password


def word(value: Any) -> str:
    """The text, trimmed; empty for anything that is not text."""
    return value.strip() if isinstance(value, str) else ""
