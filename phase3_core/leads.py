"""Campaigns and the people in them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from phase3_core.statuses import CampaignStatus, EmailStatus
from phase3_core.tiers import Tier

Rank = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class MailboxName:
    """A person's name as mailboxes spell it: lower-case ASCII letters, empty where there is none."""

    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Lead:
    """One person of a campaign as phase 2 delivered them, with what phase 3 knows so far.

    `mailbox_names` holds the plain spelling first, then variants (particles, double surnames, umlauts).
    `company_domain` is bare and lower-case, or empty.
    """

    id: UUID
    campaign_id: UUID
    first_name: str
    last_name: str
    company_name: str
    company_domain: str
    tier: Tier
    score: int
    title: str = ""
    linkedin_url: str = ""
    email: str = ""
    email_status: EmailStatus | None = None
    mailbox_names: tuple[MailboxName, ...] = ()

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()

    @property
    def rank(self) -> Rank:
        """The lower, the sooner it is its turn: the order in which a run goes through its campaign."""
        return (self.tier, -self.score, self.id.int)


@dataclass(frozen=True, slots=True)
class Campaign:
    """`reason`: why it stands as it does, in words for people; empty where all is well."""

    id: UUID
    name: str
    status: CampaignStatus
    leads: int
    import_completed_at: datetime | None
    reason: str = ""
