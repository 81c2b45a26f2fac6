"""What people read in a terminal: words of leads and vendors can move no cursor, set no link, hide nothing.

The only file here that makes a console: what goes through it is shown, never obeyed.
"""

import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

# Controls, escape among them, and the marks by which text is shown in another order than it is stored. Zero
# widths that scripts and emoji need stay.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

AS_WIDE_AS_IT_IS = 10_000  # columns: for who reads from a pipe or a file


def visible(text: str) -> str:
    """Each character that a terminal would obey spelled out; line ends and tabs stay."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class Terminal(Console):
    """A console without markup: `[link=…]` in a company's name is its name."""

    def __init__(self, *, stderr: bool = False, file: TextIO | None = None, **options: Any) -> None:
        plainly = {"markup": False, "emoji": False, "highlight": False}
        super().__init__(stderr=stderr, file=file, **options | plainly)
        if not (self.is_terminal or "width" in options or "COLUMNS" in os.environ):
            self.width = AS_WIDE_AS_IT_IS

    def tabulate(self, table: Table) -> None:
        """Nothing is cut off: where the words are too wide for the terminal, rows stand below one another."""
        for column in table.columns:
            column.overflow = "fold"
            column.no_wrap = not any(" " in str(cell) for cell in (column.header, *column.cells))
        needed = Measurement.get(self, self.options.update(width=AS_WIDE_AS_IT_IS), table).minimum
        for part in [table] if needed <= self.width else _upright(table):
            self.print(part)

    def render_str(self, text: str, **options: Any) -> Text:
        """So that widths are those of what is shown."""
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Everything that is shown passes here, however it was made."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))


def _upright(table: Table) -> Iterator[RenderableType]:
    """Each row as a table of its own, of headings and what stands below them; empty cells are left out."""
    if table.title:
        yield table.title
    columns = [(str(column.header), tuple(column.cells)) for column in table.columns]
    for row in range(table.row_count):
        upright = Table(show_header=False)
        upright.add_column(no_wrap=True)
        upright.add_column(overflow="fold")
        for heading, cells in columns:
            if cells[row]:
                upright.add_row(heading, cells[row])
        yield upright
