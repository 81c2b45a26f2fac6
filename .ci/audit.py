"""Asks an advisory database about every version in requirements.lock: `audit.py [URL]`.

Exit code 1 where an advisory is known. Where nobody can be asked it says so loudly and ends with 0: a machine
without the internet is no finding. Needs nothing but Python, because it may run before anything is installed.
"""

import json
import re
import sys
import urllib.request
from pathlib import Path

LOCK = Path(__file__).parent.parent / "requirements.lock"
OSV = "https://api.osv.dev/v1/querybatch"  # google.github.io/osv.dev: POST /v1/querybatch
TIMEOUT_S = 10.0

Pin = tuple[str, str]


def pins() -> list[Pin]:
    return re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE)


def advisories(url: str, asked: list[Pin]) -> list[str]:
    """Raises OSError or ValueError where the database does not answer as documented."""
    queries = [
        {"package": {"name": name, "ecosystem": "PyPI"}, "version": version} for name, version in asked
    ]
    request = urllib.request.Request(  # noqa: S310 - https, or what the caller of this command names
        url, json.dumps({"queries": queries}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - https, or what the caller of this command names
        results = json.load(answer).get("results", [])
    if len(results) != len(asked):
        raise ValueError("another number of answers than of questions")
    return [
        f"{name} {version}: {known['id']}"
        for (name, version), result in zip(asked, results, strict=True)
        for known in result.get("vulns", [])
    ]


def main() -> int:
    asked = pins()
    try:
        found = advisories(sys.argv[1] if len(sys.argv) > 1 else OSV, asked)
    except (OSError, ValueError) as failure:
        sys.stderr.write(f"AUDIT SKIPPED: no advisory database answers ({type(failure).__name__}).\n")
        return 0
    sys.stderr.write(f"{len(asked)} packages audited, {len(found)} advisories.\n")
    for line in found:
        sys.stderr.write(f"ADVISORY: {line}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
