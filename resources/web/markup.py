"""Bytes to text and text to a tree, at a cost a hostile page cannot raise. Pure.

An HTML tree can be made to take time in the square of its size: unclosed elements, end tags that match
nothing, attributes by the ten thousand; two megabytes of it parse for minutes, with the interpreter lock
held. Only a handful of elements matter here, none of which can pile up, so all others are cut out first,
in one linear pass.
"""

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from selectolax.lexbor import LexborHTMLParser

_SNIFFED = 2_048
_DECLARED_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([a-zA-Z0-9_:.-]{2,40})", re.IGNORECASE)
_CHARSET_PARAMETER = re.compile(r"charset\s*=\s*[\"']?\s*([a-zA-Z0-9_:.-]{2,40})", re.IGNORECASE)
# The codec registry also holds decompressors and ciphers; only what browsers decode is decoded here.
_SUPERSETS = {
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc-kr": "cp949",
    "x-sjis": "cp932",
    "windows-874": "cp874",
}
_CHARSETS = frozenset(
    [
        *("utf-8", "utf8", "utf-16le", "utf-16be", "big5", "euc-jp", "gb18030", "iso-2022-jp", "koi8-r"),
        *("koi8-u", "macintosh", "ibm866"),
        *(f"iso-8859-{part}" for part in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)),
        *(f"windows-{page}" for page in range(1250, 1259)),
    ]
)


def text_of(raw: bytes, content_type: str) -> str:
    """`raw` as text by the header's charset, the page's own, or UTF-8; undecodable bytes are replaced."""
    if raw.startswith(b"\xef\xbb\xbf"):
        return raw[3:].decode("utf-8", "replace")
    codec = _codec(raw, content_type)
    if codec:
        return raw.decode(codec, "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _codec(raw: bytes, content_type: str) -> str | None:
    in_header = _CHARSET_PARAMETER.search(content_type)
    if in_header:
        label = in_header[1].lower()
    else:
        in_page = _DECLARED_CHARSET.search(raw, 0, _SNIFFED)
        label = in_page[1].decode("ascii").lower() if in_page else ""
    codec = _SUPERSETS.get(label, label)
    return codec if codec in _CHARSETS or label in _SUPERSETS else None


# ASCII, or the Kelvin sign would pass for the k of `link` here and for another letter in the parser.
_FLAGS = re.IGNORECASE | re.ASCII
_BLOCK = re.compile(
    r"</?(?:div|section|article|aside|main|header|footer|nav|h[1-6]|ul|ol|li|dl|dt|dd|table|tr|td|th|form|br"
    r"|blockquote|figure|address|details|fieldset|button|select|noscript)(?:[\s/][^<>]*+)?>",
    _FLAGS,
)
# Attributes exactly as the standard reads well-formed ones. A looser pattern can be made to end its tag where
# the parser sees an open quotation mark, and what follows would be attributes nobody counted.
_VALUE = r"""(?:"[^"<]*+"|'[^'<]*+'|[^ \t\n\f\r"'<>][^ \t\n\f\r"'<>]*+)"""
_ATTRIBUTE = rf"""[ \t\n\f\r/]*+[^ \t\n\f\r"'<>=/]++(?:[ \t\n\f\r]*+=[ \t\n\f\r]*+{_VALUE})?+"""
_KEPT = rf"/?(?:p|a|hr|meta|link|title|script|style)(?=[ \t\n\f\r/>])(?:{_ATTRIBUTE}){{0,60}}+[ \t\n\f\r/]*+>"
# A `<` that does not open a complete kept tag goes, with the rest of its tag if it begins one.
_OTHER = re.compile(rf"<(?!{_KEPT})(?:[a-z/!?][^<>]*+>?)?", _FLAGS)


def tree_of(html: str) -> LexborHTMLParser:
    """Title, metadata, links, scripts' addresses and paragraphs of a page; everything else is left out.

    Where another block began or ended stands an `<hr>`: it ends an open paragraph and cannot nest.
    """
    visible = "".join(_outside_comments(html))
    return LexborHTMLParser(_OTHER.sub("", _BLOCK.sub("<hr>", visible)))


def _outside_comments(html: str) -> Iterator[str]:
    before, *commented = html.split("<!--")
    yield before
    for part in commented:
        comment, end, after = part.partition("-->")
        # In a script `<!--` is no comment, and nothing may close it: then the text stays.
        yield after if end else comment


_SCRIPT = re.compile(r"<script([^<>]{0,1000}+)>", _FLAGS)
_SCRIPT_END = re.compile(r"</script", _FLAGS)
_MAX_BLOCKS = 30
_MAX_BLOCK = 300_000
_WRAPPING = re.compile(r"\s*(?:<!--|//\s*<!\[CDATA\[|/\*\s*<!\[CDATA\[\s*\*/|<!\[CDATA\[)")
_WRAPPING_END = re.compile(r"(?:-->|(?://|/\*)?\s*\]\]>(?:\s*\*/)?)\s*;?\s*$")


def json_ld(html: str) -> Iterator[Any]:
    """Each JSON-LD block that can be read; a broken one is skipped, never repaired."""
    openings = (tag for tag in _SCRIPT.finditer(html) if "ld+json" in tag[1].lower())
    for opening in islice(openings, _MAX_BLOCKS):
        end = _SCRIPT_END.search(html, opening.end(), opening.end() + _MAX_BLOCK)
        if end is None:
            continue
        try:
            yield json.loads(_unwrapped(html[opening.end() : end.start()]), strict=False)
        except (ValueError, RecursionError):
            continue


def _unwrapped(block: str) -> str:
    opening = _WRAPPING.match(block)
    if opening is None:
        return block
    tail = _WRAPPING_END.search(block, max(opening.end(), len(block) - 50))
    return block[opening.end() : tail.start() if tail else None]
