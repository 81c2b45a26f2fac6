"""Core errors become Dagster failures here and nowhere else."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import dagster as dg

from phase3_core.errors import BadInput, Phase3Error

EXIT_CODE = "exit_code"


@contextmanager
def told_to_dagster() -> Iterator[None]:
    """A failure that a user can act on ends the run with its one line and is never retried by Dagster."""
    try:
        yield
    except Phase3Error as failure:
        metadata = {EXIT_CODE: dg.MetadataValue.int(failure.exit_code)}
        raise dg.Failure(str(failure), metadata=metadata, allow_retries=False) from None


def campaign_key(key: str) -> str:
    """The UI lets anybody add a partition, so a key is checked before it reaches the database."""
    try:
        return str(UUID(key))
    except ValueError:
        raise BadInput(
            f"{key!r} is no campaign id. Partitions are made by the sensor or by `phase3 run`, not by hand."
        ) from None
