"""`python -m sandbox`: listens, says where in one line of JSON, and never outlives its time."""

import argparse
import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import Sequence

from sandbox.app import serve
from sandbox.billing import PRICES
from sandbox.options import Options
from sandbox.scenarios import SCENARIOS


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until told to stop, orphaned (if asked to mind), or out of time."""
    asyncio.run(run(parsed(arguments)))


def parsed(arguments: Sequence[str] | None) -> Options:
    """The command line as options."""
    parser = argparse.ArgumentParser(prog="sandbox", description="The vendors' stand-in on this machine.")
    defaults = Options()
    parser.add_argument("--host", default=defaults.host)
    parser.add_argument("--port", type=int, default=defaults.port, help="0: any free port")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), default=defaults.scenario)
    parser.add_argument(
        "--scale", type=float, default=defaults.scale, help="1.0 is the campaign at full size"
    )
    parser.add_argument("--latency-ms", type=float, default=defaults.latency_ms)
    parser.add_argument("--prices", choices=sorted(PRICES), default=defaults.prices)
    parser.add_argument("--rate-factor", type=float, default=defaults.rate_factor, help="0: no rate limits")
    parser.add_argument("--strangers", action="store_true", help="know people whom no scenario has")
    parser.add_argument("--stop-with-parent", action="store_true")
    parser.add_argument("--max-seconds", type=float, default=defaults.max_seconds)
    return Options(**vars(parser.parse_args(arguments)))


async def run(options: Options) -> None:
    """Serve until the first reason to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    parent = os.getppid()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    loop.call_later(options.max_seconds, stop.set)
    async with serve(options) as sandbox:
        gc.collect()
        gc.freeze()  # the world never changes: keep it out of every later collection
        sys.stdout.write(json.dumps({"url": sandbox.url}) + "\n")
        sys.stdout.flush()
        watch = asyncio.create_task(_orphaned(parent, stop)) if options.stop_with_parent else None
        await stop.wait()
        if watch is not None:
            watch.cancel()


async def _orphaned(parent: int, stop: asyncio.Event) -> None:
    while os.getppid() == parent:  # noqa: ASYNC110 - no event tells of a parent's death
        await asyncio.sleep(1.0)
    stop.set()


if __name__ == "__main__":
    main()
