"""What a provider file may declare: how to ask, how to read the answer, how to sign."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import cached_property
from hashlib import blake2b
from typing import Any

from phase3_core.calls import Facts, Hit, Judgement, Miss, Role
from phase3_core.leads import Lead
from phase3_core.tiers import Topic
from resources.providers.gate import Limits


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about: a lead, and for a verifier the address; `options` as the spec declares them."""

    lead: Lead
    email: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


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
    """An answer as it came, and what it answers.

    `body` is None where the text is no JSON or nests absurdly; header names are lower-case.
    """

    status: int
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    request: Request | None = None

    @cached_property
    def body(self) -> Any:
        try:
            body = json.loads(self.text)
        except (ValueError, RecursionError):
            return None
        brackets = self.text.count("[") + self.text.count("{")
        return None if brackets > MOST_LEVELS and _levels(body) > MOST_LEVELS else body


MOST_LEVELS = 64  # of lists and objects in one another; whoever writes JSON needs a stack for each


def _levels(value: Any) -> int:
    """How deep lists and objects nest, counted only as far as it matters."""
    level, depth = [value], 0
    while level and depth <= MOST_LEVELS:
        holders = [item for item in level if isinstance(item, dict | list)]
        level = [child for one in holders for child in (one.values() if isinstance(one, dict) else one)]
        depth += bool(holders)
    return depth


class Remedy(StrEnum):
    """What to do about an answer that answers nothing."""

    BAD_KEY = "bad_key"  # park the provider until a person acts
    NOT_IN_PLAN = "not_in_plan"  # park this question; the vendor's others may be asked
    OUT_OF_CREDITS = "out_of_credits"  # park it until the balance says otherwise
    RATE_LIMITED = "rate_limited"  # wait as told, ask again
    BAD_INPUT = "bad_input"  # this lead cannot be asked about: a miss
    DOWN = "down"  # may have been billed: the replay class decides
    NONSENSE = "nonsense"  # as DOWN, and the raw body is kept
    GONE = "gone"  # a task that ended without this answer: may have been billed, never submitted again


@dataclass(frozen=True, slots=True)
class Problem:
    """`ends_job`: the vendor is done with the job and bills nothing for it; else that is in doubt."""

    remedy: Remedy
    detail: str = ""
    wait_s: float | None = None
    ends_job: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """The vendor works on it; `job_id` is how to ask for the result."""

    job_id: str


Answer = Hit | Judgement | Facts | Miss | Problem | Pending


@dataclass(frozen=True, slots=True)
class Poll:
    """How a job's result is fetched: never faster than `every_s`, given up after `give_up_s` seconds.

    A problem that `read` finds is the job's own and ends it: the next attempt submits it again.
    """

    ask: Callable[[str], Request]
    read: Callable[[Response], Answer]
    every_s: float
    give_up_s: float


MOST_CREDITS = 1_000  # no single call takes more; a larger number is not a count of credits
Secrets = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Signature:
    """What signs a request; never part of a ledger row, a log line or an error."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Bulk:
    """How many questions are submitted as one task, and how the finished task is read.

    `ask` gets our name for the task; `read` finds the vendor's number of it. `row`: what a question is to
    the vendor, two of one row never share a task. `look` reads a task, `state` is None once it is done, and
    `part` is then the answer that the single call would have had. `least`, `size`: how many make a task.
    `prefix`: what tasks' numbers begin with, where single calls are jobs with numbers of their own.
    `limits`: of submissions; None: those of single calls. `again`: problems with which a task or a part has
    failed, so that the question is submitted again singly, once a run; what else is unanswered never is.
    """

    ask: Callable[[str, Sequence[Request]], Request]
    read: Callable[[Response], Pending | Problem]
    look: Callable[[str], Request]
    state: Callable[[Response], Pending | Problem | None]
    part: Callable[[Response, Request], Response]
    row: Callable[[Request], str]
    sign: Callable[[Secrets], Signature]
    least: int = 1
    size: int = 1_000
    prefix: str = ""
    limits: Limits | None = None
    again: frozenset[Remedy] = frozenset()
    linger_s: float = 5.0
    every_s: float = 10.0
    give_up_s: float = 3_600.0
    timeout_s: float = 180.0


@dataclass(frozen=True, slots=True)
class Pack:
    """How many questions are asked in one request that is answered at once.

    `parts`: for each question, in order, the answer that its single call would have had. `row`: what a
    question is to the vendor, two of one row never share a pack.
    """

    ask: Callable[[Sequence[Request]], Request]
    parts: Callable[[Response, Sequence[Request]], Sequence[Response]]
    row: Callable[[Request], str]
    size: int = 10
    linger_s: float = 0.1
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of question. `ask` returns None for a lead that lacks what the vendor needs."""

    name: str
    ask: Callable[[Question], Request | None]
    read: Callable[[Response], Answer]
    timeout_s: float = 30.0
    poll: Poll | None = None
    credits: Callable[[Response], Decimal | None] | None = None
    bulk: Bulk | None = None
    pack: Pack | None = None


def unsigned(_secrets: Secrets) -> Signature:
    return Signature()


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


TOKEN = "token"  # noqa: S105 - the name of a secret, not one


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several declarations of which a run uses one: the one `variable` names, else the first."""

    variable: str
    value: str


def key_in_header(header: str, secret: str, scheme: str = "") -> Callable[[Secrets], Signature]:
    """Signs with the key as it is, or behind a word such as `Bearer`."""

    def sign(secrets: Secrets) -> Signature:
        return Signature({header: f"{scheme} {secrets[secret]}".strip()})

    return sign


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


def by_status_and_json(response: Response) -> Problem | None:
    """As `by_status`, but a 404 without JSON comes from a wrong base URL and says nothing of the lead."""
    if response.status == 404 and not isinstance(response.body, dict):
        return Problem(Remedy.NONSENSE, "HTTP 404 without JSON: is the base URL right?")
    return by_status(response)


EPOCH_FROM = 1_000_000_000  # a reset header above this is a time, below it seconds to wait


def told_to_reset(response: Response) -> float | None:
    """Seconds until `X-RateLimit-Reset`: told in seconds, as an epoch or in ISO form, several by comma.

    A time is measured from the answer's own `Date`, so that only the vendor's clock counts.
    """
    value = response.headers.get("x-ratelimit-reset", "").partition(",")[0].strip()
    try:
        if not value.isdecimal():
            return _seconds_until(datetime.fromisoformat(value), response)
        number = int(value)
        at_a_time = number >= EPOCH_FROM
        return _seconds_until(datetime.fromtimestamp(number, UTC), response) if at_a_time else float(number)
    except (ValueError, TypeError, OverflowError, OSError):
        return None


def told_to_pause(response: Response) -> float | None:
    """Seconds until the reset, where an answer's `X-RateLimit-Remaining` says that nothing is left."""
    left = response.headers.get("x-ratelimit-remaining", "").partition(",")[0].strip()
    return told_to_reset(response) if left == "0" else None


def _seconds_until(at: datetime, response: Response) -> float:
    now = parsedate_to_datetime(response.headers.get("date", ""))
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds())


def told_to_wait(response: Response) -> float | None:
    """Seconds of `Retry-After`, where the vendor sends it as a number."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """A vendor as code sees it; what it costs and allows stands in the catalogue.

    `secrets` are the environment variables that must be set. `operations` in order of preference: the
    first one that can be asked about a lead is asked. `problem` looks at every answer first.

    A vendor that answers several questions by different calls has a spec for each: they share `name` (key,
    base URL, ledger, health) and differ in `question`. `options` are environment variables that may be
    set, with their defaults. `env_prefix`: where its variables are not named for the vendor.
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
    question: str = ""
    env_prefix: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    choice: Choice | None = None
    token: TokenGrant | None = None

    @property
    def env(self) -> str:
        """The prefix of its environment variables."""
        return self.env_prefix or self.name.upper()

    @property
    def label(self) -> str:
        """Its name where one vendor's questions are told apart."""
        return f"{self.name}:{self.question}" if self.question else self.name


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


def filled(**fields: str) -> dict[str, str]:
    """The fields that say something."""
    return {name: value for name, value in fields.items() if value}


def own_id(asked: Mapping[str, str]) -> str:
    """Our name for a question at the vendor: the same fields, the same id."""
    return blake2b(json.dumps(asked, sort_keys=True).encode(), digest_size=16).hexdigest()


def percent_at(body: Any, *path: str | int) -> int | None:
    """A score from 0 to 100 at a path; any other number is no score."""
    number = whole_number_at(body, *path)
    return number if number is not None and 0 <= number <= 100 else None


def hit_or_miss(address: Any, confidence: int | None = None) -> Hit | Miss | Problem:
    """An address, or null or a word for none; what is no text is no answer."""
    if address is not None and not isinstance(address, str):
        return Problem(Remedy.NONSENSE, "the address is no text")
    email = email_at(address)
    return Hit(email, confidence) if email else Miss()


def bare_domain(address: str) -> str:
    """The host of an address, which may have a scheme and a path, in lower case without `www.`."""
    host = address.strip().lower().rpartition("://")[2].partition("/")[0]
    return host.removeprefix("www.")


def items_at(body: Any, *path: str | int) -> list[dict[str, Any]]:
    """The objects in a list at a path; anything else in it is left out."""
    value = dig(body, *path)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def credits_of(told: Any) -> Decimal | None:
    """A count of credits as a vendor tells it, number or text; None where it cannot be one."""
    if isinstance(told, bool) or not isinstance(told, int | float | str):
        return None
    try:
        count = Decimal(str(told))
    except ArithmeticError:
        return None
    return count if count.is_finite() and 0 <= count <= MOST_CREDITS else None


def strings_at(body: Any, *path: str | int) -> list[str]:
    """The texts in a list at a path; anything else in it is left out."""
    value = dig(body, *path)
    return (
        [item.strip() for item in value if isinstance(item, str) and item.strip()]
        if isinstance(value, list)
        else []
    )
