"""What each way of exporting does: say what it will leave, write it, take it back."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from phase3_core.exports import Export, ExportKind
from phase3_core.leads import Campaign
from phase3_core.ports.leads import LeadRepository
from resources.exports.files import Folder
from resources.exports.lead_list import ReadyLeads


class Writer(Protocol):
    @property
    def kind(self) -> ExportKind: ...

    def url(self, campaign: Campaign, report: Mapping[str, Any]) -> str: ...

    async def write(
        self, campaign: Campaign, report: Mapping[str, Any], leads: LeadRepository | ReadyLeads
    ) -> int:
        """How many leads were written; raises OutsideFailure."""
        ...

    async def withdraw(self, export: Export) -> None: ...


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file may be filled with."""

    campaign: Campaign
    report: Mapping[str, Any]
    leads: LeadRepository | ReadyLeads


class FileWriter(ABC):
    """A file that a subclass fills; readers meet the old file or the new one, never half of it."""

    kind: ClassVar[ExportKind]
    suffix: ClassVar[str]

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    def url(self, campaign: Campaign, report: Mapping[str, Any]) -> str:
        return self.folder.url(campaign, report, self.suffix)

    async def write(
        self, campaign: Campaign, report: Mapping[str, Any], leads: LeadRepository | ReadyLeads
    ) -> int:
        final = self.folder.place(campaign, report, self.suffix)
        async with self.folder.draft(final) as draft:
            return await self.fill(draft, Contents(campaign, report, leads))

    async def withdraw(self, export: Export) -> None:
        await self.folder.remove(export)

    @abstractmethod
    async def fill(self, draft: Path, contents: Contents) -> int:
        """Writes the file; how many leads are in it."""
