"""What a page writes for people to read, as one line that is safe to keep. Pure and bounded."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

MAX_DESCRIPTION = 500
_MIN_PARAGRAPH = 60
_PHONE_DIGITS = range(7, 16)

# Controls, direction overrides, zero widths, lone surrogates and the invisible tag characters in which
# instructions to a model can be hidden.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)


def one_line(value: Any, limit: int) -> str:
    """One line of visible text, or nothing when `value` is no text at all."""
    if not isinstance(value, str):
        return ""
    visible = _INVISIBLE.sub("", value[: limit * 8])
    return " ".join(visible.split())[:limit].strip()


def phone_of(value: Any) -> str:
    """A phone number as it is written, or nothing when `value` is none."""
    text = re.sub(r"[^0-9+() ./-]", "", one_line(value, 40)).strip(" ./-")
    return text if len(digits(text)) in _PHONE_DIGITS else ""


def digits(phone: str) -> str:
    """What two ways of writing the same number share."""
    return re.sub(r"\D", "", phone)


_NO_PARAGRAPH = re.compile(
    r"cookie|javascript|your browser|all rights reserved|\u00a9|privacy policy|we value your privacy",
    re.IGNORECASE,
)


def prose(texts: Iterable[str]) -> Iterator[str]:
    """The texts that are long enough to be prose and not about cookies, browsers or rights."""
    for text in texts:
        line = one_line(text, MAX_DESCRIPTION)
        if len(line) >= _MIN_PARAGRAPH and " " in line and not _NO_PARAGRAPH.search(line):
            yield line
