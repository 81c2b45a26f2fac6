"""A place for machines, where any can be had."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.caretaker import cared_for
from tests.end_to_end.machines.network import missing


@pytest.fixture
def folder() -> Iterator[Path]:
    if why_not := missing():
        pytest.skip(f"no machines can be had here: {why_not}")
    with cared_for("phase3-machines-") as folder:
        yield folder
