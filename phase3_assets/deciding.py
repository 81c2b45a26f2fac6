"""`phase3 approve`, `reject` and `request-more`: the gate from a shell."""

import asyncio
from contextlib import suppress
from typing import Any

from phase3_assets.approval import NEXT, decide, told
from phase3_assets.looking import look
from phase3_core.approval import Channel, Decision, having_read, person_choice
from phase3_core.errors import Phase3Error
from resources.configurable import outbox_relay
from resources.postgres.database import PostgresDatabase
from resources.settings import read_settings, settings_path


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
