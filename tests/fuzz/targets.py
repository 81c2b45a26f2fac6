"""Where words of strangers come in, each as a function of drawn data that fails where it is not survived."""

import asyncio
import hashlib
import hmac
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from hypothesis import strategies as st

from phase3_core.calls import Facts, Hit, Judgement, Miss, NoAnswer
from phase3_core.errors import BadInput
from phase3_core.leads import Lead
from phase3_core.tiers import Tier
from resources.http_client import Lost, Received, Sending, http_client
from resources.lead_csv.cells import COLUMNS, MAX_CELL, MAX_SCORE
from resources.lead_csv.leads import read_leads
from resources.providers.catalogue import CATALOGUE
from resources.providers.request import Question
from resources.slack.clicks import read_click
from resources.slack.endpoint import PATH, serving
from resources.web.addresses import Host, vetted_host
from resources.web.facts import PageFacts
from resources.web.limits import Limits
from resources.web.outcome import FetchOutcome
from resources.web.page import read_page
from resources.web.robots import read_robots
from tests.resources.providers.test_fuzz import HEADERS, PEOPLE, STATUSES, sample_of, texts
from tests.resources.providers.vendor import LOST, NOT_SENT, Vendor
from tests.resources.web.site import Site, fetcher, names, running

Draw = st.DataObject

# --- lead lists

CELLS = st.text(max_size=30) | st.sampled_from(
    [
        *("Ann", "ann@acme.com", "acme.com", "https://www.linkedin.com/in/ann", "88", "A", "", " "),
        *('"', '""', "\x00", "\x1b[2J", "=1+1", "a\nb", "\u202eevil", "\ufeff", "\u2028", "x" * 2_001),
        *("ann@acme.com\u200b", "ANN@ACME.COM", "a@b@c.com", "9" * 400, "1e999", "-0", "88,5", "٣"),
        *("xn--", "http://[::1", "acme.com:99999", "acme.com.", "\uff41cme.com", "\ud7ff\U0010ffff"),
    ]
)
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "latin-1"]


def lead_list(data: Draw) -> None:
    """Rows with odd cells, quoted or not, cut anywhere; or any bytes."""
    content = data.draw(st.binary(max_size=300)) if data.draw(st.integers(0, 9)) == 0 else _list(data)
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(content)
        file.flush()
        try:
            found = read_leads(Path(file.name))
            rows = list(found.rows)
        except BadInput as refused:
            _one_line(str(refused))
            return
    for row in rows:
        _importable(dict(row))
    assert all("\n" not in problem.message and problem.line >= 1 for problem in found.problems)


def _one_line(words: str) -> None:
    assert "\n" not in words


def _list(data: Draw) -> bytes:
    separator, end = data.draw(st.sampled_from(",;\t")), data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    header = data.draw(st.lists(st.sampled_from([*COLUMNS, "Extra", "E-Mail", ""]), max_size=12))
    rows = [header, *data.draw(st.lists(st.lists(CELLS, max_size=12), max_size=6))]
    quoted = data.draw(st.booleans())
    lines = (separator.join(f'"{cell}"' if quoted else cell for cell in row) for row in rows)
    text = end.join(lines)
    content = text.encode(data.draw(st.sampled_from(ENCODINGS)), "replace")
    return content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content


def _importable(row: Mapping[str, Any]) -> None:
    """As the columns of `leads` take it."""
    kept = json.dumps(row, ensure_ascii=False)
    assert "\x00" not in kept
    assert "\\u0000" not in kept
    kept.encode()
    assert all(len(value) <= MAX_CELL for value in row.values() if isinstance(value, str))
    assert row["lead_score"] is None or 0 <= row["lead_score"] <= MAX_SCORE
    assert row["lead_tier"] is None or Tier(row["lead_tier"])
    assert row["full_name"]


# --- vendors

ROWS = [row for row in CATALOGUE if row.spec.token is None and row.spec.label != "website"]


def provider(data: Draw) -> None:
    """Several odd answers in a row, through the client with its retries, breaker and ledger."""
    row = data.draw(st.sampled_from(ROWS))
    steps = [_step(data, sample_of(row)) for _ in range(data.draw(st.integers(1, 4)))]
    asyncio.run(_asked(Vendor(row.name, steps, declared=row), data.draw(st.sampled_from(PEOPLE))))


def _step(data: Draw, sample: Any) -> Received | Exception:
    if data.draw(st.integers(0, 9)) == 0:
        return data.draw(st.sampled_from([LOST, NOT_SENT]))
    status = data.draw(st.sampled_from(STATUSES))
    return Received(status, data.draw(texts(sample)), data.draw(HEADERS))


async def _asked(vendor: Vendor, lead: Lead) -> None:
    email = "dana@acme.example"
    question = Question(lead, email, vendor.client.spec.options)
    reply = await vendor.time.until(vendor.client.ask(question))
    assert isinstance(reply, Hit | Miss | Judgement | Facts | NoAnswer)
    kept = [(call.last.response or "", call.last.error or "") for call in vendor.ledger.calls]
    for word in (told for pair in kept for told in pair):
        word.encode()
        assert "\x00" not in word
    again = vendor.next_run(*vendor.steps)
    assert await again.time.until(again.client.ask(question)) is not None


# --- websites

MARKUP = st.sampled_from(
    [
        *(
            "<",
            ">",
            "</",
            "/>",
            "<!--",
            "-->",
            "<![CDATA[",
            "]]>",
            "<!doctype html>",
            "<?xml ?>",
            '"',
            "'",
            "=",
        ),
        *(
            "<p>",
            "</p>",
            "<a href=",
            "<title>",
            "<meta name=description content=",
            "<meta charset=",
            "<base ",
        ),
        *("<script type='application/ld+json'>", "</script>", '{"@type":"Organization","description":'),
        *(
            '"sameAs":["https://x.com/a',
            '"numberOfEmployees":',
            "{",
            "}",
            "[",
            "]",
            ",",
            "1e999",
            "-1",
            "null",
        ),
        *(
            "&#0;",
            "&#xD800;",
            "&amp",
            "&#8238;",
            "&NotEqualTilde;",
            "\x00",
            "\u202e",
            "\u212a",
            "tel:",
            "mailto:",
        ),
        *(
            "javascript:alert(1)",
            "https://www.linkedin.com/company/x",
            "http://[::1]/",
            "//",
            "\\",
            "<template>",
        ),
        *(
            "<svg>",
            "<math>",
            "<table>",
            "<td>",
            "<select>",
            "<frameset>",
            "<noscript>",
            "<plaintext>",
            "<b a=1>",
        ),
    ]
)
KINDS = st.sampled_from(
    [
        "text/html",
        "text/html; charset=utf-16le",
        "text/html; charset=x",
        "text/plain",
        "application/xhtml+xml",
    ]
)


def page(data: Draw) -> None:
    """Markup in any order, some of it many times over."""
    parts = data.draw(
        st.lists(st.tuples(MARKUP | st.text(max_size=6), st.sampled_from([1, 1, 1, 50, 3_000])))
    )
    raw = "".join(part * times for part, times in parts)[:300_000].encode("utf-8", "surrogatepass")
    started = time.process_time()
    facts = read_page(
        raw, data.draw(KINDS), data.draw(st.sampled_from(["https://a.com/", "", "x", "http://[::1"]))
    )
    assert time.process_time() - started < 2, "a page of 300 kB takes milliseconds"
    stored = json.dumps(facts.as_json(), allow_nan=False, ensure_ascii=False)
    stored.encode()
    assert "\x00" not in stored
    assert PageFacts.from_json(json.loads(stored)) == facts


LINES = st.sampled_from(
    [
        *(
            b"Content-Type: text/html",
            b"Content-Length: 5",
            b"Content-Length: -1",
            b"Content-Length: 99999999999",
        ),
        *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Content-Encoding: gzip"),
        *(
            b"Location: /",
            b"Location: //[",
            b"Location: http://127.1/",
            b"Location: \xff\xfe",
            b"Refresh: 0;url=/",
        ),
        *(
            b"Retry-After: 99999999999999999999",
            b"Retry-After: x",
            b"Set-Cookie: a=b",
            b": x",
            b"x",
            b" folded",
        ),
        *(
            b"Content-Encoding: gzip, gzip",
            b"Connection: upgrade",
            b"X: " + b"a" * 9_000,
            b"Content-Type: \xff",
        ),
    ]
)
HEADS = st.sampled_from(
    [
        *(b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK", b"HTTP/1.1 301 Moved", b"HTTP/1.0 200", b"HTTP/1.1 999 x"),
        *(
            b"HTTP/1.1 100 Continue",
            b"HTTP/1.1 204 No",
            b"HTTP/1.1 503 x",
            b"HTTP/2 200",
            b"HTTP/1.1 -1 x",
            b"",
        ),
    ]
)
BODIES = st.binary(max_size=60) | st.sampled_from(
    [
        *(
            b"<title>x",
            b"5\r\nhello\r\n0\r\n\r\n",
            b"ffffffffffffffff\r\n",
            b"5;" + b"x" * 9_000 + b"\r\nhello\r\n",
        ),
        *(b"\x1f\x8b\x08\x00", b"-5\r\n", b"0\r\nTrailer: x\r\n\r\n", b"User-agent: *\nDisallow: /"),
    ]
)


def site(data: Draw) -> None:
    """Answers that are nearly HTTP, on a socket, to whoever asks for robots.txt and page."""
    answers = [_raw(data) for _ in range(2)]
    asyncio.run(_visited(*answers))


def _raw(data: Draw) -> bytes:
    if data.draw(st.integers(0, 9)) == 0:
        return data.draw(st.binary(max_size=100))
    lines = [data.draw(HEADS), *data.draw(st.lists(LINES, max_size=5))]
    return b"\r\n".join([*lines, b"", data.draw(BODIES)])


async def _visited(rules: bytes, answer: bytes) -> None:
    async def closing(raw: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        writer.close()

    async with running(Site()) as served:
        served.pages["a.com/robots.txt"] = lambda writer: closing(rules, writer)
        served.pages["a.com/"] = lambda writer: closing(answer, writer)
        limits = Limits(connect_s=1.0, read_s=1.0, total_s=2.0)
        async with fetcher(served, names("a.com"), limits=limits) as web:
            assert isinstance(await web.fetch("a.com"), FetchOutcome)


RULES = st.sampled_from(
    [
        "User-agent: *\n",
        "User-agent: phase3bot\n",
        "Disallow: ",
        "Allow: ",
        "/",
        "*",
        "$",
        "#",
        "\n",
        "\r",
        "%",
        "\x00",
    ]
)


def rules(data: Draw) -> None:
    parts = data.draw(st.lists(st.tuples(RULES | st.text(max_size=5), st.sampled_from([1, 1, 400]))))
    found = read_robots("".join(part * times for part, times in parts), "phase3bot")
    path = data.draw(st.text(max_size=50)) * data.draw(st.sampled_from([1, 40]))
    started = time.process_time()
    assert found.allow(f"/{path}") in {True, False}
    assert time.process_time() - started < 2


HOSTS = st.sampled_from(
    [
        *(
            "127.0.0.1",
            "0x7f.1",
            "017700000001",
            "localhost",
            "[::1]",
            "::ffff:7f00:1",
            "a.com",
            ".com",
            "xn--",
        ),
        *(
            "http://",
            "https://",
            "//",
            "@",
            ":",
            "80",
            "443",
            "/",
            "\\",
            "?",
            "#",
            "%",
            ".",
            "。",
            "①",
            "\t",
            "é",
        ),
        *("metadata.google.internal", "169.254.169.254", ".example", "ß", "\u00ad", "\u200d", "İ", "K"),
    ]
)


def host(data: Draw) -> None:
    text = "".join(data.draw(st.lists(HOSTS | st.text(max_size=4), max_size=8)))
    found = vetted_host(text, sandbox=data.draw(st.booleans()))
    if isinstance(found, Host):
        labels = found.name.split(".")
        assert set(found.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")
        assert len(labels) > 1
        assert not labels[-1].isdigit()
        assert not {"localhost", "internal", "local"} & set(labels[-1:])


# --- Slack

SECRET = "8f742231b10e"
CLICK = {
    "type": "block_actions",
    "user": {"id": "U0MANAGER", "username": "dana"},
    "state": {"values": {"feedback": {"why": {"value": "too dear"}}}},
    "response_url": "https://hooks.slack.com/actions/1",
    "actions": [{"action_id": "reject", "value": "00000000-0000-0000-0000-000000000007"}],
}
STAMPS = st.sampled_from(["", "0", "-1", "9" * 5_000, "1e9", "٣", "nan", "\t1"]) | st.text(
    st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=8
)


def slack(data: Draw) -> None:
    """Clicks with anything in any place, and requests that are none."""
    payload = data.draw(texts(CLICK))
    body = data.draw(
        st.just(urlencode({"payload": payload.encode("utf-8", "replace")}).encode()) | st.binary()
    )
    signed = data.draw(st.booleans())
    stamp = str(int(time.time())) if signed else data.draw(STAMPS)
    raw = data.draw(st.binary(max_size=80))
    asyncio.run(_clicked(body, stamp, raw, signed=signed))


async def _clicked(body: bytes, stamp: str, raw: bytes, *, signed: bool) -> None:
    taken: list[dict[str, Any]] = []

    async def take(payload: dict[str, Any]) -> None:
        taken.append(payload)

    async with serving(SECRET, 0, take) as url, http_client() as http:
        base = b"v0:" + stamp.encode() + b":" + body
        proof = hmac.new(SECRET.encode(), base, hashlib.sha256).hexdigest() if signed else stamp
        headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={proof}"}
        with suppress(Lost):  # a header that cannot be sent
            answer = await http.send(Sending("POST", url, {}, headers, None, None, 10.0, body))
            assert answer.status == (200 if signed else 401), answer
        await _poked(url, raw)
        assert len(taken) <= signed
    for payload in taken:
        if click := read_click(payload):
            words = click.user_name + click.feedback + click.response_url
            words.encode()
            assert "\x00" not in words


async def _poked(url: str, raw: bytes) -> None:
    port = int(url.removesuffix(PATH).rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw + b"\r\n\r\n")
    writer.write_eof()
    with suppress(ConnectionError):
        first = await asyncio.wait_for(reader.readline(), 10.0)
        assert b" 500 " not in first
    writer.close()


TARGETS: dict[str, Callable[[Draw], None]] = {
    "lead lists": lead_list,
    "answers of providers": provider,
    "pages": page,
    "web servers": site,
    "robots.txt": rules,
    "domains": host,
    "Slack's endpoint": slack,
}
