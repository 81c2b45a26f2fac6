"""What a report is shown as: figures, tables and charts, and their values as people read them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import Enum
from typing import Any

from phase3_core.money import ZERO, usd

NONE = "\N{EN DASH}"
CENT = Decimal("0.01")
TENTH_OF_A_MILL = Decimal("0.0001")


class Kind(Enum):
    """What a column holds; the value is a spreadsheet's number format."""

    TEXT = "General"
    COUNT = "#,##0"
    SCORE = "0.0"
    RATE = "0.0%"
    MONEY = "$#,##0.0000"


@dataclass(frozen=True, slots=True)
class Column:
    key: str
    title: str
    kind: Kind = Kind.TEXT


@dataclass(frozen=True, slots=True)
class Table:
    """Values are exact; `shown` rounds them for readers."""

    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Bar:
    """`value` out of `whole`, which may be the value of the longest bar."""

    label: str
    value: float
    whole: float
    shown: str


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class Section:
    """`words`: one sentence on how to read the table; `nothing`: what stands there when it has no rows."""

    title: str
    table: Table
    words: str = ""
    chart: Chart | None = None
    nothing: str = "none"


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    shown: str


@dataclass(frozen=True, slots=True)
class ReportPage:
    title: str
    campaign_id: str
    tag: str
    figures: Sequence[Figure]
    sections: Sequence[Section]


def shown(value: Any, kind: Kind = Kind.TEXT) -> str:
    """As a person reads it; a dash where there is nothing to tell."""
    if value is None or value == "":
        return NONE
    return _SHOWN[kind](value)


def _money(value: Any) -> str:
    """Cents, and four places below a dollar; what rounds to nothing without being nothing says so."""
    amount = usd(value)
    if ZERO < abs(amount) < TENTH_OF_A_MILL:
        return "< $0.0001"
    places = CENT if abs(amount) >= 1 or amount == ZERO else TENTH_OF_A_MILL
    sign = "-" if amount < 0 else ""
    return f"{sign}${abs(amount).quantize(places, ROUND_HALF_UP):,}"


_SHOWN: Mapping[Kind, Callable[[Any], str]] = {
    Kind.TEXT: str,
    Kind.COUNT: "{:,}".format,
    Kind.SCORE: "{:.1f}".format,
    Kind.RATE: "{:.1%}".format,
    Kind.MONEY: _money,
}


def words(name: str) -> str:
    """`email_verification` as a reader spells it."""
    return name.replace("_", " ").capitalize()
