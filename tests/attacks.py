"""Attacks that tests make, and the defences they need: `docs/security.md` is written from them.

`@attack` stands on a test that fails without the defence it names; `without` takes that defence away, so that
`pytest -p tests.attacks --without-defences` can show it: a test that still passes then proves nothing.
"""

import ast
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, TypeGuard

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "security.md"
BEGIN = "<!-- written by `python -m tests.attacks` from the tests -->"
MARK = "attack"

Removal = Callable[[pytest.MonkeyPatch], None]


def attack(on: str, what: str, *, defence: str, without: Removal) -> pytest.MarkDecorator:
    """`on`: which part is attacked. Literals, but for `without`: the page is written from the source."""
    return pytest.mark.attack(on, what, defence=defence, without=without)


def replaced(*removals: tuple[Any, str, Any]) -> Removal:
    """Each attribute of an object by something that defends nothing."""

    def remove(patch: pytest.MonkeyPatch) -> None:
        for holder, name, value in removals:
            patch.setattr(holder, name, value)

    return remove


# --- the page


@dataclass(frozen=True, slots=True, order=True)
class Row:
    on: str
    what: str
    defence: str
    test: str
    place: str

    def __str__(self) -> str:
        return f"| {self.what} | {self.defence} | [`{self.test}`](../{self.place}) |"


def rows() -> list[Row]:
    """In the order of the parts; of one part in the order of the tests."""
    found = [row for path in sorted(TESTS.rglob("test_*.py")) for row in _of_file(path)]
    return sorted(found, key=lambda row: row.on)


def _of_file(path: Path) -> Iterator[Row]:
    source, place = path.read_text(encoding="utf-8"), str(path.relative_to(TESTS.parent))
    for node in ast.walk(ast.parse(source)) if "@attack(" in source else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for mark in filter(_is_attack, node.decorator_list):
                yield Row(*_literals(mark), node.name, place)


def _is_attack(decorator: ast.expr) -> TypeGuard[ast.Call]:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(called, ast.Name) and called.id == MARK


def _literals(mark: ast.Call) -> tuple[str, str, str]:
    (defence,) = (one.value for one in mark.keywords if one.arg == "defence")
    on, what, against = (ast.literal_eval(word) for word in (*mark.args, defence))
    return on, what, against


def table() -> str:
    """The part of the page below `BEGIN`."""
    parts = [
        [f"### {on}", "", "| Attack | Defence | Test that fails without it |", "|---|---|---|", *map(str, of)]
        for on, of in groupby(rows(), key=lambda row: row.on)
    ]
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def page(written: str) -> str:
    """The page with the table as the tests have it now."""
    return f"{written.partition(BEGIN)[0]}{BEGIN}\n\n{table()}"


# --- the plugin


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--without-defences", action="store_true", help="attacks must succeed now")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [item for item in items if item.get_closest_marker(MARK)]
    for item in items:
        assert isinstance(item, pytest.Function)
        item.fixturenames.insert(0, "undefended")


@pytest.fixture
def undefended(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = request.node.get_closest_marker(MARK)
    if request.config.getoption("--without-defences"):
        mark.kwargs["without"](monkeypatch)


_ended: dict[str, set[str]] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """By function: of one that is asked with several values, some must find the defence missing."""
    if report.when == "call":
        _ended.setdefault(report.nodeid.partition("[")[0], set()).add(report.outcome)
    elif report.failed:
        _ended.setdefault(report.nodeid, set())  # it was never made: that shows nothing


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption("--without-defences"):
        session.exitstatus = 1 if unmoved() or not _ended else 0


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if config.getoption("--without-defences"):
        still = unmoved()
        for test in still:
            terminalreporter.write_line(f"STILL PASSES WITHOUT ITS DEFENCE, OR WAS NOT MADE: {test}")
        terminalreporter.write_line(f"{len(_ended) - len(still)} of {len(_ended)} attacks succeeded")


def unmoved() -> Sequence[str]:
    """Tests that a missing defence does not fail."""
    return [test for test, outcomes in sorted(_ended.items()) if "failed" not in outcomes]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{PAGE}: {len(rows())} attacks\n")
