"""Each test fails when the defence it names is taken out."""

import asyncio
import gzip
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from resources.web import addresses, dialling, fetch, hops, verdict
from resources.web.addresses import Host, vetted_host
from resources.web.body import Body
from resources.web.dialling import NoSuchNameError, NotPinnedError, Pin, SystemResolver, _looked_up, pinned
from resources.web.fetch import WebFetcher
from resources.web.hops import Hops
from resources.web.limits import Limits, Seams
from resources.web.outcome import FetchOutcome, Outcome
from resources.web.robots import Robots, Rule
from resources.web.robots_cache import RobotsCache
from resources.web.turns import Turns
from tests.attacks import attack, replaced
from tests.resources.web.site import (
    CONTACT,
    NOT_FOUND,
    PAGE,
    PUBLIC,
    Clock,
    Names,
    Script,
    Site,
    fetcher,
    names,
    redirect,
    reply,
    running,
)

NORTHWIND = names("northwind.com", "www.northwind.com")
METADATA = "169.254.169.254"


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running(Site()) as served:
        yield served


async def fetched(
    site: Site, resolver: Names | None = None, domain: str = "northwind.com", **kw: Any
) -> FetchOutcome:
    async with fetcher(site, resolver or names("northwind.com"), **kw) as web:
        return await web.fetch(domain)


async def answer(site: Site, page: bytes | Script, **kw: Any) -> FetchOutcome:
    site.pages["northwind.com/"] = page
    return await fetched(site, **kw)


# --- the ordinary way ------------------------------------------------------------------------------------


async def test_a_page_is_read(site: Site) -> None:
    found = await answer(site, reply())
    assert found.outcome is Outcome.OK
    assert found.facts is not None
    assert found.facts.description is not None
    assert found.facts.description.value == "Robots for wind farms"
    assert (found.url, found.status, found.raw_bytes, found.request_sent) == (
        "http://northwind.com/",
        200,
        len(PAGE),
        True,
    )
    assert site.asked == ["northwind.com/robots.txt", "northwind.com/"]


async def test_we_say_who_we_are_and_nothing_else(site: Site) -> None:
    site.pages["northwind.com/robots.txt"] = reply(b"", headers=["Set-Cookie: id=1"])
    await answer(site, reply())
    lines = {line.split(":")[0].lower(): line for line in site.headers[1].split("\r\n") if ":" in line}
    assert set(lines) == {"host", "user-agent", "accept", "accept-encoding"}
    assert lines["user-agent"] == f"User-Agent: Phase3Bot/0.1 (+{CONTACT})"
    assert lines["accept-encoding"] == "Accept-Encoding: identity, gzip"


async def test_a_gzipped_page_is_read(site: Site) -> None:
    found = await answer(site, reply(gzip.compress(PAGE), headers=["Content-Encoding: gzip"]))
    assert found.outcome is Outcome.OK


async def test_a_large_page_is_read_off_the_loop(site: Site) -> None:
    found = await answer(site, reply(PAGE + b"<p>x" * 50_000))
    assert found.outcome is Outcome.OK


async def test_a_page_without_facts_is_empty(site: Site) -> None:
    found = await answer(site, reply(b"<title>Hello</title>"))
    assert found.outcome is Outcome.EMPTY


async def test_a_parked_page_is_empty(site: Site) -> None:
    found = await answer(site, reply(b"<title>northwind.com is for sale | Dealer</title>" + PAGE))
    assert found.outcome is Outcome.EMPTY
    assert found.facts is not None
    assert found.facts.parked


async def test_the_www_name_is_tried_when_the_bare_one_does_not_exist(site: Site) -> None:
    site.pages["www.northwind.com/"] = reply()
    found = await fetched(site, names("www.northwind.com"))
    assert found.url == "http://www.northwind.com/"


async def test_https_comes_first(serving: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    async with running(Site(), serving) as site:
        found = await answer(site, reply(), tls=trusting)
    assert found.url == "https://northwind.com/"


async def test_the_log_has_the_address_and_not_the_page(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "resources.web"):
        await answer(site, reply())
    assert "northwind.com ok address=127.0.0.1 status=200" in caplog.text
    assert "Robots" not in caplog.text


# --- hosts and addresses ---------------------------------------------------------------------------------


def any_host(text: str, *, sandbox: bool = False) -> Host:
    """No vetting at all."""
    name = urlsplit(text if "://" in text else f"//{text}").hostname or text
    return Host(name, name, sandboxed=sandbox and name.endswith(".example"))


EVERYTHING_IS_PUBLIC = replaced(
    (addresses, "_is_public_v4", lambda *_: True), (addresses, "_is_public_v6", lambda *_: True)
)


async def resolved_anew(web: Hops, visit: Any, name: str) -> Any:
    del visit
    found = await web._resolved(name)
    if isinstance(found, Exception):
        raise found
    return found


def trusting_session(**options: Any) -> aiohttp.ClientSession:
    return SESSION(**options | {"trust_env": True})


def unchecked_connector(tls: ssl.SSLContext | None) -> aiohttp.TCPConnector:
    del tls
    return CONNECTOR(ssl._create_unverified_context())


async def everything(body: Body, response: aiohttp.ClientResponse) -> bool:
    async for chunk in response.content.iter_any():
        body.raw += len(chunk)
    return True


def all_unpacked(body: Body, chunk: bytes) -> bytes:
    return body._unpacker.decompress(chunk) if body._unpacker else chunk


SESSION, CONNECTOR = aiohttp.ClientSession, dialling.pinned_connector


class Still(Clock):
    """Nobody's waiting is over yet."""

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


async def patiently(turns: Turns, host: str) -> None:
    turns._free_at[host] = turns._free_at.get(host, 0.0) + 1.0
    await turns._seams.sleep(turns._free_at[host])


def unpinned_socket(info: Any) -> socket.socket:
    return socket.socket(*info[:3])


@attack(
    "Reading websites",
    "A lead's domain is an address in decimal, octal or hex, an internal name, or has a password in it",
    defence="Only names under a public suffix are visited, and judged before they are resolved",
    without=replaced((fetch, "vetted_host", any_host)),
)
@pytest.mark.parametrize(
    "domain",
    ["2130706433", "0x7f.1", "127.0.0.1", "[::1]", "localhost", "a.internal", "a@b.com", "northwind.example"],
)
async def test_a_refused_host_is_never_even_resolved(site: Site, domain: str) -> None:
    resolver = Names({domain: [[PUBLIC]]})
    found = await fetched(site, resolver, domain)
    assert (found.outcome, found.request_sent, found.flags_lead) == (Outcome.BLOCKED_HOST, False, True)
    assert resolver.lookups == []


@attack(
    "Reading websites",
    "A public name has a loopback, private, link-local, metadata or carrier-grade NAT address, also one in "
    "IPv6 clothes (mapped, NAT64) or among good ones",
    defence="Every address of a name is vetted; one bad one condemns the name",
    without=EVERYTHING_IS_PUBLIC,
)
@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        [METADATA],
        ["100.64.0.1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        [PUBLIC, "10.0.0.1"],
        ["fd00:ec2::254", PUBLIC],
    ],
)
async def test_one_private_address_refuses_the_name(site: Site, addresses: list[str]) -> None:
    site.pages["northwind.com/"] = reply()
    found = await fetched(site, Names({"northwind.com": [addresses]}))
    assert (found.outcome, found.request_sent, found.flags_lead) == (Outcome.BLOCKED_ADDRESS, False, True)
    assert site.connections == 0


@attack(
    "Reading websites",
    "A name's answer changes between check and connection (DNS rebinding)",
    defence="A name is resolved once a visit, and what was vetted is what is dialled",
    without=replaced((Hops, "_vetted", resolved_anew)),
)
async def test_rebinding_fails_because_a_name_is_resolved_once(site: Site) -> None:
    site.pages["northwind.com/"] = redirect("/home")
    site.pages["northwind.com/home"] = reply()
    resolver = Names({"northwind.com": [[PUBLIC], ["127.0.0.1"]]})
    async with fetcher(site, resolver) as web:
        assert (await web.fetch("northwind.com")).outcome is Outcome.OK
        assert resolver.lookups.count("northwind.com") == 1
        # The next visit asks again, and is then refused before anything is dialled.
        connections = site.connections
        assert (await web.fetch("northwind.com")).outcome is Outcome.BLOCKED_ADDRESS
        assert site.connections == connections


@attack(
    "Reading websites",
    "A lead's domain leads back to our own public addresses",
    defence="`[web] own_networks` are refused like private ones",
    without=EVERYTHING_IS_PUBLIC,
)
async def test_the_production_policy_holds_without_a_seam_and_knows_our_own_addresses(site: Site) -> None:
    for address, own in (("203.0.113.10", []), ("8.8.8.8", ["8.8.8.0/24"])):
        found = await fetched(site, Names({"northwind.com": [[address]]}), own_networks=own)
        assert found.outcome is Outcome.BLOCKED_ADDRESS


@attack(
    "Reading websites",
    "The HTTP library dials an address on its own, past its resolver",
    defence="Sockets are made by a factory that knows only the vetted addresses",
    without=replaced((dialling, "_pinned_socket", unpinned_socket)),
)
@pytest.mark.parametrize("literal", ["127.0.0.1", "[::1]", "2130706433", "127.1"])
async def test_the_client_itself_cannot_dial_a_literal(site: Site, literal: str) -> None:
    """Neither without a pin nor under one that leads elsewhere."""
    async with fetcher(site, names()) as web:
        for pin in (None, Pin("northwind.com", site.port, (("203.0.113.10", site.port),))):
            with pinned(pin) if pin else nullcontext(), pytest.raises((NotPinnedError, ValueError)):
                await web._hops._session.get(f"http://{literal}:{site.port}/")
    assert site.connections == 0


async def test_the_client_itself_cannot_dial_a_name_nobody_vetted(site: Site) -> None:
    async with fetcher(site, names("northwind.com")) as web:
        with pytest.raises(NotPinnedError):
            await web._hops._session.get(f"http://northwind.com:{site.port}/")
    assert site.connections == 0


async def test_a_pin_holds_for_its_own_name_and_port_only(site: Site) -> None:
    pin = Pin("northwind.com", 80, (("127.0.0.1", site.port),))
    async with fetcher(site, names()) as web:
        for url in ("http://other.com/", "https://northwind.com/"):
            with pinned(pin), pytest.raises(NotPinnedError):
                await web._hops._session.get(url)
    assert site.connections == 0


@attack(
    "Reading websites",
    "A proxy in the environment leads round the vetted address",
    defence="The environment is not trusted",
    without=replaced((aiohttp, "ClientSession", trusting_session)),
)
async def test_a_proxy_in_the_environment_is_ignored(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    assert (await answer(site, reply())).outcome is Outcome.OK


async def test_nothing_configurable_loosens_the_policy() -> None:
    production = Seams()
    assert (production.resolver, production.is_public, production.tls) == (None, None, None)
    assert production.dialler("192.0.2.1", 80) == ("192.0.2.1", 80)


async def test_the_system_resolver_finds_loopback_and_names_its_failures() -> None:
    assert "127.0.0.1" in _looked_up("localhost")
    resolver = SystemResolver(1)
    try:
        with pytest.raises((NoSuchNameError, OSError)):  # offline machines cannot tell
            await resolver.addresses("does-not-exist.invalid")
    finally:
        resolver.close()


# --- redirects -------------------------------------------------------------------------------------------


@attack(
    "Reading websites",
    "A site redirects inwards: to metadata, loopback, other schemes and ports, names that resolve inwards",
    defence="Every hop passes every rule, and no hop leads to the sandbox",
    without=replaced((fetch, "vetted_host", any_host)),
)
@pytest.mark.parametrize(
    "location",
    [
        f"http://{METADATA}/latest/meta-data/",
        "http://2130706433/",
        "http://127.1/",
        "http://[::ffff:169.254.169.254]/",
        "//127.0.0.1/",
        "http://metadata.google.internal/",
        "http://localhost/",
        "http://northwind.com:8080/",
        "http://northwind.com@127.0.0.1/",
        "http://northwind.com\\@127.0.0.1/",
        "file:///etc/passwd",
        "gopher://northwind.com/",
        "http://rebound.com/",
        "http://northwind.example/",
        "http://[::1",
        "/" + "a" * 3_000,
    ],
)
async def test_a_redirect_has_to_pass_every_rule(site: Site, location: str) -> None:
    site.pages["northwind.com/"] = redirect(location)
    resolver = names("northwind.com")
    resolver.answers["rebound.com"] = [[PUBLIC, METADATA]]
    found = await fetched(site, resolver)
    assert (found.outcome, found.flags_lead) == (Outcome.BLOCKED_REDIRECT, True)
    assert site.asked == ["northwind.com/robots.txt", "northwind.com/"]


async def test_a_redirect_to_another_public_host_is_followed(site: Site) -> None:
    site.pages["northwind.com/"] = redirect("http://www.northwind.org/our home?x=1&y=%20#top")
    site.pages["www.northwind.org/our%20home?x=1&y=%20"] = reply()
    found = await fetched(site, names("northwind.com", "www.northwind.org"))
    assert (found.outcome, found.url) == (Outcome.OK, "http://www.northwind.org/our%20home?x=1&y=%20")


@pytest.mark.parametrize("hops", [3, 4])
async def test_three_redirects_are_followed_and_no_more(site: Site, hops: int) -> None:
    for hop in range(hops):
        site.pages[f"northwind.com/{hop or ''}"] = redirect(f"/{hop + 1}")
    site.pages[f"northwind.com/{hops}"] = reply()
    found = await fetched(site)
    assert found.outcome is (Outcome.OK if hops == 3 else Outcome.BLOCKED_REDIRECT)


@attack(
    "Reading websites",
    "Redirects without end",
    defence="At most three are followed",
    without=replaced(*((module, "REDIRECTS", frozenset()) for module in (fetch, hops, verdict))),
)
async def test_a_redirect_loop_ends(site: Site) -> None:
    assert (await answer(site, redirect("/"))).outcome is Outcome.BLOCKED_REDIRECT
    assert site.asked.count("northwind.com/") == 4


async def test_a_redirect_to_nowhere_is_refused(site: Site) -> None:
    assert (await answer(site, reply(b"", status=302))).outcome is Outcome.BLOCKED_REDIRECT


async def test_a_redirect_to_a_dead_name_does_not_make_the_domain_dead(site: Site) -> None:
    assert (await answer(site, redirect("http://gone.com/"))).outcome is Outcome.NOT_FOUND


async def test_https_never_leads_down_to_http(serving: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    async with running(Site(), serving) as site:
        found = await answer(site, redirect("http://northwind.com/plain"), tls=trusting)
    assert found.outcome is Outcome.BLOCKED_REDIRECT
    assert "northwind.com/plain" not in site.asked


# --- TLS -------------------------------------------------------------------------------------------------


@attack(
    "Reading websites",
    "Somebody else answers for a company's name",
    defence="Certificates are checked against the name, and a failure is not tried again without TLS",
    without=replaced((hops, "pinned_connector", unchecked_connector)),
)
async def test_a_certificate_for_another_name_is_refused(
    serving: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async with running(Site(), serving) as site:
        site.pages["other.com/"] = reply()
        found = await fetched(site, names("other.com"), "other.com", tls=trusting)
    assert (found.outcome, found.request_sent) == (Outcome.TLS_ERROR, False)
    assert site.asked == []  # and no second try without TLS


async def test_a_certificate_nobody_signed_is_refused(serving: ssl.SSLContext) -> None:
    async with running(Site(), serving) as site:
        assert (await answer(site, reply())).outcome is Outcome.TLS_ERROR
    assert site.asked == []


# --- sizes, types, time ----------------------------------------------------------------------------------

SMALL = Limits(raw_bytes=20_000, decoded_bytes=20_000)


def streamed(chunk: bytes, times: int, sent: list[int], *headers: str) -> Script:
    async def script(writer: asyncio.StreamWriter) -> None:
        head = ["HTTP/1.1 200 OK", "Content-Type: text/html", "Connection: close", *headers, "", ""]
        writer.write("\r\n".join(head).encode())
        for _ in range(times):
            writer.write(chunk)
            await writer.drain()
            sent.append(len(chunk))
        writer.close()

    return script


@attack(
    "Reading websites",
    "A page that never ends",
    defence="Two megabytes are read and no more",
    without=replaced((Body, "read", everything)),
)
async def test_a_page_of_20_megabytes_is_dropped_at_two(site: Site) -> None:
    sent: list[int] = []
    found = await answer(site, streamed(b"x" * 100_000, 200, sent))
    assert found.outcome is Outcome.TOO_LARGE
    assert found.raw_bytes < 3_000_000
    assert sum(sent) < 20_000_000


async def test_a_gzip_bomb_is_dropped_while_it_is_still_small(site: Site) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    assert len(bomb) < SMALL.raw_bytes * 3
    found = await answer(
        site, reply(bomb, headers=["Content-Encoding: gzip"]), limits=replace(SMALL, raw_bytes=200_000)
    )
    assert found.outcome is Outcome.TOO_LARGE


@attack(
    "Reading websites",
    "A small answer that unpacks to gigabytes (gzip bomb)",
    defence="Unpacked is only what there is room for, as it arrives",
    without=replaced((Body, "_unpacked", all_unpacked)),
)
def test_a_gzip_bomb_is_never_unpacked_in_memory() -> None:
    body = Body(raw_cap=1_000_000, decoded_cap=1_000, encoding="gzip")
    assert len(body._unpacked(gzip.compress(b"\0" * 5_000_000))) == 1_001


async def test_the_raw_size_counts_too(site: Site) -> None:
    noise = gzip.compress(bytes(range(256)) * 10, 0) * 20  # members after the first unpack to nothing
    found = await answer(site, reply(noise, headers=["Content-Encoding: gzip"]), limits=SMALL)
    assert found.outcome is Outcome.TOO_LARGE


@attack(
    "Reading websites",
    "A bomb inside a bomb, or in an encoding that nobody counts",
    defence="Plain and once gzipped are the only encodings",
    without=replaced((hops, "encoding_of", lambda _: "identity")),
)
@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "gzip, gzip", "compress"])
async def test_other_encodings_are_refused(site: Site, encoding: str) -> None:
    assert (
        await answer(site, reply(headers=[f"Content-Encoding: {encoding}"]))
    ).outcome is Outcome.WRONG_TYPE


async def test_broken_gzip_is_refused(site: Site) -> None:
    assert (await answer(site, reply(headers=["Content-Encoding: gzip"]))).outcome is Outcome.WRONG_TYPE


@attack(
    "Reading websites",
    "Something that is no page is fed to the reader",
    defence="HTML, XHTML and plain text are the only types",
    without=replaced((hops, "check_type", lambda _: None)),
)
@pytest.mark.parametrize(
    "kind", ["application/pdf", "image/svg+xml", "application/json", "", "text/html-ish"]
)
async def test_other_types_are_refused(site: Site, kind: str) -> None:
    assert (await answer(site, reply(kind=kind))).outcome is Outcome.WRONG_TYPE


@pytest.mark.parametrize("kind", ["TEXT/HTML; charset=utf-8", "application/xhtml+xml", "text/plain"])
async def test_readable_types_are_read(site: Site, kind: str) -> None:
    assert (await answer(site, reply(kind=kind))).outcome is not Outcome.WRONG_TYPE


@attack(
    "Reading websites",
    "A byte a second, for ever (slow drip)",
    defence="A visit has one bound on all its time on the network",
    without=replaced((asyncio, "timeout", lambda _: nullcontext())),
)
async def test_a_slow_drip_ends_with_the_total(site: Site) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
        for _ in range(200):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.close()

    found = await answer(site, drip, limits=Limits(total_s=0.15, read_s=5))
    assert (found.outcome, found.request_sent, found.is_transient) == (Outcome.TIMEOUT, True, True)


async def test_silence_ends_with_the_read_timeout(site: Site) -> None:
    async def silence(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.close()

    found = await answer(site, silence, limits=Limits(read_s=0.05))
    assert found.outcome is Outcome.TIMEOUT


async def test_a_resolver_that_hangs_ends_with_the_connect_timeout(site: Site) -> None:
    class Hangs(Names):
        async def addresses(self, name: str) -> Sequence[str]:
            del name
            await asyncio.Event().wait()
            return []

    found = await fetched(site, Hangs({}), limits=Limits(connect_s=0.05))
    assert (found.outcome, found.request_sent) == (Outcome.TIMEOUT, False)


# --- outcomes --------------------------------------------------------------------------------------------


async def test_a_dead_domain_is_a_fact(site: Site) -> None:
    found = await fetched(site, names())
    assert (found.outcome, found.request_sent, found.is_transient) == (Outcome.DNS_FAILURE, False, False)


async def test_a_resolver_that_cannot_tell_is_not_a_fact(site: Site) -> None:
    class Broken(Names):
        async def addresses(self, name: str) -> Sequence[str]:
            raise OSError(name)

    assert (await fetched(site, Broken({}))).outcome is Outcome.CONNECT_ERROR


async def test_a_refused_connection_sent_nothing(site: Site) -> None:
    site.port = site.tls_port
    found = await fetched(site)
    assert (found.outcome, found.request_sent, found.is_transient) == (Outcome.CONNECT_ERROR, False, True)


async def test_a_dropped_connection_may_have_sent_something(site: Site) -> None:
    async def drop(writer: asyncio.StreamWriter) -> None:
        writer.close()

    found = await answer(site, drop)
    assert (found.outcome, found.request_sent) == (Outcome.CONNECT_ERROR, True)


async def test_what_is_not_http_is_a_server_error(site: Site) -> None:
    assert (await answer(site, b"SSH-2.0-OpenSSH\r\n\r\n")).outcome is Outcome.SERVER_ERROR


CHALLENGE = b"<title>Just a moment...</title><script src='/cdn-cgi/challenge-platform/h/b'></script>"


@pytest.mark.parametrize(
    ("page", "outcome"),
    [
        (reply(b"", status=404), Outcome.NOT_FOUND),
        (reply(b"", status=410), Outcome.NOT_FOUND),
        (reply(b"", status=500), Outcome.SERVER_ERROR),
        (reply(b"maintenance", status=503), Outcome.SERVER_ERROR),
        (reply(CHALLENGE, status=503), Outcome.BOT_WALL),
        (reply(b"", status=403), Outcome.BOT_WALL),
        (reply(b"", status=429), Outcome.BOT_WALL),
        (reply(CHALLENGE, status=200), Outcome.BOT_WALL),
        (reply(PAGE, status=202, headers=["sg-captcha: challenge"]), Outcome.BOT_WALL),
        (reply(PAGE + CHALLENGE + b"<p>" + b"words " * 900), Outcome.OK),
    ],
)
async def test_a_status_is_read_for_what_it_means(site: Site, page: bytes, outcome: Outcome) -> None:
    assert (await answer(site, page)).outcome is outcome


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("120", 120.0),
        ("9" * 400, 86_400.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
    ],
)
async def test_retry_after_is_reported(site: Site, value: str, expected: float | None) -> None:
    found = await answer(site, reply(b"", status=429, headers=[f"Retry-After: {value}"]))
    assert found.retry_after_s == expected


# --- politeness ------------------------------------------------------------------------------------------


@attack(
    "Reading websites",
    "We are the ones who misbehave: a site's robots.txt says no",
    defence="robots.txt is asked for and obeyed at every hop, under a name with a contact",
    without=replaced((Robots, "allow", lambda *_: True)),
)
async def test_robots_txt_is_obeyed(site: Site) -> None:
    site.pages["northwind.com/robots.txt"] = reply(b"User-agent: phase3bot\nDisallow: /*", kind="text/plain")
    found = await answer(site, reply())
    assert found.outcome is Outcome.ROBOTS_REFUSED
    assert site.asked == ["northwind.com/robots.txt"]


async def test_robots_txt_counts_on_every_hop(site: Site) -> None:
    site.pages["northwind.com/"] = redirect("http://other.com/home")
    site.pages["other.com/robots.txt"] = reply(b"User-agent: *\nDisallow: /home", kind="text/plain")
    assert (await fetched(site, names("northwind.com", "other.com"))).outcome is Outcome.ROBOTS_REFUSED
    assert "other.com/home" not in site.asked


async def test_robots_txt_may_move_but_not_inwards(site: Site) -> None:
    site.pages["northwind.com/robots.txt"] = redirect(f"http://{METADATA}/")
    assert (await answer(site, reply())).outcome is Outcome.BLOCKED_REDIRECT
    site.pages["northwind.com/robots.txt"] = redirect("/robots.txt")  # for ever: then there is none
    assert (await answer(site, reply())).outcome is Outcome.OK


async def test_a_failing_robots_txt_forbids_for_now(site: Site) -> None:
    site.pages["northwind.com/robots.txt"] = reply(b"", status=503)
    found = await answer(site, reply())
    assert (found.outcome, found.is_transient) == (Outcome.SERVER_ERROR, True)
    assert "northwind.com/" not in site.asked


async def test_an_endless_robots_txt_is_read_as_far_as_it_goes(site: Site) -> None:
    rules = b"User-agent: *\nDisallow: /\n" + b"#" * 100_000
    site.pages["northwind.com/robots.txt"] = streamed(rules, 1, [])
    assert (await answer(site, reply(), limits=Limits(robots_bytes=1_000))).outcome is Outcome.ROBOTS_REFUSED


async def test_robots_txt_is_asked_for_once(site: Site) -> None:
    site.pages["northwind.com/"] = reply()
    async with fetcher(site, names("northwind.com")) as web:
        await web.fetch("northwind.com")
        await web.fetch("northwind.com")
    assert site.asked == ["northwind.com/robots.txt", "northwind.com/", "northwind.com/"]


async def test_a_host_is_asked_once_a_second(site: Site) -> None:
    clock = Clock()
    site.pages["northwind.com/"] = redirect("http://other.com/")
    site.pages["other.com/"] = reply()
    await fetched(site, names("northwind.com", "other.com"), clock=clock)
    # Three turns at northwind.com, the refused connection for https being one, and two at other.com.
    assert clock.pauses == [1.0, 1.0, 1.0]


@attack(
    "Reading websites",
    "A thousand domains redirect to one host, and everybody waits for a turn there",
    defence="Whoever would wait over a minute for a turn does without",
    without=replaced((Turns, "wait", patiently)),
)
async def test_a_crowd_at_one_host_holds_up_nobody_else(site: Site) -> None:
    clock, crowd = Still(), [f"company{number}.com" for number in range(8)]
    site.pages |= {f"{domain}/": redirect("http://crowded.com/") for domain in crowd}
    site.pages["crowded.com/"] = reply()
    limits = Limits(turn_s=9.5, in_flight=1)
    async with fetcher(site, names(*crowd, "crowded.com"), clock=clock, limits=limits) as web:
        found = await asyncio.gather(*map(web.fetch, crowd))
    assert {one.outcome for one in found} == {Outcome.OK, Outcome.TIMEOUT}
    assert max(clock.pauses) <= 9.5


@attack(
    "Reading websites",
    "Many sites with a huge robots.txt each fill the memory",
    defence="All rules that are remembered have one bound together",
    without=replaced((RobotsCache, "_MAX_LETTERS", 10**12)),
)
def test_remembered_rules_have_a_bound() -> None:
    cache, rule = RobotsCache(Clock()), Rule(allowed=False, pattern="/" * 500_000)
    for number in range(100):
        cache.learn(f"https://company{number}.com", Robots((rule,)))
    assert sum(robots.letters for _, robots in cache._known.values()) <= 8_000_000
    assert cache.known("https://company99.com") is not None


def test_rules_learnt_again_count_once() -> None:
    cache, half = RobotsCache(Clock()), Robots((Rule(allowed=False, pattern="/" * 4_000_000),))
    for _ in range(5):
        cache.learn("https://a.com", half)
    cache.learn("https://b.com", half)
    assert cache.known("https://a.com") == cache.known("https://b.com") == half


async def test_no_more_than_the_limit_is_in_flight(site: Site) -> None:
    flying = most = 0

    async def page(writer: asyncio.StreamWriter) -> None:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0.01)
        flying -= 1
        writer.write(reply())

    hosts = [f"company{number}.com" for number in range(12)]
    site.pages.update({f"{host}/": page for host in hosts})
    async with fetcher(site, names(*hosts), limits=Limits(in_flight=3)) as web:
        found = await asyncio.gather(*map(web.fetch, hosts))
    assert {one.outcome for one in found} == {Outcome.OK}
    assert most == 3


# --- the sandbox gate ------------------------------------------------------------------------------------


async def test_the_gate_leads_example_names_to_the_sandbox_over_plain_http(site: Site) -> None:
    site.pages["northwind.example/"] = reply()
    resolver = names()
    found = await fetched(site, resolver, "northwind.example", sandbox_web=("127.0.0.1", site.port))
    assert (found.outcome, found.url) == (Outcome.OK, "http://northwind.example/")
    assert resolver.lookups == []


async def test_the_gate_tries_www_too(site: Site) -> None:
    async def drop(writer: asyncio.StreamWriter) -> None:
        writer.close()

    site.pages["northwind.example/"] = drop
    site.pages["www.northwind.example/"] = reply()
    found = await fetched(site, names(), "northwind.example", sandbox_web=("127.0.0.1", site.port))
    assert found.url == "http://www.northwind.example/"


async def test_the_gate_opens_for_no_other_name(site: Site) -> None:
    site.pages["northwind.com/"] = reply()
    gate = ("127.0.0.1", site.port)
    for address in ("127.0.0.1", METADATA):
        found = await fetched(site, Names({"northwind.com": [[address]]}), sandbox_web=gate)
        assert found.outcome is Outcome.BLOCKED_ADDRESS
    for domain in ("localhost", "127.0.0.1", "northwind.local", "example"):
        assert (await fetched(site, names(domain), domain, sandbox_web=gate)).outcome is Outcome.BLOCKED_HOST
    assert site.connections == 0


async def test_without_a_contact_only_the_sandbox_is_read(site: Site) -> None:
    site.pages["northwind.example/"] = redirect("http://northwind.com/")
    site.pages["northwind.com/"] = reply()
    gate = ("127.0.0.1", site.port)
    outcomes = []
    for domain in ("northwind.com", "northwind.example"):
        found = await fetched(site, names("northwind.com"), domain, sandbox_web=gate, contact="")
        outcomes.append(found.outcome)
    assert outcomes == [Outcome.BLOCKED_HOST, Outcome.BLOCKED_REDIRECT]
    assert {asked.partition("/")[0] for asked in site.asked} == {"northwind.example"}


@attack(
    "Reading websites",
    "A public site sends us to the sandbox's door on loopback",
    defence="Only the sandbox's own names lead there, and only from one another",
    without=replaced((fetch, "vetted_host", lambda text, **_: vetted_host(text, sandbox=True))),
)
async def test_a_public_site_cannot_send_us_through_the_gate(site: Site) -> None:
    found = await answer(site, redirect("http://northwind.example/"), sandbox_web=("127.0.0.1", site.port))
    assert found.outcome is Outcome.BLOCKED_REDIRECT
    assert "northwind.example/" not in site.asked


async def test_the_sandbox_is_never_dialled_for_https(site: Site) -> None:
    site.pages["northwind.example/"] = redirect("https://secure.northwind.example/")
    gate = ("127.0.0.1", site.port)
    found = await fetched(site, names(), "northwind.example", sandbox_web=gate, limits=Limits(connect_s=0.2))
    assert found.outcome is not Outcome.OK
    assert site.connections == len({asked.split("/")[0] for asked in site.asked}) == 2  # bare name and www


@attack(
    "Reading websites",
    "The sandbox's door is set to an address inside the network",
    defence="It must be on loopback",
    without=replaced((fetch, "ip_address", lambda _: ip_address("127.0.0.1"))),
)
@pytest.mark.parametrize("address", ["203.0.113.10", "10.0.0.1", "0.0.0.0", "::", "localhost", METADATA])
def test_the_sandbox_must_be_on_loopback(address: str) -> None:
    with pytest.raises(ValueError, match=r"loopback|does not appear"):
        WebFetcher(CONTACT, sandbox_web=(address, 80))


@pytest.mark.parametrize("contact", ["", "a b", "x\r\nHost: y", "ü@x.de", "(x)"])
def test_the_contact_fits_in_a_header(contact: str) -> None:
    with pytest.raises(ValueError, match="contact"):
        WebFetcher(contact)


async def test_ascii_host_names_reach_the_wire_as_they_were_vetted(site: Site) -> None:
    for host in ("xn--bcher-kva.de", "xn--a.com", "ab--cd.com", f"{'a' * 63}.com"):
        site.pages[f"{host}/"] = reply()
        found = await fetched(site, names(host), host)
        assert found.outcome is Outcome.OK, host


def test_not_found_is_what_the_site_says_by_default() -> None:
    assert NOT_FOUND.startswith(b"HTTP/1.1 404")
