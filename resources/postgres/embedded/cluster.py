"""One data directory and the processes on it. Every method of a cluster runs while `starting` is held."""

import os
import shutil
import socket
import time
from pathlib import Path
from typing import Final, LiteralString

import psycopg
from psycopg import sql

from resources.postgres.embedded.errors import ADVICE, EmbeddedPostgresError
from resources.postgres.embedded.home import Home, unique_name
from resources.postgres.embedded.locks import locked, opened, try_lock
from resources.postgres.embedded.programs import MAJOR, WHEEL, programs_for

DATABASE: Final = "phase3"
DAGSTER_DATABASE: Final = "phase3_dagster"
ROLE: Final = "phase3"  # not the superuser, so that one can still get in when all connections are taken
PORT: Final = 5432  # part of the socket's name; spelled out against a PGPORT in the environment

_PATIENCE_S: Final = 60.0  # crash recovery and a last checkpoint take their time
_PAUSE_S: Final = 0.02

# The built-in provider has the same Unicode everywhere and needs no locale installed.
_LOCALE: Final = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
_ACCESS: Final = ("--username=postgres", "--auth-local=trust", "--auth-host=reject")
_INITDB: Final = (*_LOCALE, *_ACCESS, "--no-instructions")
_SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    "autovacuum": "on",
    "log_checkpoints": "off",
    # Parallel queries share memory through /dev/shm, of which a container has 64 MB.
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
}
_DISPOSABLE: Final = {"fsync": "off", "full_page_writes": "off"}


class Cluster:
    def __init__(self, home: Home) -> None:
        self.home = home
        self.data = home.place / "data"
        self._log = home.place / "server.log"

    def answering(self) -> Path | None:
        """The socket directory of the server once it answers; None once no process of it is left."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            socket_dir = self._socket_in_use()
            if socket_dir and self._answers(socket_dir):
                return socket_dir
            if not self._alive():
                return None
            time.sleep(_PAUSE_S)
        raise EmbeddedPostgresError(
            f"The PostgreSQL on {self.data} runs but has not answered for {_PATIENCE_S:.0f} s. "
            f"It may be recovering: try again later, or look into {self._log}.\n{self._tail()}"
        )

    def launch(self, *, durable: bool) -> Path:
        """Initdb holds the lock too: killed with it unfinished, we must not start anew in its midst."""
        programs = programs_for(self.home)
        with locked(opened(self.home.place / "server.lock")) as alive:
            if not self.data.exists():
                self._initialise(programs, alive, durable=durable)
            self._refuse_other_version()
            self._spawn(programs, alive, durable=durable)
        socket_dir = self.answering()
        if socket_dir is None:
            raise EmbeddedPostgresError(f"PostgreSQL does not start on {self.data}. {ADVICE}\n{self._tail()}")
        return socket_dir

    def furnish(self, socket_dir: Path) -> None:
        """Looked at on every start: the one before may have been interrupted here."""
        with _connect(socket_dir) as connection:
            if _is_missing(connection, "SELECT FROM pg_roles WHERE rolname = %s", ROLE):
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(sql.Identifier(ROLE)))
            for name in (DATABASE, DAGSTER_DATABASE):
                if _is_missing(connection, "SELECT FROM pg_database WHERE datname = %s", name):
                    words = sql.Identifier(name), sql.Identifier(ROLE)
                    connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(*words))

    def halt(self) -> None:
        """Fast, and if that takes too long at once: the next start then recovers from the log."""
        for mode in ("fast", "immediate"):
            if self._alive():
                pg_ctl = programs_for(self.home) / "pg_ctl"
                self.home.account.run(pg_ctl, "stop", "-D", self.data, "-W", "-m", mode)
            if self.has_ended():
                return
        raise EmbeddedPostgresError(f"The PostgreSQL on {self.data} does not stop; look into {self._log}.")

    def has_ended(self) -> bool:
        deadline = time.monotonic() + _PATIENCE_S
        while self._alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE_S)
        return True

    def _alive(self) -> bool:
        lock = try_lock(self.home.place / "server.lock")
        if lock is not None:
            os.close(lock)
        return lock is None

    def _socket_in_use(self) -> Path | None:
        """What the pid file says, which is written line by line; `_answers` finds out whether it holds."""
        try:
            found = Path((self.data / "postmaster.pid").read_text(errors="replace").splitlines()[4])
        except (FileNotFoundError, IndexError):
            return None
        return found if found.is_absolute() and os.path.lexists(found / f".s.PGSQL.{PORT}") else None

    def _answers(self, socket_dir: Path) -> bool:
        try:
            with _connect(socket_dir) as connection:
                found = connection.execute("SELECT current_setting('data_directory')").fetchone()
        except psycopg.Error:
            return False
        return found == (str(self.data),)

    def _initialise(self, programs: Path, alive: int, *, durable: bool) -> None:
        fresh = self.home.place / "data.new"
        if fresh.exists():
            shutil.rmtree(fresh)
        self.home.account.give(fresh)
        options = _INITDB if durable else (*_INITDB, "--no-sync")
        made = self.home.account.run(programs / "initdb", "-D", fresh, *options, keep=(alive,))
        if made.returncode:
            raise EmbeddedPostgresError(f"initdb failed. {ADVICE}\n{made.stdout.decode(errors='replace')}")
        fresh.rename(self.data)
        _sync(self.home.place)

    def _refuse_other_version(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        if found != MAJOR:
            raise EmbeddedPostgresError(
                f"{self.data} was written by PostgreSQL {found}, the installed wheel brings {MAJOR}. "
                f"Dump it with the {WHEEL} that wrote it, move it away and load the dump."
            )

    def _spawn(self, programs: Path, alive: int, *, durable: bool) -> None:
        """The shell leaves a server nobody need wait for. `pg_ctl start` would, too, but misquotes paths."""
        socket_dir = self._room_for_socket()
        self._sweep(socket_dir)
        command = [str(programs / "postgres"), "-D", str(self.data)]
        command += _options(socket_dir, durable=durable)
        with os.fdopen(opened(self._log), "wb") as log:  # private: it quotes the statements that failed
            self.home.account.run("/bin/sh", "-c", '"$@" &', "sh", *command, output=log, keep=(alive,))

    def _sweep(self, socket_dir: Path) -> None:
        """What a killed server left; the numbers in it may be other people's processes by now."""
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for left in socket_dir.glob(".s.PGSQL.*"):
            left.unlink()
        if self._log.exists():
            self._log.replace(self._log.with_suffix(".log.previous"))

    def _room_for_socket(self) -> Path:
        beside = self.home.place / "socket"
        if _takes_sockets(beside):
            return beside
        short = Path("/tmp", unique_name(self.home.place))  # noqa: S108 - short; `give` refuses what others made
        self.home.account.give(short)
        return short

    def _tail(self) -> str:
        try:
            return self._log.read_text(errors="replace")[-2000:]
        except FileNotFoundError:
            return ""


def _options(socket_dir: Path, *, durable: bool) -> list[str]:
    """On the command line, so that they hold for old data too. The directory is read as a quoted list."""
    settings = _SETTINGS | ({} if durable else _DISPOSABLE)
    quoted = '"' + str(socket_dir).replace('"', '""') + '"'
    options = ["-k", quoted, "-p", str(PORT)]
    for name, value in settings.items():
        options += ["-c", f"{name}={value}"]
    return options


def _takes_sockets(directory: Path) -> bool:
    """Tried with a name as long as the real one."""
    trial = directory / f".s.PGSQL.{'x' * len(str(PORT))}"
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(trial))
        trial.unlink()
    except OSError:
        return False
    return True


def _connect(socket_dir: Path) -> psycopg.Connection:
    return psycopg.connect(
        host=str(socket_dir),
        port=PORT,
        user="postgres",
        dbname="postgres",
        autocommit=True,
        connect_timeout=5,
    )


def _is_missing(connection: psycopg.Connection, query: LiteralString, name: str) -> bool:
    return connection.execute(query, [name]).fetchone() is None


def _sync(directory: Path) -> None:
    """Makes a rename outlast a power cut."""
    opened = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
