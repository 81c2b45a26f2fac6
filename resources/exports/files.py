"""Files for people: named for campaign and report, and whole or absent."""

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import unquote, urlsplit
from uuid import UUID

from anyascii import anyascii

from phase3_core.approval_request import HASH_SHOWN
from phase3_core.errors import OutsideFailure
from phase3_core.exports import Export
from phase3_core.leads import Campaign

_P = ParamSpec("_P")
_R = TypeVar("_R")
_MAX_SLUG = 60


EXPORTS_DIR = "PHASE3_EXPORTS_DIR"


def exports_folder(named: str = "", environment: Mapping[str, str] = os.environ) -> "Folder":
    """The directory that was named, else `PHASE3_EXPORTS_DIR`, else ./exports."""
    return Folder(Path(named or environment.get(EXPORTS_DIR) or "exports").resolve())


@dataclass(frozen=True, slots=True)
class Folder:
    """A directory that is made when it is needed."""

    path: Path

    def url(self, campaign: Campaign, report: Mapping[str, Any], suffix: str) -> str:
        return self.place(campaign, report, suffix).as_uri()

    def place(self, campaign: Campaign, report: Mapping[str, Any], suffix: str) -> Path:
        """Another report, by its hash, is another file."""
        name = f"phase3-{slug(campaign.name)}-{str(campaign.id)[:8]}-{tag(report)}{suffix}"
        return self.path.absolute() / name

    def files_of(self, campaign_id: UUID) -> list[Path]:
        """Also the directories of drafts that somebody's death left behind."""
        name = f"phase3-*-{str(campaign_id)[:8]}-*"
        return sorted(path for hidden in ("", ".") for path in self.path.absolute().glob(hidden + name))

    @asynccontextmanager
    async def draft(self, final: Path) -> AsyncIterator[Path]:
        """Where to write what becomes `final`: beside it, because only so it is renamed in one step."""
        spool = await self.on_disk(self._spool, final)
        try:
            yield spool / final.name
            await self.on_disk(_publish, spool / final.name, final)
        finally:
            shutil.rmtree(spool, ignore_errors=True)

    async def remove(self, export: Export) -> None:
        place = Path(unquote(urlsplit(export.url).path))
        await self.on_disk(_remove, place)

    async def on_disk(self, act: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """In a thread; a cancelled writer is waited for, so that nothing is written after clean-up."""
        work = asyncio.ensure_future(asyncio.to_thread(act, *args, **kwargs))
        try:
            with self._failures_told():
                return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.gather(work, return_exceptions=True)
            raise

    def _spool(self, final: Path) -> Path:
        self.path.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{final.stem}-", dir=self.path))

    @contextmanager
    def _failures_told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutsideFailure(
                f"An export cannot be written to {str(self.path)!r}: {error}. "
                "Make room there or choose another directory, then run again."
            ) from error


def tag(report: Mapping[str, Any]) -> str:
    return str(report["report_hash"])[:HASH_SHOWN]


def slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", anyascii(name).lower())[:_MAX_SLUG].strip("-") or "campaign"


def _remove(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _publish(draft: Path, final: Path) -> None:
    """The file reaches the disk before its name does."""
    _sync(draft)
    draft.replace(final)
    _sync(final.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
