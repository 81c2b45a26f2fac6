from collections.abc import AsyncIterator

import pytest

from phase3_core.approval_request import Asked
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from resources.postgres.database import PostgresBooks, PostgresDatabase
from tests.conftest import Made, MakeCampaign
from tests.fakes.people import A_REPORT
from tests.fakes.workspace import Workspace, a_workspace

READY = {"email_status": "valid", "enrichment_status": "enriched", "lead_tier": "A"}
REPORT = A_REPORT | {
    "campaign": "Spring <!channel> & co",
    "funnel": {"leads": 3, "ready": 2},
    "tiers": [{"tier": tier, "ready": n, "total": 1} for tier, n in (("A", 1), ("B", 1), ("C", 0))],
    "costs": {"total": "148.201500"},
    "cost_per_ready_usd": "0.119517",
    "exports": [
        {"kind": "sheets", "url": "https://sheets.example/1", "rows": 2},
        {"kind": "workbook", "url": "file:///exports/spring.xlsx", "rows": 2},
    ],
}


@pytest.fixture
async def slack() -> AsyncIterator[Workspace]:
    async with a_workspace() as workspace:
        yield workspace


@pytest.fixture
async def books(database_url: str) -> AsyncIterator[PostgresBooks]:
    async with PostgresDatabase(database_url).reading() as opened:
        yield opened


@pytest.fixture
def made(make_campaign: MakeCampaign) -> Made:
    return make_campaign([{**READY, "email": "ada@acme.com"}], status="verification_complete")


@pytest.fixture
async def asked(books: PostgresBooks, made: Made) -> Asked:
    return await books.approvals.request(Run("run", made.id, Agent.FINALIZER), REPORT)
