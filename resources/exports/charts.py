"""Bar charts as SVG: text stays text, so they are crisp at any size and weigh a few kilobytes."""

from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape, quoteattr

from phase3_core.presentation import Bar, Chart
from resources.exports.neutral import without_controls

ROW, BAR, TOP, BOTTOM, MARGIN, GAP = 28, 16, 36, 6, 2, 8
BARS_WIDE = 300
MOST_LETTERS = 22  # of a label
LETTER = 8.4  # as wide as a digit in the widest font that browsers take for sans-serif
INK, QUIET, TRACK, FILL = "#1f2937", "#4b5563", "#e5e7eb", "#2563eb"
_FONT = "font-family='Helvetica,Arial,sans-serif' font-size='13'"


def bar_chart(chart: Chart) -> str:
    """An `svg` element; each bar stands on a track that is its whole."""
    height = TOP + ROW * max(len(chart.bars), 1) + BOTTOM
    start = MARGIN + _widest(_label(bar.label) for bar in chart.bars) + GAP
    width = max(start + BARS_WIDE + GAP + _widest(bar.shown for bar in chart.bars), _widest([chart.title]))
    head = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width:g} {height}' width='{width:g}' "
        f"height='{height}' role='img' aria-label={_attribute(chart.title)} {_FONT}>"
        f"<rect width='{width:g}' height='{height}' fill='#ffffff'/>"
        f"<text x='{MARGIN}' y='18' fill='{INK}' font-weight='bold'>{_text(chart.title)}</text>"
    )
    return "".join([head, *_bars(chart, start), "</svg>"])


def _widest(texts: Iterable[str]) -> float:
    return round(LETTER * max(map(len, texts), default=0))


def _bars(chart: Chart, start: float) -> Iterator[str]:
    longest = max((bar.whole for bar in chart.bars), default=0)
    for number, bar in enumerate(chart.bars):
        yield _row(bar, longest, start, TOP + ROW * number)
    if not chart.bars:
        yield f"<text x='{MARGIN}' y='{TOP + 13}' fill='{QUIET}'>nothing to show</text>"


def _row(bar: Bar, longest: float, start: float, top: int) -> str:
    track, length = _length(bar.whole, longest), _length(bar.value, longest)
    label, told = _text(_label(bar.label)), _text(bar.shown)
    return (
        f"<text x='{start - GAP:g}' y='{top + 13}' fill='{INK}' text-anchor='end'>{label}</text>"
        f"<rect x='{start:g}' y='{top}' width='{track}' height='{BAR}' rx='3' fill='{TRACK}'/>"
        f"<rect x='{start:g}' y='{top}' width='{length}' height='{BAR}' rx='3' fill='{FILL}'/>"
        f"<text x='{start + track + GAP:g}' y='{top + 13}' fill='{QUIET}'>{told}</text>"
    )


def _length(value: float, longest: float) -> float:
    return round(BARS_WIDE * value / longest, 1) if longest else 0


def _label(label: str) -> str:
    return label if len(label) <= MOST_LETTERS else f"{label[: MOST_LETTERS - 1]}…"


def _text(text: str) -> str:
    return escape(without_controls(text))


def _attribute(text: str) -> str:
    return quoteattr(without_controls(text))
