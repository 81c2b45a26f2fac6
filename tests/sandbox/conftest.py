from collections.abc import AsyncIterator

import aiohttp
import pytest

from sandbox.app import serve
from sandbox.options import Options
from sandbox.population import make_world
from sandbox.world import World
from tests.sandbox.client import Client


@pytest.fixture(scope="session")
def world() -> World:
    return make_world("reference", 7, 0.01)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    options = Options(latency_ms=0)
    async with serve(options) as sandbox, aiohttp.ClientSession() as session:
        yield Client(sandbox, session)
