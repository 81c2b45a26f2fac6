"""What is left in each account, by the vendors' own account endpoints: free calls that answer no question."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from resources.providers.reading import dig
from resources.providers.request import Request, get
from resources.providers.response import Response

Reader = Callable[[Any], Decimal | None]


@dataclass(frozen=True, slots=True)
class Balance:
    """How to ask and how to read credits left; None where the answer has another shape."""

    ask: Request
    read: Reader


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def at(*path: str | int) -> Reader:
    """The number at a path."""
    return lambda body: _number(dig(body, *path))


def left(total: Reader, used: Reader) -> Reader:
    """One number less another."""

    def read(body: Any) -> Decimal | None:
        whole, part = total(body), used(body)
        return None if whole is None or part is None else whole - part

    return read


def both(first: Reader, second: Reader) -> Reader:
    """The sum of two meters; one that is missing counts as empty."""

    def read(body: Any) -> Decimal | None:
        meters = [meter for meter in (first(body), second(body)) if meter is not None]
        return sum(meters, Decimal(0)) if meters else None

    return read


_SEARCHES = ("data", "requests", "domains")

BALANCES: dict[str, Balance] = {
    "tomba": Balance(get("/me"), left(at(*_SEARCHES, "available"), at(*_SEARCHES, "used"))),
    "muraena": Balance(get("/user/client_api/balance/"), at("balance")),
    "voila_norbert": Balance(get("/account/"), at("credits", "remains")),
    "icypeas": Balance(Request("POST", "/a/actions/subscription-information", body={}), at("credits")),
    "anymailfinder": Balance(get("/account"), at("credits_left")),
    "findymail": Balance(get("/api/credits"), at("credits")),
    "reoon": Balance(
        get("/check-account-balance/"), both(at("remaining_daily_credits"), at("remaining_instant_credits"))
    ),
    "mailverify": Balance(get("/user/credits_left"), both(at("creditsLeft"), at("addonCreditsLeft"))),
    "apollo": Balance(
        get("/users/api_profile", include_credit_usage="true"),
        left(at("effective_num_lead_credits"), at("total_unified_credits_used")),
    ),
    "builtwith": Balance(get("/usagev2/api.json"), at("remaining")),
}


def read_balance(provider: str, response: Response) -> Decimal | None:
    """Credits left, or None where the vendor did not say."""
    return BALANCES[provider].read(response.body) if response.status < 300 else None
