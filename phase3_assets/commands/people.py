"""Who must not be asked about, and who is forgotten."""

import json
from typing import Annotated

import typer

from phase3_assets import workplace
from phase3_assets.commands.shell import Json, tell
from phase3_assets.terminal import Terminal


def suppress_who(
    who: Annotated[str, typer.Argument(help="an address, a domain, or a .csv file of them")],
    reason: Annotated[str, typer.Option(help="kept with the entry")] = "",
    remove: Annotated[bool, typer.Option("--remove", help="take off the list")] = False,
) -> None:
    """Put people or companies on the suppression list: no vendor is asked about them from now on."""
    from phase3_assets.suppressing import suppress_all

    with workplace.database(tell) as url:
        print(suppress_all(url, who, reason, tell, remove=remove))


def forget_who(
    who: Annotated[str, typer.Argument(help="a person's address, or the id of a lead")],
    as_json: Json = False,
) -> None:
    """Erase a person from leads, ledger and exports, keep the amounts, and never ask about them again."""
    from phase3_assets.forgetting import forget_person, forgotten_table, sentences

    with workplace.database(tell) as url:
        told = forget_person(url, who).as_json()
    if as_json:
        print(json.dumps(told, indent=2))
    elif told["vendors"]:
        Terminal().tabulate(forgotten_table(told))
    for sentence in sentences(told):
        tell(sentence)
    raise typer.Exit(1 if told["exports_left"] else 0)
