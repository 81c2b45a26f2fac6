"""`phase3 dev`: Dagster's web server, daemon and code, wired to the database at hand."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

from phase3_assets.instance import make_tables_once
from phase3_assets.workplace import project_root
from resources.postgres.database import require_current

LOOPBACK = "127.0.0.1"  # the UI asks nobody who they are, and can approve


def serve(url: str, port: int, tell: Callable[[str], None]) -> int:
    """Until Ctrl-C, which the terminal sends to Dagster too; else Dagster's exit code.

    Raises BadInput where the database `url` is not ready: in the UI every sensor would say so for ever.
    """
    require_current(url)
    make_tables_once()
    tell(f"The Dagster UI opens at http://{LOOPBACK}:{port} in some seconds. Ctrl-C ends it.")
    with subprocess.Popen(command(port), cwd=project_root()) as child:
        with suppress(KeyboardInterrupt):
            return child.wait()
        return child.wait() and 0


def command(port: int) -> list[str]:
    """Dagster's own, over our workspace."""
    workspace = str(project_root() / "workspace.yaml")
    return [sys.executable, "-m", "dagster", "dev", "-w", workspace, "-h", LOOPBACK, "-p", str(port)]
