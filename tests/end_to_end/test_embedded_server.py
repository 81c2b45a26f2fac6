"""The embedded server belongs to everybody who uses it, not to the command that started it."""

import fcntl
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from phase3_assets.embedded import attended
from phase3_core.errors import OutsideFailure
from resources.postgres.embedded.server import start
from tests.end_to_end.shell import kill_group, until


def test_the_last_one_out_stops_the_server(folder: Path) -> None:
    told: list[str] = []
    home = folder / "shared"
    with attended(home, told.append) as (url, dagster):
        with attended(home, told.append) as (same, _):
            assert same == url
        with psycopg.connect(dagster) as still_there:
            still_there.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    assert told == []


def test_the_first_one_out_leaves_it_to_the_others(folder: Path) -> None:
    home = folder / "left"
    with attended(home, print) as (url, _):
        visitor = psycopg.connect(url)
    assert visitor.execute("SELECT 1").fetchone() == (1,)
    visitor.close()
    start(home).stop()


ATTENDING = """
import sys, time
from pathlib import Path
from phase3_assets.embedded import attended
with attended(Path(sys.argv[1]), print) as (url, _):
    print(url, flush=True)
    time.sleep(3600)
"""


def runs(home: Path) -> bool:
    """Asked of the lock that its processes hold: a connection would be one more user."""
    with (home / "postgres" / "server.lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_a_server_whose_command_was_killed_stops_when_its_last_user_has_gone(folder: Path) -> None:
    home = folder / "orphaned"
    command = [sys.executable, "-c", ATTENDING, str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        visitor = psycopg.connect(url)
        kill_group(process)
    with attended(home, print) as (same, _):
        assert same == url
    assert visitor.execute("SELECT 1").fetchone() == (1,)
    visitor.close()
    until(lambda: not runs(home))


def test_no_server_to_be_had_is_said(folder: Path) -> None:
    home = folder / "taken"
    (home / "postgres").mkdir(parents=True)
    (home / "postgres" / "somebody's").touch()
    with pytest.raises(OutsideFailure, match="files that phase3 did not make"), attended(home, print):
        pass
