"""Everything loads without any variable set; a run reads keys, loading never does."""

import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from phase3_assets.definitions import defs
from phase3_assets.workplace import project_root

PROGRAMS = Path(sys.executable).parent
LOAD = (
    "import dagster as dg\n"
    "from phase3_assets.definitions import defs\n"
    "dg.Definitions.validate_loadable(defs)\n"
)
HELP = """
import sys
import typer.main
from phase3_assets.cli import app

def paths(command, path=()):
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from paths(inner, (*path, name))

for path in paths(typer.main.get_command(app)):
    app([*path, "--help"], standalone_mode=False)
print({"dagster", "sqlalchemy", "aiohttp"} & sys.modules.keys())
"""
LOOKING = """
import json, sys
from phase3_assets.cli import app
from phase3_core.errors import Phase3Error

for words in json.loads(sys.argv[1]):
    try:
        app(words, standalone_mode=False)
    except Phase3Error as failure:
        print(words[0], failure)
print("dagster" in sys.modules)
"""
STATUS = """
import sys
from phase3_assets.cli import app

app(["status"], standalone_mode=False)
print({"dagster", "aiohttp", "alembic"} & sys.modules.keys())
"""
ENDING = """
import atexit, gc, sys
from phase3_assets.cli import main

atexit.register(lambda: print(gc.get_freeze_count() > 10 * len(gc.get_objects())))
sys.argv = ["phase3", "--help"]
main()
"""
COMMANDS = [
    "import",
    "run",
    "result",
    "status",
    "export",
    "approve",
    "reject",
    "request-more",
    "slack",
    "trace",
    "demo",
    "dev",
    "sandbox",
    "db",
]


def in_nothing(*command: str) -> subprocess.CompletedProcess[str]:
    """As `env -i` starts it."""
    return subprocess.run(
        ["/usr/bin/env", "-i", *command], cwd=project_root(), capture_output=True, text=True, check=False
    )


def test_the_names_that_others_rely_on() -> None:
    keys = {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()}
    assert keys >= {"campaign_leads", "verified_emails", "enriched_leads", "tier_report", "approval"}
    assert defs.resolve_job_def("phase3").name == "phase3"
    sensor = defs.resolve_sensor_def("phase2_completion")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING


def test_definitions_load_in_an_empty_environment() -> None:
    ended = in_nothing(sys.executable, "-c", LOAD)
    assert ended.returncode == 0, ended.stderr


def test_the_workspace_validates_in_an_empty_environment(tmp_path: Path) -> None:
    """With an instance of its own: ours wants to be told its database."""
    workspace = str(project_root() / "workspace.yaml")
    dagster = str(PROGRAMS / "dagster")
    ended = in_nothing(f"DAGSTER_HOME={tmp_path}", dagster, "definitions", "validate", "-w", workspace)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_no_help_needs_dagster() -> None:
    ended = in_nothing(sys.executable, "-c", HELP)
    assert ended.stdout.splitlines()[-1] == "set()", ended.stdout + ended.stderr
    assert ended.stdout.count("Usage:") > len(COMMANDS)


def test_a_command_that_ends_looks_for_no_garbage_among_what_it_loaded() -> None:
    ended = in_nothing(sys.executable, "-c", ENDING)
    assert ended.stdout.splitlines()[-1] == "True", ended.stdout + ended.stderr


def test_whoever_only_looks_or_decides_does_without_dagster(database_url: str, tmp_path: Path) -> None:
    leads = tmp_path / "leads.csv"
    leads.write_text("first_name,last_name,email,company_domain\nAda,Lovelace,ada@acme.com,acme.com\n")
    commands = [
        ["import", str(leads), "--name", "Spring"],
        ["status"],
        ["status", "Spring", "--json"],
        ["budget", "Spring"],
        ["providers"],
        ["reconcile"],
        ["trace", "ada@acme.com"],
        ["export", "Spring", "--csv", "--out", str(tmp_path)],
        ["suppress", "acme.com"],
        ["approve", "Spring", "--by", "Ada"],
    ]
    settings = tmp_path / "phase3.toml"
    settings.write_text('[approval]\napprovers = ["Ada"]\n')
    place = (f"DATABASE_URL={database_url}", f"PHASE3_STATE_DIR={tmp_path}", f"PHASE3_SETTINGS={settings}")
    ended = in_nothing(*place, sys.executable, "-c", LOOKING, json.dumps(commands))
    *said, loaded = ended.stdout.splitlines()
    assert loaded == "False", ended.stdout + ended.stderr
    refused = [line for line in said if line.startswith(tuple(words[0] for words in commands))]
    assert [line.partition(" ")[0] for line in refused] == ["approve"], refused


def test_status_loads_neither_vendors_clients_nor_migrations(database_url: str, tmp_path: Path) -> None:
    place = (f"DATABASE_URL={database_url}", f"PHASE3_STATE_DIR={tmp_path}")
    ended = in_nothing(*place, sys.executable, "-c", STATUS)
    assert ended.stdout.splitlines()[-1] == "set()", ended.stdout + ended.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    ended = in_nothing(str(PROGRAMS / "phase3"), command, "--help")
    assert ended.returncode == 0, ended.stderr
    assert command in ended.stdout
