"""What people type as USD."""

import pytest

from phase3_assets.amounts import amount_given
from phase3_core.errors import BadInput
from phase3_core.money import usd


@pytest.mark.parametrize("typed", ["much", "", "-1", "NaN", "sNaN", "inf", "1e400", "12,50", "1000000"])
def test_what_is_no_amount_is_refused_in_a_line(typed: str) -> None:
    with pytest.raises(BadInput, match=r"^--cap '.*' is no amount of USD: write 25\.50, or none\.$"):
        amount_given("cap", typed, "none")


@pytest.mark.parametrize("typed", ["0", "25.50", " 7 "])
def test_an_amount_is_taken_as_it_is(typed: str) -> None:
    assert amount_given("cap", typed) == usd(typed)
