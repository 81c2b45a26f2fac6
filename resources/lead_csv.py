"""Leads from a CSV file as people make them: a bad row is reported with its line, the rest is read."""

import codecs
import csv
import io
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any, TypedDict
from unicodedata import category

from email_validator import EmailNotValidError, validate_email

from phase3_core.errors import BadInput
from phase3_core.tiers import Tier

COLUMNS = (
    "first_name",
    "last_name",
    "email",
    "linkedin_url",
    "title",
    "company_name",
    "company_domain",
    "lead_score",
    "lead_tier",
)
MAX_CELL = 2_000
MAX_SCORE = 100

_NAMES = ("first_name", "last_name")
_CLUES = ("company_domain", "company_name", "linkedin_url", "email")
_DELIMITERS = ",;\t"
_RECORD_LINES = 1_000  # a quoted cell that runs on longer was never closed
_CHUNK = 1 << 20
_RESAVE = (
    "Save it again as UTF-8: in a spreadsheet as 'CSV UTF-8', in a shell with "
    "`iconv -f WINDOWS-1252 -t UTF-8` (or the encoding it has now)."
)
_SHOWN = 60
_SHOWN_COLUMNS = 20
_WHITESPACE = "\t\n\r"
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://")
_AFTER_HOST = re.compile(r"[/?#\\]")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_FREE_MAIL = frozenset(
    (
        "aol.com",
        "fastmail.com",
        "gmail.com",
        "gmx.at",
        "gmx.ch",
        "gmx.de",
        "gmx.net",
        "googlemail.com",
        "hotmail.com",
        "icloud.com",
        "live.com",
        "mac.com",
        "mail.com",
        "mail.ru",
        "me.com",
        "msn.com",
        "outlook.com",
        "pm.me",
        "proton.me",
        "protonmail.com",
        "qq.com",
        "rocketmail.com",
        "t-online.de",
        "web.de",
        "yahoo.co.uk",
        "yahoo.com",
        "yahoo.de",
        "yahoo.fr",
        "yandex.com",
        "yandex.ru",
        "ymail.com",
        "zoho.com",
    )
)
_TIERS = frozenset(Tier)


class LeadRow(TypedDict):
    """A lead ready for insertion; text that the file does not have is empty, `extra` is kept as given."""

    first_name: str
    last_name: str
    full_name: str
    email: str
    linkedin_url: str
    title: str
    company_name: str
    company_domain: str
    lead_score: int | None
    lead_tier: str | None
    extra: dict[str, str]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row was left out. `line` is where it starts in the file; `column` is empty for the whole row."""

    line: int
    column: str
    message: str


@dataclass(frozen=True, slots=True)
class LeadFile:
    """`rows` is read from the file as it is used, once; `problems` is complete when `rows` is used up."""

    rows: Iterator[LeadRow]
    problems: list[Problem]


def read_leads(path: Path) -> LeadFile:
    """Raises BadInput at once for a file that is no lead list at all, so nothing is half imported."""
    layout = _layout(path)
    problems: list[Problem] = []
    return LeadFile(_leads(layout, problems), problems)


# --- the file as a whole


@dataclass(frozen=True, slots=True)
class _Layout:
    path: Path
    encoding: str
    delimiter: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Record:
    line: int
    cells: list[str]
    broken: str = ""

    @property
    def is_blank(self) -> bool:
        return not self.broken and not any(cell.strip() for cell in self.cells)


def _layout(path: Path) -> _Layout:
    with _reading(path):
        _refuse_no_file(path)
        encoding = _encoding(path)
        _refuse_undecodable(path, encoding)
        delimiter = _delimiter(path, encoding)
        records = _records(path, encoding, delimiter)
        header = next(records, None)
        if header is None:
            raise _empty(path)
        columns = _columns(path, header)
        if next(records, None) is None:
            raise BadInput(f"{_named(path)} has a header but no leads. Add one line per lead below it.")
        return _Layout(path, encoding, delimiter, columns)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise BadInput(f"{_named(path)} cannot be read: {why}. Check its path and permissions.") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{_named(path)} changed while it was read. Import it again.") from error


def _named(path: Path) -> str:
    return repr(str(path))


def _refuse_no_file(path: Path) -> None:
    if path.is_dir():
        raise BadInput(f"{_named(path)} is a directory. Name the CSV file in it.")
    if not path.exists():
        raise BadInput(f"There is no file {_named(path)}. Check the path.")
    if not path.is_file():
        raise BadInput(f"{_named(path)} is not a regular file. Save the leads as a CSV file first.")


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        raise _empty(path)
    if head.startswith(b"PK\x03\x04"):
        raise BadInput(f"{_named(path)} is a workbook or archive, not CSV. Save it as 'CSV UTF-8' first.")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if head.count(0) * 4 > len(head):
        raise BadInput(f"{_named(path)} is full of NUL bytes: UTF-16 without its mark, or no text. {_RESAVE}")
    return "utf-8"


def _empty(path: Path) -> BadInput:
    return BadInput(f"{_named(path)} is empty. Its first line must name the columns: {', '.join(COLUMNS)}.")


def _refuse_undecodable(path: Path, encoding: str) -> None:
    """Reads the whole file, because a row that is imported before the bad byte is met cannot be recalled."""
    decoder = codecs.getincrementaldecoder(encoding)()
    lines = io.IncrementalNewlineDecoder(None, translate=True)
    offset, line = 0, 1
    for chunk in _chunks(path):
        pending = len(decoder.getstate()[0])
        try:
            line += lines.decode(decoder.decode(chunk, final=not chunk)).count("\n")
        except UnicodeDecodeError as error:
            line += lines.decode(error.object[: error.start].decode(encoding, "ignore"), final=True).count(
                "\n"
            )
            raise _not_text(path, encoding, offset - pending + error.start, line) from error
        offset += len(chunk)


def _chunks(path: Path) -> Iterator[bytes]:
    """The file's bytes and then, once, no bytes."""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
    yield b""


def _not_text(path: Path, encoding: str, offset: int, line: int) -> BadInput:
    where = f"byte {offset + 1}" + (f" (line {line})" if encoding == "utf-8" else "")
    return BadInput(f"{_named(path)} is not {encoding.upper()} text: {where} cannot be read. {_RESAVE}")


def _lines(path: Path, encoding: str) -> Iterator[str]:
    """The lines with their ends; a byte order mark is not part of the first one."""
    codec = "utf-8-sig" if encoding == "utf-8" else encoding
    with path.open(encoding=codec, newline="") as stream:
        yield from stream


def _delimiter(path: Path, encoding: str) -> str:
    """The one of comma, semicolon and tab under which the header names most of our columns."""
    header = next((line for line in _lines(path, encoding) if line.strip()), None)
    if header is None:
        raise _empty(path)
    return max(_DELIMITERS, key=lambda delimiter: _familiar(header, delimiter))


def _familiar(header: str, delimiter: str) -> tuple[int, int]:
    try:
        cells = next(csv.reader([header], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return 0, 0
    return len({cell.strip().casefold() for cell in cells} & set(COLUMNS)), len(cells)


# --- the header


def _columns(path: Path, header: _Record) -> tuple[str, ...]:
    if header.broken:
        raise BadInput(f"The header of {_named(path)} cannot be read: {header.broken}.")
    if any(_control_character(cell) for cell in header.cells):
        raise BadInput(f"The header of {_named(path)} has NUL bytes or control characters. {_RESAVE}")
    columns = tuple(_column(cell, number) for number, cell in enumerate(header.cells, start=1))
    _refuse_missing(path, columns)
    _refuse_twice(path, columns)
    return columns


def _column(cell: str, number: int) -> str:
    """Our columns by our names, others as given; a column without a name is called by its number."""
    name = _one_line(cell)
    return name.casefold() if name.casefold() in COLUMNS else name or f"column {number}"


def _refuse_missing(path: Path, columns: Sequence[str]) -> None:
    missing = [" or ".join(wanted) for wanted in (_NAMES, _CLUES) if not set(wanted) & set(columns)]
    if missing:
        found = ", ".join(map(_shown, columns[:_SHOWN_COLUMNS]))
        raise BadInput(
            f"{_named(path)} lacks a column: {'; and '.join(missing)}. Found: {found}. "
            "Name the columns in the first line, separated by comma, semicolon or tab."
        )


def _refuse_twice(path: Path, columns: Sequence[str]) -> None:
    counts = Counter(column.casefold() for column in columns)
    twice = [_shown(column) for column, count in counts.items() if count > 1]
    if twice:
        raise BadInput(
            f"{_named(path)} has a column twice: {', '.join(twice)}. Rename or remove one of them."
        )


# --- records


@dataclass(slots=True)
class _Feed:
    """Gives lines to csv.reader and can take back those of a record whose quote is never closed."""

    lines: Iterator[str]
    taken: list[str] = field(default_factory=list)
    again: deque[str] = field(default_factory=deque)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.again.popleft() if self.again else next(self.lines, None)
        if self.taken and (line is None or len(self.taken) >= _RECORD_LINES):
            self.again.extendleft([] if line is None else [line])
            raise csv.Error("a quote is opened and never closed")
        if line is None:
            raise StopIteration
        self.taken.append(line)
        return line

    def take_back(self) -> None:
        """All lines but the first are read again, each as a record of its own."""
        self.again.extendleft(reversed(self.taken[1:]))


def _records(path: Path, encoding: str, delimiter: str) -> Iterator[_Record]:
    """The header and the rows, each with the line it starts on; blank ones are passed over."""
    every = _every_record(_lines(path, encoding), delimiter)
    return (record for record in every if not record.is_blank)


def _every_record(lines: Iterator[str], delimiter: str) -> Iterator[_Record]:
    feed = _Feed(lines)
    reader = csv.reader(feed, delimiter=delimiter, skipinitialspace=True)
    line = 1
    while True:
        feed.taken = []
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield _Record(line, [], str(error))
            feed.take_back()
            line += 1
        else:
            if cells is None:
                return
            yield _Record(line, cells)
            line += len(feed.taken)


# --- rows


class _Refused(Exception):
    """A row that cannot be a lead, with all that is wrong with it: column and message."""

    def __init__(self, *problems: tuple[str, str]) -> None:
        super().__init__()
        self.problems = problems


class _BadCell(Exception):
    pass


def _leads(layout: _Layout, problems: list[Problem]) -> Iterator[LeadRow]:
    seen = _Seen()
    with _reading(layout.path):
        records = _records(layout.path, layout.encoding, layout.delimiter)
        next(records, None)  # the header
        for record in records:
            try:
                row = _row(layout.columns, record)
                seen.add(row, record.line)
            except _Refused as refused:
                problems.extend(Problem(record.line, *problem) for problem in refused.problems)
            else:
                yield row


def _row(columns: Sequence[str], record: _Record) -> LeadRow:
    if record.broken:
        raise _Refused(("", f"cannot be read as CSV: {record.broken}"))
    if len(record.cells) != len(columns):
        raise _Refused(("", f"has {len(record.cells)} cells where the header has {len(columns)}"))
    row = _assembled(_values(columns, record.cells))
    if not row["full_name"]:
        raise _Refused(("", "has neither first_name nor last_name"))
    if not any((row["company_domain"], row["company_name"], row["linkedin_url"], row["email"])):
        raise _Refused(("", f"has nothing to find the person by: {', '.join(_CLUES)} are all empty"))
    return row


def _values(columns: Sequence[str], cells: Iterable[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    problems: list[tuple[str, str]] = []
    for column, cell in zip(columns, cells, strict=True):
        try:
            _refuse_unfit(cell)
            values[column] = _READ.get(column, str)(cell)
        except _BadCell as error:
            problems.append((column, str(error)))
    if problems:
        raise _Refused(*problems)
    return values


def _assembled(values: dict[str, Any]) -> LeadRow:
    first, last = values.get("first_name", ""), values.get("last_name", "")
    return LeadRow(
        first_name=first,
        last_name=last,
        full_name=f"{first} {last}".strip(),
        email=values.get("email", ""),
        linkedin_url=values.get("linkedin_url", ""),
        title=values.get("title", ""),
        company_name=values.get("company_name", ""),
        company_domain=values.get("company_domain", ""),
        lead_score=values.get("lead_score"),
        lead_tier=values.get("lead_tier"),
        extra={name: cell for name, cell in values.items() if name not in COLUMNS and cell.strip()},
    )


@dataclass(slots=True)
class _Seen:
    """Who was read already, by digest: long names take no more memory than short ones."""

    lines: dict[bytes, int] = field(default_factory=dict)

    def add(self, row: LeadRow, line: int) -> None:
        """Raises _Refused for someone who was read before; then nothing is remembered."""
        keys = dict(_identities(row))
        for column, key in keys.items():
            if (earlier := self.lines.get(key)) is not None:
                raise _Refused((column, f"repeats the lead of line {earlier}; the first one is kept"))
        self.lines.update(dict.fromkeys(keys.values(), line))


def _identities(row: LeadRow) -> Iterator[tuple[str, bytes]]:
    """Two people of one name at one company are told apart by their LinkedIn profiles."""
    if row["email"]:
        yield "email", _digest(row["email"])
    if row["linkedin_url"]:
        yield "linkedin_url", _digest(row["linkedin_url"].rstrip("/"))
    elif row["company_domain"]:
        yield "", _digest(row["full_name"], row["company_domain"])


def _digest(*parts: str) -> bytes:
    return blake2b("\0".join(parts).casefold().encode(), digest_size=16).digest()


# --- cells


def _refuse_unfit(cell: str) -> None:
    if len(cell) > MAX_CELL:
        raise _BadCell(f"has {len(cell):,} characters; {MAX_CELL:,} are the most")
    if character := _control_character(cell):
        raise _BadCell(f"contains the control character U+{ord(character):04X}")


def _control_character(cell: str) -> str:
    """The first character that no text has, or none; tabs and line ends are text."""
    if cell.isprintable():
        return ""
    return next((letter for letter in cell if category(letter) == "Cc" and letter not in _WHITESPACE), "")


def _one_line(cell: str) -> str:
    return " ".join(cell.split())


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _email(cell: str) -> str:
    """The local part keeps its case, which may matter; the domain is in ASCII."""
    text = cell.strip()
    if not text:
        return ""
    try:
        checked = validate_email(text, check_deliverability=False)
    except EmailNotValidError as error:
        raise _BadCell(f"{_shown(text)} is no email address. {_one_line(str(error))}") from error
    return f"{checked.local_part}@{checked.ascii_domain}"


def _domain(cell: str) -> str:
    text = cell.strip()
    domain = _ascii_domain(_host(text)) if text else ""
    if text and not domain:
        raise _BadCell(f"{_shown(text)} is no domain name such as acme.com")
    if domain in _FREE_MAIL:
        raise _BadCell(f"{domain} is a mail provider, not the domain of a company; leave the cell empty")
    return domain


def _host(text: str) -> str:
    authority = _AFTER_HOST.split(_SCHEME.sub("", text.lower()).removeprefix("//"), maxsplit=1)[0]
    host = authority.rpartition("@")[2].partition(":")[0].removesuffix(".")
    bare = host.removeprefix("www.")
    return bare if "." in bare else host


@lru_cache(maxsize=1 << 15)
def _ascii_domain(host: str) -> str:
    """Empty for a name that no address could have after its @; companies repeat, hence the cache."""
    try:
        return validate_email(f"x@{host}", check_deliverability=False).ascii_domain
    except EmailNotValidError:
        return ""


def _score(cell: str) -> int | None:
    text = cell.strip()
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise _BadCell(f"{_shown(text)} is no number")
    score = Decimal(text)
    if not 0 <= score <= MAX_SCORE:
        raise _BadCell(f"{_shown(text)} is not between 0 and {MAX_SCORE}")
    return int(score.to_integral_value(ROUND_HALF_UP))


def _tier(cell: str) -> str | None:
    text = cell.strip().upper()
    if text and text not in _TIERS:
        raise _BadCell(f"{_shown(cell.strip())} is no tier; tiers are {', '.join(Tier)}")
    return text or None


_READ: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(chain(_NAMES, ("linkedin_url", "title", "company_name")), _one_line),
    "email": _email,
    "company_domain": _domain,
    "lead_score": _score,
    "lead_tier": _tier,
}
