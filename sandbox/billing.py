"""Accounts, balances and the bill: what each vendor believes it is owed."""

import hashlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple

MICRO = Decimal("0.000001")
UNLIMITED = 1_000_000  # what an account without a limit shows as its allowance

LIST_PRICES = {
    "tomba": "0.010000",
    "muraena": "0.015000",
    "voila_norbert": "0.049000",
    "nimbler": "0.100000",
    "icypeas": "0.009000",
    "anymailfinder": "0.030000",
    "findymail": "0.019800",
    "reoon": "0.001190",
    "mailverify": "0.003000",
    "apollo": "0.025000",
    "clearbit": "0.050000",
    "people_data_labs": "0.100000",
    "zoominfo": "0.150000",
    "builtwith": "0.049500",
    "brave": "0.005000",
    "tavily": "0.008000",
    "serper": "0.001000",
    "claude": "0.010000",
}

SEED_PRICES = LIST_PRICES | {
    "tomba": "0.002000",
    "muraena": "0.012000",
    "voila_norbert": "0.015000",
    "nimbler": "0.020000",
    "icypeas": "0.020000",
    "anymailfinder": "0.030000",
    "findymail": "0.040000",
    "clearbit": "0.050000",
    "apollo": "0.020000",
    "zoominfo": "0.150000",
    "builtwith": "0.100000",
    "reoon": "0.005000",
    "mailverify": "0.025000",
}

PRICES = {"list": LIST_PRICES, "seed": SEED_PRICES}


class Charge(NamedTuple):
    """One line of the bill."""

    seq: int
    vendor: str
    operation: str
    question: str
    credits: Decimal
    amount_usd: Decimal
    at: float


@dataclass(slots=True)
class Account:
    """The customer's account with one vendor. A balance of None never runs out."""

    vendor: str
    price: Decimal
    key: str
    secret: str
    balance: Decimal | None = None
    blocked: bool = False
    used: Decimal = Decimal(0)
    requests: int = 0
    turned_away: int = 0
    hits: int = 0
    billed: int = 0
    owed: Decimal = Decimal(0)
    paid_until: dict[str, float] = field(default_factory=dict)

    @property
    def left(self) -> Decimal:
        """Credits still to spend; an unlimited account shows a large allowance shrinking."""
        return max(Decimal(0), UNLIMITED - self.used) if self.balance is None else self.balance

    def covers(self, credits_needed: Decimal) -> bool:
        """Whether the balance pays for it."""
        return self.balance is None or self.balance >= credits_needed

    def owns(self, question: str) -> bool:
        """Whether the same question was paid for recently enough to be free again."""
        return self.paid_until.get(question, 0.0) > time.time()


class Bill:
    """Every charge in order, and how often each question was asked, billed or not."""

    def __init__(self, accounts: dict[str, Account]) -> None:
        self.accounts = accounts
        self.charges: list[Charge] = []
        self.asked: Counter[tuple[str, str, str]] = Counter()

    def ask(self, account: Account, operation: str, question: str) -> None:
        """Count a request on arrival."""
        account.requests += 1
        self.asked[account.vendor, operation, question] += 1

    def charge(self, account: Account, operation: str, question: str, credits_used: Decimal) -> None:
        """Take the credits; the caller has asked whether they are covered."""
        amount = (account.price * credits_used).quantize(MICRO)
        account.used += credits_used
        account.owed += amount
        account.billed += 1
        if account.balance is not None:
            account.balance -= credits_used
        seq = len(self.charges) + 1
        self.charges.append(
            Charge(seq, account.vendor, operation, question, credits_used, amount, time.time()),
        )

    def summary(self) -> dict[str, Any]:
        """Totals by vendor, in text with six places."""
        total = sum((account.owed for account in self.accounts.values()), Decimal(0))
        return {
            "by_vendor": {
                name: {
                    "requests": account.requests,
                    "turned_away": account.turned_away,
                    "billed": account.billed,
                    "hits": account.hits,
                    "amount_usd": str(account.owed.quantize(MICRO)),
                }
                for name, account in self.accounts.items()
            },
            "total_usd": str(total.quantize(MICRO)),
        }

    def rows(self, after: int) -> Iterator[dict[str, Any]]:
        """Charges after a sequence number, oldest first."""
        for charge in islice(self.charges, after, None):
            yield {
                **charge._asdict(),
                "credits": str(charge.credits),
                "amount_usd": str(charge.amount_usd),
                "at": datetime.fromtimestamp(charge.at, UTC).isoformat(),
            }

    def requests(self) -> list[dict[str, Any]]:
        """How often each question was asked."""
        return [
            {"vendor": vendor, "operation": operation, "question": question, "count": count}
            for (vendor, operation, question), count in self.asked.items()
        ]


def open_accounts(names: list[str], prices: str, seed: int) -> dict[str, Account]:
    """An account with every vendor, keys derived from the seed."""
    return {
        name: Account(
            name, Decimal(PRICES[prices][name]), made_up_key(seed, name), made_up_key(seed, name, "second")
        )
        for name in names
    }


def made_up_key(*parts: object) -> str:
    """A stable key that opens nothing but the sandbox: 32 hexadecimal digits."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
