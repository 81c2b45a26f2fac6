"""A running server: had, used, and stopped by whoever supervises it."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg

from resources.postgres.embedded.cluster import DATABASE, PORT, ROLE, Cluster
from resources.postgres.embedded.errors import ADVICE, EmbeddedPostgresError
from resources.postgres.embedded.home import home_of
from resources.postgres.embedded.locks import starting, try_lock

_SUPERVISOR: Final = "supervisor.lock"


@dataclass(slots=True)
class EmbeddedPostgres:
    """A running server. `note` is a sentence for the user when it could not live in the state directory."""

    data_dir: Path
    note: str | None
    _socket_dir: Path
    _cluster: Cluster = field(repr=False)
    _supervision: int | None

    @property
    def uri(self) -> str:
        """Where our own tables live, as libpq and, after a driver's prefix, SQLAlchemy read it."""
        return self.database_uri(DATABASE)

    @property
    def supervised(self) -> bool:
        """Whether this handle is the one that stops the server."""
        return self._supervision is not None

    def database_uri(self, name: str) -> str:
        """The URI of any database on this server."""
        host = quote(str(self._socket_dir))
        return f"postgresql://{ROLE}@/{quote(name, safe='')}?host={host}&port={PORT}"

    @property
    def supervisors_lock(self) -> Path:
        """Held, as a whole-file lock, for as long as the supervisor lives."""
        return self._cluster.home.place / _SUPERVISOR

    def let_go(self) -> None:
        """The server goes on; the next to come supervises it."""
        if self._supervision is not None:
            os.close(self._supervision)
            self._supervision = None

    def stop(self) -> None:
        """Idempotent, waits, and does nothing when another process supervises the server."""
        if self._supervision is None:
            return
        with _explained(), starting(self._cluster.home.state_dir):
            self._cluster.halt()
            self.let_go()


def start(state_dir: Path, *, durable: bool = True) -> EmbeddedPostgres:
    """The server of this directory: attached to if it runs, otherwise started.

    `durable=False` is for tests: a crash of the machine, though not of a process, loses the data.
    """
    with _explained():
        state_dir = state_dir.resolve()
        with starting(state_dir):
            home = home_of(state_dir)
            cluster = Cluster(home)
            socket_dir = cluster.answering() or cluster.launch(durable=durable)
            cluster.furnish(socket_dir)
            return _handle(cluster, socket_dir)


def adopted(state_dir: Path) -> EmbeddedPostgres | None:
    """The server of this directory if it runs; nothing is made or started where it does not."""
    if not state_dir.is_dir():
        return None
    with _explained(), starting(state_dir.resolve()):
        cluster = Cluster(home_of(state_dir.resolve()))
        socket_dir = cluster.answering()
        return _handle(cluster, socket_dir) if socket_dir else None


@contextlib.contextmanager
def running(state_dir: Path, *, durable: bool = True) -> Iterator[EmbeddedPostgres]:
    """The server for the length of a `with` block, stopped after it by its supervisor only."""
    server = start(state_dir, durable=durable)
    try:
        yield server
    finally:
        server.stop()


def _handle(cluster: Cluster, socket_dir: Path) -> EmbeddedPostgres:
    supervision = try_lock(cluster.home.place / _SUPERVISOR)
    return EmbeddedPostgres(cluster.data, cluster.home.note, socket_dir, cluster, supervision)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (OSError, psycopg.Error) as error:
        raise EmbeddedPostgresError(f"The embedded PostgreSQL is not available: {error}. {ADVICE}") from error
