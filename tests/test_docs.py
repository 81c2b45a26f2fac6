"""Docs that cannot rot: every provider, variable, setting, table and command is documented, truly."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from benchmarks.performance import PAGE, TITLES, sections, written
from phase3_assets.cli import app
from resources.postgres.erasing import KEPT_OF_A_LEAD
from resources.postgres.tables import metadata
from resources.providers.catalogue import CATALOGUE
from resources.providers.page import page

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
ALL_WORDS = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def test_the_provider_page_is_the_catalogue() -> None:
    written = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m resources.providers.page > docs/providers.md"


def test_every_variable_of_every_provider_is_on_the_page() -> None:
    for row in CATALOGUE:
        for variable in row.spec.secrets:
            assert f"`{variable}`" in page()


def test_every_benchmark_has_its_place_on_the_page_of_figures() -> None:
    runnable = {
        file.stem for file in (ROOT / "benchmarks").glob("*.py") if "def main(" in file.read_text("utf-8")
    }
    assert set(TITLES) == runnable - {"performance"}
    assert written(sections(PAGE.read_text(encoding="utf-8"))) == PAGE.read_text(encoding="utf-8")


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 150


def verbs() -> dict[str, Any]:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return dict(group.commands)


def code(page: str) -> list[str]:
    """Each line of a page that is set as code."""
    block = re.compile(r"^ *```\w*\n(.*?)^ *```", flags=re.MULTILINE | re.DOTALL)
    lines = [line for found in block.findall(page) for line in found.splitlines()]
    return lines + re.findall(r"`([^`\n]+)`", block.sub("", page))


def test_every_command_is_in_the_readme() -> None:
    assert [name for name in verbs() if f"`{name}" not in README and f"phase3 {name}" not in README] == []


@pytest.mark.parametrize("source", PAGES, ids=lambda path: path.name)
def test_every_command_of_a_page_is_one_with_these_options(source: Path) -> None:
    known = {verb: {opt for each in one.params for opt in each.opts} for verb, one in verbs().items()}
    for line in code(source.read_text(encoding="utf-8")):
        for verb, rest in re.findall(r"(?:^|[ /])phase3 ([a-z][a-z-]*)(.*)", line):
            assert verb in known, line
            options = re.findall(r"(?<![\w-])--[a-z][a-z-]*", rest.partition("#")[0])
            assert set(options) <= known[verb], line


@pytest.mark.parametrize("source", PAGES, ids=lambda path: path.name)
def test_every_file_and_module_of_a_page_is_there(source: Path) -> None:
    lines = "\n".join(code(source.read_text(encoding="utf-8")))
    files = re.findall(r"(?<![\w/.])((?:[\w-]+/)+[\w-]+\.(?:py|toml|yaml|md))\b", lines)
    modules = [name.replace(".", "/") for name in re.findall(r"python -m ([\w.]+)", lines)]
    assert [name for name in files if not (ROOT / name).exists()] == []
    assert [name for name in modules if not (ROOT / f"{name}.py").exists()] == []


@pytest.mark.parametrize("table", sorted(metadata.tables))
def test_every_table_is_documented(table: str) -> None:
    assert f"`{table}`" in ALL_WORDS


@pytest.mark.parametrize("table", sorted(metadata.tables))
def test_every_table_is_told_of_as_to_people_and_to_roles(table: str) -> None:
    """A new table is said to hold people's data, or not to, and somebody may read it."""
    privacy = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
    where, _, rest = privacy.partition("Nothing about anybody:")
    holds = re.search(rf"^\| `{table}` \|", where, flags=re.MULTILINE) is not None
    assert holds != (f"`{table}`" in rest.partition("\n\n")[0])
    assert table in (ROOT / "docs" / "roles.sql").read_text(encoding="utf-8")


def test_what_an_erased_lead_keeps_is_nothing_personal() -> None:
    """A column that is added to what is kept is looked at by somebody first."""
    ours = set(metadata.tables["leads"].columns.keys())
    personal = ours - set(KEPT_OF_A_LEAD)
    assert personal >= {"first_name", "email", "delivered_email", "phone", "linkedin_url", "enrichment_data"}
    kept = [name for name in KEPT_OF_A_LEAD if re.search(r"name|phone|url|title|city|data|location", name)]
    assert kept == []


@pytest.mark.parametrize("source", PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(source: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", source.read_text(encoding="utf-8"))
    assert [link for link in links if not (source.parent / link).exists()] == []


def test_every_make_verb_of_the_readme_is_one() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for verb in re.findall(r"^make (\w+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{verb}:", makefile, flags=re.MULTILINE)


def test_nothing_in_the_repo_names_a_registry() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    assert "requirements.lock" in listed or not listed


def test_every_test_that_proves_something_is_there() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    written = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    named = re.findall(r"`(test_\w+)(…?)`", page)
    assert named
    assert [name for name, more in named if f"def {name}{'' if more else '('}" not in written] == []
    checks = re.findall(r"^\| I\d+ .* \| (.*) \|$", page, flags=re.MULTILINE)
    named_checks = [name for check in checks for name in re.findall(r"`(\w+)`", check)]
    assert [name for name in named_checks if f"def {name}(" not in written] == []
