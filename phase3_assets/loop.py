"""The event loop of a run: quick, and not halted by the garbage collector at every turn."""

import gc
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import uvloop

Result = TypeVar("Result")
NEW_OBJECTS_PER_COLLECTION = 20_000


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """A loop of its own for `work`, closed behind it."""
    with _rare_collections():
        return uvloop.run(work)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Hundreds of calls in flight make many objects that live a moment. At the usual threshold the collector
    walks all that Dagster has loaded again and again: a third of a call's CPU (`benchmarks/ledger.py`). What
    was loaded is set aside as it is: to look for garbage in it first takes longer than a small campaign.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS_PER_COLLECTION, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
