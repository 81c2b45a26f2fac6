"""What an answer means: a page, a wall, a breakdown, or robots' rules."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp

from resources.web.outcome import Outcome
from resources.web.robots import Robots, read_robots
from resources.web.visit import Answer, StoppedError

PRODUCT: Final = "Phase3Bot"
_SUCCESS = range(200, 300)
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TYPES = frozenset({"text/html", "application/xhtml+xml", "text/plain"})
_KEEPS_OUT = frozenset({401, 403, 406, 407, 429, 451})
_CHALLENGE_HEADERS = ("cf-mitigated", "x-amzn-waf-action", "sg-captcha")
_CHALLENGE = re.compile(
    rb"/cdn-cgi/challenge-platform|cf-chl-|_Incapsula_Resource|px-captcha|captcha-delivery\.com|sgcaptcha"
    rb"|Checking your browser before|Attention Required! \| Cloudflare"
)
# Guards leave their scripts in the pages they let through as well; only a page of nothing else is a wall.
_MAX_WALL = 3_000
_SERVER_FAILS = 500
_MAX_RETRY_AFTER_S = 86_400.0


def check_type(response: aiohttp.ClientResponse) -> None:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind not in _TYPES:
        raise StoppedError(Outcome.WRONG_TYPE, kind[:100] or "no content type")


def encoding_of(response: aiohttp.ClientResponse) -> str:
    encoding = ", ".join(response.headers.getall("Content-Encoding", ["identity"])).strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise StoppedError(Outcome.WRONG_TYPE, f"content encoding {encoding[:50]}")
    return encoding


def judge(answer: Answer) -> None:
    """Stop at anything that is not the page itself."""
    wait_s = _retry_after_s(answer.headers.get("Retry-After", ""))
    if answer.status in _KEEPS_OUT or _is_challenge(answer):
        raise StoppedError(Outcome.BOT_WALL, f"status {answer.status}", wait_s)
    if answer.status >= _SERVER_FAILS:
        raise StoppedError(Outcome.SERVER_ERROR, f"status {answer.status}", wait_s)
    if answer.status in REDIRECTS:
        raise StoppedError(Outcome.BLOCKED_REDIRECT, "a redirect to nowhere")
    if answer.status not in _SUCCESS:
        raise StoppedError(Outcome.NOT_FOUND, f"status {answer.status}")


def _is_challenge(answer: Answer) -> bool:
    if any(name in answer.headers for name in _CHALLENGE_HEADERS):
        return True
    may_be_wall = answer.status >= _SERVER_FAILS or len(answer.body) <= _MAX_WALL
    return may_be_wall and _CHALLENGE.search(answer.body) is not None


def _retry_after_s(value: str) -> float | None:
    """Seconds from either form of the header, at most a day."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:10]), _MAX_RETRY_AFTER_S)
    try:
        wait = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait, 0.0), _MAX_RETRY_AFTER_S)


def rules_of(answer: Answer) -> Robots:
    if answer.status >= _SERVER_FAILS:
        raise StoppedError(Outcome.SERVER_ERROR, f"robots.txt answered {answer.status}")
    if answer.status not in _SUCCESS:
        return Robots()
    return read_robots(answer.body.decode("utf-8", "replace"), PRODUCT)
