"""Our columns, and how a cell of each is read."""

import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from itertools import chain
from typing import Any
from unicodedata import category

from email_validator import EmailNotValidError, validate_email

from phase3_core.tiers import Tier

COLUMNS = (
    "first_name",
    "last_name",
    "email",
    "linkedin_url",
    "title",
    "company_name",
    "company_domain",
    "lead_score",
    "lead_tier",
)
NAMES = ("first_name", "last_name")
CLUES = ("company_domain", "company_name", "linkedin_url", "email")
MAX_CELL = 2_000
MAX_SCORE = 100

_SHOWN = 60
_WHITESPACE = "\t\n\r"
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://")
_AFTER_HOST = re.compile(r"[/?#\\]")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_FREE_MAIL = frozenset(
    (
        "aol.com",
        "fastmail.com",
        "gmail.com",
        "gmx.at",
        "gmx.ch",
        "gmx.de",
        "gmx.net",
        "googlemail.com",
        "hotmail.com",
        "icloud.com",
        "live.com",
        "mac.com",
        "mail.com",
        "mail.ru",
        "me.com",
        "msn.com",
        "outlook.com",
        "pm.me",
        "proton.me",
        "protonmail.com",
        "qq.com",
        "rocketmail.com",
        "t-online.de",
        "web.de",
        "yahoo.co.uk",
        "yahoo.com",
        "yahoo.de",
        "yahoo.fr",
        "yandex.com",
        "yandex.ru",
        "ymail.com",
        "zoho.com",
    )
)
_TIERS = frozenset(Tier)


class BadCell(Exception):
    """What its column cannot take; says why."""


def refuse_unfit(cell: str) -> None:
    if len(cell) > MAX_CELL:
        raise BadCell(f"has {len(cell):,} characters; {MAX_CELL:,} are the most")
    if character := control_character(cell):
        raise BadCell(f"contains the control character U+{ord(character):04X}")


def control_character(cell: str) -> str:
    """The first character that no text has, or none; tabs and line ends are text."""
    if cell.isprintable():
        return ""
    return next((letter for letter in cell if category(letter) == "Cc" and letter not in _WHITESPACE), "")


def one_line(cell: str) -> str:
    return " ".join(cell.split())


def shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _email(cell: str) -> str:
    """The local part keeps its case, which may matter; the domain is in ASCII."""
    text = cell.strip()
    if not text:
        return ""
    try:
        checked = validate_email(text, check_deliverability=False)
    except EmailNotValidError as error:
        raise BadCell(f"{shown(text)} is no email address. {one_line(str(error))}") from error
    return f"{checked.local_part}@{checked.ascii_domain}"


def _domain(cell: str) -> str:
    text = cell.strip()
    domain = _ascii_domain(_host(text)) if text else ""
    if text and not domain:
        raise BadCell(f"{shown(text)} is no domain name such as acme.com")
    if domain in _FREE_MAIL:
        raise BadCell(f"{domain} is a mail provider, not the domain of a company; leave the cell empty")
    return domain


def _host(text: str) -> str:
    authority = _AFTER_HOST.split(_SCHEME.sub("", text.lower()).removeprefix("//"), maxsplit=1)[0]
    host = authority.rpartition("@")[2].partition(":")[0].removesuffix(".")
    bare = host.removeprefix("www.")
    return bare if "." in bare else host


@lru_cache(maxsize=1 << 15)
def _ascii_domain(host: str) -> str:
    """Empty for a name that no address could have after its @; companies repeat, hence the cache."""
    try:
        return validate_email(f"x@{host}", check_deliverability=False).ascii_domain
    except EmailNotValidError:
        return ""


def _score(cell: str) -> int | None:
    text = cell.strip()
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise BadCell(f"{shown(text)} is no number")
    score = Decimal(text)
    if not 0 <= score <= MAX_SCORE:
        raise BadCell(f"{shown(text)} is not between 0 and {MAX_SCORE}")
    return int(score.to_integral_value(ROUND_HALF_UP))


def _tier(cell: str) -> str | None:
    text = cell.strip().upper()
    if text and text not in _TIERS:
        raise BadCell(f"{shown(cell.strip())} is no tier; tiers are {', '.join(Tier)}")
    return text or None


READ: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(chain(NAMES, ("linkedin_url", "title", "company_name")), one_line),
    "email": _email,
    "company_domain": _domain,
    "lead_score": _score,
    "lead_tier": _tier,
}
