from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from phase3_core.email_result import EmailResult
from phase3_core.errors import BadInput
from phase3_core.ledger import Intent, digest
from phase3_core.statuses import CampaignStatus, EmailStatus
from resources.postgres import tables
from resources.postgres.campaign_import import CampaignImport
from resources.postgres.database import PostgresDatabase, driver_url, require_current
from resources.postgres.schema import NEWEST, revisions
from resources.postgres.tables import metadata
from resources.postgres.upgrade import migrations, upgrade
from tests.conftest import MakeCampaign, Server
from tests.resources.postgres.runs import Runs
from tests.resources.postgres.test_ledger import asks, granted, hit

Query = Callable[..., list[dict[str, Any]]]

MIGRATIONS = Path(tables.__file__).parent / "migrations" / "versions"
REVISIONS = sorted(file.name[:4] for file in MIGRATIONS.glob("[0-9]*.py"))
CATALOGUE = {
    "columns": """
        SELECT table_name, column_name, data_type, numeric_precision, numeric_scale, is_nullable,
            column_default
        FROM information_schema.columns
        JOIN information_schema.tables USING (table_schema, table_name)
        WHERE table_schema = 'public' AND table_name <> 'phase3_alembic_version'
            AND table_type = 'BASE TABLE'
        ORDER BY 1, 2
    """,
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
            AND conrelid::regclass::text <> 'phase3_alembic_version'
        ORDER BY 1, 2
    """,
    "indexes": """
        SELECT indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename <> 'phase3_alembic_version' ORDER BY 1
    """,
}


def seen(connection: Connection, view: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(text(CATALOGUE[view]))]


@pytest.fixture
def declared(empty_database_url: str, query: Query) -> str:
    """The tables as `tables.py` declares them, beside the functions that the migrations made."""
    functions = query(
        "SELECT pg_get_functiondef(oid) AS body FROM pg_proc "
        "WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'phase3%'"
    )
    with create_engine(driver_url(empty_database_url)).begin() as connection:
        for function in functions:
            connection.exec_driver_sql(function["body"].replace("%", "%%"))
        metadata.create_all(connection)
    return empty_database_url


@pytest.mark.parametrize("view", CATALOGUE)
def test_the_migrations_make_what_the_tables_declare(view: str, database_url: str, declared: str) -> None:
    with (
        create_engine(driver_url(database_url)).connect() as migrated,
        create_engine(driver_url(declared)).connect() as created,
    ):
        assert seen(migrated, view) == seen(created, view)


def test_an_upgrade_is_idempotent(empty_database_url: str) -> None:
    assert sorted(upgrade(empty_database_url)) == REVISIONS
    assert upgrade(empty_database_url) == []
    require_current(empty_database_url)


async def test_what_was_asked_in_another_spelling_is_found_in_lower_case(
    runs: Runs, database_url: str, query: Query
) -> None:
    def asked(email: str) -> Intent:
        request = {"method": "POST", "body": {"people": [{"emailAddress": email, "firstName": "Ada"}]}}
        return asks(question=digest("tomba", "find", request), request=request)

    book = runs.begin()
    await book.settle(hit((await granted(book, asked("Ada.L@Acme.com"))).key))
    query("DROP VIEW approved_leads")
    query("ALTER TABLE leads DROP COLUMN enriched_as")
    query("UPDATE phase3_alembic_version SET version_num = '0020'")
    assert upgrade(database_url)[0] == "0021"
    assert await book.find(asked("ada.l@acme.com"))
    assert query("SELECT count(*) AS calls FROM provider_calls") == [{"calls": 1}]


def test_what_is_known_of_the_migrations_is_what_alembic_finds() -> None:
    newest, *earlier = ScriptDirectory.from_config(migrations()).walk_revisions()
    assert newest.revision == NEWEST
    assert revisions() == {NEWEST, *(script.revision for script in earlier)}


def test_an_upgrade_leaves_a_database_from_the_future_alone(database_url: str, query: Query) -> None:
    query("UPDATE phase3_alembic_version SET version_num = '9999'")
    with pytest.raises(BadInput, match="newer phase3"):
        upgrade(database_url)


def test_upgrades_at_once_take_turns(empty_database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        applied = [sorted(told) for told in pool.map(upgrade, [empty_database_url] * 4)]
    assert sorted(applied) == [[], [], [], REVISIONS]


def test_a_database_without_tables_is_sent_to_the_upgrade(empty_database_url: str) -> None:
    with pytest.raises(BadInput, match="phase3 db upgrade"):
        require_current(empty_database_url)


def test_a_database_from_the_future_is_left_alone(database_url: str, query: Query) -> None:
    query("UPDATE phase3_alembic_version SET version_num = '9999'")
    with pytest.raises(BadInput, match="newer phase3"):
        require_current(database_url)


def test_a_foreign_table_under_our_name_stops_the_upgrade(empty_database_url: str) -> None:
    with create_engine(driver_url(empty_database_url)).begin() as connection:
        connection.execute(text("CREATE TABLE provider_calls (id integer)"))
    with pytest.raises(BadInput, match="provider_calls"):
        upgrade(empty_database_url)
    with pytest.raises(BadInput, match="phase3 db upgrade"):
        require_current(empty_database_url)


@pytest.fixture(params=["SQL_ASCII", "LATIN1"])
def encoded(request: pytest.FixtureRequest, postgres: Server) -> Iterator[str]:
    """A database without any table, in an encoding other than UTF-8."""
    name = f"phase3_test_{uuid4().hex[:12]}"
    yield postgres.make_encoded(name, request.param)
    postgres.drop(name)


async def test_a_database_in_another_encoding_is_refused_before_anything_is_written(encoded: str) -> None:
    what_to_do = "ENCODING 'UTF8' TEMPLATE template0"
    with pytest.raises(BadInput, match=what_to_do):
        upgrade(encoded)
    with pytest.raises(BadInput, match=what_to_do):
        require_current(encoded)
    with pytest.raises(BadInput, match=what_to_do):
        async with PostgresDatabase(encoded).reading():
            pass
    with create_engine(driver_url(encoded), connect_args={"client_encoding": "utf8"}).connect() as connection:
        assert seen(connection, "columns") == []


PHASE2 = """
    CREATE TYPE campaign_state AS ENUM ('draft', 'import_complete');
    CREATE TYPE grade AS ENUM ('A', 'B', 'C');
    CREATE TABLE campaigns (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        name varchar(40) NOT NULL,
        status {status} NOT NULL DEFAULT 'draft',
        import_completed_at timestamptz,
        budget money
    );
    CREATE TABLE leads (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        campaign_id uuid REFERENCES campaigns (id),
        first_name varchar(40),
        last_name varchar(40),
        email varchar(255),
        company_domain varchar(255),
        lead_score {score},
        lead_tier {tier},
        favourite_colour text
    );
    CREATE TABLE alembic_version (version_num varchar(32));
    INSERT INTO campaigns (id, name, status) VALUES ('{campaign}', 'Older than us', 'import_complete');
    INSERT INTO leads (campaign_id, first_name, lead_score, lead_tier, email, favourite_colour) VALUES
        ('{campaign}', 'Bea', 70, 'B', NULL, 'red'),
        ('{campaign}', 'Cleo', NULL, NULL, NULL, 'blue'),
        ('{campaign}', 'Abe', 12.5, 'A', 'abe@acme.com', 'green'),
        ('{campaign}', 'Ann', 90, 'A', NULL, NULL)
"""

PHASE2_TYPES = [
    ("text", "integer", "text"),
    ("varchar(50)", "numeric(5,2)", "varchar(1)"),
    ("campaign_state", "double precision", "grade"),
]


@pytest.mark.parametrize(("status", "score", "tier"), PHASE2_TYPES)
class TestBesidePhase2:
    campaign = uuid4()

    @pytest.fixture
    def url(self, empty_database_url: str, status: str, score: str, tier: str) -> str:
        statements = PHASE2.format(status=status, score=score, tier=tier, campaign=self.campaign)
        with create_engine(driver_url(empty_database_url)).begin() as connection:
            for statement in statements.split(";"):
                connection.execute(text(statement))
        return empty_database_url

    def test_rows_and_columns_stay_as_they_are(self, url: str) -> None:
        theirs = (
            "SELECT id, first_name, lead_score, lead_tier, email, favourite_colour FROM leads ORDER BY id"
        )
        types = (
            "SELECT column_name, data_type, is_nullable FROM information_schema.columns "
            "WHERE table_name = 'leads' AND column_name IN ('lead_score', 'lead_tier', 'email') ORDER BY 1"
        )
        engine = create_engine(driver_url(url))
        with engine.connect() as connection:
            before = [connection.execute(text(look)).all() for look in (theirs, types)]
        assert sorted(upgrade(url)) == REVISIONS
        with engine.connect() as connection:
            assert [connection.execute(text(look)).all() for look in (theirs, types)] == before

    async def test_its_leads_are_read_and_written(self, url: str) -> None:
        upgrade(url)
        async with PostgresDatabase(url).reading() as books:
            leads = await books.leads.get_campaign_leads(self.campaign)
            assert [lead.first_name for lead in leads] == ["Ann", "Abe", "Bea", "Cleo"]
            found = EmailResult(leads[0].id, EmailStatus.VALID, "ann@acme.com", "tomba", "reoon", 99)
            await books.leads.save_email_results(self.campaign, [found])
            [ann] = await books.leads.get_campaign_leads(self.campaign, has_verified_email=True)
        assert ann.email == "ann@acme.com"

    async def test_its_campaigns_move(self, url: str) -> None:
        upgrade(url)
        async with PostgresDatabase(url).reading() as books:
            await books.campaigns.move(self.campaign, CampaignStatus.VERIFYING_EMAILS)
            assert (await books.campaigns.campaign(self.campaign)).status is CampaignStatus.VERIFYING_EMAILS

    async def test_an_import_fits_its_columns(self, url: str) -> None:
        upgrade(url)
        async with PostgresDatabase(url).reading() as books:
            rows = [{"first_name": "Zoe", "lead_score": 7, "lead_tier": "C"}]
            campaign_id = await CampaignImport(books.engine).create("Winter", rows)
            assert (await books.campaigns.campaign(campaign_id)).leads == 1


def broken(query: Query, statement: str, **values: Any) -> str:
    """The name of the constraint that refuses the statement."""
    with pytest.raises(IntegrityError) as refusal:
        query(statement, **values)
    assert isinstance(refusal.value.orig, psycopg.Error)
    return str(refusal.value.orig.diag.constraint_name)


CALL = (
    "INSERT INTO provider_calls (key, provider, operation, request, state) "
    "VALUES ('k', 'p', 'o', '{}', 'intent')"
)


@pytest.mark.parametrize("column", ["cost_usd", "reserved_usd", "unknown_usd", "losses", "response_time_ms"])
def test_a_call_never_has_a_negative_amount(query: Query, column: str) -> None:
    query(CALL)
    assert broken(query, f"UPDATE provider_calls SET {column} = -1") == f"provider_calls_{column}_check"


def test_a_call_is_attempted_at_least_once(query: Query) -> None:
    query(CALL)
    assert broken(query, "UPDATE provider_calls SET attempt = 0") == "provider_calls_attempt_check"


def test_a_call_is_written_once(query: Query) -> None:
    query(CALL)
    assert broken(query, CALL) == "provider_calls_pkey"


def test_a_call_has_a_known_state(query: Query) -> None:
    query(CALL)
    assert broken(query, "UPDATE provider_calls SET state = 'lost'") == "provider_calls_state_check"


def test_a_cost_is_exact_to_the_micro_dollar(query: Query) -> None:
    query(CALL)
    query("UPDATE provider_calls SET cost_usd = 0.002001")
    [row] = query("SELECT cost_usd::text AS cost FROM provider_calls")
    assert row["cost"] == "0.002001"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("email_status", "'lovely'"),
        ("enrichment_status", "'done'"),
        ("email_cost", -1),
        ("enrichment_cost", -1),
    ],
)
def test_our_columns_of_a_lead_hold_known_words_and_amounts(
    query: Query, make_campaign: MakeCampaign, column: str, value: str
) -> None:
    make_campaign([{}])
    assert broken(query, f"UPDATE leads SET {column} = {value}") == f"leads_{column}_check"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("emails_found", -1),
        ("emails_verified", -1),
        ("email_verification_cost", -1),
        ("leads_enriched", -1),
        ("enrichment_cost", -1),
        ("total_leads_ready", -1),
        ("personalization_scope", "'everyone'"),
    ],
)
def test_our_columns_of_a_campaign_hold_known_words_and_amounts(
    query: Query, make_campaign: MakeCampaign, column: str, value: str
) -> None:
    make_campaign()
    assert broken(query, f"UPDATE campaigns SET {column} = {value}") == f"campaigns_{column}_check"


def test_a_lead_belongs_to_a_campaign(query: Query) -> None:
    assert (
        broken(query, "INSERT INTO leads (campaign_id) VALUES (gen_random_uuid())")
        == "leads_campaign_id_fkey"
    )


def test_a_breaker_is_in_a_known_state_and_open_until_some_time(query: Query) -> None:
    query("INSERT INTO breakers (provider) VALUES ('tomba')")
    assert broken(query, "UPDATE breakers SET state = 'ajar'") == "breakers_state_check"
    assert broken(query, "UPDATE breakers SET state = 'open'") == "breakers_until_check"


@pytest.mark.parametrize("column", ["in_a_row", "reopened", "answered"])
def test_a_breakers_counts_are_never_negative(query: Query, column: str) -> None:
    query("INSERT INTO breakers (provider) VALUES ('tomba')")
    assert broken(query, f"UPDATE breakers SET {column} = -1") == f"breakers_{column}_check"


READING = (
    "INSERT INTO balance_readings (provider, account, taken_at, credits, booked_usd, in_doubt_usd, "
    "price_usd, since, span_taken_usd, span_booked_usd, drift_usd, agreement) "
    "VALUES ('tomba', 'a', '2026-11-22', 5, 0, {doubt}, {price}, now(), 0, 0, 0, '{agreement}')"
)


@pytest.mark.parametrize(
    ("wrong", "constraint"),
    [
        ({"doubt": -1}, "in_doubt_usd_check"),
        ({"price": -1}, "price_usd_check"),
        ({"agreement": "maybe"}, "agreement_check"),
    ],
)
def test_a_reading_holds_amounts_and_a_known_word(
    query: Query, wrong: dict[str, Any], constraint: str
) -> None:
    values = {"doubt": 0, "price": 1, "agreement": "agreed", **wrong}
    assert broken(query, READING.format(**values)) == f"balance_readings_{constraint}"


def test_an_account_has_one_reading_at_a_moment(query: Query) -> None:
    reading = READING.format(doubt=0, price=1, agreement="agreed")
    query(reading)
    assert broken(query, reading) == "balance_readings_pkey"


CHECKPOINT = (
    "INSERT INTO workflow_checkpoints (workflow_id, agent_id, step_id, status, campaign_id, items_processed) "
    "VALUES ('run', 'agent', 'step', 'completed', gen_random_uuid(), :done)"
)


def test_a_step_of_a_run_has_one_checkpoint(query: Query) -> None:
    query(CHECKPOINT, done=1)
    assert broken(query, CHECKPOINT, done=2) == "workflow_checkpoints_workflow_id_agent_id_step_id_key"


def test_progress_is_never_negative(query: Query) -> None:
    assert broken(query, CHECKPOINT, done=-1) == "workflow_checkpoints_items_processed_check"
    query(CHECKPOINT, done=1)
    worse = "UPDATE workflow_checkpoints SET items_total = -1"
    assert broken(query, worse) == "workflow_checkpoints_items_total_check"


def test_a_saga_step_has_a_known_state(query: Query) -> None:
    step = (
        "INSERT INTO saga_steps (run_id, campaign_id, agent, step, state, undo) "
        "VALUES ('r', gen_random_uuid(), 'a', 's', :state, '{}')"
    )
    query(step, state="done")
    assert broken(query, step, state="undone") == "saga_steps_state_check"


REQUEST = (
    "INSERT INTO approval_requests (campaign_id, run_id, status, summary) "
    "VALUES (:campaign, 'r', :status, '{}')"
)


def test_a_campaign_has_one_pending_request(query: Query) -> None:
    one, other = uuid4(), uuid4()
    query(REQUEST, campaign=one, status="rejected")
    query(REQUEST, campaign=one, status="pending")
    query(REQUEST, campaign=other, status="pending")
    assert broken(query, REQUEST, campaign=one, status="pending") == "approval_requests_one_pending_idx"


def test_a_request_has_a_known_status(query: Query) -> None:
    assert broken(query, REQUEST, campaign=uuid4(), status="maybe") == "approval_requests_status_check"


LINE = (
    "INSERT INTO campaign_audit_log (campaign_id, action, actor, actor_type) "
    "VALUES (gen_random_uuid(), 'a', 'b', :type)"
)


def test_an_actor_is_an_agent_a_human_or_the_system(query: Query) -> None:
    assert broken(query, LINE, type="alien") == "campaign_audit_log_actor_type_check"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE campaign_audit_log SET action = 'nothing'",
        "DELETE FROM campaign_audit_log",
        "TRUNCATE campaign_audit_log",
    ],
)
def test_the_audit_log_only_grows(query: Query, statement: str) -> None:
    query(LINE, type="human")
    with pytest.raises(DBAPIError, match="append-only"):
        query(statement)
    assert len(query("SELECT 1 FROM campaign_audit_log")) == 1


def test_a_suppression_names_someone(query: Query) -> None:
    query("INSERT INTO suppression_list (domain) VALUES ('acme.com')")
    nobody = "INSERT INTO suppression_list (reason) VALUES ('asked')"
    assert broken(query, nobody) == "suppression_list_names_someone_check"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("acme.com", "acme.com"),
        (" HTTPS://www.Acme.com/en?x=1 ", "acme.com"),
        ("acme.com.", "acme.com"),
        ("acme.co.uk:8080", "acme.co.uk"),
        ("//acme.com", "acme.com"),
        ("http://user@acme.com", "acme.com"),
        ("info@acme.com", "acme.com"),
        ("münchen.de", "münchen.de"),
        ("n/a", ""),
        ("localhost", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_a_domain_is_read_bare(query: Query, written: str | None, read: str) -> None:
    assert query("SELECT phase3_domain(:text) AS domain", text=written) == [{"domain": read}]
