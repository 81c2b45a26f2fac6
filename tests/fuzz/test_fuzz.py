"""Fuzzing of every way in: a little in every test run, the same each time; in a soak for as long as told.

`PHASE3_FUZZ_S`: seconds for each way in; the seed of what fails is printed.
"""

import os
import secrets
import sys
import time

import hypothesis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS

USUAL_S = 300.0
A_FEW, A_ROUND = 25, 200


def fuzz(name: str, examples: int, seed: int) -> None:
    @hypothesis.seed(seed)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(data=st.data())
    def arrives(data: st.DataObject) -> None:
        TARGETS[name](data)

    arrives()


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_arrives_is_survived(name: str) -> None:
    fuzz(name, A_FEW, seed=7)


@pytest.mark.soak
@pytest.mark.parametrize("name", TARGETS)
def test_whatever_arrives_is_survived_for_as_long_as_there_is_time(name: str) -> None:
    until = time.monotonic() + float(os.environ.get("PHASE3_FUZZ_S", USUAL_S))
    rounds = 0
    while time.monotonic() < until:
        seed, rounds = secrets.randbits(32), rounds + 1
        sys.stdout.write(f"{name}: round {rounds}, seed {seed}\n")
        fuzz(name, A_ROUND, seed)
    assert rounds
