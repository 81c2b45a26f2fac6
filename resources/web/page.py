"""What a company's home page says about the company. Pure, total and bounded: any bytes give an answer."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from html import unescape
from itertools import chain, islice
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

from selectolax.lexbor import LexborHTMLParser

from resources.web.addresses import Host, vetted_host
from resources.web.markup import json_ld, text_of, tree_of

T = TypeVar("T")

_MAX_DESCRIPTION = 500
_MAX_TITLE = 200
_MAX_ITEMS = 20
_MAX_URL = 300
_MAX_NODES = 2_000
_MAX_ELEMENTS = 5_000
_MIN_PARAGRAPH = 60
_MAX_TEXT = 200_000
_FIRST_YEAR, _LAST_YEAR = 1600, 2100
_MAX_HEADCOUNT = 10_000_000
_PHONE_DIGITS = range(7, 16)


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


def read_page(
    html: bytes, content_type: str, url: str, *, headers: Mapping[str, str] | None = None
) -> PageFacts:
    """Never raises. `url` is the address that answered; `headers` may add hints about the technology."""
    text = text_of(html, content_type)
    if content_type.partition(";")[0].strip().lower() == "text/plain":
        return PageFacts(description=_first(_paragraph(text.split("\n\n"))))
    page = _Page(tree_of(text), url)
    if page.is_parked:
        return PageFacts(title=_first(page.titles()), parked=True)
    return _facts(page, [*_nodes(json_ld(text))], headers or {})


def _facts(page: "_Page", nodes: Sequence[Mapping[str, Any]], headers: Mapping[str, str]) -> PageFacts:
    companies = [node for node in nodes if _types(node) & _COMPANY_TYPES or _is_business(node)]
    return PageFacts(
        title=_first(page.titles()),
        description=_first(chain(_told(companies, "description"), page.descriptions(), page.paragraphs())),
        founded_year=_first(_years(companies)),
        employee_count=_first(_headcounts(companies)),
        social_profiles=_distinct(chain(_profiles(companies), page.profiles()), str.casefold),
        phones=_distinct(chain(_phones(companies), page.phones()), _digits),
        tech=_distinct(chain(page.tech(), _header_tech(headers)), str.casefold),
        hiring_links=_distinct(chain(_openings(nodes, page.url), page.hiring_links()), str.casefold),
        keywords=_distinct(page.keywords(), str.casefold),
    )


def _first(facts: Iterable[Fact[T]]) -> Fact[T] | None:
    return next(iter(facts), None)


def _distinct(facts: Iterable[Fact[str]], key: Callable[[str], str]) -> tuple[Fact[str], ...]:
    seen: dict[str, Fact[str]] = {}
    for fact in islice(facts, _MAX_ELEMENTS):
        seen.setdefault(key(fact.value), fact)
        if len(seen) == _MAX_ITEMS:
            break
    return tuple(seen.values())


# Controls, direction overrides, zero widths, lone surrogates and the invisible tag characters in which
# instructions to a model can be hidden.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)


def _clean(value: Any, limit: int) -> str:
    """One line of visible text, or nothing when `value` is no text at all."""
    if not isinstance(value, str):
        return ""
    visible = _INVISIBLE.sub("", value[: limit * 8])
    return " ".join(visible.split())[:limit].strip()


def _digits(phone: str) -> str:
    return re.sub(r"\D", "", phone)


# --- JSON-LD ---------------------------------------------------------------------------------------------

_COMPANY_TYPES = frozenset(
    {"organization", "corporation", "localbusiness", "ngo", "onlinebusiness", "airline"}
)
_BUSINESS_ENDINGS = ("organization", "business", "service", "store", "agency", "corporation")
# The ways from a page to the company behind it. Others lead to authors, customers and competitors.
_EDGES = ("@graph", "mainEntity", "mainEntityOfPage", "publisher", "about", "isPartOf", "provider")


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


def _types(node: Mapping[str, Any]) -> set[str]:
    return {_clean(kind, 100).lower().rpartition("/")[2] for kind in _listed(node.get("@type"))}


def _is_business(node: Mapping[str, Any]) -> bool:
    return any(kind.endswith(_BUSINESS_ENDINGS) for kind in _types(node))


def _listed(value: Any) -> list[Any]:
    return value[:_MAX_ITEMS] if isinstance(value, list) else [value]


def _told(nodes: Iterable[Mapping[str, Any]], key: str) -> Iterator[Fact[str]]:
    for node in nodes:
        for value in _listed(node.get(key)):
            text = _clean(_without_markup(value), _MAX_DESCRIPTION)
            if text:
                yield Fact(text, Source.JSON_LD)


def _without_markup(value: Any) -> str:
    """Shop systems put the HTML of their editor into JSON-LD."""
    return unescape(re.sub(r"<[^<>]*>", " ", value[: _MAX_DESCRIPTION * 8])) if isinstance(value, str) else ""


def _years(nodes: Iterable[Mapping[str, Any]]) -> Iterator[Fact[int]]:
    for node in nodes:
        year = re.match(r"[0-9]{4}(?![0-9])", str(node.get("foundingDate"))[:10])
        if year and _FIRST_YEAR <= int(year[0]) <= _LAST_YEAR:
            yield Fact(int(year[0]), Source.JSON_LD)


def _headcounts(nodes: Iterable[Mapping[str, Any]]) -> Iterator[Fact[Headcount]]:
    for node in nodes:
        found = _headcount(node.get("numberOfEmployees"))
        if found:
            yield Fact(found, Source.JSON_LD)


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


def _profiles(nodes: Iterable[Mapping[str, Any]]) -> Iterator[Fact[str]]:
    for node in nodes:
        for value in _listed(node.get("sameAs")):
            url = _public_url(value)
            if url:
                yield Fact(_social_profile(url) or url, Source.JSON_LD)


def _phones(nodes: Iterable[Mapping[str, Any]]) -> Iterator[Fact[str]]:
    for node in nodes:
        contacts = [entry for entry in _listed(node.get("contactPoint")) if isinstance(entry, dict)]
        for owner in (node, *contacts):
            for value in _listed(owner.get("telephone")):
                phone = _phone(value)
                if phone:
                    yield Fact(phone, Source.JSON_LD)


def _phone(value: Any) -> str:
    text = re.sub(r"[^0-9+() ./-]", "", _clean(value, 40)).strip(" ./-")
    return text if len(_digits(text)) in _PHONE_DIGITS else ""


def _openings(nodes: Iterable[Mapping[str, Any]], page_url: str) -> Iterator[Fact[str]]:
    for node in nodes:
        if "jobposting" in _types(node):
            url = _public_url(node.get("url")) or _public_url(page_url)
            if url:
                yield Fact(url, Source.JSON_LD)


# --- links -----------------------------------------------------------------------------------------------


def _public_url(value: Any) -> str:
    """A tidy http address that could be visited; the host rules are those of a visit."""
    text = _clean(value, _MAX_URL + 1)
    if not text.lower().startswith(("http://", "https://")) or len(text) > _MAX_URL:
        return ""
    host = vetted_host(text)
    if not isinstance(host, Host):
        return ""
    parts = urlsplit(text)
    return parts._replace(scheme=parts.scheme.lower(), netloc=host.name, fragment="").geturl()


_SOCIAL = {
    "linkedin.com": re.compile(r"/(?:company|school|showcase)/[^/]+"),
    "x.com": re.compile(r"/(?!(?:intent|share|home|search|hashtag|i)(?:/|$))\w{1,15}(?=/?$)"),
    "facebook.com": re.compile(
        r"/(?!(?:sharer|share|dialog|plugins|tr|login|policies|help|groups)(?:[./]|$))(?:pages/[^/]+/)?[^/]+(?=/?$)"
    ),
    "github.com": re.compile(
        r"/(?!(?:features|pricing|login|about|topics|sponsors)(?:/|$))[\w-]{1,39}(?=/?$)"
    ),
    "youtube.com": re.compile(r"/(?:@[\w.-]+|(?:c|channel|user)/[^/]+)"),
    "instagram.com": re.compile(r"/(?!(?:p|reel|explore|accounts)(?:/|$))[\w.]{1,30}(?=/?$)"),
}
_ALIASES = {"twitter.com": "x.com", "fb.com": "facebook.com"}


def _social_profile(url: str) -> str:
    """The profile `url` points to without tracking and language prefixes, or nothing: a share button, say."""
    parts = urlsplit(url)
    site = ".".join(parts.netloc.split(".")[-2:])
    site = _ALIASES.get(site, site)
    pattern = _SOCIAL.get(site)
    profile = pattern.match(parts.path) if pattern else None
    return f"https://{'www.' if site == 'linkedin.com' else ''}{site}{profile[0]}" if profile else ""


_JOB_BOARDS = (
    "greenhouse.io",
    "lever.co",
    "ashbyhq.com",
    "workable.com",
    "smartrecruiters.com",
    "myworkdayjobs.com",
    "personio.com",
    "personio.de",
    "recruitee.com",
    "teamtailor.com",
    "bamboohr.com",
    "breezy.hr",
    "join.com",
)
_TECH_BY_HOST = {
    "googletagmanager.com": "Google Tag Manager",
    "google-analytics.com": "Google Analytics",
    "hs-scripts.com": "HubSpot",
    "hsforms.net": "HubSpot",
    "hubspot.com": "HubSpot",
    "cdn.shopify.com": "Shopify",
    "parastorage.com": "Wix",
    "wixstatic.com": "Wix",
    "squarespace.com": "Squarespace",
    "squarespace-cdn.com": "Squarespace",
    "website-files.com": "Webflow",
    "framerusercontent.com": "Framer",
    "intercom.io": "Intercom",
    "intercomcdn.com": "Intercom",
    "js.stripe.com": "Stripe",
    "segment.com": "Segment",
    "hotjar.com": "Hotjar",
    "clarity.ms": "Microsoft Clarity",
    "pardot.com": "Salesforce Pardot",
    "marketo.net": "Marketo",
    "marketo.com": "Marketo",
    "zdassets.com": "Zendesk",
    "drift.com": "Drift",
    "crisp.chat": "Crisp",
    "licdn.com": "LinkedIn Insight",
    "facebook.net": "Meta Pixel",
    "typekit.net": "Adobe Fonts",
    "cookiebot.com": "Cookiebot",
    "onetrust.com": "OneTrust",
    "plausible.io": "Plausible",
    "matomo.cloud": "Matomo",
    "cloudflareinsights.com": "Cloudflare",
}
_TECH_BY_PATH = {
    "/wp-content/": "WordPress",
    "/wp-includes/": "WordPress",
    "/_next/": "Next.js",
    "/_nuxt/": "Nuxt",
}
_MAX_TECH_NAME = 60


def _on_site(url: str, sites: Iterable[str]) -> str | None:
    """Which of `sites` the host of `url` is or belongs to."""
    try:
        host = (urlsplit(url).hostname or "").lower()
    except ValueError:
        return None
    labels = host.split(".")
    names = {".".join(labels[start:]) for start in range(min(len(labels), 10))}
    return next((site for site in sites if site in names), None)


def _header_tech(headers: Mapping[str, str]) -> Iterator[Fact[str]]:
    for name in ("server", "x-powered-by"):
        product = re.split(r"[/(;]", _clean(headers.get(name), _MAX_TECH_NAME))[0].strip()
        if product:
            yield Fact(product, Source.HEADER)


# --- the tree --------------------------------------------------------------------------------------------

_PARKING_SITES = (
    "afternic.com",
    "bodis.com",
    "dan.com",
    "domainmarket.com",
    "hugedomains.com",
    "parkingcrew.net",
    "parklogic.com",
    "sedo.com",
    "sedoparking.com",
    "undeveloped.com",
    "above.com",
)
_PARKED_WORDS = re.compile(
    r"(?:this |the )?domain(?: name)?(?: \S{3,80})? (?:is|may be|might be) "
    r"(?:for sale|parked|available for purchase)"
    r"|buy (?:this|the) domain|domain (?:is )?parking|parked (?:domain|free|page)|is for sale \| |hugedomains"
    r"|(?:web ?site|domain) (?:has )?expired|future home of something quite cool|default web page"
    r"|diese domain steht zum verkauf|ce domaine est (?:a|\u00e0) vendre",
    re.IGNORECASE,
)
_MAX_PARKED_TEXT = 3_000
_NO_PARAGRAPH = re.compile(
    r"cookie|javascript|your browser|all rights reserved|\u00a9|privacy policy|we value your privacy",
    re.IGNORECASE,
)


def _paragraph(texts: Iterable[str]) -> Iterator[Fact[str]]:
    """The first text long enough to be prose and not about cookies, browsers or rights."""
    for text in texts:
        line = _clean(text, _MAX_DESCRIPTION)
        if len(line) >= _MIN_PARAGRAPH and " " in line and not _NO_PARAGRAPH.search(line):
            yield Fact(line, Source.TEXT)


class _Page:
    """The elements worth reading, each list cut to a bound."""

    def __init__(self, tree: LexborHTMLParser, url: str) -> None:
        self.url = url
        self._tree = tree
        self._meta = [
            (_clean(node.get("name") or node.get("property"), 50).lower(), node.get("content"))
            for node in self._attributes("meta")
        ]
        self._links = [str(node.get("href") or "")[: _MAX_URL * 2] for node in self._attributes("a[href]")]
        self._assets = [
            str(node.get("src") or node.get("href") or "")[: _MAX_URL * 2]
            for node in self._attributes("script[src], link[href]")
        ]

    def _attributes(self, query: str) -> list[dict[str, str | None]]:
        return [node.attributes for node in self._tree.css(query)[:_MAX_ELEMENTS]]

    @property
    def is_parked(self) -> bool:
        if any(_on_site(url, _PARKING_SITES) for url in (self.url, *self._assets)):
            return True
        title = _first(self.titles())
        words = [title.value if title else ""]
        text = self._text()
        if len(text) <= _MAX_PARKED_TEXT:  # a long page may well mention a domain sale
            words.append(text)
        return any(map(_PARKED_WORDS.search, words))

    def _text(self) -> str:
        """Visible text, cut short once it is known to be long."""
        body = self._tree.body
        if body is None:
            return ""
        parts: list[str] = []
        length = 0
        for node in islice(body.traverse(include_text=True), _MAX_ELEMENTS):
            if node.tag == "-text" and node.parent is not None and node.parent.tag not in ("script", "style"):
                part = " ".join((node.text_content or "")[:_MAX_TEXT].split())
                parts.append(part)
                length += len(part)
                if length > _MAX_PARKED_TEXT:
                    break
        return " ".join(parts)

    def _metas(self, *names: str) -> Iterator[Any]:
        for name in names:
            yield from (content for key, content in self._meta if key == name)

    def titles(self) -> Iterator[Fact[str]]:
        node = self._tree.css_first("title")
        found = [
            (node.text() if node else "", Source.TEXT),
            *((m, Source.META) for m in self._metas("og:title")),
        ]
        return (Fact(text, source) for value, source in found if (text := _clean(value, _MAX_TITLE)))

    def descriptions(self) -> Iterator[Fact[str]]:
        metas = self._metas("description", "og:description", "twitter:description")
        return (Fact(text, Source.META) for value in metas if (text := _clean(value, _MAX_DESCRIPTION)))

    def paragraphs(self) -> Iterator[Fact[str]]:
        return _paragraph(node.text() for node in self._tree.css("p")[:_MAX_ELEMENTS])

    def keywords(self) -> Iterator[Fact[str]]:
        for value in self._metas("keywords"):
            for word in _clean(value, 1_000).split(","):
                keyword = _clean(word, _MAX_TECH_NAME)
                if keyword:
                    yield Fact(keyword, Source.META)

    def profiles(self) -> Iterator[Fact[str]]:
        for link in self._links:
            if _on_site(link, (*_SOCIAL, *_ALIASES)):
                profile = _social_profile(_public_url(link))
                if profile:
                    yield Fact(profile, Source.LINK)

    def phones(self) -> Iterator[Fact[str]]:
        numbers = (unquote(link[4:]) for link in self._links if link[:4].lower() == "tel:")
        return (Fact(phone, Source.LINK) for number in numbers if (phone := _phone(number)))

    def hiring_links(self) -> Iterator[Fact[str]]:
        boards = (link for link in self._links if _on_site(link, _JOB_BOARDS))
        return (Fact(url, Source.LINK) for link in boards if (url := _public_url(link)))

    def tech(self) -> Iterator[Fact[str]]:
        for value in self._metas("generator"):
            generator = _clean(value, _MAX_TECH_NAME)
            if generator:
                yield Fact(generator, Source.META)
        for asset in self._assets:
            site = _on_site(asset, _TECH_BY_HOST)
            if site:
                yield Fact(_TECH_BY_HOST[site], Source.LINK)
            yield from (Fact(name, Source.LINK) for path, name in _TECH_BY_PATH.items() if path in asset)
