"""Who runs the server: ourselves or, for root, somebody who is not."""

import contextlib
import errno
import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from resources.postgres.embedded.errors import EmbeddedPostgresError


@dataclass(frozen=True, slots=True)
class Account:
    uid: int
    gid: int

    @property
    def name(self) -> str:
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    def run(
        self, *command: str | Path, output: IO[bytes] | int = subprocess.PIPE, keep: tuple[int, ...] = ()
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs from / because the account may be unable to stand where we do; inherits no secrets from us."""
        other = self.uid != os.geteuid()
        return subprocess.run(
            command,
            user=self.uid if other else None,
            group=self.gid if other else None,
            extra_groups=[] if other else None,
            cwd="/",
            env=_environment(),
            umask=0o077,
            start_new_session=True,  # out of reach of a Ctrl-C
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=keep,
            check=False,
        )

    def finds(self, condition: str, *paths: Path) -> bool:
        """Asked in the account's name: mode bits do not tell of ACLs, mounts and directories above."""
        return self.run("/bin/sh", "-c", condition, "sh", *paths).returncode == 0

    def give(self, path: Path) -> None:
        """Make a directory that is the account's alone; one that someone else prepared is refused."""
        with contextlib.suppress(FileExistsError):
            path.mkdir(0o700)
        found = path.lstat()
        ours = stat.S_ISDIR(found.st_mode) and found.st_uid in {self.uid, os.geteuid()}
        if not ours or found.st_mode & 0o077:
            raise PermissionError(errno.EACCES, "exists and is not private to us", str(path))
        os.chown(path, self.uid, self.gid, follow_symlinks=False)


def _environment() -> dict[str, str]:
    """Postgres reads PG*, LC_* and TZ; a vendor's keys are none of its business."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C", "TZ": "UTC"}


def account_of(place: Path) -> Account:
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    with contextlib.suppress(FileNotFoundError):
        owner = (place / "data").stat()
        if owner.st_uid != 0:
            return Account(owner.st_uid, owner.st_gid)
    return unprivileged()


def unprivileged() -> Account:
    for name in ("postgres", "_postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedPostgresError(
        "PostgreSQL does not run as root, and there is neither a user postgres nor nobody to run it as. "
        "Run phase3 as another user, or create one named postgres."
    )
