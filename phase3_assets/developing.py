"""`phase3 dev`: Dagster's web server, daemon and code, wired to the database at hand."""

import subprocess
import sys
from collections.abc import Callable

import dagster as dg

from phase3_assets.workplace import project_root


def serve(port: int, tell: Callable[[str], None]) -> int:
    """Until Ctrl-C; returns Dagster's exit code."""
    make_tables_once()
    workspace = str(project_root() / "workspace.yaml")
    command = [sys.executable, "-m", "dagster", "dev", "-w", workspace, "-h", "127.0.0.1", "-p", str(port)]
    tell(f"The Dagster UI opens at http://127.0.0.1:{port} in some seconds. Ctrl-C ends it.")
    with subprocess.Popen(command, cwd=project_root()) as child:
        try:
            return child.wait()
        except KeyboardInterrupt:
            return child.wait()


def make_tables_once() -> None:
    """Before several processes start: a parallel first start has made Dagster's tables twice."""
    with dg.DagsterInstance.get() as instance:
        instance.get_runs(limit=1)
