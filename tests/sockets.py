"""At which addresses of this machine somebody listens, as the kernel tells it."""

from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import pytest

LISTENS = "0A"
TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


def listening_at(url: str) -> list[str]:
    """Addresses at which the port of this URL is open."""
    if not TABLES[0].exists():
        pytest.skip("only Linux tells who listens where")
    lines = [
        line.split() for table in TABLES if table.exists() for line in table.read_text().splitlines()[1:]
    ]
    places = [fields[1].split(":") for fields in lines if fields[3] == LISTENS]
    return [_address(host) for host, port in places if int(port, 16) == urlsplit(url).port]


def _address(host: str) -> str:
    """The kernel writes words of four bytes, each turned round."""
    words = [bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8)]
    return str(ip_address(b"".join(words)))
