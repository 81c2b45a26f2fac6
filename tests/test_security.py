"""`docs/security.md` says what the tests do, and the lock is held against an advisory database."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests import attacks
from tests.attacks import PAGE, TESTS, page, rows

AUDIT = TESTS.parent / ".ci" / "audit.py"


def test_the_page_lists_every_attack_that_is_tested() -> None:
    assert len(rows()) > 30
    written = PAGE.read_text(encoding="utf-8")
    assert written == page(written), "run: python -m tests.attacks"


@pytest.mark.soak
def test_every_attack_succeeds_without_its_defence() -> None:
    command = [sys.executable, "-m", "pytest", "-p", attacks.__name__, "--without-defences", "-q", "--tb=no"]
    ran = subprocess.run(
        [*command, str(TESTS)], cwd=TESTS.parent, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout


@contextmanager
def advisory_database(known: dict[str, list[str]]) -> Iterator[str]:
    """Knows advisories by package name; answers as osv.dev documents."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            results = [
                {"vulns": [{"id": one} for one in known.get(query["package"]["name"], [])]} for query in asked
            ]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"results": results}).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/querybatch"
        server.shutdown()


def audited(url: str) -> tuple[int, str]:
    ran = subprocess.run([sys.executable, AUDIT, url], capture_output=True, text=True, check=False)
    return ran.returncode, ran.stderr


def test_a_version_with_an_advisory_fails_the_audit() -> None:
    with advisory_database({"aiohttp": ["GHSA-1"]}) as url:
        code, told = audited(url)
    assert code == 1
    assert "ADVISORY: aiohttp 3." in told
    assert ": GHSA-1" in told


def test_an_audit_asks_about_every_package_that_is_pinned() -> None:
    lock = (TESTS.parent / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pinned = [line for line in lock if line and line[0] not in " #"]
    with advisory_database({}) as url:
        assert audited(url) == (0, f"{len(pinned)} packages audited, 0 advisories.\n")


def test_an_audit_that_nobody_answers_is_skipped_loudly() -> None:
    assert audited("http://127.0.0.1:1/v1/querybatch") == (
        0,
        "AUDIT SKIPPED: no advisory database answers (URLError).\n",
    )
