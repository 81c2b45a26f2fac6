import json
import re

import aiohttp
import pytest

from sandbox.companies import Company, Site
from tests.sandbox.client import Answer, Client


def with_site(client: Client, site: Site) -> Company:
    return next(company for company in client.world.companies if company.site is site)


async def visit(client: Client, host: str, path: str = "/") -> Answer:
    return await client.send("GET", path, headers={"Host": host})


async def test_a_rich_site_describes_its_company(client: Client) -> None:
    company = with_site(client, Site.RICH)
    page = (await visit(client, company.domain)).body.decode()
    script = re.search(r'<script type="application/ld\+json">(.*?)</script>', page)
    assert script
    facts = json.loads(script[1])
    assert facts["@type"] == "Organization"
    assert facts["description"] == company.description
    assert facts["foundingDate"].startswith(str(company.founded))
    assert '<meta name="description"' in page


async def test_the_port_in_the_host_header_does_not_matter(client: Client) -> None:
    company = with_site(client, Site.RICH)
    assert company.name in (await visit(client, f"www.{company.domain}:80")).body.decode()


async def test_descriptions_stand_where_the_site_puts_them(client: Client) -> None:
    meta, about, words = (with_site(client, site) for site in (Site.META, Site.ABOUT, Site.TEXT))
    assert b"ld+json" not in (await visit(client, meta.domain)).body
    assert b'name="description"' in (await visit(client, meta.domain)).body
    assert b'name="description"' not in (await visit(client, about.domain)).body
    assert b'name="description"' in (await visit(client, about.domain, "/about")).body
    page = (await visit(client, words.domain)).body.decode()
    assert 'name="description"' not in page
    assert words.description in page


async def test_the_apex_may_send_on_to_www(client: Client) -> None:
    company = with_site(client, Site.REDIRECT)
    answer = await visit(client, company.domain)
    assert (answer.status, answer.headers["Location"]) == (301, f"http://www.{company.domain}/")
    assert (await visit(client, f"www.{company.domain}")).status == 200


@pytest.mark.parametrize(("site", "status"), [(Site.FAILING, 500), (Site.MISSING, 404), (Site.PARKED, 200)])
async def test_dark_sites(client: Client, site: Site, status: int) -> None:
    company = with_site(client, site)
    answer = await visit(client, company.domain)
    assert answer.status == status
    assert company.description.encode() not in answer.body


async def test_a_dead_server_hangs_up(client: Client) -> None:
    with pytest.raises(aiohttp.ClientConnectionError):
        await visit(client, with_site(client, Site.CLOSED).domain)


async def test_robots(client: Client) -> None:
    closed, open_site = with_site(client, Site.DISALLOWED), with_site(client, Site.RICH)
    assert b"Disallow: /\n" in (await visit(client, closed.domain, "/robots.txt")).body
    assert b"Allow: /\n" in (await visit(client, open_site.domain, "/robots.txt")).body


async def test_an_unknown_host_is_parked(client: Client) -> None:
    assert (await visit(client, "unheard-of.example")).status == 404
