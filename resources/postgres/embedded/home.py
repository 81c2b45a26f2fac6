"""Where the server lives: the first place that whoever runs it can use."""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from resources.postgres.embedded.account import Account, account_of
from resources.postgres.embedded.errors import ADVICE, EmbeddedPostgresError

_MARKER: Final = ".made-by-phase3"


@dataclass(frozen=True, slots=True)
class Home:
    state_dir: Path
    place: Path
    account: Account

    @property
    def note(self) -> str | None:
        return (self.place / _MARKER).read_text(encoding="utf-8") or None


def home_of(state_dir: Path) -> Home:
    name = unique_name(state_dir)
    places = [state_dir / "postgres", Path("/var/lib", name), Path("/var/tmp", name)]  # noqa: S108 - survives reboots; `_claim` refuses what others made
    finished = [place for place in places if os.path.lexists(place / "data")]
    reasons: list[str] = []
    for place in finished[:1] or places:
        note = f"The embedded PostgreSQL lives in {place}, because {reasons[0]}." if reasons else ""
        try:
            return Home(state_dir, place, _settle(place, note))
        except OSError as error:
            reasons.append(f"{place} cannot be used ({error.strerror or error})")
    raise EmbeddedPostgresError(
        f"The embedded PostgreSQL has nowhere to live: {'; '.join(reasons)}. {ADVICE}"
    )


def unique_name(path: Path) -> str:
    return f"phase3-{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}"


def _settle(place: Path, note: str) -> Account:
    _claim(place, note)
    try:
        return _let_in(place)
    except OSError:
        if not os.path.lexists(place / "data"):
            shutil.rmtree(place)
        raise


def _claim(place: Path, note: str) -> None:
    """Ours is what we made. Data that we made as another user are a reason to stop, not to start anew."""
    with contextlib.suppress(FileExistsError):
        place.mkdir(0o700)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise EmbeddedPostgresError(
            f"{place} belongs to user {found.st_uid}: run phase3 as that user. {ADVICE}"
        )
    marker = place / _MARKER
    if marker.exists():
        return
    if any(place.iterdir()):
        raise EmbeddedPostgresError(f"{place} holds files that phase3 did not make. Move them away. {ADVICE}")
    marker.write_text(note, encoding="utf-8")


def _let_in(place: Path) -> Account:
    account = account_of(place)
    if account.uid != os.geteuid():
        os.chown(place, -1, account.gid)
        place.chmod(0o710)
    account.give(place / "socket")
    if not account.finds('test -w "$1" && test -x "$1"', place / "socket"):
        raise PermissionError(errno.EACCES, f"user {account.name}, who has to run it, cannot get there")
    return account
