"""Where the links of a page lead: addresses that could be visited, profiles, job boards. Pure and bounded."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from resources.web.addresses import Host, vetted_host
from resources.web.wording import one_line

MAX_URL = 300
JOB_BOARDS = (
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
SOCIAL_SITES = (*_SOCIAL, *_ALIASES)


def public_url(value: Any) -> str:
    """A tidy http address that could be visited; the host rules are those of a visit."""
    text = one_line(value, MAX_URL + 1)
    if not text.lower().startswith(("http://", "https://")) or len(text) > MAX_URL:
        return ""
    host = vetted_host(text)
    if not isinstance(host, Host):
        return ""
    parts = urlsplit(text)
    return parts._replace(scheme=parts.scheme.lower(), netloc=host.name, fragment="").geturl()


def social_profile(url: str) -> str:
    """The profile `url` points to without tracking and language prefixes, or nothing: a share button, say."""
    parts = urlsplit(url)
    site = ".".join(parts.netloc.split(".")[-2:])
    site = _ALIASES.get(site, site)
    pattern = _SOCIAL.get(site)
    profile = pattern.match(parts.path) if pattern else None
    return f"https://{'www.' if site == 'linkedin.com' else ''}{site}{profile[0]}" if profile else ""


def on_site(url: str, sites: Iterable[str]) -> str | None:
    """Which of `sites` the host of `url` is or belongs to."""
    try:
        host = (urlsplit(url).hostname or "").lower()
    except ValueError:
        return None
    labels = host.split(".")
    names = {".".join(labels[start:]) for start in range(min(len(labels), 10))}
    return next((site for site in sites if site in names), None)
