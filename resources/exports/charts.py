"""Bar charts as SVG: text stays text, so they are crisp at any size and weigh a few kilobytes."""

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from phase3_core.report_page import Bar, Chart
from resources.exports.neutral import without_controls

WIDTH, ROW, BAR, TOP, BOTTOM = 680, 30, 18, 38, 8
BARS_FROM, BARS_WIDE = 170, 360
MOST_LETTERS = 22  # of a label
INK, QUIET, TRACK, FILL = "#1f2937", "#4b5563", "#e5e7eb", "#2563eb"
_FONT = "font-family='Helvetica,Arial,sans-serif' font-size='13'"


def bar_chart(chart: Chart) -> str:
    """An `svg` element; each bar stands on a track that is its whole."""
    height = TOP + ROW * max(len(chart.bars), 1) + BOTTOM
    head = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' "
        f"height='{height}' role='img' aria-label={_attribute(chart.title)} {_FONT}>"
        f"<rect width='{WIDTH}' height='{height}' fill='#ffffff'/>"
        f"<text x='12' y='22' fill='{INK}' font-weight='bold'>{_text(chart.title)}</text>"
    )
    return "".join([head, *_bars(chart), "</svg>"])


def _bars(chart: Chart) -> Iterator[str]:
    longest = max((bar.whole for bar in chart.bars), default=0)
    for number, bar in enumerate(chart.bars):
        yield _row(bar, longest, TOP + ROW * number)
    if not chart.bars:
        yield f"<text x='12' y='{TOP + 14}' fill='{QUIET}'>nothing to show</text>"


def _row(bar: Bar, longest: float, top: int) -> str:
    track, length = _length(bar.whole, longest), _length(bar.value, longest)
    return (
        f"<text x='{BARS_FROM - 10}' y='{top + 14}' fill='{INK}' text-anchor='end'>{_label(bar.label)}</text>"
        f"<rect x='{BARS_FROM}' y='{top}' width='{track}' height='{BAR}' rx='3' fill='{TRACK}'/>"
        f"<rect x='{BARS_FROM}' y='{top}' width='{length}' height='{BAR}' rx='3' fill='{FILL}'/>"
        f"<text x='{BARS_FROM + track + 8:g}' y='{top + 14}' fill='{QUIET}'>{_text(bar.shown)}</text>"
    )


def _length(value: float, longest: float) -> float:
    return round(BARS_WIDE * value / longest, 1) if longest else 0


def _label(label: str) -> str:
    return _text(label if len(label) <= MOST_LETTERS else f"{label[: MOST_LETTERS - 1]}…")


def _text(text: str) -> str:
    return escape(without_controls(text))


def _attribute(text: str) -> str:
    return quoteattr(without_controls(text))
