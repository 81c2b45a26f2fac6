"""The file as a whole: whether it is a lead list at all, its encoding, its delimiter and its columns."""

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from phase3_core.errors import BadInput
from resources.lead_csv.cells import CLUES, COLUMNS, NAMES, control_character, one_line, shown
from resources.lead_csv.records import Record, lines_of, records_of

_DELIMITERS = ",;\t"
_CHUNK = 1 << 20
_RESAVE = (
    "Save it again as UTF-8: in a spreadsheet as 'CSV UTF-8', in a shell with "
    "`iconv -f WINDOWS-1252 -t UTF-8` (or the encoding it has now)."
)
_SHOWN_COLUMNS = 20


@dataclass(frozen=True, slots=True)
class Layout:
    path: Path
    encoding: str
    delimiter: str
    columns: tuple[str, ...]


def layout_of(path: Path) -> Layout:
    with reading(path):
        _refuse_no_file(path)
        encoding = _encoding(path)
        _refuse_undecodable(path, encoding)
        delimiter = _delimiter(path, encoding)
        records = records_of(path, encoding, delimiter)
        header = next(records, None)
        if header is None:
            raise _empty(path)
        columns = _columns(path, header)
        if next(records, None) is None:
            raise BadInput(f"{_named(path)} has a header but no leads. Add one line per lead below it.")
        return Layout(path, encoding, delimiter, columns)


@contextmanager
def reading(path: Path) -> Iterator[None]:
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


def _delimiter(path: Path, encoding: str) -> str:
    """The one of comma, semicolon and tab under which the header names most of our columns."""
    header = next((line for line in lines_of(path, encoding) if line.strip()), None)
    if header is None:
        raise _empty(path)
    return max(_DELIMITERS, key=lambda delimiter: _familiar(header, delimiter))


def _familiar(header: str, delimiter: str) -> tuple[int, int]:
    try:
        cells = next(csv.reader([header], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return 0, 0
    return len({cell.strip().casefold() for cell in cells} & set(COLUMNS)), len(cells)


def _columns(path: Path, header: Record) -> tuple[str, ...]:
    if header.broken:
        raise BadInput(f"The header of {_named(path)} cannot be read: {header.broken}.")
    if any(control_character(cell) for cell in header.cells):
        raise BadInput(f"The header of {_named(path)} has NUL bytes or control characters. {_RESAVE}")
    columns = tuple(_column(cell, number) for number, cell in enumerate(header.cells, start=1))
    _refuse_missing(path, columns)
    _refuse_twice(path, columns)
    return columns


def _column(cell: str, number: int) -> str:
    """Our columns by our names, others as given; a column without a name is called by its number."""
    name = one_line(cell)
    return name.casefold() if name.casefold() in COLUMNS else name or f"column {number}"


def _refuse_missing(path: Path, columns: Sequence[str]) -> None:
    missing = [" or ".join(wanted) for wanted in (NAMES, CLUES) if not set(wanted) & set(columns)]
    if missing:
        found = ", ".join(map(shown, columns[:_SHOWN_COLUMNS]))
        raise BadInput(
            f"{_named(path)} lacks a column: {'; and '.join(missing)}. Found: {found}. "
            "Name the columns in the first line, separated by comma, semicolon or tab."
        )


def _refuse_twice(path: Path, columns: Sequence[str]) -> None:
    counts = Counter(column.casefold() for column in columns)
    twice = [shown(column) for column, count in counts.items() if count > 1]
    if twice:
        raise BadInput(
            f"{_named(path)} has a column twice: {', '.join(twice)}. Rename or remove one of them."
        )
