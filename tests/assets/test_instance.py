"""Dagster's records as `phase3 run` keeps them: on lines of its own, which may break."""

import os
from pathlib import Path

import psycopg

from phase3_assets import workplace
from phase3_assets.instance import opened
from phase3_assets.upgrading import upgrade_all
from phase3_assets.workplace import DAGSTER_URL
from tests.polling import until

OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


async def test_records_keep_their_line_replace_one_that_broke_and_close_it(
    database_url: str, tmp_path: Path
) -> None:
    place = {"DATABASE_URL": database_url, "PHASE3_STATE_DIR": str(tmp_path)}
    with workplace.environment(**place), workplace.database(print) as url:
        upgrade_all(url)
        with psycopg.connect(os.environ[DAGSTER_URL], autocommit=True) as watch, opened() as instance:
            instance.get_runs(limit=1)
            line = watch.execute(f"SELECT pid {OTHERS}").fetchall()
            assert instance.get_runs(limit=1) == []
            assert watch.execute(f"SELECT pid {OTHERS}").fetchall() == line
            watch.execute(f"SELECT pg_terminate_backend(pid, 5000) {OTHERS}")
            assert instance.get_runs(limit=1) == []
        with psycopg.connect(os.environ[DAGSTER_URL], autocommit=True) as watch:
            await until(lambda: watch.execute(f"SELECT count(*) {OTHERS}").fetchone() == (0,))
