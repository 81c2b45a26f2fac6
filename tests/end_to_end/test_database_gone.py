"""A database that stays away: the run says so in one line, and the next one goes on."""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from phase3_assets.instance import RECORDS_GONE
from resources.postgres.embedded.server import EmbeddedPostgres, running
from tests.caretaker import cared_for
from tests.conftest import Server
from tests.end_to_end.campaign import Books
from tests.end_to_end.dagster_ui import Dagster, prepared
from tests.end_to_end.shell import WAIT_S, Shell, said, until
from tests.end_to_end.test_interrupted_runs import assert_nobody_is_paid_twice
from tests.stage.unsteady import gone

pytestmark = [pytest.mark.slow, pytest.mark.soak]

AWAY = r"The database is away: .+\. No call is made until it is back\."


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    with cared_for("phase3-gone-") as folder, running(folder) as embedded:
        yield embedded


@pytest.fixture
def dagster(server: EmbeddedPostgres, shell: Shell, tmp_path: Path) -> Iterator[Dagster]:
    """Dagster's records are in the same database."""
    books = Books(Server(server.uri).make("gone"), "gone")
    assert shell.set(DATABASE_URL=books.url)("db", "upgrade").code == 0
    with prepared(books, shell, tmp_path) as dagster:
        with Path(dagster.shell.variables["PHASE3_SETTINGS"]).open("a") as settings:
            settings.write("\n[database]\nlongest_outage_s = 1\n")
        yield dagster


def test_a_run_whose_database_stays_away_ends_with_one_line_and_the_next_goes_on(
    dagster: Dagster, server: EmbeddedPostgres
) -> None:
    """Until its process has ended."""
    run = ("run", dagster.imported)
    dagster.vendors.slow_down("*", 200)
    with dagster.shell.started(*run) as process:
        until(lambda: dagster.books.number("provider_calls WHERE state = 'settled'") > 10)
        with gone(server, "immediate"):
            out, err = process.communicate(timeout=WAIT_S)
    ended = said(process, out, err)
    assert (ended.code, ended.out) == (1, "")
    *told, last = ended.err.splitlines()
    assert last == RECORDS_GONE
    assert [line for line in told if re.fullmatch(AWAY, line)], ended.err
    dagster.vendors.slow_down("*", 20)
    again = dagster.shell(*run)
    assert again.code == 0, again.err
    assert dagster.books.runs() == ["FAILURE", "SUCCESS"]
    assert_nobody_is_paid_twice(dagster.vendors)
    bill = Decimal(dagster.vendors.read("bill")["total_usd"])
    assert dagster.books.settled <= bill <= dagster.books.booked
