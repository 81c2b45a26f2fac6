"""`phase3`: the same assets from a shell. Data on stdout, words and progress on stderr.

Exit codes: 0 completed or pending approval, 2 bad input, 3 stopped at a threshold, 1 failed.
Dagster is imported only by the commands that need it.
"""

import errno
import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from phase3_assets.commands import campaigns, decisions, money, people, upkeep
from phase3_assets.commands.shell import tell
from phase3_core.errors import OutsideFailure, Phase3Error

# A command is about a second of loading modules, whose objects stay: little is found by looking for garbage.
LOADED_BETWEEN_COLLECTIONS = 50_000

VERBS: dict[str, Callable[..., None]] = {
    "import": campaigns.import_leads,
    "run": campaigns.run,
    "result": campaigns.result,
    "status": campaigns.status,
    "estimate": money.estimate,
    "reconcile": money.reconcile,
    "budget": money.budget,
    "providers": money.providers,
    "suppress": people.suppress_who,
    "forget": people.forget_who,
    "approve": decisions.approve,
    "reject": decisions.reject,
    "request-more": decisions.request_more,
    "export": campaigns.export,
    "trace": campaigns.trace,
    "simulate": money.simulate,
    "slack": decisions.slack,
    "demo": upkeep.demo,
    "dev": upkeep.dev,
    "sandbox": upkeep.sandbox,
}
VERBS_OF_DB: dict[str, Callable[..., None]] = {"upgrade": upkeep.upgrade, "prune": upkeep.prune_old}

app = typer.Typer(
    help="Find, verify and enrich a campaign's leads; never pay a vendor twice.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
db = typer.Typer(help="The database.", no_args_is_help=True)
app.add_typer(db, name="db")
for name, verb in VERBS.items():
    app.command(name)(verb)
for name, verb in VERBS_OF_DB.items():
    db.command(name)(verb)


@contextmanager
def told_in_full() -> Iterator[None]:
    """Raises OutsideFailure where that finds no room. A reader who has gone needs no word."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as failure:
        if failure.errno not in {errno.ENOSPC, errno.EPIPE}:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes once more at its end
        if failure.errno == errno.EPIPE:
            sys.exit(1)
        raise OutsideFailure("No space is left where this is written to.") from None


def main() -> None:
    """A mistake of the user's is one line and an exit code, never a traceback."""
    gc.set_threshold(LOADED_BETWEEN_COLLECTIONS)
    try:
        with told_in_full():
            app()
    except Phase3Error as failure:
        tell(str(failure))
        sys.exit(failure.exit_code)
    finally:
        gc.freeze()  # a process that ends looks for garbage once more: with Dagster loaded for half a second
