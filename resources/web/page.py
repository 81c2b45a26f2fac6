"""What a company's home page says about the company. Pure, total and bounded: any bytes give an answer."""

from collections.abc import Callable, Iterable, Mapping
from itertools import chain, islice
from typing import TypeVar

from resources.web.elements import MAX_ELEMENTS, Elements
from resources.web.facts import MAX_ITEMS, Fact, PageFacts, Source, facts_from
from resources.web.linked_data import LinkedData
from resources.web.markup import json_ld, text_of, tree_of
from resources.web.parking import is_parked
from resources.web.technology import named_by
from resources.web.wording import digits, prose

T = TypeVar("T")


def read_page(
    html: bytes, content_type: str, url: str, *, headers: Mapping[str, str] | None = None
) -> PageFacts:
    """Never raises. `url` is the address that answered; `headers` may add hints about the technology."""
    text = text_of(html, content_type)
    if content_type.partition(";")[0].strip().lower() == "text/plain":
        return PageFacts(description=_first(facts_from(Source.TEXT, prose(text.split("\n\n")))))
    page = Elements(tree_of(text), url)
    if is_parked(page):
        return PageFacts(title=_first(page.titles()), parked=True)
    return _facts(page, LinkedData(json_ld(text)), headers or {})


def _facts(page: Elements, data: LinkedData, headers: Mapping[str, str]) -> PageFacts:
    tech = chain(page.tech(), facts_from(Source.HEADER, named_by(headers)))
    return PageFacts(
        title=_first(page.titles()),
        description=_first(chain(data.descriptions(), page.descriptions(), page.paragraphs())),
        founded_year=_first(data.founding_years()),
        employee_count=_first(data.headcounts()),
        social_profiles=_distinct(chain(data.profiles(), page.profiles()), str.casefold),
        phones=_distinct(chain(data.phones(), page.phones()), digits),
        tech=_distinct(tech, str.casefold),
        hiring_links=_distinct(chain(data.openings(page.url), page.hiring_links()), str.casefold),
        keywords=_distinct(page.keywords(), str.casefold),
    )


def _first(facts: Iterable[Fact[T]]) -> Fact[T] | None:
    return next(iter(facts), None)


def _distinct(facts: Iterable[Fact[str]], key: Callable[[str], str]) -> tuple[Fact[str], ...]:
    seen: dict[str, Fact[str]] = {}
    for fact in islice(facts, MAX_ELEMENTS):
        seen.setdefault(key(fact.value), fact)
        if len(seen) == MAX_ITEMS:
            break
    return tuple(seen.values())
