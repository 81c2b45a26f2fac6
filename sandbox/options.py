"""What a sandbox can be told when it starts."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Options:
    """One sandbox; the same seed, scenario and scale always make the same world."""

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 7
    scenario: str = "reference"
    scale: float = 0.01
    latency_ms: float = 20.0
    prices: str = "list"
    rate_factor: float = 1.0
    stop_with_parent: bool = False
    max_seconds: float = 14_400.0
    strangers: bool = False  # know people and companies that no scenario has, for leads of one's own
