"""A campaign with suppressed people and companies in it: none of them is in any request that the sandbox saw.

Of 42,100 leads 2,000 people are listed by address and 50 companies by domain, before `phase3 run`. Three tell
what vendors were asked: the sandbox's count of requests, its bill (also of what went in bulk tasks), and the
questions of the ledger. Prints a table; exit code 1 where anybody is found, or nobody else was asked about.

People are chosen among those whose address follows from their name, for the leads bring none: whoever is
listed under another address is recognised once a vendor tells of it, and not verified.
"""

import argparse
import csv
import io
import json
import os
import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text

from benchmarks import aside
from benchmarks.campaign import phase3
from phase3_assets import vendor_sandbox, workplace
from phase3_assets.looking import look
from phase3_core.forgetting import profile_of
from phase3_core.patterns import pattern_of
from resources.names import mailbox_names
from resources.postgres.database import PostgresBooks

PEOPLE, DOMAINS = 2_000, 50
_DOMAIN = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.example")
_PROFILE = re.compile(r"linkedin\.com/in/[^\s/\"?]+")


@dataclass(frozen=True, slots=True)
class Listed:
    """A person on the list, by what a request could name them."""

    first: str
    last: str
    domain: str
    email: str
    profile: str


def found(people: Sequence[Listed], domains: Sequence[str], questions: Iterable[str]) -> Iterator[str]:
    """Who of them is named in what was asked."""
    at: defaultdict[str, list[str]] = defaultdict(list)
    profiles: set[str] = set()
    for question in (one.lower() for one in questions):
        profiles.update(_PROFILE.findall(question))
        for domain in set(_DOMAIN.findall(question)):
            at[domain].append(question)
    for domain in domains:
        yield from (f"{domain}: {at[one][0]}" for one in at if f".{one}".endswith(f".{domain}"))
    for person in people:
        if person.profile and person.profile in profiles:
            yield f"{person.email}: {person.profile}"
        yield from (f"{person.email}: {one}" for one in at[person.domain] if _names(one, person))


def _names(question: str, person: Listed) -> bool:
    words = set(re.split(r"[^\w'-]+", question))
    return person.email in question or {*person.first.split(), *person.last.split()} <= words


def chosen(leads: Sequence[dict[str, str]], truth: Sequence[dict[str, str]], scale: float) -> list[Listed]:
    """As many as the scale wants, from all over the campaign."""
    able = [one for pair in zip(leads, truth, strict=True) if (one := _listed(*pair))]
    wanted = max(1, round(PEOPLE * scale))
    return [able[number * len(able) // wanted] for number in range(wanted)]


def _listed(lead: dict[str, str], fact: dict[str, str]) -> Listed | None:
    names = mailbox_names(lead["first_name"], lead["last_name"])
    email = fact["email"].lower()
    if not email or pattern_of(email, names) is None:
        return None
    first, last = lead["first_name"].lower(), lead["last_name"].lower()
    return Listed(first, last, lead["company_domain"].lower(), email, profile_of(lead["linkedin_url"]))


async def questions_of(books: PostgresBooks) -> list[str]:
    async with books.engine.connect() as connection:
        return list(await connection.scalars(text("SELECT request::text FROM provider_calls")))


def rows(box: vendor_sandbox.Sandbox, page: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(box.text(page))))


def asked(box: vendor_sandbox.Sandbox, url: str) -> list[str]:
    """Every question, by each of the three who tell."""
    counted = json.loads(box.text("requests"))["rows"]
    billed = json.loads(box.text("billing"))["rows"]
    return [*look(url, questions_of), *(str(one["question"]) for one in (*counted, *billed))]


def performed(scale: float) -> tuple[dict[str, Any], list[str]]:
    """What is worth a line, and who was found."""
    options = ("--scale", str(scale), "--latency-ms", "0", "--rate-factor", "100000", "--prices", "seed")
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o711)  # the server's own user must pass
        place = {"PHASE3_STATE_DIR": directory, "PHASE3_EXPORTS_DIR": f"{directory}/exports"}
        with (
            workplace.environment(**place),
            workplace.database(aside) as url,
            vendor_sandbox.pointed_at(vendor_sandbox.started(*options)) as box,
        ):
            people = chosen(rows(box, "leads.csv"), rows(box, "truth.csv"), scale)
            domains = others_than(people, rows(box, "leads.csv"), max(1, round(DOMAINS * scale)))
            file, stop = Path(directory) / "leads.csv", Path(directory) / "stop.csv"
            file.write_text(box.text("leads.csv"), encoding="utf-8")
            stop.write_text("\n".join([*(one.email for one in people), *domains]), encoding="utf-8")
            campaign = str(
                phase3("import", str(file), "--name", "Listed", environment=os.environ).result["id"]
            )
            phase3("suppress", str(stop), environment=os.environ)
            began = time.perf_counter()
            run = phase3("run", campaign, "--json", "--force-continue", environment=os.environ)
            seconds = time.perf_counter() - began
            questions = asked(box, url)
            told = {
                "leads": file.read_text(encoding="utf-8").count("\n") - 1,
                "people listed": len(people),
                "domains listed": len(domains),
                "seconds": round(seconds, 1),
                "questions looked through": len(questions),
                "companies asked about": len({one for q in questions for one in _DOMAIN.findall(q.lower())}),
                "ready": run.result["result"]["total_ready"],  # type: ignore[index] # JSON: a mapping, but typed as any value
            }
            return told, list(found(people, domains, questions))


def others_than(people: Sequence[Listed], leads: Sequence[dict[str, str]], wanted: int) -> list[str]:
    """Domains at which nobody is listed by address, each once, from all over the campaign."""
    taken = {person.domain for person in people}
    free = sorted({lead["company_domain"].lower() for lead in leads} - taken - {""})
    return [free[number * len(free) // wanted] for number in range(wanted)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    told, who = performed(parser.parse_args().scale)
    for name, value in told.items():
        print(f"{name:<26} {value:>12,}")
    print(f"{'found in a request':<26} {len(who):>12,}")
    print(*who[:10], sep="\n")
    return 1 if who or not told["ready"] else 0


if __name__ == "__main__":
    sys.exit(main())
