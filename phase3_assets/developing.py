"""`phase3 dev`: Dagster's web server, daemon and code, wired to the database at hand."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

from phase3_assets.instance import make_tables_once
from phase3_assets.workplace import project_root


def serve(port: int, tell: Callable[[str], None]) -> int:
    """Until Ctrl-C, which the terminal sends to Dagster too; else Dagster's exit code."""
    make_tables_once()
    workspace = str(project_root() / "workspace.yaml")
    command = [sys.executable, "-m", "dagster", "dev", "-w", workspace, "-h", "127.0.0.1", "-p", str(port)]
    tell(f"The Dagster UI opens at http://127.0.0.1:{port} in some seconds. Ctrl-C ends it.")
    with subprocess.Popen(command, cwd=project_root()) as child:
        with suppress(KeyboardInterrupt):
            return child.wait()
        return child.wait() and 0
