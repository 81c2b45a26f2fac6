"""Pages that a domain's dealer shows in place of a company's."""

import re
from itertools import islice

from resources.web.elements import Elements
from resources.web.links import on_site

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


def is_parked(page: Elements) -> bool:
    if any(on_site(url, _PARKING_SITES) for url in (page.url, *page.assets)):
        return True
    words = [fact.value for fact in islice(page.titles(), 1)]
    text = page.text(_MAX_PARKED_TEXT)
    if len(text) <= _MAX_PARKED_TEXT:  # a long page may well mention a domain sale
        words.append(text)
    return any(map(_PARKED_WORDS.search, words))
