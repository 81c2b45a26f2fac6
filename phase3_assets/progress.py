"""A bar per agent on stderr while a campaign runs, read from the checkpoints."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from phase3_assets.looking import look
from phase3_core.errors import Phase3Error

EVERY_S = 1.0
COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TextColumn("${task.fields[usd]}"),
)


@contextmanager
def shown_progress(url: str, campaign_id: UUID, words: Console) -> Iterator[None]:
    """Nothing where nobody looks."""
    if not words.is_terminal:
        yield
        return
    with Progress(*COLUMNS, console=words, transient=True) as bars, watched(_Bars(url, campaign_id, bars)):
        yield


class _Bars:
    def __init__(self, url: str, campaign_id: UUID, bars: Progress) -> None:
        self._url = url
        self._campaign_id = campaign_id
        self._bars = bars
        self._shown: dict[str, TaskID] = {}

    def __call__(self) -> None:
        for row in look(self._url, lambda books: books.checkpoints.latest(self._campaign_id)):
            if row.agent_id not in self._shown:
                self._shown[row.agent_id] = self._bars.add_task(row.agent_id.replace("_", " "), usd="0")
            bar = self._shown[row.agent_id]
            self._bars.update(bar, completed=row.items_processed, total=row.items_total, usd=row.spent_usd)


@contextmanager
def watched(look_again: Callable[[], None]) -> Iterator[None]:
    """In a thread of its own, for the length of the block."""
    over = threading.Event()
    watcher = threading.Thread(target=watch, args=(look_again, over), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def watch(redraw: Callable[[], None], over: threading.Event) -> None:
    """A look that fails is left out: the run itself tells when the database is gone."""
    while not over.wait(EVERY_S):
        with suppress(Phase3Error):
            redraw()
