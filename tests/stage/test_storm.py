"""Killed at random moments and resumed each time, a campaign ends as if it had been left alone."""

import random
import sys
from pathlib import Path

import pytest

from tests.conftest import Server
from tests.stage.stage import Bulk
from tests.stage.storm import Storm, weathered

pytestmark = pytest.mark.slow


async def assert_weathered(storm: Storm, server: Server, template: str, folder: Path) -> None:
    aftermath = await weathered(storm, server, template, folder)
    sys.stdout.write(f"{storm} {aftermath.told}\n")  # shown where it fails: the seed repeats it
    assert aftermath.promises_broken == []
    assert aftermath.kills > storm.kills / 2


def any_seed() -> int:
    return random.SystemRandom().randrange(10**6)


async def test_a_storm_of_kills_changes_nothing(postgres: Server, template: str, tmp_path: Path) -> None:
    await assert_weathered(Storm(leads=60, kills=6, seed=any_seed()), postgres, template, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("bulk", ["auto", "always"])
async def test_a_long_storm_of_kills_changes_nothing(
    bulk: Bulk, postgres: Server, template: str, tmp_path: Path
) -> None:
    storm = Storm(leads=2_000, kills=50, seed=any_seed(), bulk=bulk)
    await assert_weathered(storm, postgres, template, tmp_path)
