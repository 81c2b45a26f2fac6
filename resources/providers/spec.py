"""What a provider file may declare: how to ask, how to read the answer, how to sign."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Any

from phase3_core.calls import Facts, Hit, Judgement, Miss, Role
from phase3_core.leads import Lead
from phase3_core.tiers import Topic


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about: a lead, and for a verifier the address."""

    lead: Lead
    email: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request below the vendor's base URL, without its secrets."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    form: Mapping[str, str] | None = None

    def as_json(self) -> dict[str, Any]:
        """What the ledger keeps, and what makes a question the same question."""
        parts = {"query": dict(self.query), "body": self.body, "form": dict(self.form or {})}
        return {"method": self.method, "path": self.path} | {k: v for k, v in parts.items() if v}


def get(path: str, **query: str) -> Request:
    return Request("GET", path, query)


def post(path: str, **body: Any) -> Request:
    return Request("POST", path, body=body)


def post_form(path: str, **form: str) -> Request:
    return Request("POST", path, form=form)


@dataclass(frozen=True)
class Response:
    """An answer as it came. `body` is None where the text is no JSON; header names are lower-case."""

    status: int
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def body(self) -> Any:
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return None


class Remedy(StrEnum):
    """What to do about an answer that answers nothing."""

    BAD_KEY = "bad_key"  # park the provider until a person acts
    OUT_OF_CREDITS = "out_of_credits"  # park it until the balance says otherwise
    RATE_LIMITED = "rate_limited"  # wait as told, ask again
    BAD_INPUT = "bad_input"  # this lead cannot be asked about: a miss
    DOWN = "down"  # may have been billed: the replay class decides
    NONSENSE = "nonsense"  # as DOWN, and the raw body is kept


@dataclass(frozen=True, slots=True)
class Problem:
    remedy: Remedy
    detail: str = ""
    wait_s: float | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """The vendor works on it; `job_id` is how to ask for the result."""

    job_id: str


Answer = Hit | Judgement | Facts | Miss | Problem | Pending


@dataclass(frozen=True, slots=True)
class Poll:
    """How a job's result is fetched: never faster than `every_s`, given up after `give_up_s` seconds."""

    ask: Callable[[str], Request]
    read: Callable[[Response], Answer]
    every_s: float
    give_up_s: float


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of question. `ask` returns None for a lead that lacks what the vendor needs."""

    name: str
    ask: Callable[[Question], Request | None]
    read: Callable[[Response], Answer]
    timeout_s: float = 30.0
    poll: Poll | None = None
    credits: Callable[[Response], Decimal | None] | None = None


Secrets = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Signature:
    """What signs a request; never part of a ledger row, a log line or an error."""

    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


def unsigned(_secrets: Secrets) -> Signature:
    return Signature()


def by_status(response: Response) -> Problem | None:
    """The meaning of HTTP statuses where a vendor's sheet says nothing else."""
    status = response.status
    if status in {401, 403}:
        return Problem(Remedy.BAD_KEY, f"HTTP {status}")
    if status == 402:
        return Problem(Remedy.OUT_OF_CREDITS, "HTTP 402")
    if status in {408, 429}:
        return Problem(Remedy.RATE_LIMITED, f"HTTP {status}", told_to_wait(response))
    if status >= 500:
        return Problem(Remedy.DOWN, f"HTTP {status}")
    if status >= 300:
        return Problem(Remedy.BAD_INPUT, f"HTTP {status}")
    return None


EPOCH_FROM = 1_000_000_000  # a reset header above this is a time, below it seconds to wait


def told_to_wait(response: Response) -> float | None:
    """Seconds of `Retry-After`, where the vendor sends it as a number."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """A vendor as code sees it; what it costs and allows stands in the catalogue.

    `secrets` are the environment variables that must be set. `operations` in order of preference: the
    first one that can be asked about a lead is asked. `problem` looks at every answer first.
    """

    name: str
    role: Role
    base_url: str
    operations: Sequence[Operation]
    secrets: Sequence[str] = ()
    sign: Callable[[Secrets], Signature] = unsigned
    problem: Callable[[Response], Problem | None] = by_status
    topics: frozenset[Topic] = frozenset()
    per_company: bool = False

    @property
    def env(self) -> str:
        """The prefix of its environment variables."""
        return self.name.upper()


def dig(body: Any, *path: str | int) -> Any:
    """The value at a path in a vendor's JSON, or None where the shape is another."""
    for step in path:
        if isinstance(step, int):
            fits = isinstance(body, list) and -len(body) <= step < len(body)
        else:
            fits = isinstance(body, dict) and step in body
        if not fits:
            return None
        body = body[step]
    return body


def text_at(body: Any, *path: str | int) -> str:
    """Text at a path, stripped; empty where there is none or it is no text."""
    value = dig(body, *path)
    return value.strip() if isinstance(value, str) else ""


def whole_number_at(body: Any, *path: str | int) -> int | None:
    """A number at a path, rounded down; text that spells one counts."""
    value = dig(body, *path)
    if isinstance(value, bool):
        return None
    try:
        return int(float(value)) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError):
        return None


def email_at(body: Any, *path: str | int) -> str:
    """An address at a path, or empty where the text there cannot be one."""
    value = text_at(body, *path)
    local, at, domain = value.rpartition("@")
    fits = at and local and "." in domain and not any(c.isspace() for c in value) and value.isprintable()
    return value if fits and len(value) <= 254 else ""


def strings_at(body: Any, *path: str | int) -> list[str]:
    """The texts in a list at a path; anything else in it is left out."""
    value = dig(body, *path)
    return (
        [item.strip() for item in value if isinstance(item, str) and item.strip()]
        if isinstance(value, list)
        else []
    )
