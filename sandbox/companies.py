"""Employers: their mail, their web sites, and who has them on file."""

from dataclasses import dataclass
from enum import StrEnum

ENRICHERS = ("apollo", "clearbit", "people_data_labs", "zoominfo", "builtwith")
NEWS = "news"


class Site(StrEnum):
    """What a company's web server does."""

    RICH = "rich"  # JSON-LD and meta tags
    META = "meta"  # a meta description, no JSON-LD
    ABOUT = "about"  # the description stands on /about only
    REDIRECT = "redirect"  # the apex sends on to www, which is rich
    TEXT = "text"  # words, no machine-readable fact
    CLOSED = "closed"  # hangs up
    FAILING = "failing"  # 500
    MISSING = "missing"  # 404
    PARKED = "parked"  # for sale
    DISALLOWED = "disallowed"  # robots.txt forbids everything

    @property
    def describes(self) -> bool:
        """Whether a polite visitor finds a description of the company."""
        return self in {Site.RICH, Site.META, Site.ABOUT, Site.REDIRECT}


LIVE_SITES = {
    Site.RICH: 42,
    Site.META: 14,
    Site.ABOUT: 5,
    Site.REDIRECT: 12,
    Site.TEXT: 9,
    Site.CLOSED: 5,
    Site.FAILING: 3,
    Site.MISSING: 3,
    Site.PARKED: 4,
    Site.DISALLOWED: 3,
}
DARK_SITES = (Site.CLOSED, Site.FAILING, Site.MISSING, Site.PARKED)
COVERAGE = {
    "apollo": 0.8,
    "clearbit": 0.7,
    "people_data_labs": 0.65,
    "zoominfo": 0.6,
    "builtwith": 0.9,
    NEWS: 0.6,
}


@dataclass(frozen=True, slots=True)
class Company:
    """One employer, its mail system, its web site, and which enrichers have it on file."""

    number: int
    name: str
    domain: str
    industry: str
    pattern: str
    catch_all: bool
    has_mail: bool
    site: Site
    known_to: frozenset[str]
    employees: int
    founded: int
    place: tuple[str, str, str, str, str]
    technologies: tuple[tuple[str, str, str], ...]

    @property
    def slug(self) -> str:
        """Its handle on social networks."""
        return self.name.lower().replace(" ", "-")

    @property
    def description(self) -> str:
        """One sentence, the same wherever it is told."""
        city, _, _, country, _ = self.place
        since = f"serving customers since {self.founded}"
        return f"{self.name} is a {self.industry} company in {city}, {country}, {since}."

    @property
    def revenue(self) -> int:
        """Yearly, in USD."""
        return self.employees * 140_000

    @property
    def raised(self) -> int:
        """Venture money in USD; two thirds never took any."""
        return self.employees * 60_000 if self.number % 3 == 0 else 0

    @property
    def phone(self) -> str:
        """A number from the range kept for fiction."""
        return f"+1 512-555-0{100 + self.number % 100}"

    @property
    def keywords(self) -> list[str]:
        """What it is about."""
        return [self.industry, self.name.split()[1].lower()]


def bare_domain(text: str) -> str:
    """The host of a web address in any of the ways people write it."""
    host = text.lower().rpartition("//")[2].partition("/")[0]
    return host.removeprefix("www.").rstrip(".")
