"""The embedded server belongs to everybody who uses it, not to the command that started it."""

from pathlib import Path

import psycopg
import pytest

from phase3_assets.embedded import attended
from phase3_core.errors import OutsideFailure
from resources.postgres import embedded


def test_the_last_one_out_stops_the_server(folder: Path) -> None:
    told: list[str] = []
    home = folder / "shared"
    with attended(home, told.append) as (url, dagster):
        with attended(home, told.append) as (same, _):
            assert same == url
        with psycopg.connect(dagster) as still_there:
            still_there.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    assert told == []


def test_the_first_one_out_leaves_it_to_the_others(folder: Path) -> None:
    home = folder / "left"
    with attended(home, print) as (url, _):
        visitor = psycopg.connect(url)
    assert visitor.execute("SELECT 1").fetchone() == (1,)
    visitor.close()
    embedded.start(home).stop()


def test_no_server_to_be_had_is_said(folder: Path) -> None:
    home = folder / "taken"
    (home / "postgres").mkdir(parents=True)
    (home / "postgres" / "somebody's").touch()
    with pytest.raises(OutsideFailure, match="files that phase3 did not make"), attended(home, print):
        pass
