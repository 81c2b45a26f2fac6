"""What one site can cost us, and where tests take hold."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ssl import SSLContext

from resources.web.dialling import Dialler, Resolver, as_vetted


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one site can cost us."""

    connect_s: float = 5.0
    read_s: float = 10.0
    total_s: float = 20.0  # on the network, for all attempts of one fetch together
    raw_bytes: int = 2_000_000
    decoded_bytes: int = 2_000_000
    robots_bytes: int = 512_000
    error_page_bytes: int = 64_000
    redirects: int = 3
    pause_s: float = 1.0
    in_flight: int = 20
    turn_s: float = 60.0  # longest wait for a turn at a host to which others are sent as well
    inline_bytes: int = 64_000  # read within 5 ms: a thread would hold the interpreter as long


@dataclass(frozen=True, slots=True)
class Seams:
    """Where tests take hold. Nothing in here can be reached from configuration."""

    resolver: Resolver | None = None
    dialler: Dialler = as_vetted
    is_public: Callable[[str], bool] | None = None
    tls: SSLContext | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    limits: Limits = Limits()
