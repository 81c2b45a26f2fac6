"""The embedded PostgreSQL as several commands at once use it: the last one out stops it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from phase3_assets.watchman import posted
from phase3_core.errors import OutsideFailure
from resources.postgres.database import brief, driver_url, told_plainly
from resources.postgres.embedded.cluster import DAGSTER_DATABASE
from resources.postgres.embedded.errors import EmbeddedPostgresError
from resources.postgres.embedded.server import EmbeddedPostgres, start
from resources.postgres.schema import is_current

LINGERING_S = 1.0  # how long closed connections of our own may still be counted by the server
OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()"


@contextmanager
def attended(directory: Path, tell: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    """URLs of our database, upgraded, and of Dagster's; raises OutsideFailure where none can be had.

    An idle connection tells the other commands that somebody is here. Where we are killed, a watchman stops
    the server.
    """
    server = _started(directory)
    if server.supervised:
        posted(directory, server.uri, server.supervisors_lock)
    if server.note:
        tell(server.note)
    with psycopg.connect(server.uri, autocommit=True) as presence:
        try:
            _brought_up_to_date(server.uri)
            yield server.uri, server.database_uri(DAGSTER_DATABASE)
        finally:
            if _alone(presence):
                (server if server.supervised else _started(directory)).stop()
            server.let_go()


def _started(directory: Path) -> EmbeddedPostgres:
    try:
        return start(directory)
    except EmbeddedPostgresError as failure:
        raise OutsideFailure(str(failure)) from None


def _brought_up_to_date(url: str) -> None:
    place = driver_url(url)
    with told_plainly(place), brief(place).connect() as connection:
        current = is_current(connection)
    if not current:
        from resources.postgres.upgrade import upgrade  # noqa: PLC0415 - Alembic is large, and seldom needed

        upgrade(url)


def _alone(presence: psycopg.Connection) -> bool:
    """False as well where the server is gone: then there is nothing to stop."""
    patience = time.monotonic() + LINGERING_S
    try:
        while others := presence.execute(OTHERS).fetchone():
            if others == (0,) or time.monotonic() > patience:
                return others == (0,)
            time.sleep(0.05)
    except psycopg.Error:
        pass
    return False
