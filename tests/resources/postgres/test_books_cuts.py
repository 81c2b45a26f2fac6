"""The wire breaks at every statement with which a run writes its books; they are as if it had held."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from phase3_core.counts import CampaignCounts
from phase3_core.email_result import EmailResult
from phase3_core.money import usd
from phase3_core.ports.campaigns import AgentResult
from phase3_core.runs import Advance, Run
from phase3_core.saga import StepKind
from phase3_core.statuses import Agent, CampaignStatus, EmailStatus
from resources.postgres.database import PostgresBooks, PostgresDatabase, driver_url
from tests.conftest import NOW, Made, MakeCampaign
from tests.fakes.people import A_REPORT
from tests.fakes.wire import Cut, Wire, wire
from tests.resources.postgres.conftest import Query

BOOKS = {
    "leads": "SELECT email, email_status, delivered_email FROM leads ORDER BY last_name",
    "campaigns": "SELECT status, emails_found FROM campaigns",
    "audit": """
        SELECT action, details ->> 'to' AS said FROM campaign_audit_log
        WHERE created_at > (SELECT created_at FROM campaigns) ORDER BY created_at
    """,
    "checkpoints": "SELECT status, items_processed FROM workflow_checkpoints",
    "approvals": "SELECT status FROM approval_requests",
    "outbox": "SELECT kind FROM outbox",
    "saga": "SELECT step, state FROM saga_steps ORDER BY place",
}
WRITTEN = {
    "leads": [
        {"email": "ada@acme.com", "email_status": "valid", "delivered_email": "a@old.com"},
        {"email": "bob@acme.com", "email_status": "unknown", "delivered_email": None},
    ],
    "campaigns": [{"status": "emails_verified", "emails_found": 0}],
    "audit": [
        {"action": "status_changed", "said": "verifying_emails"},
        {"action": "noted", "said": None},
        {"action": "email_verification_finished", "said": None},
        {"action": "status_changed", "said": "emails_verified"},
        {"action": "approval_requested", "said": None},
    ],
    "checkpoints": [{"status": "completed", "items_processed": 2}],
    "approvals": [{"status": "pending"}],
    "outbox": [{"kind": "slack_announce"}],
    "saga": [{"step": "campaign_status", "state": "kept"}, {"step": "reservations", "state": "kept"}],
}
AS_BEFORE = """
DELETE FROM workflow_checkpoints;
DELETE FROM approval_requests;
DELETE FROM outbox;
DELETE FROM saga_steps;
DELETE FROM budgets;
INSERT INTO budgets (scope, campaign_id, agent, cap_usd, spent_usd, reserved_usd)
SELECT id || ' email_verification', id, 'email_verification', 10, 9, 0 FROM campaigns;
DELETE FROM leads;
INSERT INTO leads SELECT * FROM leads_before;
UPDATE campaigns SET status = 'import_complete', verification_summary = NULL, created_at = clock_timestamp();
"""
NOTHING = CampaignCounts((), {}, {}, {}, {}, 0, 0)


async def an_agents_work(books: PostgresBooks, run: Run, made: Made) -> None:
    ada, bob = made.leads
    await books.saga.note(run, {StepKind.STATUS: {"before": "import_complete"}, StepKind.RESERVATIONS: {}})
    await books.campaigns.move(made.id, CampaignStatus.VERIFYING_EMAILS)
    await books.leads.save_email_results(
        made.id,
        [
            EmailResult(ada, EmailStatus.VALID, "ada@acme.com", "tomba", "reoon"),
            EmailResult(bob, EmailStatus.UNKNOWN, "bob@acme.com", "tomba"),
        ],
    )
    await books.checkpoints.save(run, "leads", "completed", Advance(run.agent, 2, 2, usd(0)), {})
    assert [one.spent for one in await books.budgets.newly_near(made.id, Decimal("0.8"))] == [usd(9)]
    await books.campaigns.audit(made.id, "noted", {})
    assert len(await books.leads.get_campaign_leads(made.id)) == 2
    await books.campaigns.update_email_verification_results(made.id, AgentResult(NOTHING, usd(0), NOW, {}))
    await books.campaigns.move(made.id, CampaignStatus.EMAILS_VERIFIED, ends=run)
    first = await books.approvals.request(run, A_REPORT)
    assert await books.approvals.request(run, A_REPORT) == first


@dataclass
class Place:
    """A run at work on a wire, for as many rehearsals as are wanted."""

    wire: Wire
    books: PostgresBooks
    run: Run
    made: Made
    looking: psycopg.Connection[dict[str, Any]]

    async def worked(self, cut_at: int, cut: Cut) -> dict[str, Any]:
        """The books, after work whose `cut_at`-th statement was cut; 0: none."""
        self.looking.execute(AS_BEFORE)
        self.wire.statements, self.wire.cuts = 0, {cut_at: cut}
        await an_agents_work(self.books, self.run, self.made)
        return {
            name: self.looking.execute(statement.encode()).fetchall() for name, statement in BOOKS.items()
        }


@pytest.fixture
async def place(database_url: str, query: Query, make_campaign: MakeCampaign) -> AsyncIterator[Place]:
    made = make_campaign([{"last_name": "A", "email": "a@old.com"}, {"last_name": "B"}])
    query("CREATE TABLE leads_before AS SELECT * FROM leads")
    run = Run("run", made.id, Agent.EMAIL_VERIFICATION)
    address = driver_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    async with (
        wire(database_url) as carried,
        PostgresDatabase(carried.url, look_every_s=3600).open(run) as books,
    ):
        with psycopg.connect(address, autocommit=True, row_factory=dict_row) as looking:
            yield Place(carried, books, run, made, looking)


@pytest.mark.slow
@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.DURING, Cut.AFTER])
async def test_a_wire_cut_at_any_statement_changes_no_book(cut: Cut, place: Place) -> None:
    assert await place.worked(0, cut) == WRITTEN
    for number in range(1, place.wire.statements + 1):
        written = await place.worked(number, cut)
        assert place.wire.cuts == {}, "the wire was not cut"
        assert written == WRITTEN, f"cut at statement {number}"
