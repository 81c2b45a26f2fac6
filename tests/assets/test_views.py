"""What `phase3 status` shows of a campaign that a run has left half done."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from phase3_assets.views import UNTRIED, campaign_rows, troubles_of
from phase3_core.runs import Run
from phase3_core.saga import StepKind
from phase3_core.statuses import Agent
from resources.postgres.database import PostgresDatabase
from tests.conftest import Made, MakeCampaign, at_work

Query = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def campaign(make_campaign: MakeCampaign) -> Made:
    return make_campaign(name="Spring", status="verifying_emails")


@pytest.fixture(autouse=True)
def killed(database_url: str, campaign: Made, query: Query) -> None:
    """A run that noted two minutes ago what it would have to take back, and is gone."""
    run = Run("killed", campaign.id, Agent.EMAIL_VERIFICATION)

    async def work() -> None:
        async with PostgresDatabase(database_url).open(run) as books:
            await books.saga.note(run, {StepKind.RESERVATIONS: {}})

    asyncio.run(work())
    query("UPDATE saga_steps SET created_at = now() - interval '2 minutes'")


def shown(database_url: str) -> dict[str, Any]:
    (row,) = campaign_rows(database_url, "Spring")
    return row


def test_what_a_killed_run_left_is_shown_with_its_age_before_anybody_tries_it(database_url: str) -> None:
    row = shown(database_url)
    (step,) = row["compensating"]
    assert (step["step"], step["run"], step["attempts"]) == ("reservations", "killed", 0)
    assert step["age_s"] >= 120
    (told,) = troubles_of(row)
    assert told.startswith("reservations not taken back for 0:")
    assert told.endswith(UNTRIED)


def test_what_a_run_at_work_may_yet_have_to_take_back_is_not_shown(database_url: str, campaign: Made) -> None:
    with at_work(database_url, campaign.id):
        assert shown(database_url)["compensating"] == []


def test_what_could_not_be_taken_back_is_shown_also_beside_a_run_at_work(
    database_url: str, campaign: Made, query: Query
) -> None:
    query("UPDATE saga_steps SET state = 'failed', attempts = 3, error = 'disk full'")
    with at_work(database_url, campaign.id):
        row = shown(database_url)
    assert row["compensating"][0]["attempts"] == 3
    assert troubles_of(row)[0].endswith("disk full")
