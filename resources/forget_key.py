"""The key under which forgotten people are recognised."""

import os
from collections.abc import Mapping

from phase3_core.errors import BadInput
from phase3_core.forgetting import Pseudonyms

FORGET_KEY = "PHASE3_FORGET_KEY"
SHORTEST_KEY = 32  # characters


def pseudonyms(environment: Mapping[str, str] = os.environ) -> Pseudonyms:
    """How forgotten people are recognised; raises BadInput for a key that could be guessed."""
    key = environment.get(FORGET_KEY, "").strip()
    if key and len(key) < SHORTEST_KEY:
        told = f"{FORGET_KEY} has {len(key)} characters and needs {SHORTEST_KEY}"
        raise BadInput(f"{told}: make one by `openssl rand -hex 32`.")
    return Pseudonyms(key.encode())
