"""Values out of a vendor's JSON, whatever its shape; what is not there is empty, and nothing raises."""

from decimal import Decimal
from typing import Any

_MOST_CREDITS = 1_000  # no single call takes more; a larger number is not a count of credits


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


def percent_at(body: Any, *path: str | int) -> int | None:
    """A score from 0 to 100 at a path; any other number is no score."""
    number = whole_number_at(body, *path)
    return number if number is not None and 0 <= number <= 100 else None


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
    return count if count.is_finite() and 0 <= count <= _MOST_CREDITS else None


def strings_at(body: Any, *path: str | int) -> list[str]:
    """The texts in a list at a path; anything else in it is left out."""
    value = dig(body, *path)
    return (
        [item.strip() for item in value if isinstance(item, str) and item.strip()]
        if isinstance(value, list)
        else []
    )
