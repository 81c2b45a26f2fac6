"""Leads for tests: only what a test says differs from the usual."""

from typing import Any
from uuid import UUID

from phase3_core.leads import Lead, MailboxName
from phase3_core.report import DECIDED_ON
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from phase3_core.tiers import Tier

CAMPAIGN = UUID(int=1)
A_REPORT: dict[str, Any] = dict.fromkeys(DECIDED_ON, "as read")


def a_lead(number: int = 1, name: str = "Ada Lovelace", **columns: Any) -> Lead:
    """The lead with this id; its mailbox name is its name in lower case."""
    first, _, last = name.partition(" ")
    usual: dict[str, Any] = {
        "id": UUID(int=number),
        "campaign_id": CAMPAIGN,
        "first_name": first,
        "last_name": last,
        "company_name": "Acme",
        "company_domain": "acme.com",
        "tier": Tier.B,
        "score": 50,
        "mailbox_names": (MailboxName(first.lower(), last.lower()),),
    }
    return Lead(**usual | columns)


def a_run(agent: Agent = Agent.EMAIL_VERIFICATION, name: str = "run-1", campaign: UUID = CAMPAIGN) -> Run:
    return Run(name, campaign, agent)
