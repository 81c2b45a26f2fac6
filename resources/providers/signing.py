"""How requests prove whose they are; nothing in here may reach a log, a row or an error."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from resources.providers.answers import Problem
from resources.providers.request import Request
from resources.providers.response import Response

Secrets = Mapping[str, str]
TOKEN = "token"  # noqa: S105 - the name of a secret, not one


@dataclass(frozen=True, slots=True)
class Signature:
    """What signs a request; never part of a ledger row, a log line or an error."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, str] = field(default_factory=dict, repr=False)


def unsigned(_secrets: Secrets) -> Signature:
    return Signature()


def key_in_header(header: str, secret: str, scheme: str = "") -> Callable[[Secrets], Signature]:
    """Signs with the key as it is, or behind a word such as `Bearer`."""

    def sign(secrets: Secrets) -> Signature:
        return Signature({header: f"{scheme} {secrets[secret]}".strip()})

    return sign


@dataclass(frozen=True, slots=True)
class Token:
    """What signs requests for `lasts_s` seconds."""

    value: str = field(repr=False)
    lasts_s: float


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """How a short-lived token is had; the spec's `sign` then finds it among the secrets as `TOKEN`.

    The request for it is no call: it is not billed and never stands in the ledger. `base_url` is where
    the vendor gives tokens; empty: where it answers. An overridden base URL serves both.
    """

    ask: Callable[[Secrets], Request]
    sign: Callable[[Secrets], Signature]
    read: Callable[[Response], Token | Problem]
    base_url: str = ""
