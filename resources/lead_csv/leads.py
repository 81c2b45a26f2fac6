"""The rows of a lead list, and why some of them are none."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypedDict

from resources.lead_csv.cells import CLUES, COLUMNS, READ, BadCell, refuse_unfit
from resources.lead_csv.layout import Layout, layout_of, reading
from resources.lead_csv.records import Record, records_of


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
    layout = layout_of(path)
    problems: list[Problem] = []
    return LeadFile(_leads(layout, problems), problems)


class _Refused(Exception):
    """A row that cannot be a lead, with all that is wrong with it: column and message."""

    def __init__(self, *problems: tuple[str, str]) -> None:
        super().__init__()
        self.problems = problems


def _leads(layout: Layout, problems: list[Problem]) -> Iterator[LeadRow]:
    seen = _Seen()
    with reading(layout.path):
        records = records_of(layout.path, layout.encoding, layout.delimiter)
        next(records, None)  # the header
        for record in records:
            try:
                row = _row(layout.columns, record)
                seen.add(row, record.line)
            except _Refused as refused:
                problems.extend(Problem(record.line, *problem) for problem in refused.problems)
            else:
                yield row


def _row(columns: Sequence[str], record: Record) -> LeadRow:
    if record.broken:
        raise _Refused(("", f"cannot be read as CSV: {record.broken}"))
    if len(record.cells) != len(columns):
        raise _Refused(("", f"has {len(record.cells)} cells where the header has {len(columns)}"))
    row = _assembled(_values(columns, record.cells))
    if not row["full_name"]:
        raise _Refused(("", "has neither first_name nor last_name"))
    if not any((row["company_domain"], row["company_name"], row["linkedin_url"], row["email"])):
        raise _Refused(("", f"has nothing to find the person by: {', '.join(CLUES)} are all empty"))
    return row


def _values(columns: Sequence[str], cells: Iterable[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    problems: list[tuple[str, str]] = []
    for column, cell in zip(columns, cells, strict=True):
        try:
            refuse_unfit(cell)
            values[column] = READ.get(column, str)(cell)
        except BadCell as error:
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
