"""Whatever people call a lead list is read, or refused in one clear line."""

import codecs
import csv
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phase3_core.errors import BadInput
from resources.lead_csv.cells import COLUMNS
from resources.lead_csv.leads import LeadRow, Problem, read_leads

HEADER = ",".join(COLUMNS)
GOOD = "Ann,Lee,ann@acme.com,,CTO,Acme,acme.com,88,A"

FileOf = Callable[[str | bytes], Path]


@pytest.fixture
def file(tmp_path: Path) -> FileOf:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "leads.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def read(path: Path) -> tuple[list[LeadRow], list[Problem]]:
    lead_file = read_leads(path)
    return list(lead_file.rows), lead_file.problems


def refusal(path: Path) -> str:
    with pytest.raises(BadInput) as caught:
        read_leads(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def row_with(**cells: str) -> str:
    """A good row of the contract's columns, some of its cells replaced."""
    good = dict(zip(COLUMNS, GOOD.split(","), strict=True)) | cells
    return ",".join('"' + good[column].replace('"', '""') + '"' for column in COLUMNS)


# --- good files


def test_a_row_is_ready_for_insertion(file: FileOf) -> None:
    rows, problems = read(file(f"{HEADER}\n{GOOD}\n"))

    assert problems == []
    assert rows == [
        {
            "first_name": "Ann",
            "last_name": "Lee",
            "full_name": "Ann Lee",
            "email": "ann@acme.com",
            "linkedin_url": "",
            "title": "CTO",
            "company_name": "Acme",
            "company_domain": "acme.com",
            "lead_score": 88,
            "lead_tier": "A",
            "extra": {},
        }
    ]


def test_header_case_order_and_blanks_are_free_and_other_columns_are_kept(file: FileOf) -> None:
    text = " EMAIL ,Last_Name, Source File ,first_NAME,\nann@acme.com, Lee , as  given ,Ann,\n"

    rows, problems = read(file(text))

    assert problems == []
    assert (rows[0]["full_name"], rows[0]["email"]) == ("Ann Lee", "ann@acme.com")
    assert rows[0]["extra"] == {"Source File": "as  given "}
    assert (rows[0]["lead_score"], rows[0]["lead_tier"]) == (None, None)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_spreadsheets_save_is_read(file: FileOf, delimiter: str, line_end: str, encoding: str) -> None:
    lines = [HEADER, GOOD.replace("Ann", "Zoë"), GOOD.replace("ann@", "bad ")]
    text = line_end.join(lines).replace(",", delimiter)

    rows, problems = read(file(text.encode(encoding)))

    assert [row["first_name"] for row in rows] == ["Zoë"]
    assert [(problem.line, problem.column) for problem in problems] == [(3, "email")]


def test_formula_cells_are_data(file: FileOf) -> None:
    formula = "=cmd|' /C calc'!A0"
    rows, problems = read(
        file(f"{HEADER}\n{row_with(first_name='-Ann', title=formula, company_name='@x')}\n")
    )

    assert problems == []
    assert (rows[0]["first_name"], rows[0]["title"], rows[0]["company_name"]) == ("-Ann", formula, "@x")


@pytest.mark.parametrize(
    ("given_domain", "kept"),
    [
        ("acme.com", "acme.com"),
        (" HTTPS://user:pass@WWW.Acme.COM.:8443/about?x=1#top ", "acme.com"),
        ("//www.acme.co.uk/", "acme.co.uk"),
        ("acme.com/?next=http://other.com", "acme.com"),
        ("acme.com.", "acme.com"),
        ("www.com", "www.com"),
        ("Bücher.de", "xn--bcher-kva.de"),
        ("", ""),
    ],
)
def test_domains_are_bare(file: FileOf, given_domain: str, kept: str) -> None:
    rows, problems = read(file(f"{HEADER}\n{row_with(company_domain=given_domain)}\n"))

    assert problems == []
    assert rows[0]["company_domain"] == kept


@pytest.mark.parametrize(
    ("given_email", "kept"),
    [
        (" Ann.Lee+X@ACME.Com ", "Ann.Lee+X@acme.com"),
        ("ann@Bücher.de", "ann@xn--bcher-kva.de"),
        ("", ""),
    ],
)
def test_the_local_part_keeps_its_case(file: FileOf, given_email: str, kept: str) -> None:
    rows, _ = read(file(f"{HEADER}\n{row_with(email=given_email)}\n"))

    assert rows[0]["email"] == kept


@pytest.mark.parametrize(
    ("cell", "score"),
    [("87.5", 88), ("86.5", 87), ("87.49", 87), ("0", 0), ("100", 100), (" 7 ", 7), ("", None)],
)
def test_scores_round_half_up(file: FileOf, cell: str, score: int | None) -> None:
    rows, _ = read(file(f"{HEADER}\n{row_with(lead_score=cell)}\n"))

    assert rows[0]["lead_score"] == score


def test_a_lower_case_tier_is_a_tier(file: FileOf) -> None:
    rows, _ = read(file(f"{HEADER}\n{row_with(lead_tier=' b ')}\n"))

    assert rows[0]["lead_tier"] == "B"


# --- bad rows


@pytest.mark.parametrize(
    ("cells", "column", "words"),
    [
        ({"email": "ann@"}, "email", "no email address"),
        ({"email": "=cmd|'x'@acme"}, "email", "no email address"),
        ({"lead_tier": "D"}, "lead_tier", "tiers are A, B, C"),
        ({"lead_score": "87%"}, "lead_score", "no number"),
        ({"lead_score": "high"}, "lead_score", "no number"),
        ({"lead_score": "1e1"}, "lead_score", "no number"),
        ({"lead_score": "٣"}, "lead_score", "no number"),
        ({"lead_score": "NaN"}, "lead_score", "no number"),
        ({"lead_score": "100.4"}, "lead_score", "between 0 and 100"),
        ({"lead_score": "-1"}, "lead_score", "between 0 and 100"),
        ({"lead_score": "9" * 2000}, "lead_score", "between 0 and 100"),
        ({"title": "x" * 2001}, "title", "2,001 characters"),
        ({"title": "x" * 10_000}, "title", "10,000 characters"),
        ({"title": "a\x07b"}, "title", "U+0007"),
        ({"title": "a\x00b"}, "title", "U+0000"),
        ({"title": "a\x85b"}, "title", "U+0085"),
        ({"company_domain": "acme"}, "company_domain", "no domain name"),
        ({"company_domain": "https://"}, "company_domain", "no domain name"),
        ({"company_domain": "192.168.0.1"}, "company_domain", "no domain name"),
        ({"company_domain": "ac me.com"}, "company_domain", "no domain name"),
        ({"company_domain": f"{'a' * 64}.com"}, "company_domain", "no domain name"),
        ({"company_domain": "https://GMail.com/"}, "company_domain", "mail provider"),
        ({"first_name": " ", "last_name": ""}, "", "neither first_name nor last_name"),
        ({"email": "", "company_name": " ", "company_domain": ""}, "", "nothing to find the person by"),
    ],
)
def test_a_bad_row_is_reported_and_the_rest_is_read(
    file: FileOf, cells: dict[str, str], column: str, words: str
) -> None:
    after = row_with(first_name="Bo", email="bo@acme.com")

    rows, problems = read(file(f"{HEADER}\n{row_with(**cells)}\n{after}\n"))

    assert [row["first_name"] for row in rows] == ["Bo"]
    assert [(problem.line, problem.column) for problem in problems] == [(2, column)]
    assert words in problems[0].message
    assert len(problems[0].message) < 300


def test_all_that_is_wrong_with_a_row_is_told_at_once(file: FileOf) -> None:
    _, problems = read(file(f"{HEADER}\n{row_with(email='x', lead_tier='Z', lead_score='?')}\n"))

    assert [problem.column for problem in problems] == ["email", "lead_score", "lead_tier"]


@pytest.mark.parametrize("bad", ["Ann,Lee", f"{GOOD},surplus"])
def test_a_row_with_a_wrong_number_of_cells_is_reported(file: FileOf, bad: str) -> None:
    rows, problems = read(file(f"{HEADER}\n{bad}\n{GOOD}\n"))

    assert len(rows) == 1
    assert [(problem.line, problem.column) for problem in problems] == [(2, "")]
    assert "cells where the header has 9" in problems[0].message


def test_duplicates_are_reported_and_the_first_is_kept(file: FileOf) -> None:
    lines = [
        HEADER,
        row_with(),
        row_with(first_name="Other", email="ANN@Acme.com"),
        row_with(first_name="ANN", last_name="LEE", email="", company_domain="WWW.ACME.COM"),
        row_with(first_name="Ann", email="", company_domain="other.com"),
        row_with(first_name="Ann", email="", company_domain=""),
        row_with(first_name="Ann", email="", company_domain=""),
    ]

    rows, problems = read(file("\n".join(lines)))

    assert [problem.line for problem in problems] == [3, 4]
    assert all("line 2" in problem.message for problem in problems)
    assert len(rows) == 4, "without a domain two people of one name are two people"


def test_a_row_left_out_is_nobodys_double(file: FileOf) -> None:
    lines = [
        HEADER,
        row_with(lead_tier="D"),
        row_with(),
        row_with(first_name="Bo"),
        row_with(first_name="Bo", email=""),
    ]

    rows, problems = read(file("\n".join(lines)))

    assert [row["first_name"] for row in rows] == ["Ann", "Bo"]
    assert [problem.line for problem in problems] == [2, 4]


def test_line_numbers_are_those_of_the_file(file: FileOf) -> None:
    lines = [
        "",
        HEADER,
        "",
        row_with(title="two\nlines"),  # 4 and 5
        ",,,,,,,,",  # 6: a blank row of a spreadsheet
        row_with(email="bad", title="three\r\nlines\nlong"),  # 7 to 9
        "   ",
        row_with(lead_tier="D"),  # 11
    ]

    rows, problems = read(file("\n".join(lines)))

    assert [row["title"] for row in rows] == ["two lines"]
    assert [problem.line for problem in problems] == [7, 11]


def test_a_quote_that_is_never_closed_costs_its_line_only(file: FileOf) -> None:
    open_quote = 'Ann,Lee,,,"CTO,Acme,acme.com,88,A'
    others = [f"P{number},Lee,,,CTO,Acme,acme.com,88,A" for number in range(3_000)]

    for after in (others[:5], others):
        rows, problems = read(file("\n".join([HEADER, open_quote, *after])))

        assert len(rows) == len(after)
        assert [problem.line for problem in problems] == [2]
        assert "never closed" in problems[0].message


def test_a_cell_beyond_the_csv_field_limit_is_a_row_problem(file: FileOf) -> None:
    before = csv.field_size_limit()

    rows, problems = read(file(f"{HEADER}\n{row_with(title='x' * (before + 1))}\n{GOOD}\n"))

    assert [problem.line for problem in problems] == [2]
    assert len(rows) == 1
    assert csv.field_size_limit() == before


# --- bad files


def test_a_missing_file_a_directory_and_a_nameless_one_are_refused(tmp_path: Path) -> None:
    assert "no file" in refusal(tmp_path / "absent.csv")
    assert "no file" in refusal(tmp_path / "new\nline.csv")
    assert "is a directory" in refusal(tmp_path)
    assert "cannot be read" in refusal(tmp_path / ("x" * 5_000))


@pytest.mark.parametrize("content", [b"", b"\n\n \n", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, b",,,\n,,,\n"])
def test_an_empty_file_is_refused(file: FileOf, content: bytes) -> None:
    message = refusal(file(content))

    assert "is empty" in message
    assert "first_name" in message


@pytest.mark.parametrize("rest", ["", "\n", "\n\n,,,,,,,,\n"])
def test_a_header_alone_is_refused(file: FileOf, rest: str) -> None:
    assert "no leads" in refusal(file(HEADER + rest))


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_the_byte_that_is_not_utf_8_is_named_with_its_line(file: FileOf, mark: bytes) -> None:
    before = "\r\n".join([HEADER, row_with(title="two\nlines"), ""]).encode()
    content = mark + before + "Zoë".encode("latin-1")

    message = refusal(file(content))

    assert f"byte {len(mark + before) + 3} (line 4)" in message
    assert "iconv" in message


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_a_bad_byte_far_into_the_file_is_found_before_anything_is_read(file: FileOf, line_end: str) -> None:
    content = line_end.join([HEADER, *[GOOD] * 50_000, "Zo"]).encode() + b"\xc3"

    message = refusal(file(content))

    assert f"byte {len(content)} (line 50002)" in message


def test_half_a_utf_16_character_is_refused(file: FileOf) -> None:
    assert "UTF-16 text" in refusal(file(f"{HEADER}\n{GOOD}".encode("utf-16") + b"\x00"))


def test_utf_16_without_its_mark_is_refused_as_a_whole(file: FileOf) -> None:
    message = refusal(file(f"{HEADER}\n{GOOD}\n".encode("utf-16-le")))

    assert "NUL bytes" in message
    assert "UTF-16" in message


def test_a_nul_in_the_header_is_refused_and_one_in_a_row_costs_the_row(file: FileOf) -> None:
    assert "NUL" in refusal(file(f"first_name\0,{HEADER}\n{GOOD}\n"))

    rows, problems = read(file(f"{HEADER}\nA\0{GOOD}\n{GOOD}\n"))

    assert len(rows) == 1
    assert [(problem.line, problem.column) for problem in problems] == [(2, "first_name")]


def test_a_workbook_is_not_a_csv(file: FileOf) -> None:
    assert "workbook" in refusal(file(b"PK\x03\x04" + bytes(100)))


@pytest.mark.parametrize(
    ("header", "lacking"),
    [
        ("email,title", ["first_name or last_name"]),
        ("first_name,title", ["company_domain or company_name or linkedin_url or email"]),
        ("name;firm", ["first_name or last_name", "company_domain or company_name or linkedin_url or email"]),
        ("first_name|email|title", ["first_name or last_name"]),
    ],
)
def test_missing_columns_are_named_beside_those_found(file: FileOf, header: str, lacking: list[str]) -> None:
    message = refusal(file(f"{header}\nx,y,z\n"))

    assert all(words in message for words in lacking)
    assert all(found in message for found in header.replace(";", ",").split(","))


@pytest.mark.parametrize("twice", ["email,EMAIL ", "email,Notes,notes", "email,email"])
def test_a_column_twice_is_refused(file: FileOf, twice: str) -> None:
    message = refusal(file(f"first_name,{twice}\nAnn,a,b\n"))

    assert "twice" in message


def test_a_header_whose_quote_stays_open_is_refused(file: FileOf) -> None:
    assert "never closed" in refusal(file(f'"first_name,email\n{GOOD}\n'))


def test_a_file_that_is_gone_when_its_rows_are_read_is_refused(file: FileOf) -> None:
    path = file(f"{HEADER}\n{GOOD}\n")
    lead_file = read_leads(path)
    path.unlink()

    with pytest.raises(BadInput, match="cannot be read"):
        next(lead_file.rows)


def test_a_file_that_turns_bad_while_its_rows_are_read_is_refused(file: FileOf) -> None:
    lead_file = read_leads(file(f"{HEADER}\n{GOOD}\n"))
    file(f"{HEADER}\nZoë\n".encode("latin-1"))

    with pytest.raises(BadInput, match="changed"):
        list(lead_file.rows)


# --- all files


def lead_lines(count: int) -> Iterator[str]:
    yield HEADER
    for number in range(count):
        yield f"Ann,Lee,ann{number}@firm{number}.com,,{'x' * 1_900},Acme,firm{number}.com,88,A"


@pytest.mark.slow
def test_a_long_file_is_streamed(file: FileOf) -> None:
    path = file("\n".join(lead_lines(8_000)))
    size = path.stat().st_size

    tracemalloc.start()
    count = sum(1 for _ in read_leads(path).rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert count == 8_000
    assert peak < size / 2


fragments = st.sampled_from(
    [
        *(bytes([byte]) for byte in b',;\t"\n\r\0\xff\xc3@-.A'),
        *(
            b'""',
            b"\r\n",
            b"Ann",
            b"a@b.co",
            b"a@",
            b"acme.com",
            b"http://",
            b"://",
            b"[::1]",
            b"xn--",
            b"88",
        ),
        *("Zoë。".encode(), "\u2028\x85\ufeff".encode(), b"first_name", b"email"),
    ]
)
scraps = st.lists(fragments | st.binary(max_size=4), max_size=40).map(b"".join)
starts = st.sampled_from(
    [
        *(b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE),
        *(f"{HEADER}\n".encode(), f"{HEADER}\n{GOOD}\n".encode()),
        *(b"first_name;email;company_domain\n", b"last_name,company_domain\nAnn,", b"last_name\temail\n"),
    ]
)


def outcome(path: Path) -> tuple[list[LeadRow], list[Problem]] | BadInput:
    try:
        return read(path)
    except BadInput as refused:
        return refused


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200) | st.tuples(starts, scraps).map(b"".join))
def test_any_bytes_are_leads_or_bad_input(file: FileOf, content: bytes) -> None:
    result = outcome(file(content))
    if isinstance(result, BadInput):
        assert "\n" not in str(result)
        return
    rows, problems = result
    assert rows or problems
    for row in rows:
        assert row["full_name"]
        assert row["company_domain"] == row["company_domain"].lower()
        assert not any("\0" in str(value) for value in row.values())
    assert all(problem.line > 1 and "\n" not in problem.message for problem in problems)
