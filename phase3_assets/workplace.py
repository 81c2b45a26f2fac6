"""Where the command line works: the state directory, the database, Dagster's instance, the sandbox.

`DATABASE_URL` set: that server, which only `phase3 db upgrade` changes. Unset: an embedded PostgreSQL,
started for as long as the command runs and upgraded by itself.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit
from urllib.request import urlopen

from phase3_core.errors import OutsideFailure

STATE_DIR = "PHASE3_STATE_DIR"
DATABASE_URL = "DATABASE_URL"
DAGSTER_URL = "PHASE3_DAGSTER_PG_URL"
DAGSTER_HOME = "DAGSTER_HOME"
DAGSTER_SCHEMA = "dagster"
SANDBOX_START_S = 60.0
SANDBOX_NOTE = "sandbox.url"


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
def database(tell: Callable[[str], None]) -> Iterator[str]:
    """The URL of a database that is there; `tell` gets a sentence where something is worth saying."""
    state = str(state_dir())
    own = os.environ.get(DATABASE_URL)
    if own:
        with environment(**{STATE_DIR: state, **_dagster_on(own)}):
            yield own
        return
    from resources.postgres import embedded  # noqa: PLC0415 - an own server needs none of it
    from resources.postgres.database import upgrade  # noqa: PLC0415

    with embedded.running(Path(state) / "postgres") as server:
        if server.note:
            tell(server.note)
        upgrade(server.uri)
        dagster = server.database_uri(embedded.DAGSTER_DATABASE)
        home = os.environ.get(DAGSTER_HOME) or str(project_root())
        with environment(
            **{STATE_DIR: state, DATABASE_URL: server.uri, DAGSTER_URL: dagster, DAGSTER_HOME: home}
        ):
            yield server.uri


def _dagster_on(url: str) -> Mapping[str, str]:
    """On an own server Dagster's tables go to a schema of their own, unless told where."""
    return {
        DAGSTER_URL: os.environ.get(DAGSTER_URL) or with_schema(url, DAGSTER_SCHEMA),
        DAGSTER_HOME: os.environ.get(DAGSTER_HOME) or str(project_root()),
    }


def with_schema(url: str, schema: str) -> str:
    """The same database with another search path, in a form that libpq and SQLAlchemy both read."""
    parts = urlsplit(url)
    option = f"options={quote(f'-csearch_path={schema}')}"
    query = f"{parts.query}&{option}" if parts.query else option
    return urlunsplit(("postgresql", parts.netloc, parts.path, query, ""))


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox. `variables` are keys and base URLs of every vendor it stands in for."""

    url: str
    variables: Mapping[str, str]
    wait: Callable[[], object] = lambda: None

    def text(self, path: str) -> str:
        """A page of its control plane."""
        with urlopen(f"{self.url}/_sandbox/{path}", timeout=60) as page:  # noqa: S310 - loopback, our own child
            return str(page.read().decode())

    def settings_file(self, directory: Path) -> Path:
        """The prices and limits of its accounts, as a user would write down those of a contract."""
        path = directory / "sandbox.toml"
        path.write_text(self.text("settings.toml"), encoding="utf-8")
        return path


@contextmanager
def sandbox(*options: str) -> Iterator[Sandbox]:
    """The vendors' stand-in as a child process on loopback; it ends with us."""
    command = [sys.executable, "-m", "sandbox", "--stop-with-parent", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=project_root()) as child:
        try:
            line = child.stdout.readline() if child.stdout else ""
            if not line:
                raise OutsideFailure("The sandbox did not start; its own words stand above.")
            yield replace(attach(json.loads(line)["url"]), wait=child.wait)
        finally:
            child.terminate()


def attach(url: str) -> Sandbox:
    """A sandbox that somebody else started; raises OutsideFailure when nobody answers there."""
    try:
        with urlopen(f"{url}/_sandbox/env", timeout=SANDBOX_START_S) as page:  # noqa: S310 - loopback
            return Sandbox(url, json.loads(page.read()))
    except OSError:
        raise OutsideFailure(f"No sandbox answers at {url}. `phase3 sandbox` starts one.") from None


def note_sandbox(url: str) -> Path:
    """Where `phase3 run --sandbox` finds a sandbox that is already running."""
    note = state_dir() / SANDBOX_NOTE
    note.write_text(url, encoding="utf-8")
    return note


@contextmanager
def sandbox_at_hand(*options: str) -> Iterator[Sandbox]:
    """The sandbox that is running already, else one for as long as the body runs."""
    running: Sandbox | None = None
    with suppress(OutsideFailure, FileNotFoundError):
        running = attach((state_dir() / SANDBOX_NOTE).read_text(encoding="utf-8").strip())
    if running is not None:
        yield running
        return
    with sandbox(*options) as started:
        yield started
