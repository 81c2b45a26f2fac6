from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase3_core.money import MICRO_USD, ZERO, ratio, total, usd

AMOUNTS = st.decimals(min_value=0, max_value=10**7, places=6)


def test_an_amount_is_kept_to_the_micro_dollar() -> None:
    assert usd("0.00119") == Decimal("0.001190")
    assert usd("0.0000005") == MICRO_USD
    assert usd(3) == Decimal("3.000000")
    assert usd("1").as_tuple().exponent == -6


@pytest.mark.parametrize("wrong", [0.1, float("nan")])
def test_a_float_is_refused_because_it_is_already_wrong(wrong: float) -> None:
    with pytest.raises(TypeError, match="text or Decimal"):
        usd(wrong)  # type: ignore[arg-type] # the mistake that is tested


@given(AMOUNTS)
def test_an_amount_is_itself_again(amount: Decimal) -> None:
    assert usd(amount) == amount
    assert usd(str(amount)) == amount


def test_nothing_adds_up_to_zero() -> None:
    assert total([]) == ZERO


@given(st.lists(AMOUNTS))
def test_a_sum_does_not_depend_on_its_order(amounts: list[Decimal]) -> None:
    assert total(amounts) == total(reversed(amounts)) == usd(total(amounts))


def test_a_rate_has_four_places_and_none_of_nothing() -> None:
    assert ratio(1, 3) == 0.3333
    assert ratio(usd("0.50"), 2) == 0.25
    assert ratio(5, 0) == 0.0
    assert ratio(5, ZERO) == 0.0
