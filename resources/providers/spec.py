"""What a provider file declares: its operations, and how jobs, tasks and packs are asked and read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from phase3_core.calls import Role
from phase3_core.tiers import Topic
from resources.providers.answers import Answer, Pending, Problem, Remedy, by_status
from resources.providers.gate import Limits
from resources.providers.request import Question, Request
from resources.providers.response import Response
from resources.providers.signing import Secrets, Signature, TokenGrant, unsigned


@dataclass(frozen=True, slots=True)
class Poll:
    """How a job's result is fetched: never faster than `every_s`, given up after `give_up_s` seconds.

    A problem that `read` finds is the job's own. What is DOWN or ends the job has it submitted again. Where
    repeats are free an unknown job is GONE instead: what is no free repeat must not settle the doubt.
    `billed`: reading is asking on, and the answer is billed: there is no job to come back to, and whatever
    becomes of a reading becomes of the call. What went before it cost nothing.
    """

    ask: Callable[[str], Request]
    read: Callable[[Response], Answer]
    every_s: float
    give_up_s: float
    billed: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """The vendor's tasks, newest first; `number` is that of the one with our name, empty if there is none."""

    request: Request
    number: Callable[[Response, str], str]


@dataclass(frozen=True, slots=True)
class Bulk:
    """How many questions are submitted as one task, and how the finished task is read.

    `ask` gets our name for the task; `read` finds the vendor's number of it. `row`: what a question is to
    the vendor, two of one row never share a task. `look` reads a task, `state` is None once it is done, and
    `part` is then the answer that the single call would have had. `least`, `size`: how many make a task.
    `prefix`: what tasks' numbers begin with, where single calls are jobs with numbers of their own.
    `limits`: of submissions; None: those of single calls. `again`: problems with which a task or a part has
    failed, so that the question is submitted again, once a run; what else is unanswered never is.
    `listing`: where a task is looked for by our name if the answer to its submission never came.
    `first_s`: seconds before a task is first read; then twice as long each time, at most `every_s`.
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
    listing: Listing | None = None
    linger_s: float = 5.0
    first_s: float = 10.0
    every_s: float = 10.0
    give_up_s: float = 3_600.0
    timeout_s: float = 180.0

    def pauses_s(self) -> Iterator[float]:
        """Seconds before each reading of a task."""
        pause_s = self.first_s
        while True:
            yield min(pause_s, self.every_s)
            pause_s *= 2


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


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several declarations of which a run uses one: the one `variable` names, else the first."""

    variable: str
    value: str


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
