"""Who writes exports, and takes them back."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from phase3_core.exports import Export, Published
from phase3_core.leads import Campaign
from phase3_core.ports.leads import LeadRepository


class Exporter(Protocol):
    def planned(self, campaign: Campaign, report: Mapping[str, Any]) -> Sequence[Export]:
        """What `write` will leave behind, without the counts of rows: enough to withdraw it."""
        ...

    async def write(self, campaign: Campaign, report: Mapping[str, Any], leads: LeadRepository) -> Published:
        """Writing the same report again replaces its exports. Raises OutsideFailure."""
        ...

    async def withdraw(self, export: Export) -> None:
        """Idempotent: what is not there has been withdrawn. Raises OutsideFailure."""
        ...
