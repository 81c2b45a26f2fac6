"""Some of the fault matrix in every test run; all of it makes `docs/faults.md`."""

import re
from dataclasses import replace
from decimal import Decimal
from itertools import cycle
from pathlib import Path

import pytest

from sandbox.faults import Kind
from tests.conftest import Server
from tests.stage.faults import (
    NAMES,
    WORDS,
    Told,
    Trial,
    Trials,
    Undisturbed,
    Verdict,
    all_trials,
    faults_of,
    sample,
    table,
    told_of,
)
from tests.stage.stage import Ended

FILE = Path(__file__).parents[2] / "docs" / "faults.md"
AS_EVER = Verdict(2, Ended(""), "", 0, Decimal(0), Ended(""), 0, [])
TWICE, FOR_GOOD = (Trial("tomba", Kind.SERVER_ERROR, lasting=lasting) for lasting in (False, True))


def a_selection() -> list[Trial]:
    """Each fault at one vendor and each vendor with one fault; every third lasts, which takes longer."""
    pairs = zip(cycle(NAMES), Kind, strict=False)
    return [Trial(vendor, kind, lasting=place % 3 == 2) for place, (vendor, kind) in enumerate(pairs)]


@pytest.fixture(scope="module")
def undisturbed() -> Undisturbed:
    return {}


@pytest.mark.slow
@pytest.mark.parametrize("trial", a_selection(), ids=lambda one: f"{one.vendor}-{one.kind}-{one.lasting}")
async def test_a_fault_costs_no_more_than_the_class_allows_and_ends_in_a_report(
    trial: Trial, postgres: Server, template: str, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    verdict = await Trials(postgres, template, tmp_path, undisturbed).run(trial)
    assert faults_of(trial, verdict) == []


def test_every_fault_has_words() -> None:
    assert set(WORDS) == set(Kind)


def rows_of(document: str) -> set[tuple[str, str]]:
    """Vendor and fault of every row with two cells that say something."""
    sections = re.split(r"^## ", document, flags=re.MULTILINE)[1:]
    row = re.compile(r"^\| ([^|]+) \| [^|]*\w[^|]* \| [^|]*\w[^|]* \|$", re.MULTILINE)
    return {(part.partition("\n")[0], words) for part in sections for words in row.findall(part)}


EVERY_ROW = {(vendor, words) for vendor in NAMES for words in WORDS.values()}


def test_the_table_has_a_row_for_each_fault_at_each_vendor() -> None:
    assert rows_of(table(dict.fromkeys(all_trials(), AS_EVER), 20)) - {("tomba", "the vendor")} >= EVERY_ROW


def test_the_published_table_has_a_row_for_each_fault_at_each_vendor() -> None:
    rows = {row for row in rows_of(FILE.read_text()) if row[1] != "the vendor"}
    assert rows == EVERY_ROW


@pytest.mark.parametrize(
    ("trial", "verdict", "wrong"),
    [
        (TWICE, AS_EVER, ""),
        (TWICE, replace(AS_EVER, struck=0), "never struck"),
        (TWICE, replace(AS_EVER, left_alone="HTTP 500"), "left alone"),
        (TWICE, replace(AS_EVER, otherwise=3), "3 leads ended otherwise"),
        (TWICE, replace(AS_EVER, promises_broken=["I1"]), "I1"),
        (FOR_GOOD, replace(AS_EVER, otherwise=3), ""),
        (FOR_GOOD, replace(AS_EVER, ended=Ended("no disk")), "no report: no disk"),
        (FOR_GOOD, replace(AS_EVER, then=Ended("no disk")), "next run came to no report"),
        (FOR_GOOD, replace(AS_EVER, otherwise=3, otherwise_then=4), "4 otherwise instead of 3"),
        (replace(FOR_GOOD, vendor="reoon"), replace(AS_EVER, ended=Ended("No usable verifier")), ""),
        (replace(TWICE, kind=Kind.RATE_LIMITED), replace(AS_EVER, otherwise=1), "1 leads ended otherwise"),
        (replace(FOR_GOOD, kind=Kind.RATE_LIMITED), replace(AS_EVER, doubt=Decimal(1)), "in doubt"),
        (replace(FOR_GOOD, kind=Kind.DAY_SPENT), replace(AS_EVER, doubt=Decimal(1)), "in doubt"),
        (Trial("icypeas", Kind.DAY_SPENT, lasting=True), replace(AS_EVER, doubt=Decimal(1)), ""),
        (replace(TWICE, kind=Kind.DAY_SPENT), replace(AS_EVER, otherwise=9), ""),
        (replace(FOR_GOOD, kind=Kind.UNAUTHORIZED), AS_EVER, "not left alone"),
        (replace(FOR_GOOD, kind=Kind.UNAUTHORIZED), replace(AS_EVER, left_alone="401"), ""),
    ],
)
def test_a_campaign_that_does_not_end_as_it_should_is_told(
    trial: Trial, verdict: Verdict, wrong: str
) -> None:
    amiss = faults_of(trial, verdict)
    assert [wrong in one for one in amiss] == ([True] if wrong else [])


def test_one_that_is_not_as_it_should_be_fails_the_whole_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    fine, broken_off = Told(TWICE, AS_EVER, []), Told(FOR_GOOD, None, ["KeyError: 'who'"])
    assert told_of([fine], 20) == 0
    assert told_of([fine, broken_off], 20) == 1
    said = capsys.readouterr()
    assert "tomba server_error for the whole run: broken off: KeyError" in said.err
    assert said.out == "", "no table where a trial is missing"


def test_a_sample_is_spread_over_vendors_and_faults() -> None:
    chosen = sample(list(all_trials()), 20)
    assert len(set(chosen)) == 20
    assert len({one.kind for one in chosen}) > 8
    assert len({one.vendor for one in chosen}) > 8
