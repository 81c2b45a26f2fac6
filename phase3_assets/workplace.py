"""Where the command line works: the state directory, the database, Dagster's home.

`DATABASE_URL` set: that server, which only `phase3 db upgrade` changes. Unset: an embedded PostgreSQL,
running while any command does, and upgraded by itself.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from phase3_core.errors import OutsideFailure

STATE_DIR = "PHASE3_STATE_DIR"
DATABASE_URL = "DATABASE_URL"
DAGSTER_URL = "PHASE3_DAGSTER_PG_URL"
DAGSTER_HOME = "DAGSTER_HOME"
DAGSTER_SCHEMA = "dagster"

Tell = Callable[[str], None]


def project_root() -> Path:
    """Where dagster.yaml and workspace.yaml stand."""
    return Path(__file__).resolve().parent.parent


def state_dir() -> Path:
    """Our own files: the embedded database, Dagster's logs, the sandbox's address."""
    directory = Path(os.environ.get(STATE_DIR) or project_root() / ".phase3").resolve()
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        why = failure.strerror or type(failure).__name__
        raise OutsideFailure(
            f"{directory} cannot be made ({why}); set {STATE_DIR} to a directory that can"
        ) from None
    return directory


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Variables for this process and its children, taken back afterwards."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def database(tell: Tell) -> Iterator[str]:
    """The URL of a database that is there; `tell` gets a sentence where something is worth saying."""
    if url := os.environ.get(DATABASE_URL):
        with _wired(url, os.environ.get(DAGSTER_URL) or with_schema(url, DAGSTER_SCHEMA)):
            yield url
        return
    from phase3_assets.embedded import attended  # noqa: PLC0415 - who has a server does without all that

    with attended(state_dir() / "postgres", tell) as (url, dagster), _wired(url, dagster):
        yield url


@contextmanager
def _wired(url: str, dagster: str) -> Iterator[None]:
    """What dagster.yaml and our resources read, here and in every child."""
    home = os.environ.get(DAGSTER_HOME) or _home()
    variables = {STATE_DIR: str(state_dir()), DATABASE_URL: url, DAGSTER_URL: dagster, DAGSTER_HOME: home}
    with environment(**variables):
        yield


def _home() -> str:
    """Dagster writes into its home, so it gets one of ours, with the project's dagster.yaml in it."""
    home = state_dir() / "dagster"
    home.mkdir(exist_ok=True)
    fresh = home / f"dagster.yaml.{os.getpid()}"
    shutil.copyfile(project_root() / "dagster.yaml", fresh)
    fresh.replace(home / "dagster.yaml")
    return str(home)


def with_schema(url: str, schema: str) -> str:
    """The same database with another search path, in a form that libpq and SQLAlchemy both read.

    Raises BadInput for what is no database address.
    """
    from resources.postgres.database import driver_url  # noqa: PLC0415 - `--help` does without SQLAlchemy

    place = driver_url(url).set(drivername="postgresql")
    options = f"{place.query.get('options', '')} -csearch_path={schema}".strip()
    wanted = place.update_query_dict({"options": options}).render_as_string(hide_password=False)
    address, _, query = wanted.partition("?")
    return f"{address}?{query.replace('+', '%20')}"  # libpq takes a plus for a plus
