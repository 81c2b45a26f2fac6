"""The roles of `docs/roles.sql`: each can do its part on a real server, and nothing else."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, make_url
from sqlalchemy.exc import ProgrammingError

from phase3_assets.forgetting import forget_person
from phase3_core.errors import BadInput
from resources.exports.files import EXPORTS_DIR
from resources.forget_key import FORGET_KEY
from resources.postgres.database import driver_url
from resources.postgres.upgrade import upgrade
from sandbox.app import serve
from sandbox.options import Options
from tests.attacks import Removal, attack, replaced
from tests.stage.invariants import AT_REST, broken
from tests.stage.stage import Stage, everyone_is_needed, staged

ROLES = ("phase3_migrator", "phase3_runner", "phase3_reader")
FILE = Path(__file__).parents[2] / "docs" / "roles.sql"
LEADS = 4


def roles() -> str:
    return FILE.read_text(encoding="utf-8")


def generous(grant: str) -> Removal:
    """The same file, and one grant more."""
    return replaced((sys.modules[__name__], "roles", lambda: f"{FILE.read_text(encoding='utf-8')}{grant};"))


def execute(url: str, *statements: str) -> list[Any]:
    """Rows of the last."""
    with create_engine(driver_url(url), poolclass=NullPool).begin() as connection:
        for statement in statements:
            result = connection.exec_driver_sql(statement.replace("%", "%%"))
        return list(result) if result.returns_rows else []


def as_superuser(url: str) -> str:
    """The embedded server's role may not make roles; on its own socket everybody may be its superuser."""
    own = make_url(url)
    return (own if own.password else own.set(username="postgres")).render_as_string(hide_password=False)


def acting_as(url: str, role: str) -> str:
    options = {"options": f"-c role={role}"}
    return make_url(as_superuser(url)).update_query_dict(options).render_as_string(hide_password=False)


@pytest.fixture
def url(empty_database_url: str) -> Iterator[str]:
    """As the file says: before the first upgrade, by the migrator, and after it."""
    superuser = as_superuser(empty_database_url)
    execute(superuser, FILE.read_text(encoding="utf-8"))
    upgrade(acting_as(empty_database_url, "phase3_migrator"))
    execute(superuser, roles())
    yield empty_database_url
    for role in ROLES:
        execute(superuser, f"DROP OWNED BY {role} CASCADE", f"DROP ROLE {role}")


@pytest.fixture
async def performed(url: str, tmp_path: Path) -> Stage:
    """A campaign that the runner has run."""
    async with serve(Options(latency_ms=0, rate_factor=0)) as sandbox:
        people = everyone_is_needed(sandbox.parts.world.people)[:LEADS]
        stage = await staged(sandbox, acting_as(url, "phase3_runner"), tmp_path, people, web=False)
        assert (await stage.perform()).why_not == ""
        assert broken(stage, AT_REST) == []
        return stage


def refused(url: str, role: str, statement: str) -> bool:
    try:
        execute(acting_as(url, role), statement)
    except ProgrammingError as failure:
        return "permission denied" in str(failure) or "must be owner" in str(failure)
    return False


@attack(
    "The database",
    "Whoever got hold of a run's account rewrites who decided what, or makes away with what was paid",
    defence="`docs/roles.sql`: a run adds to the audit log, and deletes neither calls nor leads nor tables",
    without=generous("GRANT ALL ON ALL TABLES IN SCHEMA public TO phase3_runner"),
)
def test_a_run_cannot_undo_what_was_written_down(url: str) -> None:
    for statement in (
        "DROP TABLE leads",
        "ALTER TABLE provider_calls ADD COLUMN more text",
        "CREATE TABLE mine (id integer)",
        "DELETE FROM provider_calls",
        "DELETE FROM leads",
        "TRUNCATE outbox",
        "UPDATE campaign_audit_log SET actor = 'nobody'",
        "DELETE FROM campaign_audit_log",
    ):
        assert refused(url, "phase3_runner", statement), statement


@attack(
    "The database",
    "A dashboard's account reads people, questions and answers, or approves a campaign",
    defence="`docs/roles.sql`: it sees amounts and states, by column, and writes nothing",
    without=generous("GRANT SELECT ON ALL TABLES IN SCHEMA public TO phase3_reader"),
)
def test_a_dashboard_sees_nobody(url: str) -> None:
    for statement in (
        "SELECT email FROM leads",
        "SELECT request FROM provider_calls",
        "SELECT response FROM provider_calls",
        "SELECT key FROM provider_calls",
        "SELECT * FROM suppression_list",
        "SELECT * FROM suppressed_subjects",
        "SELECT details FROM campaign_audit_log",
        "SELECT summary FROM approval_requests",
        "UPDATE campaigns SET status = 'approved_for_personalization'",
    ):
        assert refused(url, "phase3_reader", statement), statement


async def test_each_role_does_its_part(
    performed: Stage, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = acting_as(url, "phase3_reader")
    (spent,) = execute(reader, "SELECT sum(cost_usd + unknown_usd) FROM provider_calls")
    assert spent[0] == sum(performed.booked())
    assert execute(reader, "SELECT count(*) FROM leads")[0][0] == LEADS
    assert execute(reader, "SELECT email FROM approved_leads") == []

    monkeypatch.setenv(FORGET_KEY, "k" * 32)
    (lead,) = performed.query("SELECT id FROM leads LIMIT 1")
    monkeypatch.setenv(EXPORTS_DIR, str(tmp_path))
    with pytest.raises(BadInput, match="role"):
        await asyncio.to_thread(forget_person, acting_as(url, "phase3_runner"), str(lead["id"]))
    done = await asyncio.to_thread(forget_person, acting_as(url, "phase3_migrator"), str(lead["id"]))
    assert (done.erased.leads, done.left) == (1, [])
