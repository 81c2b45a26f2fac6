"""What a page told of a company, each fact with where on the page it was read."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")

MAX_ITEMS = 20  # of one kind that are kept of a page


class Source(StrEnum):
    """Which part of the answer a fact was read from, most deliberate first."""

    JSON_LD = "json-ld"
    META = "meta"
    LINK = "link"
    TEXT = "text"
    HEADER = "header"


@dataclass(frozen=True, slots=True)
class Fact(Generic[T]):
    """A value and where it was read; page text, so never to be trusted or followed."""

    value: T
    source: Source


def facts_from(source: Source, values: Iterable[T | None]) -> Iterator[Fact[T]]:
    """One fact of each value that says something."""
    return (Fact(value, source) for value in values if value)


class Headcount(NamedTuple):
    """Employees from `low` to `high`; equal when the page gives one number."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class PageFacts:
    """Facts of one page. A parked page has none: its words are the domain dealer's."""

    title: Fact[str] | None = None
    description: Fact[str] | None = None
    founded_year: Fact[int] | None = None
    employee_count: Fact[Headcount] | None = None
    social_profiles: tuple[Fact[str], ...] = ()
    phones: tuple[Fact[str], ...] = ()
    tech: tuple[Fact[str], ...] = ()
    hiring_links: tuple[Fact[str], ...] = ()
    keywords: tuple[Fact[str], ...] = ()
    parked: bool = False

    @property
    def tell_something(self) -> bool:
        """A title and the technology behind a page say nothing about the company yet."""
        found = (self.description, self.founded_year, self.employee_count)
        return any(found) or any((self.social_profiles, self.phones, self.hiring_links))

    def as_json(self) -> dict[str, Any]:
        """Only what was found, for a JSON column."""
        present = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: _to_json(value) for name, value in present.items() if value}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "PageFacts":
        """The inverse of `as_json`; raises on anything it did not write."""
        return cls(**{name: _from_json(name, value) for name, value in stored.items()})


def _to_json(value: Any) -> Any:
    if isinstance(value, tuple) and not isinstance(value, Headcount):
        return [_to_json(item) for item in value]
    if isinstance(value, Fact):
        return {"value": _to_json(value.value), "source": value.source.value}
    return list(value) if isinstance(value, Headcount) else value


def _from_json(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_from_json(name, item) for item in value)
    if isinstance(value, dict):
        inner = Headcount(*value["value"]) if name == "employee_count" else value["value"]
        return Fact(inner, Source(value["source"]))
    return value
