"""`phase3 db upgrade`: our tables by migration, and a schema for Dagster's."""

import os

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import ArgumentError

from phase3_assets.instance import make_tables_once
from phase3_assets.workplace import DAGSTER_SCHEMA, DAGSTER_URL, with_schema
from resources.postgres.database import driver_url
from resources.postgres.upgrade import upgrade


def upgrade_all(url: str) -> list[str]:
    """The revisions that were applied; raises OutsideFailure where the server cannot be reached."""
    applied = upgrade(url)
    if _beside(url):
        engine = create_engine(driver_url(url))
        with engine.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {DAGSTER_SCHEMA}"))
        engine.dispose()
    make_tables_once()
    return applied


def _beside(url: str) -> bool:
    """Whether Dagster's records belong in a schema of the same database, however its address is written."""
    try:
        return make_url(os.environ[DAGSTER_URL]) == make_url(with_schema(url, DAGSTER_SCHEMA))
    except (ArgumentError, ValueError):  # no address: said when the records are opened
        return False
