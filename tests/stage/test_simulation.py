"""Whatever befalls runs of campaigns, in whatever order: the promises hold after every step.

A failure names its seed; `python -m tests.stage.simulation SEED` plays the same schedule again.
"""

import os
import random
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Server
from tests.stage.simulated import Simulation
from tests.stage.simulation import Simulator

LONG_S = float(os.environ.get("PHASE3_SIMULATION_S", "1200"))


def assert_held(simulation: Simulation) -> None:
    told = "\n".join([f"seed {simulation.seed}", *simulation.told, *simulation.amiss])
    assert simulation.amiss == [], told


@pytest.mark.slow
@pytest.mark.parametrize("seed", [5, 27, 207])
async def test_the_promises_hold_whatever_befalls(
    seed: int, postgres: Server, template: str, tmp_path: Path
) -> None:
    assert_held(await Simulator(postgres, template, tmp_path).play(seed))


@pytest.mark.soak
async def test_the_promises_hold_for_as_long_as_there_is_time(
    postgres: Server, template: str, tmp_path: Path
) -> None:
    """`PHASE3_SIMULATION_S`: seconds."""
    simulator, until, played = Simulator(postgres, template, tmp_path), time.monotonic() + LONG_S, 0
    while time.monotonic() < until:
        assert_held(await simulator.play(random.SystemRandom().randrange(10**9)))
        played += 1
    sys.stdout.write(f"{played} seeds\n")  # published with a release
    assert played
