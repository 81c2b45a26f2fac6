from typing import Any

import pytest
from dagster_postgres.utils import DagsterPostgresException
from sqlalchemy.exc import OperationalError

from phase3_assets.agents import Observations
from phase3_core.money import usd
from phase3_core.runs import Advance
from phase3_core.statuses import Agent


class NowhereToStore:
    """An asset's context while Dagster's own database is away."""

    asset_key = "verified_emails"
    partition_key = "campaign"

    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    def log_event(self, _event: object) -> None:
        raise self.failure


def observe(failure: Exception) -> None:
    context: Any = NowhereToStore(failure)
    Observations(context)(Advance(Agent.EMAIL_VERIFICATION, 1, 2, usd(0)))


@pytest.mark.parametrize(
    "failure", [DagsterPostgresException("too many retries"), OperationalError("INSERT", {}, OSError())]
)
def test_progress_that_cannot_be_stored_stops_no_run(failure: Exception) -> None:
    observe(failure)


def test_any_other_failure_is_told() -> None:
    with pytest.raises(ZeroDivisionError):
        observe(ZeroDivisionError())
