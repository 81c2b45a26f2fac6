"""What the JSON-LD of a page says of the company behind it. Pure, total and bounded."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import unescape
from typing import Any

from resources.web.facts import MAX_ITEMS, Fact, Headcount, Source, facts_from
from resources.web.links import public_url, social_profile
from resources.web.wording import MAX_DESCRIPTION, one_line, phone_of

_MAX_NODES = 2_000
_FIRST_YEAR, _LAST_YEAR = 1600, 2100
_MAX_HEADCOUNT = 10_000_000
_COMPANY_TYPES = frozenset(
    {"organization", "corporation", "localbusiness", "ngo", "onlinebusiness", "airline"}
)
_BUSINESS_ENDINGS = ("organization", "business", "service", "store", "agency", "corporation")
# The ways from a page to the company behind it. Others lead to authors, customers and competitors.
_EDGES = ("@graph", "mainEntity", "mainEntityOfPage", "publisher", "about", "isPartOf", "provider")


class LinkedData:
    """The statements of all blocks of one page, each list cut to a bound."""

    def __init__(self, blocks: Iterable[Any]) -> None:
        self._nodes = [*_nodes(blocks)]
        self._companies = [node for node in self._nodes if _is_company(node)]

    def descriptions(self) -> Iterator[Fact[str]]:
        texts = (_without_markup(value) for value in self._told("description"))
        return facts_from(Source.JSON_LD, (one_line(text, MAX_DESCRIPTION) for text in texts))

    def founding_years(self) -> Iterator[Fact[int]]:
        return facts_from(Source.JSON_LD, (_year(node.get("foundingDate")) for node in self._companies))

    def headcounts(self) -> Iterator[Fact[Headcount]]:
        counts = (_headcount(node.get("numberOfEmployees")) for node in self._companies)
        return facts_from(Source.JSON_LD, counts)

    def profiles(self) -> Iterator[Fact[str]]:
        urls = (public_url(value) for value in self._told("sameAs"))
        return facts_from(Source.JSON_LD, (social_profile(url) or url for url in urls))

    def phones(self) -> Iterator[Fact[str]]:
        owners = (owner for node in self._companies for owner in (node, *_contacts(node)))
        numbers = (value for owner in owners for value in _listed(owner.get("telephone")))
        return facts_from(Source.JSON_LD, map(phone_of, numbers))

    def openings(self, page_url: str) -> Iterator[Fact[str]]:
        postings = (node for node in self._nodes if "jobposting" in _types(node))
        urls = (public_url(node.get("url")) or public_url(page_url) for node in postings)
        return facts_from(Source.JSON_LD, urls)

    def _told(self, key: str) -> Iterator[Any]:
        for node in self._companies:
            yield from _listed(node.get(key))


def _nodes(blocks: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    waiting: list[Any] = list(blocks)[::-1]
    for _ in range(_MAX_NODES):
        if not waiting:
            return
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value[:_MAX_NODES][::-1]
        elif isinstance(value, dict):
            yield value
            waiting += [value[edge] for edge in reversed(_EDGES) if edge in value]


def _is_company(node: Mapping[str, Any]) -> bool:
    types = _types(node)
    return bool(types & _COMPANY_TYPES) or any(kind.endswith(_BUSINESS_ENDINGS) for kind in types)


def _types(node: Mapping[str, Any]) -> set[str]:
    return {one_line(kind, 100).lower().rpartition("/")[2] for kind in _listed(node.get("@type"))}


def _listed(value: Any) -> list[Any]:
    return value[:MAX_ITEMS] if isinstance(value, list) else [value]


def _contacts(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (entry for entry in _listed(node.get("contactPoint")) if isinstance(entry, dict))


def _without_markup(value: Any) -> str:
    """Shop systems put the HTML of their editor into JSON-LD."""
    return unescape(re.sub(r"<[^<>]*>", " ", value[: MAX_DESCRIPTION * 8])) if isinstance(value, str) else ""


def _year(value: Any) -> int | None:
    year = re.match(r"[0-9]{4}(?![0-9])", str(value)[:10])
    return int(year[0]) if year and _FIRST_YEAR <= int(year[0]) <= _LAST_YEAR else None


def _headcount(value: Any) -> Headcount | None:
    if isinstance(value, dict):
        return _headcount(value.get("value")) or _range([value.get("minValue"), value.get("maxValue")])
    if isinstance(value, str):
        numbers = re.findall(r"[0-9]{1,10}", re.sub(r"(?<=[0-9])[,.\u2019' ](?=[0-9]{3}\b)", "", value[:100]))
        return _range(numbers[:2])
    return _range([value])


def _range(bounds: Sequence[Any]) -> Headcount | None:
    numbers = [number for number in map(_whole, bounds) if number is not None]
    return Headcount(min(numbers), max(numbers)) if numbers else None


def _whole(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 < number <= _MAX_HEADCOUNT else None
