"""Everything loads without any variable set; a run reads keys, loading never does."""

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
HELP = (
    "import sys; sys.argv = ['phase3', '--help']\n"
    "from phase3_assets.cli import main\n"
    "try: main()\n"
    "except SystemExit: pass\n"
    "print({'dagster', 'sqlalchemy', 'aiohttp'} & sys.modules.keys())\n"
)
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


@pytest.mark.slow
def test_definitions_load_in_an_empty_environment() -> None:
    ended = in_nothing(sys.executable, "-c", LOAD)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.slow
def test_the_workspace_validates_in_an_empty_environment(tmp_path: Path) -> None:
    """With an instance of its own: ours wants to be told its database."""
    workspace = str(project_root() / "workspace.yaml")
    dagster = str(PROGRAMS / "dagster")
    ended = in_nothing(f"DAGSTER_HOME={tmp_path}", dagster, "definitions", "validate", "-w", workspace)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_help_does_without_dagster() -> None:
    ended = in_nothing(sys.executable, "-c", HELP)
    assert ended.stdout.splitlines()[-1] == "set()", ended.stdout + ended.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    ended = in_nothing(str(PROGRAMS / "phase3"), command, "--help")
    assert ended.returncode == 0, ended.stderr
    assert command in ended.stdout
