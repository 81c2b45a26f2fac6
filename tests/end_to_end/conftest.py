"""One PostgreSQL server for all of it, databases copied from templates, sandboxes where a bill is read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from resources.postgres.database import driver_url
from tests.caretaker import cared_for
from tests.conftest import Server
from tests.end_to_end.campaign import Books
from tests.end_to_end.shell import Shell, Vendors, vendors

SCALE = 0.015  # some 630 leads

NewBooks = Callable[[str], Books]


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Where the embedded server's own account can get to, too."""
    with cared_for("phase3-end-to-end-") as directory:
        yield directory


@pytest.fixture(scope="session")
def shell(folder: Path) -> Shell:
    """Without any key, and without a database."""
    return Shell(folder, {"PHASE3_STATE_DIR": str(folder / "state"), "PHASE3_EXPORTS_DIR": str(folder)})


@pytest.fixture(scope="session")
def new_books(postgres: Server) -> Iterator[NewBooks]:
    """Copies a template database."""
    made: list[str] = []

    def copy(template: str) -> Books:
        made.append(f"phase3_e2e_{uuid4().hex[:12]}")
        return Books(postgres.make(made[-1], template), made[-1])

    yield copy
    for name in made:
        postgres.drop(name)


@pytest.fixture(scope="session")
def upgraded(shell: Shell, new_books: NewBooks) -> str:
    """A database as `phase3 db upgrade` leaves it."""
    books = new_books("template1")
    said = shell.set(DATABASE_URL=books.url)("db", "upgrade")
    assert said.code == 0, said.err
    return books.name


@dataclass(frozen=True, slots=True)
class Imported:
    """A database in which the sandbox's own leads wait; every copy holds the same rows."""

    template: str
    campaign_id: str


@pytest.fixture(scope="session")
def imported(shell: Shell, new_books: NewBooks, upgraded: str, folder: Path) -> Imported:
    books = new_books(upgraded)
    file = folder / "leads.csv"
    with vendors(SCALE) as sandbox:
        file.write_text(sandbox.text("leads.csv"), encoding="utf-8")
    said = shell.set(DATABASE_URL=books.url)("import", str(file), "--name", "Reference")
    assert said.code == 0, said.err
    return Imported(books.name, said.out.strip())


@dataclass(frozen=True, slots=True)
class Site:
    """A campaign of its own: database, sandbox, and a shell that knows both."""

    campaign_id: str
    books: Books
    vendors: Vendors
    shell: Shell

    @property
    def run(self) -> tuple[str, ...]:
        return ("run", self.campaign_id, "--json", "--preset", "pilot")


@pytest.fixture
def site(imported: Imported, new_books: NewBooks, shell: Shell, tmp_path: Path) -> Iterator[Site]:
    yield from a_site(imported, new_books, shell, tmp_path)


def a_site(imported: Imported, new_books: NewBooks, shell: Shell, directory: Path) -> Iterator[Site]:
    books = new_books(imported.template)
    with vendors(SCALE) as sandbox:
        marked = {
            "PHASE3_WEBHOOK_SECRET": "canary-of-the-webhook",
            "PHASE3_FORGET_KEY": "canary-of-those-who-are-forgotten",
            "DATABASE_URL": with_password(books.url),
        }
        own = shell.set(**marked, **sandbox.variables(directory))
        yield Site(imported.campaign_id, books, sandbox, own)


def with_password(url: str) -> str:
    """The test server asks for none, so that any will do: one that can be searched for."""
    place = driver_url(url).set(drivername="postgresql")
    return place.set(password=place.password or "canary-of-the-database").render_as_string(
        hide_password=False
    )


@pytest.fixture(scope="session")
def uninterrupted(
    imported: Imported, new_books: NewBooks, shell: Shell, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """The same campaign, run once from end to end."""
    for site in a_site(imported, new_books, shell, tmp_path_factory.mktemp("uninterrupted")):
        said = site.shell(*site.run)
        assert said.code == 0, said.err
        yield site
