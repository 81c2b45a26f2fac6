"""What a web search found, in one shape. It is text by strangers: tags go, nothing in it is followed."""

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from email.utils import parsedate_to_datetime
from html import unescape
from typing import Any
from urllib.parse import urlsplit

MOST_ARTICLES = 10
LONGEST_TITLE = 300
LONGEST_URL = 2_000
TAG = re.compile(r"</?[a-zA-Z][^<>]*>")

Article = dict[str, Any]


def article(title: str, url: str, *, published: str = "", said: str = "", source: str = "") -> Article:
    """`published` as the vendor tells it; `said` where it has words for it too ("3 weeks ago")."""
    day = _day(published)
    return {
        "title": plain(title)[:LONGEST_TITLE],
        "url": url,
        "published_at": day.isoformat() if day else None,
        "published_raw": plain(said or published),
        "source": plain(source) or _host(url),
    }


def usable(articles: Iterable[Article]) -> Sequence[Article]:
    """Those that have a title and lead to the web, each address once."""
    found: dict[str, Article] = {}
    for one in articles:
        if one["title"] and _host(one["url"]) and len(one["url"]) <= LONGEST_URL:
            found.setdefault(one["url"], one)
    return list(found.values())[:MOST_ARTICLES]


def plain(text: str) -> str:
    """Without tags, also where they were escaped; white space made single."""
    return " ".join(TAG.sub("", unescape(TAG.sub("", text))).split())


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return ""
    return host if parts.scheme in {"http", "https"} else ""


def _day(told: str) -> date | None:
    """The day of a date in ISO form, as in mails, or in English words; None for any other text."""
    for read in (datetime.fromisoformat, parsedate_to_datetime, _in_words):
        try:
            return read(told).date()
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


def _in_words(told: str) -> datetime:
    """As in `March 11, 2026` or `Mar 11, 2026`."""
    month, _, rest = told.partition(" ")
    return datetime.strptime(f"{month[:3]} {rest} +0000", "%b %d, %Y %z")
