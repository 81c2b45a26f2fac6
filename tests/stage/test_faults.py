"""Some of the fault matrix in every test run; all of it makes `docs/faults.md`."""

from pathlib import Path

import pytest

from sandbox.faults import Kind
from tests.conftest import Server
from tests.stage.faults import NAMES, WORDS, Trial, Trials, Undisturbed, faults_of


def a_selection() -> list[Trial]:
    """Each fault at one vendor and each vendor with one fault, lasting or not by turns."""
    kinds = list(Kind)
    return [
        Trial(vendor, kinds[(place * 7) % len(kinds)], lasting=place % 2 == 0)
        for place, vendor in enumerate(NAMES)
    ]


@pytest.fixture(scope="module")
def undisturbed() -> Undisturbed:
    return {}


@pytest.mark.parametrize("trial", a_selection(), ids=lambda one: f"{one.vendor}-{one.kind}-{one.lasting}")
async def test_a_fault_costs_no_more_than_the_class_allows_and_ends_in_a_report(
    trial: Trial, postgres: Server, template: str, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    verdict = await Trials(postgres, template, tmp_path, undisturbed).run(trial)
    assert faults_of(trial, verdict) == []


def test_every_fault_has_words() -> None:
    assert set(WORDS) == set(Kind)
