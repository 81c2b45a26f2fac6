"""The audit log: who did what to a campaign."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID, uuid4

from sqlalchemy.dialects.postgresql import Insert, insert

from resources.postgres.tables import campaign_audit_log


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is written into the audit log."""

    name: str
    type: Literal["agent", "human", "system"]

    def line(self, campaign_id: UUID, action: str, details: Mapping[str, Any]) -> Insert:
        """One however often it is written."""
        line = insert(campaign_audit_log).values(
            id=uuid4(),
            campaign_id=campaign_id,
            action=action,
            actor=self.name,
            actor_type=self.type,
            details=dict(details),
        )
        return line.on_conflict_do_nothing(index_elements=["id"])
