"""Whatever a client sends, a vendor answers in its own words and bills nothing it did not do."""

import json

import pytest

from sandbox.registry import VENDORS
from tests.sandbox.client import Client

NAMES = [vendor.name for vendor in VENDORS]
BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"\xff\xfe",
    json.dumps(
        {"data": 1, "emails": {}, "details": [1, None], "filters": [], "custom": [], "requests": [3]}
    ).encode(),
    json.dumps(
        {"data": {"attributes": {"matchCompanyInput": [1], "outputFields": [1], "topics": "a"}}}
    ).encode(),
    json.dumps(
        {"data": [["a"], 1], "task": "email-search", "messages": [1], "tools": {}, "q": 1, "domains": [1]}
    ).encode(),
]


@pytest.mark.parametrize("vendor", NAMES)
async def test_junk_is_answered_in_the_vendors_own_words(client: Client, vendor: str) -> None:
    signature = await client.signature(vendor)
    headers = {**signature.get("headers", {}), "Content-Type": "application/json"}
    params = {**signature.get("params", {}), "LOOKUP": ",,,", "count": "many", "email": "@", "url": "//"}
    for operation in client.sandbox.parts.vendors[vendor].operations():
        path = f"/{vendor}/{operation.path.replace('*', '%00x')}"
        for body in BODIES if operation.method == "POST" else BODIES[:1]:
            answer = await client.send(operation.method, path, data=body, headers=headers, params=params)
            assert answer.status < 500, (operation.name, body, answer.body)
