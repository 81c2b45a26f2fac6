"""A relay that notes whose request it announced."""

from dataclasses import dataclass, field
from uuid import UUID


@dataclass
class FakeRelay:
    said: str = "Announced."
    campaigns: list[UUID] = field(default_factory=list)
    waiting: int = 0

    async def deliver(self) -> int:
        sent, self.waiting = self.waiting, 0
        return sent

    async def announced(self, campaign_id: UUID) -> str:
        self.campaigns.append(campaign_id)
        return self.said
