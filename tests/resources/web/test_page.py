import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from resources.web import page
from resources.web.facts import Fact, Headcount, PageFacts, Source
from resources.web.page import read_page
from tests.attacks import attack, replaced

URL = "https://northwind.com/"


def read(html: str | bytes, kind: str = "text/html", url: str = URL, **headers: str) -> PageFacts:
    raw = html.encode() if isinstance(html, str) else html
    return read_page(raw, kind, url, headers=headers)


def with_json_ld(*blocks: Any, raw: str = "") -> PageFacts:
    text = raw or "".join(
        f'<script type="application/ld+json">{json.dumps(block)}</script>' for block in blocks
    )
    return read(text)


def company(**facts: Any) -> PageFacts:
    return with_json_ld({"@context": "https://schema.org", "@type": "Organization", **facts})


def values(facts: tuple[Fact[str], ...]) -> list[str]:
    return [fact.value for fact in facts]


# --- order of sources ------------------------------------------------------------------------------------

JUNK: list[Any] = [True, 0, -3, "many", 10**12, float("inf"), [], {}, None, {"value": []}]
PARAGRAPH = "We build and repair inspection robots for wind farms all over northern Europe, since ever."


def test_a_description_comes_from_the_most_deliberate_source() -> None:
    ld = '<script type="application/ld+json">{"@type": "Corporation", "description": "From data"}</script>'
    meta = '<meta name="Description" content="From meta">'
    graph = '<meta property="og:description" content="From og">'
    cookies = "<p>This site uses cookies to give you the best experience there ever was.</p>"
    prose = f"<p>Short.</p>{cookies}<p>{PARAGRAPH}</p>"
    for html, expected in (
        (prose + graph + meta + ld, Fact("From data", Source.JSON_LD)),
        (prose + graph + meta, Fact("From meta", Source.META)),
        (prose + graph, Fact("From og", Source.META)),
        (prose, Fact(PARAGRAPH, Source.TEXT)),
    ):
        assert read(html).description == expected
    assert read("<p>Short.</p>").description is None


def test_a_description_is_cut_and_a_paragraph_ends_where_the_next_block_begins() -> None:
    found = read("<p>" + "word " * 400).description
    assert found is not None
    assert len(found.value) <= 500
    assert read(f"<p>{PARAGRAPH}<div>Elsewhere</div>").description == Fact(PARAGRAPH, Source.TEXT)
    assert read(f"<p>{PARAGRAPH.replace('robots', '<b>rob<i>ots</i></b>')}</p>").description == Fact(
        PARAGRAPH, Source.TEXT
    )


def test_markup_inside_json_ld_is_taken_out() -> None:
    found = company(description="Robots &amp; <b>wind</b><br>farms")
    assert found.description == Fact("Robots & wind farms", Source.JSON_LD)


def test_profiles_come_from_data_and_links_once_and_without_share_buttons() -> None:
    found = read(
        '<script type="application/ld+json">{"@type":"Organization","sameAs":["https://twitter.com/nw?ref=1",'
        '"https://www.wikidata.org/wiki/Q1", "javascript:alert(1)", "http://127.0.0.1/x", 7]}</script>'
        '<a href="https://de.linkedin.com/company/nw/jobs?trk=1">in</a><a href="https://x.com/NW">x</a>'
        '<a href="https://www.facebook.com/sharer/sharer.php?u=1">share</a><a href="https://x.com/intent/tweet?x">t</a>'
        '<a href="https://github.com/northwind">g</a><a href="//youtube.com/@nw">relative</a>'
        '<a href="https://www.youtube.com/@nw">y</a><a href="https://notfacebook.com/nw">n</a>'
    )
    assert values(found.social_profiles) == [
        "https://x.com/nw",
        "https://www.wikidata.org/wiki/Q1",
        "https://www.linkedin.com/company/nw",
        "https://github.com/northwind",
        "https://youtube.com/@nw",
    ]
    assert [fact.source for fact in found.social_profiles] == [Source.JSON_LD] * 2 + [Source.LINK] * 3


def test_phones_come_from_data_and_links_once() -> None:
    found = company(
        telephone="+49 30 1234567", contactPoint=[{"telephone": "030/7654321"}, "junk", {"telephone": "call"}]
    )
    assert values(found.phones) == ["+49 30 1234567", "030/7654321"]
    link = read(
        '<a href="tel:+49%2030%201234567">call</a><a href="TEL:+49301234567">again</a><a href="tel:1">no</a>'
    )
    assert link.phones == (Fact("+49 30 1234567", Source.LINK),)


@pytest.mark.parametrize(
    ("value", "year"),
    [
        ("2009-04-01", 2009),
        ("1887", 1887),
        (1998, 1998),
        ("0001", None),
        ("April 2009", None),
        ("20091", None),
        ([2009], None),
    ],
)
def test_the_year_is_the_first_four_digits(value: Any, year: int | None) -> None:
    found = company(foundingDate=value).founded_year
    assert (found.value if found else None) == year


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (120, (120, 120)),
        ("51-200", (51, 200)),
        ("1,200 people", (1200, 1200)),
        ("10.000+", (10_000, 10_000)),
        ({"@type": "QuantitativeValue", "value": "75"}, (75, 75)),
        ({"minValue": 11, "maxValue": "50"}, (11, 50)),
        ({"value": {"minValue": 5}}, (5, 5)),
        *((junk, None) for junk in JUNK),
    ],
)
def test_a_headcount_is_a_range(value: Any, expected: tuple[int, int] | None) -> None:
    found = company(numberOfEmployees=value).employee_count
    assert (found.value if found else None) == expected


def test_hiring_shows_in_links_and_data() -> None:
    links = read('<a href="https://boards.greenhouse.io/nw">Jobs</a><a href="https://notlever.co/x">no</a>')
    assert values(links.hiring_links) == ["https://boards.greenhouse.io/nw"]
    assert with_json_ld({"@type": "JobPosting"}).hiring_links == (Fact(URL, Source.JSON_LD),)


def test_technology_shows_in_assets_generator_and_headers() -> None:
    found = read(
        '<meta name=generator content="WordPress 6.5"><script src="//js.hs-scripts.com/1.js"></script>'
        '<script src="/_next/static/x.js"></script>',
        server="nginx/1.2",
    )
    assert values(found.tech) == ["WordPress 6.5", "HubSpot", "Next.js", "nginx"]
    assert not found.tell_something


def test_title_and_keywords() -> None:
    found = read('<title> North &amp; Wind </title><meta name=keywords content="robots, wind,,Robots">')
    assert found.title == Fact("North & Wind", Source.TEXT)
    assert values(found.keywords) == ["robots", "wind"]


def test_plain_text_has_only_prose() -> None:
    assert read(f"<title>x\n\n{PARAGRAPH}", "text/plain; charset=utf-8") == PageFacts(
        description=Fact(PARAGRAPH, Source.TEXT)
    )


# --- JSON-LD in the wild ---------------------------------------------------------------------------------

NODE = '{"@type": "Organization", "foundingDate": "2009"}'
BLOCK = '<script type="application/ld+json">%s</script>'


@pytest.mark.parametrize(
    "html",
    [
        BLOCK % NODE,
        BLOCK % f"<!-- {NODE} -->",
        BLOCK % f"//<![CDATA[\n{NODE}\n//]]>",
        BLOCK % f"/*<![CDATA[*/{NODE}/*]]>*/",
        BLOCK % f"[[{NODE}]]",
        BLOCK % f'{{"@graph": [null, 3, {NODE}]}}',
        BLOCK % f'{{"@type": "WebSite", "publisher": {NODE}}}',
        BLOCK % f'{{"@type": "SoftwareApplication", "publisher": [{NODE}]}}',
        BLOCK % NODE.replace('"Organization"', '["Thing", "https://schema.org/Corporation"]'),
        BLOCK % NODE.replace("Organization", "ProfessionalService"),
        BLOCK % NODE.replace("2009", "2009\n"),
        (BLOCK % "{broken") + (BLOCK % '{"a": 1,}') + (BLOCK % NODE),
        f"<SCRIPT data-x type='application/LD+JSON'>{NODE}</SCRIPT>",
        (BLOCK % ("[" * 100_000)) + (BLOCK % NODE),
        (BLOCK % ("1" * 5_000)) + (BLOCK % NODE),
    ],
)
def test_a_company_is_found_however_it_is_wrapped(html: str) -> None:
    assert read(html).founded_year == Fact(2009, Source.JSON_LD)


def test_other_peoples_companies_are_not_ours() -> None:
    node = {"@type": "Organization", "foundingDate": "1900"}
    for other in ({"@type": "Review", "author": node}, {"@type": "Person", "worksFor": node}):
        assert with_json_ld(other).founded_year is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "@graph",
                        "@type",
                        "publisher",
                        "mainEntity",
                        "description",
                        "sameAs",
                        "url",
                        "telephone",
                    ),
                    *("contactPoint", "foundingDate", "numberOfEmployees", "value", "minValue", "maxValue"),
                ]
            ),
            inner | st.just("Organization"),
            max_size=5,
        )
    ),
    max_leaves=15,
)


@settings(max_examples=150, deadline=None)
@given(json_values, st.sampled_from(["Organization", "JobPosting"]))
def test_any_json_ld_shape_is_read(value: Any, kind: str) -> None:
    node = (
        value
        if isinstance(value, dict)
        else {"description": value, "sameAs": value, "numberOfEmployees": value}
    )
    survives(with_json_ld({"@type": kind, **node}, value))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.text(max_size=30), st.text(max_size=30))
def test_any_bytes_are_read(raw: bytes, kind: str, url: str) -> None:
    survives(read_page(raw, kind, url))


TAGS = st.sampled_from(
    [
        *(
            "<a href='",
            "<a ",
            "<p>",
            "</p>",
            "<meta name=description content=",
            '"',
            "'",
            ">",
            "<",
            "<!--",
            "-->",
        ),
        *(
            "<script ",
            'type="application/ld+json">',
            '{"@type":"Organization",',
            "</script>",
            "<title>",
            "&#x0;",
        ),
        *("\ud7ff", "tel:", "=", "/"),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(TAGS | st.text(max_size=5), max_size=40).map("".join))
def test_any_markup_is_read(html: str) -> None:
    survives(read(html.encode("utf-8", "replace")))


def survives(facts: PageFacts) -> None:
    """It can be stored as it is: Postgres takes neither NUL nor a lone surrogate in JSON."""
    stored = json.dumps(facts.as_json(), allow_nan=False, ensure_ascii=False)
    stored.encode()
    assert "\\u0000" not in stored
    assert PageFacts.from_json(json.loads(stored)) == facts


# --- hostile pages ---------------------------------------------------------------------------------------


def test_invisible_characters_are_taken_out() -> None:
    hidden = "Ro\u200bb\u202eo\x07ts\U000e0041\ud800 for\x00 wind"
    assert company(description=hidden).description == Fact("Robots for wind", Source.JSON_LD)
    assert read("<meta name=description content='Ro\u200bbots&#8238; &#1;win\u2066d'>").description == Fact(
        "Robots wind", Source.META
    )


def fill(unit: str | bytes) -> bytes:
    raw = unit.encode() if isinstance(unit, str) else unit
    return raw * (2_000_000 // len(raw))


ATTRIBUTES = b" ".join(b"a%d" % number for number in range(250_000)) + b">"


@pytest.mark.parametrize(
    "html",
    [
        fill("<div>"),
        b"".join(b"<b a=%d>" % number for number in range(60_000)) + fill("<p>x"),
        fill("<span>") + fill("</b>"),
        fill("<svg></g>"),
        fill("<a><p>"),
        fill("<lin\u212a>")[: 7 * 120_000]
        + fill("</a>"),  # lower-cased it is `link`, which the parser does not think
        fill("<"),
        fill("<p a="),
        fill('<p a="'),
        fill("<!--"),
        fill("<script "),
        fill("<script type=application/ld+json>"),
        fill("<script " + "ld+json " * 120),
        fill("<a " + " ".join(f"a{number}" for number in range(900)) + ">"),
        b"<a " + ATTRIBUTES,
        b'<a x=">" ' + ATTRIBUTES,
        b'<a x=a" b=">" ' + ATTRIBUTES,
        b'<a x=\'a" b=">" ' + ATTRIBUTES,
        b"<p>" + fill("the domain name of "),
        b'<script type="application/ld+json">[' + b"{}," * 90_000 + b"{}]</script>",
        b'<script type="application/ld+json">' + b" " * 290_000 + b"</script>",
        fill(b"\xff\x00"),
    ],
    ids=range(22),
)
def test_two_hostile_megabytes_cost_about_as_much_as_two_honest_ones(html: bytes) -> None:
    started = time.process_time()
    survives(read(html[:2_000_000]))
    assert time.process_time() - started < 3  # the tree as it stands takes minutes


@attack(
    "Reading websites",
    "A page takes its parser time in the square of its size: tags that match nothing, endless attributes",
    defence="All but a handful of elements is cut out in one pass before there is a tree",
    without=replaced((page, "tree_of", LexborHTMLParser)),
)
@pytest.mark.parametrize(
    "html", [b"<span>" * 33_000 + b"</b>" * 50_000, b"<a " + ATTRIBUTES[:400_000]], ids=["tags", "attributes"]
)
def test_a_page_cannot_make_its_parser_slow(html: bytes) -> None:
    started = time.process_time()
    survives(read(html))
    assert time.process_time() - started < 1.5  # the tree as it stands takes three to four seconds


@pytest.mark.parametrize(
    "charset", ["zlib", "hex", "rot13", "punycode", "unicode_escape", "utf-7", "nonsense", "idna"]
)
def test_a_charset_that_is_none_is_ignored(charset: str) -> None:
    facts = read("<title>Grüße</title>", f"text/html; charset={charset}")
    assert facts.title == Fact("Grüße", Source.TEXT)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ("<title>Grüße</title>".encode("latin-1"), "text/html; charset=ISO-8859-1"),
        ("<title>Grüße</title>".encode("latin-1"), "text/html"),
        ("<meta charset=windows-1252><title>Grüße</title>".encode("cp1252"), "text/html"),
        ("\ufeff<title>Grüße</title>".encode(), "text/html; charset=iso-8859-1"),
        ("<title>Grüße</title>".encode("utf-16le"), "text/html; charset=UTF-16LE"),
    ],
)
def test_charsets_are_those_of_browsers(raw: bytes, kind: str) -> None:
    assert read(raw, kind).title == Fact("Grüße", Source.TEXT)


@pytest.mark.parametrize(
    ("html", "url"),
    [
        ("<title>northwind.com is for sale | HugeDomains</title>", URL),
        ("<p>This domain is for sale! Call us.</p>", URL),
        ("<h1>Buy this domain</h1>", URL),
        ("<p>The domain northwind.com is parked free, courtesy of a registrar.</p>", URL),
        ("<title>Northwind</title>", "https://www.hugedomains.com/domain_profile.cfm?d=northwind.com"),
        ("<script src='https://www.sedoparking.com/frmpark/x.js'></script>", URL),
    ],
)
def test_a_parked_page_says_nothing_about_the_company(html: str, url: str) -> None:
    found = read(html + '<meta name="description" content="Buy it"><a href="tel:+15550102030">x</a>', url=url)
    assert found.parked
    assert not found.tell_something


def test_a_long_page_that_mentions_a_sale_is_not_parked() -> None:
    assert not read("<p>Buy this domain, they said.</p>" + f"<p>{PARAGRAPH}</p>" * 60).parked


def test_facts_survive_a_database_row() -> None:
    facts = PageFacts(
        description=Fact("Robots", Source.META),
        employee_count=Fact(Headcount(51, 200), Source.JSON_LD),
        phones=(Fact("+49 30 1234567", Source.LINK),),
        parked=False,
    )
    assert facts.as_json() == {
        "description": {"value": "Robots", "source": "meta"},
        "employee_count": {"value": [51, 200], "source": "json-ld"},
        "phones": [{"value": "+49 30 1234567", "source": "link"}],
    }
    survives(facts)
    assert PageFacts.from_json({}) == PageFacts()
