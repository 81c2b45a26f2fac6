import io
import json
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from phase3_assets.standing import Pace, Standing, agent_row, lines, show_standing, standing
from phase3_assets.views import campaign_rows, troubles_of
from tests.conftest import MakeCampaign
from tests.end_to_end.shell import until
from tests.end_to_end.test_progress import checkpoint

HALFWAY = Pace("email_verification", 1_500, 6_000, "1.250000", ended=False, worked_s=300.0, idle_s=10.0)
CAMPAIGN = {
    "status": "verifying_emails",
    "reason": "",
    "budgets": [{"of": "email verification", "spent_usd": "4.00", "cap_usd": "5.00", "alerted": True}],
    "waiting": [
        {"provider": "reoon", "why": "today's quota is spent", "leads": 3, "until": None, "asked_again": True}
    ],
    "compensating": [{"step": "export", "age_s": 90, "error": "disk full"}],
}


def test_an_agents_row_tells_rate_and_time_left_at_that_rate() -> None:
    assert agent_row(HALFWAY, goes_on=True) == (
        "email verification",
        "1,500 / 6,000",
        "5.0",
        "0:14:50",
        "1.250000",
    )


def test_an_agent_that_ended_is_done_and_has_no_time_left() -> None:
    ended = replace(HALFWAY, done=6_000, ended=True)
    assert agent_row(ended, goes_on=False)[1:4] == ("6,000 / 6,000", "20.0", "done")


def test_what_took_no_time_has_no_rate() -> None:
    assert agent_row(replace(HALFWAY, worked_s=0.0), goes_on=True)[2:4] == ("", "")


def test_an_agent_slower_than_foretold_is_not_due_in_the_past() -> None:
    assert agent_row(replace(HALFWAY, idle_s=10_000.0), goes_on=True)[3] == "0:00:00"


def test_no_time_is_foretold_where_no_run_works() -> None:
    assert agent_row(HALFWAY, goes_on=False)[3] == "at rest"


def test_below_stand_budgets_troubled_providers_who_waits_and_what_is_stuck() -> None:
    assert lines(Standing(CAMPAIGN, (HALFWAY,), {"tomba": "open until 09:35 UTC: HTTP 500"})) == [
        "email verification: 4.00 of 5.00 USD spent",
        "tomba: open until 09:35 UTC: HTTP 500",
        "3 leads wait for reoon (today's quota is spent)",
        "export not taken back for 0:01:30: disk full",
    ]


@pytest.mark.parametrize(
    ("status", "asked_again", "told"),
    [
        ("verification_complete", True, "3 leads wait for reoon (its quota is spent)"),
        (
            "approved_for_personalization",
            False,
            "3 leads wait for reoon (its quota is spent): decided without them, nobody is asked again",
        ),
    ],
)
def test_once_a_campaign_is_decided_the_leads_that_wait_are_left(
    database_url: str,
    make_campaign: MakeCampaign,
    query: Callable[..., list[dict[str, Any]]],
    status: str,
    told: str,
    *,
    asked_again: bool,
) -> None:
    checkpoint(query, make_campaign(name="Spring", status=status).id)
    waiting = {"provider": "reoon", "why": "its quota is spent", "leads": 3, "until": None}
    data = json.dumps({"waiting": [waiting], "waiting_until": None})
    query("UPDATE workflow_checkpoints SET output_data = CAST(:data AS jsonb)", data=data)
    [row] = campaign_rows(database_url, "Spring")
    assert row["waiting"] == [{**waiting, "asked_again": asked_again}]
    assert troubles_of(row) == [told]


def test_what_the_agents_spent_comes_to_what_the_campaign_spent_and_is_the_ledgers(
    database_url: str,
    make_campaign: MakeCampaign,
    query: Callable[..., list[dict[str, Any]]],
    book_call: Callable[..., None],
) -> None:
    """Their last checkpoint told less: the run was cut short, and another agent was at work before it."""
    campaign = make_campaign(name="Spring", status="phase3_failed").id
    checkpoint(query, campaign)
    book_call(campaign, agent="email_verification", cost_usd="1.400000")
    book_call(campaign, agent="email_verification", state="unknown", outcome="error", unknown_usd="0.100000")
    book_call(campaign, agent="waterfall_enrichment", cost_usd="0.300000")
    now = standing(database_url, "Spring")
    assert [(pace.agent, pace.spent_usd) for pace in now.agents] == [("email_verification", "1.500000")]
    assert now.earlier == {"waterfall_enrichment": "0.300000"}
    file = io.StringIO()
    show_standing(database_url, "Spring", Console(file=file, width=120))
    assert "1.800000 USD" in file.getvalue()
    assert re.search(r"waterfall enrichment.*earlier runs.*0\.300000", file.getvalue())


@pytest.mark.parametrize(
    ("status", "idle_s", "goes_on"),
    [
        ("enriching", 1_000.0, True),
        ("emails_verified", 10.0, True),
        ("emails_verified", 100.0, False),
        ("verification_complete", 1.0, False),
        ("cancelled", 1.0, False),
    ],
)
def test_a_run_goes_on_while_an_agent_works_and_between_agents(
    status: str, idle_s: float, *, goes_on: bool
) -> None:
    pace = replace(HALFWAY, idle_s=idle_s)
    assert Standing({**CAMPAIGN, "status": status}, (pace,), {}).goes_on is goes_on


def test_a_terminal_sees_the_table_until_the_run_ends(
    database_url: str,
    make_campaign: MakeCampaign,
    query: Callable[..., list[dict[str, Any]]],
) -> None:
    campaign, screen = make_campaign(name="Spring", status="verifying_emails").id, io.StringIO()
    checkpoint(query, campaign)
    query("INSERT INTO breakers (provider, state, why) VALUES ('tomba', 'half_open', 'HTTP 500')")
    console = Console(file=screen, force_terminal=True, width=120)
    watcher = threading.Thread(target=show_standing, args=(database_url, "Spring", console), daemon=True)
    watcher.start()
    until(lambda: "250 / 632" in screen.getvalue(), 20)
    assert "verifying_emails" in screen.getvalue()
    query("UPDATE campaigns SET status = 'verification_complete'")
    watcher.join(timeout=20)
    assert not watcher.is_alive()
    assert "Spring: verification_complete" in screen.getvalue()
    assert "tomba: half-open after: HTTP 500" in screen.getvalue()


def test_where_nobody_looks_it_is_written_once(database_url: str, make_campaign: MakeCampaign) -> None:
    make_campaign(name="Spring", status="verifying_emails")
    file = io.StringIO()
    show_standing(database_url, "Spring", Console(file=file, width=120))
    assert file.getvalue().count("Spring: verifying_emails") == 1
