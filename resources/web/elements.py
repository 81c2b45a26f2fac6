"""What a page's title, metadata, links and paragraphs say. Pure, total and bounded."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any
from urllib.parse import unquote

from selectolax.lexbor import LexborHTMLParser

from resources.web.facts import Fact, Source, facts_from
from resources.web.links import JOB_BOARDS, MAX_URL, SOCIAL_SITES, on_site, public_url, social_profile
from resources.web.technology import MAX_TECH_NAME, loaded_by
from resources.web.wording import MAX_DESCRIPTION, one_line, phone_of, prose

MAX_ELEMENTS = 5_000
_MAX_TITLE = 200
_MAX_TEXT = 200_000


class Elements:
    """The elements worth reading, each list cut to a bound."""

    def __init__(self, tree: LexborHTMLParser, url: str) -> None:
        self.url = url
        self._tree = tree
        self._meta = [
            (one_line(node.get("name") or node.get("property"), 50).lower(), node.get("content"))
            for node in self._attributes("meta")
        ]
        self._links = [str(node.get("href") or "")[: MAX_URL * 2] for node in self._attributes("a[href]")]
        self.assets = [
            str(node.get("src") or node.get("href") or "")[: MAX_URL * 2]
            for node in self._attributes("script[src], link[href]")
        ]

    def titles(self) -> Iterator[Fact[str]]:
        node = self._tree.css_first("title")
        title = one_line(node.text() if node else "", _MAX_TITLE)
        metas = (one_line(value, _MAX_TITLE) for value in self._metas("og:title"))
        return chain(facts_from(Source.TEXT, [title]), facts_from(Source.META, metas))

    def descriptions(self) -> Iterator[Fact[str]]:
        metas = self._metas("description", "og:description", "twitter:description")
        return facts_from(Source.META, (one_line(value, MAX_DESCRIPTION) for value in metas))

    def paragraphs(self) -> Iterator[Fact[str]]:
        texts = (node.text() for node in self._tree.css("p")[:MAX_ELEMENTS])
        return facts_from(Source.TEXT, prose(texts))

    def keywords(self) -> Iterator[Fact[str]]:
        lists = (one_line(value, 1_000).split(",") for value in self._metas("keywords"))
        words = (one_line(word, MAX_TECH_NAME) for word in chain.from_iterable(lists))
        return facts_from(Source.META, words)

    def profiles(self) -> Iterator[Fact[str]]:
        links = (link for link in self._links if on_site(link, SOCIAL_SITES))
        return facts_from(Source.LINK, (social_profile(public_url(link)) for link in links))

    def phones(self) -> Iterator[Fact[str]]:
        numbers = (unquote(link[4:]) for link in self._links if link[:4].lower() == "tel:")
        return facts_from(Source.LINK, map(phone_of, numbers))

    def hiring_links(self) -> Iterator[Fact[str]]:
        boards = (link for link in self._links if on_site(link, JOB_BOARDS))
        return facts_from(Source.LINK, map(public_url, boards))

    def tech(self) -> Iterator[Fact[str]]:
        generators = (one_line(value, MAX_TECH_NAME) for value in self._metas("generator"))
        loaded = chain.from_iterable(map(loaded_by, self.assets))
        return chain(facts_from(Source.META, generators), facts_from(Source.LINK, loaded))

    def text(self, enough: int) -> str:
        """Visible text, cut short once it is known to be longer than `enough` characters."""
        body = self._tree.body
        if body is None:
            return ""
        parts: list[str] = []
        length = 0
        for node in islice(body.traverse(include_text=True), MAX_ELEMENTS):
            if node.tag == "-text" and node.parent is not None and node.parent.tag not in ("script", "style"):
                part = " ".join((node.text_content or "")[:_MAX_TEXT].split())
                parts.append(part)
                length += len(part)
                if length > enough:
                    break
        return " ".join(parts)

    def _attributes(self, query: str) -> list[dict[str, str | None]]:
        return [node.attributes for node in self._tree.css(query)[:MAX_ELEMENTS]]

    def _metas(self, *names: str) -> Iterator[Any]:
        for name in names:
            yield from (content for key, content in self._meta if key == name)
