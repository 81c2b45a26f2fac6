"""A run counts as dead by one rule, whoever looks: thirty seconds of a free lock, with nothing in between."""

from dataclasses import replace
from datetime import timedelta

import pytest

from resources.postgres.lease import Sighting, Standing
from resources.postgres.signs_of_life import BEFORE_THE_FIRST_S, DEAD_AFTER_S, SignsOfLife
from tests.fakes.clock import NOON

FREE = Sighting(Standing("run", 1, held=False), "1", NOON)
HELD = replace(FREE, lease=Standing("run", 1, held=True))
NOBODY_YET = Sighting(None, None, NOON)
OF_ANOTHER = replace(FREE, lease=Standing("another", 1, held=True))


def looked(signs: SignsOfLife, *looks: tuple[float, Sighting]) -> bool:
    """Whether the run is dead by the last look."""
    for at, found in looks:
        signs.seen(found, at)
    return signs.is_dead("run")


def test_a_run_is_dead_when_its_lock_stays_free() -> None:
    signs = SignsOfLife()
    assert not looked(signs, (100.0, FREE))
    assert not looked(signs, (99.0 + DEAD_AFTER_S, FREE))
    assert looked(signs, (100.0 + DEAD_AFTER_S, FREE))


def test_a_run_that_holds_its_campaign_is_alive() -> None:
    assert not looked(SignsOfLife(), *((float(at), HELD) for at in range(0, 300, 5)))


@pytest.mark.parametrize(
    "between",
    [
        replace(FREE, lease=Standing("run", 2, held=False)),
        replace(FREE, written="2"),
        replace(FREE, serving_since=NOON + timedelta(seconds=25)),
    ],
    ids=["it has gone on to its next asset", "it has taken its lock again", "the server was started"],
)
def test_what_was_in_between_gives_a_run_the_whole_time_again(between: Sighting) -> None:
    signs = SignsOfLife()
    assert not looked(signs, (0.0, FREE), (25.0, FREE), (35.0, between))
    assert not looked(signs, (34.0 + DEAD_AFTER_S, between))
    assert looked(signs, (35.0 + DEAD_AFTER_S, between))


def test_a_run_whose_lock_is_cut_again_and_again_is_alive() -> None:
    signs = SignsOfLife()
    for cut in range(5):
        taken_again = replace(FREE, written=str(cut))
        assert not looked(signs, *((20.0 * cut + at, taken_again) for at in range(0, 20, 5)))


@pytest.mark.parametrize(("found", "time_s"), [(FREE, DEAD_AFTER_S), (NOBODY_YET, BEFORE_THE_FIRST_S)])
def test_a_failed_look_gives_a_run_the_whole_time_again(found: Sighting, time_s: float) -> None:
    signs = SignsOfLife()
    looked(signs, (0.0, found), (25.0, found))
    signs.look_failed()
    assert not signs.is_dead("run")
    assert not looked(signs, (35.0, found), (34.0 + time_s, found))
    assert looked(signs, (35.0 + time_s, found))


def test_a_missed_look_gives_a_run_the_whole_time_again() -> None:
    signs = SignsOfLife(longest_gap_s=10.0)
    assert not looked(signs, (0.0, FREE), (10.0, FREE), (20.0, FREE), (31.0, FREE))
    assert not looked(signs, (41.0, FREE), (51.0, FREE), (60.0, FREE))
    assert looked(signs, (61.0, FREE))


@pytest.mark.parametrize("found", [NOBODY_YET, OF_ANOTHER])
def test_a_run_that_has_just_started_gets_the_time_to_take_its_campaign(found: Sighting) -> None:
    signs = SignsOfLife()
    assert not looked(signs, (0.0, found), (BEFORE_THE_FIRST_S - 1, found))
    assert looked(signs, (BEFORE_THE_FIRST_S, found))
