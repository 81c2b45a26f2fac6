"""What is known on one machine of a run whose process was killed."""

import multiprocessing
import platform
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from phase3_assets.living import is_gone_here, living, unmark


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PHASE3_STATE_DIR", str(tmp_path))
    return tmp_path


def lives_on(run_id: str, told: Connection) -> None:
    with living(run_id):
        told.send("at work")
        signal.pause()


def killed(run_id: str) -> None:
    fresh = multiprocessing.get_context("forkserver")
    heard, told = fresh.Pipe(duplex=False)
    process = fresh.Process(target=lives_on, args=(run_id, told))
    process.start()
    assert heard.recv() == "at work"
    assert not is_gone_here(run_id)
    process.kill()
    process.join()


def test_a_killed_process_is_known_to_be_gone_until_somebody_has_said_so() -> None:
    killed("run")
    assert is_gone_here("run")
    assert not is_gone_here("another")
    unmark("run")
    assert not is_gone_here("run")


def test_a_run_that_comes_to_its_end_leaves_no_mark(state: Path) -> None:
    with living("run"):
        assert list((state / "runs").iterdir())
    assert not is_gone_here("run")
    assert not list((state / "runs").iterdir())


def test_nothing_is_known_of_another_machines_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    killed("run")
    monkeypatch.setattr(platform, "node", lambda: "another")
    assert not is_gone_here("run")


def test_where_no_mark_can_be_made_the_run_goes_on(state: Path) -> None:
    (state / "runs").write_text("a file where the directory should be")
    with living("run"):
        assert not is_gone_here("run")


def test_whatever_a_run_is_called_its_mark_is_among_the_others(state: Path) -> None:
    with living("../../elsewhere"):
        assert [file.name for file in (state / "runs").iterdir()] == ["elsewhere"]
