"""A spreadsheet of Google's: who writes into it, and what its tabs look like. Knows no library."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LARGEST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class SheetsAccount:
    """`spreadsheet`: id of one that is shared with the service account of `key_file` as editor.

    `readers` are addresses that may look at it besides, `public` anyone with the link. `base_url`: empty
    for Google's.
    """

    spreadsheet: str
    key_file: Path
    readers: Sequence[str] = ()
    public: bool = False
    base_url: str = ""


@dataclass(frozen=True, slots=True)
class Tab:
    """`rows` and `columns` are all that it will hold. `listing`: of leads, tier and score in front."""

    title: str
    rows: int
    columns: int
    listing: bool = False


@dataclass(frozen=True, slots=True)
class ExistingTab:
    """A tab that is there."""

    id: int
    title: str


def replacing(there: Sequence[ExistingTab], ending: str, tabs: Sequence[Tab]) -> list[dict[str, Any]]:
    """One batch of requests: tabs whose titles end so go, `tabs` come.

    Old ones give up their titles first and go last: a spreadsheet is never without a tab.
    """
    old = [tab for tab in there if tab.title.endswith(f" {ending}")]
    requests = [_renamed(tab) for tab in old]
    requests += _added(tabs, {tab.id for tab in there}, first=int(ending[:7], 16))
    if old and len(old) == len(there) and not tabs:
        requests.append({"addSheet": {"properties": {"title": "Sheet1"}}})
    return requests + [{"deleteSheet": {"sheetId": tab.id}} for tab in old]


def _renamed(tab: ExistingTab) -> dict[str, Any]:
    properties = {"sheetId": tab.id, "title": f"replaced {tab.id}"}
    return {"updateSheetProperties": {"properties": properties, "fields": "title"}}


def _added(tabs: Sequence[Tab], taken: set[int], first: int) -> Iterator[dict[str, Any]]:
    """With ids of our choice, so that one batch can make a tab and format it."""
    free = (number for number in range(first, _LARGEST_ID) if number not in taken)
    for tab, number in zip(tabs, free, strict=False):
        grid = {"rowCount": max(tab.rows, 2), "columnCount": tab.columns, "frozenRowCount": 1}
        yield {"addSheet": {"properties": {"sheetId": number, "title": tab.title, "gridProperties": grid}}}
        yield _bold(number)
        if tab.listing:
            yield {"setBasicFilter": {"filter": {"range": {"sheetId": number, "startRowIndex": 0}}}}
            yield from _colours(number)


def _bold(number: int) -> dict[str, Any]:
    top = {"sheetId": number, "startRowIndex": 0, "endRowIndex": 1}
    bold = {"userEnteredFormat": {"textFormat": {"bold": True}}}
    return {"repeatCell": {"range": top, "cell": bold, "fields": "userEnteredFormat.textFormat.bold"}}


def _colours(number: int) -> Iterator[dict[str, Any]]:
    fills = {"A": {"red": 0.78, "green": 0.94, "blue": 0.81}, "B": {"red": 1.0, "green": 0.92, "blue": 0.61}}
    for tier, fill in fills.items():
        is_tier = {"type": "TEXT_EQ", "values": [{"userEnteredValue": tier}]}
        yield _rule(number, 0, {"booleanRule": {"condition": is_tier, "format": {"backgroundColor": fill}}})
    white, green = {"red": 1, "green": 1, "blue": 1}, {"red": 0.34, "green": 0.73, "blue": 0.54}
    ends = {"minpoint": {"color": white, "type": "MIN"}, "maxpoint": {"color": green, "type": "MAX"}}
    yield _rule(number, 1, {"gradientRule": ends})


def _rule(number: int, column: int, rule: Mapping[str, Any]) -> dict[str, Any]:
    cells = {"sheetId": number, "startRowIndex": 1, "startColumnIndex": column, "endColumnIndex": column + 1}
    return {"addConditionalFormatRule": {"index": 0, "rule": {"ranges": [cells], **rule}}}
