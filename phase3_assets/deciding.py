"""A person's decision on a campaign: taken once, told to whoever asks, and `phase3 approve` and its like."""

import asyncio
from contextlib import suppress
from typing import Any
from uuid import UUID

from phase3_assets.looking import look
from phase3_core.approval import EFFECTS, Channel, Choice, Decision, having_read, person_choice
from phase3_core.errors import Phase3Error
from phase3_core.ports.books import Database
from phase3_core.ruling import Decided, ruled
from resources.assembly import outbox_relay
from resources.postgres.database import PostgresDatabase
from resources.settings import read_settings, settings_path

NEXT = {
    Decision.APPROVE_FULL: "Phase 4 reads the tiers A and B from the view `approved_leads`.",
    Decision.APPROVE_TIER_A_ONLY: "Phase 4 reads tier A from the view `approved_leads`.",
    Decision.REQUEST_MORE_ENRICHMENT: "The sensor `re_enrichment` starts a run for what is missing.",
    Decision.REJECT: "The campaign is closed; nothing more is spent on it.",
}


def decide_from_shell(
    url: str, name: str, decision: Decision, by: str, *, report: str = "", feedback: str = ""
) -> dict[str, Any]:
    """The decision as JSON; raises DecisionRefused, UnknownCampaign, CampaignBusy."""
    settings = read_settings(settings_path())
    policy = settings.approval.policy()
    choice = having_read(person_choice(policy, decision, by, Channel.COMMAND_LINE, feedback=feedback), report)
    campaign_id = look(url, lambda books: books.campaigns.campaign_named(name))
    decided = asyncio.run(decide(PostgresDatabase(url, longest_outage_s=0), campaign_id, choice))
    with suppress(Phase3Error):  # the decision stands; the sensor brings Slack's message up to date
        asyncio.run(outbox_relay(url, settings).deliver())
    return {"campaign_id": str(campaign_id), **told(decided), "next": NEXT[decision]}


async def decide(database: Database, campaign_id: UUID, choice: Choice) -> Decided:
    """Raises DecisionRefused, with who was faster or what changed, and CampaignBusy."""
    async with database.reading() as books:
        return ruled(str(campaign_id), await books.approvals.decide(campaign_id, choice))


def told(decided: Decided) -> dict[str, Any]:
    """Who decided what, when and why."""
    effect = EFFECTS[decided.status]
    return {
        "decision": decided.status.value,
        "decided_by": decided.by,
        "decided_at": decided.at.isoformat(),
        "feedback": decided.feedback,
        "campaign_status": effect.campaign.value,
        "personalization_scope": effect.scope.value if effect.scope else "none",
        "request_id": str(decided.request_id),
    }
