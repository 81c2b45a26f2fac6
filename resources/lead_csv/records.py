"""The records of the file, each with the line it starts on."""

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_RECORD_LINES = 1_000  # a quoted cell that runs on longer was never closed


@dataclass(frozen=True, slots=True)
class Record:
    line: int
    cells: list[str]
    broken: str = ""

    @property
    def is_blank(self) -> bool:
        return not self.broken and not any(cell.strip() for cell in self.cells)


def lines_of(path: Path, encoding: str) -> Iterator[str]:
    """The lines with their ends; a byte order mark is not part of the first one."""
    codec = "utf-8-sig" if encoding == "utf-8" else encoding
    with path.open(encoding=codec, newline="") as stream:
        yield from stream


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


def records_of(path: Path, encoding: str, delimiter: str) -> Iterator[Record]:
    """The header and the rows, each with the line it starts on; blank ones are passed over."""
    every = _every_record(lines_of(path, encoding), delimiter)
    return (record for record in every if not record.is_blank)


def _every_record(lines: Iterator[str], delimiter: str) -> Iterator[Record]:
    feed = _Feed(lines)
    reader = csv.reader(feed, delimiter=delimiter, skipinitialspace=True)
    line = 1
    while True:
        feed.taken = []
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield Record(line, [], str(error))
            feed.take_back()
            line += 1
        else:
            if cells is None:
                return
            yield Record(line, cells)
            line += len(feed.taken)
