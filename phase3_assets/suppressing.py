"""`phase3 suppress`: who is not to be asked about, from an argument or a file."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

from phase3_assets.looking import look
from phase3_core.errors import BadInput
from phase3_core.suppression import entry_of
from resources.postgres.database import PostgresBooks
from resources.postgres.suppression import PostgresSuppressions

MEANT = "write an address such as ada@acme.com, or a domain such as acme.com"
MOST_TOLD = 50
HEADINGS = frozenset({"email", "e-mail", "address", "domain"})


def suppress_all(url: str, who: str, reason: str, tell: Callable[[str], None], *, remove: bool) -> str:
    """What was done, in a line; `tell` gets one for each bad row. Raises BadInput where nobody is meant."""
    file = Path(who)
    entries = _entries_of(file, tell) if file.suffix.lower() == ".csv" else _one(who)

    async def change(books: PostgresBooks) -> int:
        listed = PostgresSuppressions(books.engine)
        return await (listed.remove(entries) if remove else listed.add(entries, reason))

    return _told(entries, look(url, change), remove=remove)


def _one(who: str) -> list[str]:
    if not (entry := entry_of(who)):
        raise BadInput(f"{who!r} is neither an address nor a domain: {MEANT}.")
    return [entry]


def _entries_of(file: Path, tell: Callable[[str], None]) -> list[str]:
    """The first cell of each row that is filled."""
    try:
        rows = list(_first_cells(file))
    except (OSError, UnicodeDecodeError, csv.Error) as failure:
        raise BadInput(f"{file} cannot be read as CSV in UTF-8: {failure}.") from None
    bad = [(line, cell) for line, cell in rows if not entry_of(cell)]
    for line, cell in bad[:MOST_TOLD]:
        tell(f"{file}:{line}: {cell[:80]!r} is neither an address nor a domain")
    if len(bad) > MOST_TOLD:
        tell(f"and {len(bad) - MOST_TOLD:,} more bad rows")
    entries = list(dict.fromkeys(entry for _, cell in rows if (entry := entry_of(cell))))
    if not entries:
        raise BadInput(f"{file} names nobody: {MEANT}, one to a line.")
    return entries


def _first_cells(file: Path) -> Iterator[tuple[int, str]]:
    with file.open(encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text)
        for row in reader:
            cell = next((cell.strip() for cell in row if cell.strip()), "")
            is_heading = reader.line_num == 1 and cell.casefold() in HEADINGS
            if cell and not is_heading:
                yield reader.line_num, cell


def _told(entries: list[str], changed: int, *, remove: bool) -> str:
    whom = entries[0] if len(entries) == 1 else f"{changed:,} of {len(entries):,} entries"
    done, nothing_to_do = ("taken off", "not on") if remove else ("put on", "already on")
    return f"{whom}: {done if changed else nothing_to_do} the suppression list"
