"""A company's site as the leads of the company cause it to be read."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from phase3_core.calls import Facts, Miss
from resources.providers.catalogue import row
from resources.providers.client import ProviderClient
from resources.providers.keys import Keys
from resources.providers.request import Question
from resources.providers.settlement import Tally
from resources.providers.website import WebsiteTransport
from tests.fakes.ledger import FakeLedger
from tests.resources.providers.sheet import lead
from tests.resources.providers.vendor import FakeTime
from tests.resources.web.site import Names, Site, fetcher, names, redirect, reply, running

HOSTS = ["northwind.com", "www.northwind.com"]
COLLEAGUES = [lead(first_name=f"Dana {number}", company_domain=HOSTS[0]) for number in range(10)]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running(Site()) as served:
        served.pages["northwind.com/"] = redirect("http://www.northwind.com/")
        served.pages["www.northwind.com/"] = reply()
        yield served


async def read_for_colleagues(site: Site, resolver: Names) -> list[object]:
    """Half of them ask at once, the others later."""
    time, declared = FakeTime(), row("website")
    async with fetcher(site, resolver) as web:
        client = ProviderClient(
            spec=declared.spec,
            terms=declared.terms,
            secrets=Keys({}),
            base_url="",
            ledger=FakeLedger(time),
            transport=WebsiteTransport(web),
            clock=time,
            tally=Tally(),
            sleep=time.sleep,
        )
        asking = [client.ask(Question(one)) for one in COLLEAGUES]
        return [*await asyncio.gather(*asking[:5]), *await asyncio.gather(*asking[5:])]


async def test_ten_leads_of_a_company_cause_one_look_up_of_each_of_its_names(site: Site) -> None:
    resolver = names(*HOSTS)
    told = await read_for_colleagues(site, resolver)
    assert [type(one) for one in told] == [Facts] * 10
    assert sorted(resolver.lookups) == HOSTS
    assert site.asked.count("www.northwind.com/") == 1


async def test_a_name_that_does_not_exist_is_looked_up_once_for_all(site: Site) -> None:
    resolver = names()
    assert await read_for_colleagues(site, resolver) == [Miss("dns_failure")] * 10
    assert sorted(resolver.lookups) == HOSTS
    assert site.connections == 0
