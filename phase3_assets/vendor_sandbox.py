"""The sandbox as a child process or as found running: where it answers, its keys, its price list."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.request import urlopen

from phase3_assets.workplace import environment, project_root, state_dir
from phase3_core.errors import OutsideFailure
from resources.settings import FILE_VARIABLE

START_S = 60.0
NOTE = "sandbox.url"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox. `variables` are keys and base URLs of every vendor it stands in for."""

    url: str
    variables: Mapping[str, str]
    wait: Callable[[], object] = lambda: None

    def text(self, path: str) -> str:
        """A page of its control plane."""
        with urlopen(f"{self.url}/_sandbox/{path}", timeout=START_S) as page:  # noqa: S310 - our own sandbox, on loopback
            return str(page.read().decode())

    def settings_file(self, directory: Path) -> Path:
        """The prices and limits of its accounts, as a user would write down those of a contract."""
        path = directory / "sandbox.toml"
        path.write_text(self.text("settings.toml"), encoding="utf-8")
        return path


@contextmanager
def started(*options: str) -> Iterator[Sandbox]:
    """A child process on loopback; it ends with us."""
    command = [sys.executable, "-m", "sandbox", "--stop-with-parent", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=project_root()) as child:
        try:
            line = child.stdout.readline() if child.stdout else ""
            if not line:
                raise OutsideFailure("The sandbox did not start; its own words stand above.")
            yield replace(attached(json.loads(line)["url"]), wait=child.wait)
        finally:
            child.terminate()


def attached(url: str) -> Sandbox:
    """A sandbox that somebody else started; raises OutsideFailure when nobody answers there."""
    try:
        with urlopen(f"{url}/_sandbox/env", timeout=START_S) as page:  # noqa: S310 - our own sandbox, on loopback
            return Sandbox(url, json.loads(page.read()))
    except (OSError, ValueError):
        raise OutsideFailure(f"No sandbox answers at {url!r}. `phase3 sandbox` starts one.") from None


@contextmanager
def noted(running: Sandbox) -> Iterator[None]:
    """While it runs, `phase3 run --sandbox` finds it by a file in the state directory."""
    note = state_dir() / NOTE
    note.write_text(running.url, encoding="utf-8")
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


@contextmanager
def at_hand(*options: str) -> Iterator[Sandbox]:
    """The sandbox that is running already, else one for as long as the body runs."""
    running: Sandbox | None = None
    with suppress(OutsideFailure, FileNotFoundError):
        running = attached((state_dir() / NOTE).read_text(encoding="utf-8").strip())
    if running is not None:
        yield running
        return
    with started(*options) as fresh:
        yield fresh


@contextmanager
def pointed_at(opening: AbstractContextManager[Sandbox]) -> Iterator[Sandbox]:
    """Keys and base URLs of the sandbox in the environment, its prices and limits as the settings."""
    with opening as running, tempfile.TemporaryDirectory() as directory:
        settings = running.settings_file(Path(directory))
        with environment(**running.variables, **{FILE_VARIABLE: str(settings)}):
            yield running
