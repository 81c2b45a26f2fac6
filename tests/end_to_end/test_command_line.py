"""Every command as a user meets it: data on stdout, words on stderr, an exit code that scripts can read."""

import json
import os
import shlex
import signal
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Server
from tests.end_to_end.campaign import Books
from tests.end_to_end.conftest import NewBooks
from tests.end_to_end.shell import WAIT_S, Said, Shell, Vendors, kill_group, said, until, vendors

NOTED = """
SELECT dagster_event_type AS event, event AS told FROM dagster.event_logs
WHERE asset_key = '["campaign_leads"]' AND partition = %s ORDER BY id
"""
SECRET = "hunter2"
HEADER = "first_name,last_name,company_name,company_domain,lead_score,lead_tier\n"
GOOD = HEADER + "Ada,Lovelace,Acme,acme.example,80,A\n"


@pytest.fixture(scope="module")
def books(new_books: NewBooks, upgraded: str) -> Books:
    return new_books(upgraded)


@pytest.fixture(scope="module")
def own(shell: Shell, books: Books) -> Shell:
    """On a server of the user's own, without keys."""
    return shell.set(DATABASE_URL=books.url)


@pytest.fixture(scope="module")
def campaign(own: Shell, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("good") / "leads.csv"
    file.write_text(GOOD, encoding="utf-8")
    imported = own("import", str(file), "--name", "Small")
    assert imported.code == 0, imported.err
    return imported.out.strip()


def test_bad_rows_are_told_by_line_and_the_rest_is_imported(own: Shell, books: Books, tmp_path: Path) -> None:
    file = tmp_path / "leads.csv"
    file.write_text(GOOD + "Grace,Hopper,Navy,navy.example,many,A\n", encoding="utf-8")
    imported = own("import", str(file), "--name", "One bad row")
    assert imported.code == 0
    assert f"{file}:3:" in imported.line
    assert books.number("leads WHERE campaign_id = %s", imported.out.strip()) == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\x01\x02", HEADER.encode(), b"colour,size\nred,9\n", b"first_name\n\xff\xfe\n"],
    ids=["empty", "binary", "no leads", "no known column", "broken text"],
)
def test_a_file_of_which_nothing_can_be_used_is_refused(own: Shell, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "leads.csv"
    file.write_bytes(content)
    refused = own("import", str(file), "--name", "Bad")
    assert (refused.code, refused.out) == (2, "")
    assert refused.line


def test_where_no_row_is_good_each_is_told_by_line(own: Shell, tmp_path: Path) -> None:
    file = tmp_path / "leads.csv"
    file.write_text(HEADER + "Ada,Lovelace,Acme,acme.example,many,A\n", encoding="utf-8")
    refused = own("import", str(file), "--name", "Bad")
    row, whole = refused.err.splitlines()
    assert (refused.code, refused.out, whole) == (2, "", "There are no leads to import.")
    assert row.startswith(f"{file}:2: lead_score:")


@pytest.mark.parametrize("file", ["nowhere.csv", "."])
def test_a_file_that_cannot_be_read_is_refused(own: Shell, file: str) -> None:
    refused = own("import", file, "--name", "Bad")
    assert (refused.code, refused.out) == (2, "")
    assert file in refused.line


def test_a_disk_without_room_for_what_is_told_is_told_in_one_line(own: Shell, campaign: str) -> None:
    with (
        Path("/dev/full").open("w") as full,
        own.started("status", campaign, "--json", stdout=full) as process,
    ):
        _, err = process.communicate(timeout=WAIT_S)
    assert (process.returncode, err) == (1, "No space is left where this is written to.\n")


def test_a_reader_who_has_gone_needs_no_word(own: Shell, campaign: str) -> None:
    nobody, end = os.pipe()
    os.close(nobody)
    with os.fdopen(end, "w") as pipe, own.started("status", campaign, "--json", stdout=pipe) as process:
        _, err = process.communicate(timeout=WAIT_S)
    assert (process.returncode, err) == (1, "")


def test_a_campaign_needs_a_name(own: Shell) -> None:
    assert own("import", "leads.csv", "--name", " ").code == 2


def test_an_unknown_campaign_is_bad_input(own: Shell) -> None:
    for command in ("run", "result", "status", "export"):
        refused = own(command, "nowhere")
        assert (refused.code, refused.out) == (2, "")
        assert refused.line.startswith("There is no campaign 'nowhere'.")


def test_a_campaign_is_exported_at_any_time(own: Shell, campaign: str, tmp_path: Path) -> None:
    done = own("export", campaign, "--csv", "--html", "--report-json", "--workbook", "--out", str(tmp_path))
    assert (done.code, done.err) == (0, "")
    files = [Path(line) for line in done.out.splitlines()]
    assert [file.suffix for file in files] == [".xlsx", ".csv", ".html", ".json"]
    assert all(file.parent == tmp_path and file.stat().st_size for file in files)
    assert "Small" in files[2].read_text(encoding="utf-8")
    again = own("export", campaign, "--out", str(tmp_path), "--json").document
    assert [export["url"] for export in again] == [files[0].as_uri(), files[2].as_uri()]
    refused = own("export", campaign, "--sheets")
    assert (refused.code, refused.out) == (2, "")
    assert refused.line.startswith("No spreadsheet is set up")


def test_a_person_is_forgotten_once_there_is_a_key(
    shell: Shell, new_books: NewBooks, upgraded: str, tmp_path: Path
) -> None:
    """On a server of its own: whom it has forgotten nobody recognises without the key, so nobody may run."""
    books = new_books(upgraded)
    own, file = shell.set(DATABASE_URL=books.url), tmp_path / "leads.csv"
    file.write_text(GOOD.replace("Ada", "Mary"), encoding="utf-8")
    mary = own("import", str(file), "--name", "Forgotten").out.strip()
    (lead,) = books.query("SELECT id FROM leads WHERE campaign_id = %s", mary)
    refused = own("forget", str(lead["id"]))
    assert (refused.code, refused.out) == (2, "")
    assert "PHASE3_FORGET_KEY" in refused.line
    keyed = own.set(PHASE3_FORGET_KEY="k" * 32)
    first, again = keyed("forget", str(lead["id"]), "--json"), keyed("forget", str(lead["id"]), "--json")
    assert (first.code, first.document["erased"]["leads"]) == (0, 1)
    assert (again.code, again.document["erased"]["leads"]) == (0, 0)
    assert keyed("forget", "Mary").code == 2


def test_what_is_kept_no_longer_is_told_and_erased(own: Shell) -> None:
    told = own("db", "prune", "--dry-run", "--json")
    assert (told.code, told.document["dry_run"], told.document["answers_days"]) == (0, True, 365)
    assert own("db", "prune").code == 0


def test_an_unknown_preset_and_a_bad_settings_file_are_bad_input(
    own: Shell, campaign: str, tmp_path: Path
) -> None:
    assert own("run", campaign, "--preset", "huge").line.startswith("There is no preset 'huge'")
    settings = tmp_path / "phase3.toml"
    settings.write_text("[waterfall]\nguesing = true\n", encoding="utf-8")
    refused = own.set(PHASE3_SETTINGS=str(settings))("run", campaign)
    assert refused.code == 2
    assert f"{settings}:2: waterfall.guesing" in refused.line


def test_without_keys_nothing_is_spent_and_what_to_set_is_said(
    own: Shell, books: Books, campaign: str
) -> None:
    failed = own("run", campaign, "--json")
    assert failed.code == 1
    assert failed.document["status"] == "not_started"
    assert failed.line.startswith("No usable finder, so nothing was spent.")
    assert "set TOMBA_API_KEY and TOMBA_API_SECRET" in failed.line
    assert books.number("provider_calls") == 0


def test_a_campaign_of_phase_2_is_not_run(own: Shell, books: Books, campaign: str) -> None:
    try:
        books.query("UPDATE campaigns SET status = 'scraping' WHERE id = %s RETURNING id", campaign)
        refused = own("run", campaign)
    finally:
        books.query("UPDATE campaigns SET status = 'import_complete' WHERE id = %s RETURNING id", campaign)
    assert (refused.code, refused.out) == (2, "")
    assert "'scraping'" in refused.line


def test_a_server_of_ones_own_is_upgraded_by_that_command_alone(shell: Shell, postgres: Server) -> None:
    empty = Books(postgres.make("phase3_e2e_empty"), "phase3_e2e_empty")
    own = shell.set(DATABASE_URL=empty.url)
    try:
        refused = own("status")
        assert (refused.code, refused.out) == (2, "")
        assert refused.line == "The tables of phase 3 are missing or old: run `phase3 db upgrade`."
        assert own("db", "upgrade").code == 0
        again = own("db", "upgrade")
        assert (again.code, again.out) == (0, "")
        assert own("status", "--json").document == []
    finally:
        postgres.drop(empty.name)


@pytest.mark.parametrize("command", [("status",), ("db", "upgrade"), ("dev", "--port", "0")])
def test_a_database_in_another_encoding_is_one_line_that_says_what_to_do(
    shell: Shell, postgres: Server, command: tuple[str, ...]
) -> None:
    try:
        refused = shell.set(DATABASE_URL=postgres.make_encoded("phase3_e2e_ascii", "SQL_ASCII"))(*command)
    finally:
        postgres.drop("phase3_e2e_ascii")
    assert (refused.code, refused.out) == (2, "")
    assert refused.line.startswith("This database is encoded in SQL_ASCII, and names need UTF8: make")


@pytest.mark.parametrize("command", [("status",), ("run", "any"), ("db", "upgrade")])
def test_an_unreachable_database_is_one_line_without_the_password(
    shell: Shell, command: tuple[str, ...]
) -> None:
    failed = shell.set(DATABASE_URL=f"postgresql://someone:{SECRET}@127.0.0.1:1/leads")(*command)
    assert (failed.code, failed.out) == (1, "")
    assert "Check DATABASE_URL" in failed.line
    assert SECRET not in failed.err


@pytest.mark.parametrize("url", [f"mysql://me:{SECRET}@db/x", "leads", f"postgresql://me:{SECRET}@db:port/x"])
def test_what_is_no_database_address_is_bad_input(shell: Shell, url: str) -> None:
    refused = shell.set(DATABASE_URL=url)("status")
    assert (refused.code, refused.out) == (2, "")
    assert "DATABASE_URL" in refused.line
    assert SECRET not in refused.err


def test_a_state_directory_that_cannot_be_made_is_said(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    failed = shell.set(PHASE3_STATE_DIR=str(tmp_path / "file" / "state"))("status")
    assert failed.code == 1
    assert "set PHASE3_STATE_DIR" in failed.line


def test_a_campaign_below_a_threshold_stops(
    shell: Shell, new_books: NewBooks, upgraded: str, tmp_path: Path
) -> None:
    """Then the same campaign, forced on; then a look at what is there."""
    books = new_books(upgraded)
    with vendors(0.001) as sandbox:
        file = tmp_path / "leads.csv"
        file.write_text(sandbox.text("leads.csv"), encoding="utf-8")
        own = shell.set(DATABASE_URL=books.url, **sandbox.variables(tmp_path))
        campaign_id = own("import", str(file), "--name", "Few").out.strip()
        assert_estimated(own, sandbox)
        assert_on_the_page_of_its_leads(books, campaign_id)
        stopped = own("run", "Few", "--json")
        assert (stopped.code, stopped.document["status"]) == (3, "stopped")
        assert "leads wait for an address" in stopped.err.splitlines()[0]
        assert "accepted emails, and enrichment wants at least 500" in stopped.err.splitlines()[-1]
        asked = sandbox.requests
        forced = own("run", campaign_id[:8], "--force-continue")
        assert forced.code == 0
        assert forced.err.startswith("0 leads wait for an address")
        assert "pending_approval" in forced.out
        assert sandbox.requests > asked
        assert_simulated(own, books, sandbox)
        want_more_of_few(own, books, sandbox)
    result = own("result", "Few", "--json").document
    assert result["status"] == "pending_approval"
    assert "pending_approval" in own("result", "Few").out
    (row,) = own("status", "Few", "--json").document
    assert (row["id"], row["status"]) == (campaign_id, "verification_complete")
    assert float(row["spent_usd"]) == result["costs"]["total"]
    assert "Few" in own("status").out
    assert "email verification" in own("status", "Few").out
    decide_about_few(own, books)


def assert_estimated(own: Shell, sandbox: Vendors) -> None:
    """Nobody is asked; what is expected of each provider adds up."""
    asked = sandbox.requests
    estimate = own("estimate", "Few", "--json").document
    assert sandbox.requests == asked
    assert estimate["leads"] == 42
    by_provider = [Decimal(row["cost_usd"]) for row in estimate["providers"]]
    assert sum(by_provider) == Decimal(estimate["cost_usd"]["expected"]) > 0


def assert_on_the_page_of_its_leads(books: Books, campaign_id: str) -> None:
    """What was imported, then what is expected of it; nobody has started anything."""
    rows = books.query(NOTED, campaign_id)
    assert [row["event"] for row in rows] == [
        "ASSET_OBSERVATION",
        "ASSET_MATERIALIZATION",
        "ASSET_OBSERVATION",
    ]
    assert "expected_cost_usd" in rows[-1]["told"]
    assert books.runs() == []


def assert_simulated(own: Shell, books: Books, sandbox: Vendors) -> None:
    """The same policy finds and costs the same; another is told as far as the ledger knows, for nothing."""
    before = sandbox.read("bill"), books.number("provider_calls"), books.number("campaign_audit_log")
    same = own("simulate", "Few", "--json").document
    assert same["simulated"]["leads_unknown"] == 0
    assert same["simulated"]["known"] == same["as_run"]
    other = simulated(own, "--order", "findymail,tomba")
    assert other["unknown_questions"]["findymail"] == other["leads_unknown"] > 0
    assert other["cost_usd"]["low"] < other["cost_usd"]["high"]
    assert_other_policies(own, same["as_run"])
    after = sandbox.read("bill"), books.number("provider_calls"), books.number("campaign_audit_log")
    assert after == before


def assert_other_policies(own: Shell, as_run: Any) -> None:
    without = simulated(own, "--without", "tomba")
    assert without["unknown_questions"]["anymailfinder"] > 0
    assert "tomba" not in without["unknown_questions"]
    fewer = simulated(own, "--max-providers", "1")
    assert fewer["known"]["accepted"] < as_run["accepted"]
    risky = simulated(own, "--accept-risky")
    assert risky["known"]["accepted"] > as_run["accepted"]
    assert Decimal(risky["known"]["cost_usd"]) < Decimal(as_run["cost_usd"])
    cheapest = simulated(own, "--order", "cheapest_valid")
    assert (cheapest["leads"], cheapest["leads_unknown"] > 0) == (42, True)
    assert cheapest["accepted"]["low"] < cheapest["accepted"]["high"]


def simulated(own: Shell, *policy: str) -> Any:
    return own("simulate", "Few", *policy, "--json").document["simulated"]


def want_more_of_few(own: Shell, books: Books, sandbox: Vendors) -> None:
    """What is missing is tried again, no question is billed twice, and approval is asked for anew."""
    ready = books.number("leads WHERE enrichment_status = 'enriched'")
    more = own("request-more", "Few", "--by", "dana", "--feedback", "more, please", "--json")
    assert more.document["campaign_status"] == "re_enrichment_requested"
    assert books.number("leads WHERE email_status IS NULL") > 0
    followed = own("run", "Few", "--force-continue", "--json", "--follow")
    assert_followed(followed, books)
    assert books.number("leads WHERE email_status IS NULL") == 0
    assert books.number("leads WHERE enrichment_status = 'enriched'") >= ready
    assert max(sandbox.times_billed().values()) == 1
    asked = books.query("SELECT status FROM approval_requests ORDER BY requested_at")
    assert [row["status"] for row in asked] == ["more_enrichment", "pending"]


def assert_followed(said: Said, books: Books) -> None:
    """A line for each state that was told, of this run alone; the result last."""
    assert said.code == 0, said.err
    *lines, last = [json.loads(line) for line in said.out.splitlines()]
    assert (last["event"], last["status"]) == ("result", "pending_approval")
    assert len({line["id"] for line in lines}) == len(lines) > 0
    (run,) = {line["run_id"] for line in lines}
    (newest,) = books.query("SELECT workflow_id FROM workflow_checkpoints ORDER BY updated_at DESC LIMIT 1")
    assert run == newest["workflow_id"]
    done = {line["agent"]: line for line in lines}
    assert list(done) == ["email_verification", "waterfall_enrichment", "verification_finalizer"]
    assert all(line["status"] == "completed" for line in done.values())


def decide_about_few(own: Shell, books: Books) -> None:
    """A change voids the request; the report made again, and no other, is approved, once."""
    (old,) = exports_of_few(own, ".xlsx")
    books.query("UPDATE leads SET email = 'eve@acme.example' WHERE email_status = 'valid' RETURNING id")
    stale = own("approve", "Few", "--by", "dana")
    assert (stale.code, stale.out) == (2, "")
    assert stale.line.startswith("Not decided: the leads changed since approval was asked for")
    assert own("run", "Few", "--force-continue").code == 0
    (new,) = exports_of_few(own, ".xlsx")
    assert exports_of_few(own, ".html") == [new] != [old]
    unread = own("approve", "Few", "--by", "dana", "--report", old)
    assert unread.line.startswith(f"Not decided: the request is about report {new},")
    approved = own("approve", "Few", "--by", "dana", "--report", new, "--tier-a-only", "--json")
    assert approved.code == 0, approved.err
    assert approved.document["personalization_scope"] == "tier_a_only"
    late = own("reject", "Few", "--by", "kim", "--feedback", "wrong industry")
    assert late.code == 2
    assert late.line.startswith("Already decided: approved tier a by dana at ")
    assert own("result", "Few", "--json").document["approval_status"] == "approved_tier_a"
    in_scope = books.number("leads WHERE lead_tier = 'A' AND enrichment_status = 'enriched'")
    assert books.number("approved_leads") == in_scope > 0


def exports_of_few(own: Shell, suffix: str) -> list[str]:
    """The reports' hashes in the names of the files that are there."""
    folder = Path(own.variables["PHASE3_EXPORTS_DIR"])
    return [file.stem.rpartition("-")[2] for file in folder.glob(f"phase3-few-*{suffix}")]


def test_the_sandbox_tells_a_shell_where_it_is(own: Shell) -> None:
    with own.started("sandbox", "--scale", "0.001") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        while not lines[-1].startswith("export PHASE3_SETTINGS="):
            lines.append(process.stdout.readline())
        pairs = [shlex.split(line)[1].partition("=") for line in lines]
        variables = {name: value for name, _, value in pairs}
        assert variables["TOMBA_BASE_URL"].startswith("http://127.0.0.1:")
        assert Path(variables["PHASE3_SETTINGS"]).is_file()
        note = Path(own.variables["PHASE3_STATE_DIR"]) / "sandbox.url"
        assert note.is_file()
        assert own("run", "nowhere", "--sandbox").line.startswith("There is no campaign")
        kill_group(process, signal.SIGINT)
        out, err = process.communicate(timeout=WAIT_S)
    assert said(process, out, err).code == 0
    assert not note.exists()
    assert own("run", "nowhere", "--sandbox").line.startswith("There is no campaign")  # it starts its own


def test_slack_is_listened_to_until_it_is_enough(own: Shell, tmp_path: Path) -> None:
    settings = tmp_path / "phase3.toml"
    settings.write_text('[approval]\nslack_channel = "C0CAMPAIGN1"\n', encoding="utf-8")
    refused = own("slack")
    assert (refused.code, refused.out) == (2, "")
    assert refused.line.startswith("Slack is not set up: set SLACK_BOT_TOKEN")
    with vendors(0.001) as sandbox:
        slack = {name: value for name, value in sandbox.read("env").items() if name.startswith("SLACK_")}
        listening = own.set(PHASE3_SETTINGS=str(settings), **slack)
        with listening.started("slack") as process:
            until(lambda: sandbox.read("slack")["sockets"] or process.poll() is not None)
            kill_group(process, signal.SIGINT)
            out, err = process.communicate(timeout=WAIT_S)
        del slack["SLACK_APP_TOKEN"]
        keyless = own.set(PHASE3_SETTINGS=str(settings), **slack)("slack")
    ended = said(process, out, err)
    assert ended.code == 0
    warned, listened = ended.err.splitlines()
    assert warned.startswith("No click will count: [approval] approvers in the settings names nobody")
    assert listened == "Listening to Slack by Socket Mode. Ctrl-C ends it."
    assert keyless.err.splitlines()[-1].startswith("SLACK_APP_TOKEN is not set")


@pytest.fixture(scope="module")
def demonstrated(shell: Shell, folder: Path) -> Shell:
    """On the embedded server, without a variable of the user's."""
    state = folder / "demo"
    state.mkdir(mode=0o755)
    return shell.set(PHASE3_STATE_DIR=str(state))


def test_a_second_demo_costs_nothing(demonstrated: Shell) -> None:
    first = demonstrated("demo", "--scale", "0.002")
    assert first.code == 0, first.err
    assert first.document["status"] == "pending_approval"
    assert "The sandbox billed $0.000000" not in first.err
    second = demonstrated("demo", "--scale", "0.002")
    assert second.code == 0, second.err
    assert "is in this database already: nothing that was paid is paid again." in second.err
    assert "The sandbox billed $0.000000; the ledger booked $0.000000 for this run." in second.err
    assert second.document["result"] == first.document["result"]
    (row,) = demonstrated("status", "--json").document
    assert first.document["campaign_id"] == row["id"]
