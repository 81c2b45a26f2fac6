"""What every vendor's stand-in has in common: an account, quotas, rare variants, and a list of operations."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from time import time
from typing import ClassVar

from sandbox.billing import Account, Bill
from sandbox.companies import Company
from sandbox.limits import Gate, Pressure, Quota
from sandbox.options import Options
from sandbox.people import Person
from sandbox.wire import NOTHING, Ask, Reply
from sandbox.world import World

ONE = Decimal(1)
DAY_S = 86_400.0
SEARCH_ROUNDS = 3.0


@dataclass(frozen=True, slots=True)
class Operation:
    """One route: how it is asked, what the question is in canonical words, and who answers it.

    `path` is what stands behind the vendor's prefix; each `*` in it is a placeholder, handed on in
    `Ask.args`. `quota` names the gate it passes; an operation of no known gate is not limited.
    """

    name: str
    method: str
    path: str
    question: Callable[[Ask], str]
    answer: Callable[[Ask, str], Reply]
    quota: str = "default"
    public: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """What a vendor is set up with."""

    world: World
    bill: Bill
    account: Account
    options: Options


class Vendor(ABC):
    """One vendor. An answer is decided and billed in one step without waiting: nothing comes between."""

    name: ClassVar[str]
    base: ClassVar[str] = ""  # what follows the vendor's prefix in its base URL
    quotas: ClassVar[Mapping[str, Quota]] = {}
    variants: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, setting: Setting) -> None:
        self.world = setting.world
        self.bill = setting.bill
        self.account = setting.account
        self.options = setting.options
        factor = setting.options.rate_factor
        self.gates = {name: Gate(quota.times(factor)) for name, quota in self.quotas.items()}
        self.on: set[str] = set()  # rare variants switched on

    @abstractmethod
    def operations(self) -> Sequence[Operation]:
        """Its routes."""

    @abstractmethod
    def authorised(self, ask: Ask) -> bool:
        """Whether the request carries the account's key."""

    @abstractmethod
    def unauthorised(self, ask: Ask) -> Reply:
        """The answer to a wrong or missing key."""

    @abstractmethod
    def out_of_credits(self) -> Reply:
        """The answer to a question that the balance does not cover."""

    @abstractmethod
    def rate_limited(self, pressure: Pressure) -> Reply:
        """The answer to one request too many."""

    @abstractmethod
    def failed(self) -> Reply:
        """The answer of a server that broke."""

    @abstractmethod
    def no_route(self, *, path_known: bool) -> Reply:
        """The answer on a path it does not have, or by a method the path does not take."""

    def broke(self, _operation: Operation, _ask: Ask, _question: str) -> Reply:
        """The answer of an account that holds nothing, to whatever it is asked."""
        return self.out_of_credits()

    def blocked(self, ask: Ask) -> Reply:
        """The answer to a customer whose account is closed."""
        return self.unauthorised(ask)

    def headers(self, _pressure: Pressure | None) -> Mapping[str, str]:
        """What an ordinary answer tells about limits."""
        return NOTHING

    def env(self, base_url: str) -> dict[str, str]:
        """The environment a client of this vendor needs."""
        name = self.name.upper()
        return {f"{name}_API_KEY": self.account.key, f"{name}_BASE_URL": base_url}

    def sell(
        self,
        operation: str,
        question: str,
        *,
        hit: bool,
        billed: bool | None = None,
        credits_used: Decimal = ONE,
        free_days: float = 0,
    ) -> bool:
        """Bill the answer, unless paid for within its free days. False: not covered, nothing billed."""
        memory = f"{operation}:{question}"
        owned = free_days > 0 and self.account.owns(memory)
        if not owned and not self.account.covers(credits_used):
            return False
        self.account.hits += hit
        if not owned and (hit if billed is None else billed):
            self.bill.charge(self.account, operation, question, credits_used)
            if free_days:
                self.account.paid_until[memory] = time() + free_days * DAY_S
        return True

    @property
    def search_s(self) -> float:
        """How long an asynchronous search takes: some round trips of the configured latency."""
        return SEARCH_ROUNDS * self.options.latency_ms / 1_000

    def known(self, person: Person | None) -> Person | None:
        """The person, if this vendor has the address on file."""
        return person if person is not None and self.name in person.finders else None

    def listed(self, company: Company | None) -> Company | None:
        """The company, if this vendor has it on file."""
        return company if company is not None and self.name in company.known_to else None


def asked(*parts: str) -> str:
    """The canonical question: lower-case parts without empty ones."""
    return " | ".join(part.lower() for part in parts if part)


def pick(fields: Mapping[str, object], names: Iterable[str]) -> dict[str, object]:
    """The fields asked for, in the order asked."""
    return {name: fields[name] for name in names if name in fields}
