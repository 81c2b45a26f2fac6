"""When a benchmark's figures are as wanted, and what is said of them; measured they are by `make bench`."""

from dataclasses import replace

import pytest

from benchmarks.ledger import Medians, Rates, medians

GOOD = Rates(bare=10_000, on_asyncio=10_000, durable=4_000, dbos=200, dagster=20)


def test_durable_calls_are_twenty_times_those_of_other_engines() -> None:
    assert medians([GOOD, replace(GOOD, dagster=200), replace(GOOD, dbos=1)]).good(at_least=0.4)


@pytest.mark.parametrize(
    "faster", [{"bare": 10_100}, {"dbos": 201}, {"dagster": 201}], ids=["bare loop", "dbos", "Dagster's ops"]
)
def test_too_few_durable_calls_beside_any_of_them_fail(faster: dict[str, float]) -> None:
    assert not medians([GOOD, replace(GOOD, **faster), replace(GOOD, **faster)]).good(at_least=0.4)


def test_what_is_not_installed_is_not_compared() -> None:
    found = medians([replace(GOOD, dbos=None)])
    assert found == Medians(of_bare=0.4, of_asyncio=0.4, times_dbos=None, times_ops=200)
    assert found.good(at_least=0.4)
    assert "- times dbos" in found.told(at_least=0.4)
