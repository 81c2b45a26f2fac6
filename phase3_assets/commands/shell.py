"""What the verbs share: words on stderr, data on stdout, a database, the sandbox where it is wished."""

import gc
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated, Any

import typer

from phase3_assets import workplace
from phase3_assets.terminal import Terminal

CampaignArgument = Annotated[str, typer.Argument(help="id, the beginning of one, or name")]
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout and nothing else")]
UseSandbox = Annotated[bool, typer.Option("--sandbox", help="ask the sandbox, not the real vendors")]

words = Terminal(stderr=True)


def tell(sentence: str) -> None:
    words.print(sentence, soft_wrap=True, markup=False)


def show(told: Any, table: Callable[[Any], Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(told, indent=2))
    else:
        Terminal().tabulate(table(told))


@contextmanager
def database(*, use_sandbox: bool) -> Iterator[str]:
    """The URL of the database; where it is wished, with the sandbox in the place of the vendors."""
    with ExitStack() as stack:
        url = stack.enter_context(workplace.database(tell))
        if use_sandbox:
            stack.enter_context(_in_sandbox())
        yield url


def _in_sandbox() -> Any:
    """Keys, base URLs and settings of the sandbox, for as long as the command runs."""
    from phase3_assets import vendor_sandbox

    return vendor_sandbox.pointed_at(vendor_sandbox.at_hand("--strangers", "--rate-factor", "200"))


@contextmanager
def loading() -> Iterator[None]:
    """Dagster's modules make hundreds of thousands of objects that stay: nothing to collect among them."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
