"""A server and a folder of its own for what is played without pytest: `python -m tests.stage.…`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resources.postgres.embedded.server import running
from resources.postgres.upgrade import upgrade
from tests.caretaker import cared_for
from tests.conftest import Server

TEMPLATE = "template"


@contextmanager
def own_server(prefix: str) -> Iterator[tuple[Server, Path]]:
    """With an upgraded database `TEMPLATE` to copy from."""
    with cared_for(prefix) as folder, running(folder / "postgres", durable=False) as embedded:
        server = Server(embedded.uri)
        upgrade(server.make(TEMPLATE))
        yield server, folder
