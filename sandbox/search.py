"""What the web says about a company: shared by the search vendors, each of which tells it in its own form."""

import re
from dataclasses import dataclass
from typing import Any

from sandbox.companies import NEWS, Company
from sandbox.vendor import Vendor
from sandbox.world import World

QUOTED = re.compile(r'"([^"]+)"')
DOMAIN = re.compile(r"[a-z0-9-]+\.example")


@dataclass(frozen=True, slots=True)
class Found:
    """One result, before a vendor dresses it."""

    title: str
    url: str
    snippet: str
    published: str  # date, ISO
    host: str = "news.example"


def results(world: World, query: str, *, news_only: bool) -> list[Found]:
    """News, funding and jobs of the company that the query names; empty for the others."""
    company = subject(world, query)
    if company is None or NEWS not in company.known_to:
        return []
    found = [_news(company)]
    if company.raised:
        found.append(_funding(company))
    return found if news_only else [*found, _careers(company)]


def subject(world: World, query: str) -> Company | None:
    """Whom a query is about: a domain in it, or a name in quotes, or the name that the query is."""
    lowered = query.lower()
    for candidate in (*DOMAIN.findall(lowered), *QUOTED.findall(lowered), lowered):
        company = world.company(candidate.removeprefix("www."))
        if company is not None:
            return company
    return None


def _news(company: Company) -> Found:
    return Found(
        f"{company.name} opens a second site",
        f"https://news.example/{company.slug}/second-site",
        f"<strong>{company.name}</strong>, a {company.industry} company, opens a second site.",
        "2026-08-11",
    )


def _funding(company: Company) -> Found:
    return Found(
        f"{company.name} raises ${company.raised / 1e6:.1f}M",
        f"https://news.example/{company.slug}/series-b",
        f"{company.name} raised a Series B led by Blue Mesa.",
        "2025-03-11",
    )


def _careers(company: Company) -> Found:
    return Found(
        f"Careers at {company.name}",
        f"https://{company.domain}/careers",
        f"{company.name} is hiring an Operations Analyst.",
        "2026-08-20",
        company.domain,
    )


class SearchVendor(Vendor):
    """A source of web search; a client is told of the chosen one under common names."""

    def env(self, base_url: str) -> dict[str, str]:
        """One set of names for all sources."""
        return {
            "WEB_SEARCH_PROVIDER": self.name,
            "WEB_SEARCH_API_KEY": self.account.key,
            "WEB_SEARCH_BASE_URL": base_url,
        }


def number(value: Any, usual: int, most: int) -> int:
    """A count as given, as text or number, within 1 and the most."""
    given = int(value) if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()) else usual
    return max(0, min(given, most))
