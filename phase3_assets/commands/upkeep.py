"""The database and its upkeep, the Dagster UI, and the vendors' stand-in."""

import json
import shlex
from contextlib import suppress
from typing import Annotated

import typer

from phase3_assets import workplace
from phase3_assets.commands.shell import Json, UseSandbox, database, tell, words


def demo(
    scale: Annotated[float, typer.Option(help="1.0 is the full reference campaign of 42,100 leads")] = 0.01,
) -> None:
    """The whole job on an embedded PostgreSQL and the vendor sandbox; no keys, nothing to pay."""
    from phase3_assets.demo import run_demo

    with workplace.database(tell) as url:
        raise typer.Exit(run_demo(url, scale, words))


def dev(
    port: Annotated[int, typer.Option(help="of the UI, on 127.0.0.1")] = 3000,
    use_sandbox: UseSandbox = False,
) -> None:
    """Open the Dagster UI with database, code and daemon wired; Ctrl-C ends all of it."""
    from phase3_assets.developing import serve

    with database(use_sandbox=use_sandbox) as url:
        raise typer.Exit(serve(url, port, tell))


def sandbox(
    port: Annotated[int, typer.Option(help="on 127.0.0.1; 0: any free one")] = 0,
    scale: Annotated[float, typer.Option(help="of the reference world; 1.0 is 42,100 leads")] = 0.01,
    seed: Annotated[int, typer.Option(help="another seed is another world")] = 7,
    latency_ms: Annotated[int, typer.Option(help="mean time to answer")] = 20,
    rate_factor: Annotated[float, typer.Option(help="how many times the usual rates are allowed")] = 200,
) -> None:
    """Serve the vendors' stand-in until Ctrl-C; prints the variables that point to it, for a shell."""
    wanted = {"--port": port, "--scale": scale, "--seed": seed, "--latency-ms": latency_ms}
    wanted["--rate-factor"] = rate_factor
    options = ["--strangers", *(str(word) for option in wanted.items() for word in option)]
    from phase3_assets import vendor_sandbox

    with (
        vendor_sandbox.started(*options) as running,
        vendor_sandbox.noted(running),
        suppress(KeyboardInterrupt),
    ):
        settings = running.settings_file(workplace.state_dir())
        for variable, value in {**running.variables, "PHASE3_SETTINGS": str(settings)}.items():
            print(f"export {variable}={shlex.quote(value)}", flush=True)
        tell(f"The sandbox answers at {running.url}; `phase3 run --sandbox` uses it. Ctrl-C ends it.")
        running.wait()


def upgrade() -> None:
    """Bring the schema up to date: ours, and the one that holds Dagster's tables."""
    from phase3_assets.upgrading import upgrade_all

    with workplace.database(tell) as url:
        for applied in upgrade_all(url):
            print(applied)


def prune_old(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="tell what would be erased, erase nothing")
    ] = False,
    as_json: Json = False,
) -> None:
    """Erase old answers, and the people of campaigns that have ended, by [retention]; amounts stay."""
    from phase3_assets.pruning import in_a_sentence, prune

    with workplace.database(tell) as url:
        told = prune(url, dry_run=dry_run)
    if as_json:
        print(json.dumps(told, indent=2))
    tell(in_a_sentence(told))
    raise typer.Exit(1 if told["exports_left"] else 0)
