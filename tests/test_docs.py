"""Docs that cannot rot: every provider, variable, setting, table and command is documented, truly."""

import re
import subprocess
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from phase3_assets.cli import app
from resources.postgres.tables import metadata
from resources.providers.catalogue import CATALOGUE
from resources.providers.page import page

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ALL_WORDS = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def test_the_provider_page_is_the_catalogue() -> None:
    written = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m resources.providers.page > docs/providers.md"


def test_every_variable_of_every_provider_is_on_the_page() -> None:
    for row in CATALOGUE:
        for variable in row.spec.secrets:
            assert f"`{variable}`" in page()


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 150


def test_every_command_is_in_the_readme() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    assert [
        name for name in group.commands if f"`{name}" not in README and f"phase3 {name}" not in README
    ] == []


@pytest.mark.parametrize("table", sorted(metadata.tables))
def test_every_table_is_documented(table: str) -> None:
    assert f"`{table}`" in ALL_WORDS


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
