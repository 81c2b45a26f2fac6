"""The rules stand alone: what they import and what they never do."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import phase3_core

FILES = sorted(Path(phase3_core.__file__).parent.rglob("*.py"))
MADE_OF_MONEY = {"usd", "Decimal", "total", "Price"}
FORBIDDEN_MODULES = {"time", "random", "secrets", "os", "socket", "sqlite3", "urllib", "http", "subprocess"}
FORBIDDEN_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4", "open", "print", "input"}


def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name}: imports are absolute"
            yield (node.module or "").partition(".")[0]


def calls(file: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree(file)) if isinstance(node, ast.Call))


def name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else ""


def is_float(node: ast.AST) -> bool:
    literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
    return literal or (isinstance(node, ast.Call) and name_of(node.func) in {"float", "ratio"})


def test_there_are_rules_to_look_at() -> None:
    assert {"waterfall.py", "verify.py", "money.py"} <= {file.name for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_only_the_standard_library_is_imported(file: Path) -> None:
    assert set(imported(file)) <= sys.stdlib_module_names | {"phase3_core"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_clock_no_chance_and_no_outside_world(file: Path) -> None:
    assert not set(imported(file)) & FORBIDDEN_MODULES
    outside = {name_of(call.func) for call in calls(file)} & FORBIDDEN_CALLS
    clock = {
        call.func.attr
        for call in calls(file)
        if isinstance(call.func, ast.Attribute) and name_of(call.func.value) == "clock"
    }
    database = {"open"} if file.name in {"agent.py", "verify.py", "enrich.py", "finalize.py"} else set()
    assert outside <= clock | database


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_money_is_made_of_floats(file: Path) -> None:
    made = [call for call in calls(file) if name_of(call.func) in MADE_OF_MONEY]
    assert not [
        ast.unparse(call)
        for call in made
        for argument in [*call.args, *(keyword.value for keyword in call.keywords)]
        if any(is_float(node) for node in ast.walk(argument))
    ]
