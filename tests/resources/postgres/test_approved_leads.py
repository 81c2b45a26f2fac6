"""Phase 4's view: leads of an approved campaign, in scope, that may be written to, and nobody else."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import MakeCampaign

Query = Callable[..., list[dict[str, Any]]]

READY = {"email_status": "valid", "enrichment_status": "enriched", "company_domain": "acme.com"}
LEADS: tuple[dict[str, Any], ...] = (
    {**READY, "email": "a@acme.com", "lead_tier": "A"},
    {**READY, "email": "risky@acme.com", "lead_tier": "a", "email_status": "risky"},
    {**READY, "email": "b@acme.com", "lead_tier": "B", "enriched_as": "A"},
    {**READY, "email": "c@acme.com", "lead_tier": "C"},
    {**READY, "email": "x1@acme.com", "lead_tier": "A", "email_status": "catchall"},
    {**READY, "email": "x2@acme.com", "lead_tier": "A", "email_status": None},
    {**READY, "email": "x3@acme.com", "lead_tier": "A", "enrichment_status": "partial"},
    {**READY, "email": "x4@acme.com", "lead_tier": "A", "enrichment_status": None},
    {**READY, "email": "x5@acme.com", "lead_tier": "A", "status": "duplicate"},
    {**READY, "email": "x6@acme.com", "lead_tier": "A", "enriched_as": "C"},
    {**READY, "email": "Stop@acme.com", "lead_tier": "A"},
    {**READY, "email": "eve@blocked.com", "lead_tier": "A"},
    {**READY, "email": "eve@gmail.com", "lead_tier": "A", "company_domain": "https://www.blocked.com/"},
)


def seen(query: Query) -> set[str]:
    return {row["email"] for row in query("SELECT email FROM approved_leads")}


@pytest.mark.parametrize(
    ("scope", "emails"),
    [
        ("tier_a_only", {"a@acme.com", "risky@acme.com"}),
        ("tier_a_and_b", {"a@acme.com", "risky@acme.com", "b@acme.com"}),
        (None, set()),
    ],
)
def test_an_approved_campaign_shows_its_scope(
    make_campaign: MakeCampaign, query: Query, scope: str | None, emails: set[str]
) -> None:
    query("INSERT INTO suppression_list (email) VALUES ('stop@ACME.com')")
    query("INSERT INTO suppression_list (domain) VALUES ('Blocked.com')")
    make_campaign(LEADS, status="approved_for_personalization", personalization_scope=scope)
    assert seen(query) == emails


@pytest.mark.parametrize(
    "status",
    ["import_complete", "verification_complete", "rejected", "re_enrichment_requested", "phase3_failed"],
)
def test_no_other_campaign_shows_anybody(make_campaign: MakeCampaign, query: Query, status: str) -> None:
    make_campaign(LEADS, status=status, personalization_scope="tier_a_and_b")
    assert seen(query) == set()
