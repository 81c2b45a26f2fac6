from phase3_core.errors import (
    BadInput,
    CampaignBusy,
    NothingUsable,
    OutsideFailure,
    StoppedAtThreshold,
    UnknownCampaign,
    WrongCampaignState,
)
from phase3_core.policy import PILOT, STANDARD, Policy, Thresholds


def test_the_seeds_thresholds_are_the_usual_ones() -> None:
    assert Thresholds(500, 500, 100) == STANDARD == Policy().thresholds
    assert Thresholds(50, 50, 10) == PILOT


def test_exit_codes_tell_bad_input_a_threshold_and_a_failure_apart() -> None:
    bad = [BadInput("x"), UnknownCampaign("x"), WrongCampaignState("x", "enriched", "enriching")]
    assert {error.exit_code for error in bad} == {2}
    assert StoppedAtThreshold("x").exit_code == 3
    assert {e.exit_code for e in (CampaignBusy("x"), NothingUsable("x"), OutsideFailure("x"))} == {1}


def test_an_error_is_one_line_that_names_what_it_is_about() -> None:
    for error in (UnknownCampaign("spring"), CampaignBusy("spring"), WrongCampaignState("spring", "a", "b")):
        assert "spring" in str(error)
        assert "\n" not in str(error)
