"""PostgreSQL and Redis at an address that other machines reach, with passwords, as deploy/ sets them up."""

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import redis

from resources.postgres.embedded.home import Home, home_of
from resources.postgres.embedded.programs import programs_for
from tests.end_to_end.shell import WAIT_S, in_a_group, until

TABLES = "tables"  # not where a caretaker looks for embedded servers: this one is no such
PASSWORD = "canary-of-what-is-shared"
INITDB = ("--username=phase3", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")


@contextmanager
def postgres(address: str, folder: Path, settings: list[str]) -> Iterator[str]:
    """Host and port of a server with a database phase3; `settings` as on its command line."""
    home, port = home_of(folder), free_port(address)
    programs = programs_for(home)
    _initialised(home, programs, address)
    data = home.place / TABLES
    place: list[str | Path] = ["-D", data, "-h", address, "-p", str(port), "-k", ""]
    account = {"user": home.account.uid, "group": home.account.gid, "extra_groups": []}
    log = folder / "postgres.log"
    with (
        log.open("wb") as words,
        in_a_group(
            [programs / "postgres", *place, *settings], stdout=words, stderr=words, cwd="/", **account
        ) as server,
    ):
        until(lambda: _answers(f"{address}:{port}", server, log))
        try:
            yield f"{address}:{port}"
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(WAIT_S)


def _initialised(home: Home, programs: Path, address: str) -> None:
    data, password = home.place / TABLES, home.state_dir / "password"
    password.write_text(PASSWORD, encoding="utf-8")
    password.chmod(0o644)
    home.account.give(data)
    made = home.account.run(programs / "initdb", "-D", data, *INITDB, f"--pwfile={password}")
    assert made.returncode == 0, made.stdout
    with (data / "pg_hba.conf").open("a", encoding="utf-8") as rules:
        rules.write(f"host all all {address}/24 scram-sha-256\n")


def _answers(place: str, server: subprocess.Popen[str], log: Path) -> bool:
    assert server.poll() is None, log.read_text(encoding="utf-8")
    try:
        with psycopg.connect(f"postgresql://phase3:{PASSWORD}@{place}/postgres", autocommit=True) as asked:
            asked.execute("CREATE DATABASE phase3")
    except psycopg.OperationalError:
        return False
    return True


@contextmanager
def broker(address: str, folder: Path, command: list[str]) -> Iterator[str]:
    """The URL of an empty Redis."""
    port = free_port(address)
    url = f"redis://:{PASSWORD}@{address}:{port}/0"
    place: list[str | Path] = [
        "--bind",
        address,
        "--port",
        str(port),
        "--dir",
        folder,
        "--requirepass",
        PASSWORD,
    ]
    with (
        (folder / "redis.log").open("wb") as words,
        in_a_group([*command, *place], stdout=words, stderr=words),
        redis.Redis.from_url(url) as asked,
    ):
        until(lambda: _pongs(asked))
        yield url


def _pongs(asked: "redis.Redis") -> bool:
    try:
        return bool(asked.ping())
    except redis.ConnectionError:
        return False


def free_port(address: str) -> int:
    with socket.socket() as taken:
        taken.bind((address, 0))
        return int(taken.getsockname()[1])
