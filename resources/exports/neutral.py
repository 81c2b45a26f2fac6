"""Words of leads and vendors made harmless for where they are shown: cells, Markdown, pictures.

A company may be called `=HYPERLINK(…)`, and a vendor's error may hold a link or a script.
"""

import re

FULL_WIDTH = ("\uff1d", "\uff0b", "\uff0d", "\uff20")  # = + - @ of East Asian keyboards
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n", *FULL_WIDTH)
_BLANKS = " \u00a0\u3000\u200b\ufeff"  # what is trimmed on import, or is not seen
_BEGINS_ELSEWHERE = re.compile(rf"(?<=[;\t\r\n])(?=[{_BLANKS}]*[=+\-@{''.join(FULL_WIDTH)}])")
WORD_JOINER = "\u2060"  # has no width

_ILLEGAL_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKS = re.compile(r"([\\`*_\[\]<>#|~&$!])")
_BECOMES_A_LINK = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?=@)", re.IGNORECASE)


def without_controls(text: str) -> str:
    """Without what XML, and so no workbook or picture, allows."""
    return _ILLEGAL_IN_XML.sub("", text)


def runs_as_formula(text: str) -> bool:
    """Also a lone sign behind blanks: spreadsheets trim what they import."""
    return text.lstrip(_BLANKS).startswith(FORMULA_SIGNS)


def csv_cell(text: str) -> str:
    """An apostrophe before what a spreadsheet would run; the file must be safe to double-click.

    Also within the text: where commas are decimal signs, cells end at semicolons and lines.
    """
    plain = _BEGINS_ELSEWHERE.sub("'", text.replace("\x00", ""))
    return f"'{plain}" if runs_as_formula(plain) else plain


def markdown_text(text: str) -> str:
    """On one line, every sign standing for itself, and no address that a renderer makes a link of."""
    line = " ".join(without_controls(text).split())
    return _MARKS.sub(r"\\\1", _BECOMES_A_LINK.sub(WORD_JOINER, line))
