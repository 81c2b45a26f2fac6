"""What is written for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class ExportKind(StrEnum):
    WORKBOOK = "workbook"
    PAGE = "page"
    JSON = "json"
    CSV = "csv"
    SHEETS = "sheets"


@dataclass(frozen=True, slots=True)
class Export:
    """Something written for people; its URL holds the beginning of the report's hash."""

    kind: ExportKind
    url: str
    rows: int = 0

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind.value, "url": self.url, "rows": self.rows}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Export":
        return cls(ExportKind(told["kind"]), str(told["url"]), int(told["rows"]))


@dataclass(frozen=True, slots=True)
class Published:
    """What was written. `notes`: what went wrong on the way, in words for the reader."""

    exports: Sequence[Export]
    notes: Sequence[str] = ()

    @property
    def workbook(self) -> Export:
        return next(export for export in self.exports if export.kind is ExportKind.WORKBOOK)
