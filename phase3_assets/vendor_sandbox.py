"""The sandbox as a child process or as found running: where it answers, its keys, its price list."""

import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from phase3_assets.workplace import environment, project_root, state_dir
from phase3_core.errors import OutsideFailure
from resources.providers.catalogue import CATALOGUE
from resources.settings import FILE_VARIABLE, ProviderSettings

START_S = 60.0
NOTE = "sandbox.url"
MINUTES_AN_HOUR = 60


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox. `variables` are keys and base URLs of every vendor it stands in for."""

    url: str
    variables: Mapping[str, str]
    wait: Callable[[], object] = lambda: None

    def text(self, path: str) -> str:
        """A page of its control plane."""
        with urlopen(f"{self.url}/_sandbox/{path}", timeout=START_S) as page:  # noqa: S310 - loopback, our own
            return str(page.read().decode())

    def settings_file(self, directory: Path) -> Path:
        """The prices and limits of its accounts, as a user would write down those of a contract."""
        path = directory / "sandbox.toml"
        path.write_text(settings_text(self.text("settings.toml")), encoding="utf-8")
        return path


def settings_text(price_list: str) -> str:
    """TOML for the providers we have; the sandbox may serve vendors and limits that we have no word for."""
    told = tomllib.loads(price_list)["providers"]
    return "\n".join(_table(row.name, told[row.name]) for row in CATALOGUE if row.name in told)


def _table(name: str, told: Mapping[str, Any]) -> str:
    terms = dict(told)
    if hourly := terms.pop("per_hour", None):
        terms["per_minute"] = min(terms.get("per_minute", hourly), hourly / MINUTES_AN_HOUR)
    known = [key for key in terms if key in ProviderSettings.model_fields]
    return "\n".join([f"[providers.{name}]", *(f"{key} = {json.dumps(terms[key])}" for key in known), ""])


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
        with urlopen(f"{url}/_sandbox/env", timeout=START_S) as page:  # noqa: S310 - loopback
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
