"""What people read in a terminal: words of leads and vendors can move no cursor, set no link, hide nothing.

The only file here that makes a console: what goes through it is shown, never obeyed.
"""

import re
from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

# Controls, escape among them, and the marks by which text is shown in another order than it is stored. Zero
# widths that scripts and emoji need stay.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Each character that a terminal would obey spelled out; line ends and tabs stay."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class Terminal(Console):
    """A console without markup: `[link=…]` in a company's name is its name."""

    def __init__(self, *, stderr: bool = False, file: TextIO | None = None, **options: Any) -> None:
        plainly = {"markup": False, "emoji": False, "highlight": False}
        super().__init__(stderr=stderr, file=file, **options | plainly)

    def render_str(self, text: str, **options: Any) -> Text:
        """So that widths are those of what is shown."""
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Everything that is shown passes here, however it was made."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))
