"""A real PostgreSQL of one's own, reached with a password over TCP, killed in the end."""

import contextlib
import glob
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from tracking_server import free_port

PASSWORD = "of-the-database-5e2a"  # that no other text has
USER = "records"


class Postgres:
    """A cluster in a folder of its own, as an unprivileged user: PostgreSQL refuses to run as root."""

    def __init__(self, folder: Path) -> None:
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))
        if not found:
            pytest.fail("no PostgreSQL here: apt-get install postgresql, as .ci/run does")
        self._bin, self._folder, self.port = found[-1], folder, free_port()
        if os.getuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        secret = folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run("initdb", "-D", f"{folder}/data", "-U", USER, "-A", "scram-sha-256", "--pwfile", str(secret), "--no-sync")
        secret.unlink()
        self.start()

    def start(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self._folder} -c fsync=off"
        self._run("pg_ctl", "-D", f"{self._folder}/data", "-w", "-o", options, "-l", f"{self._folder}/log", "start")

    def kill(self) -> None:
        """As if its machine had crashed."""
        self._run("pg_ctl", "-D", f"{self._folder}/data", "-w", "-m", "immediate", "stop")

    def database(self, name: str) -> str:
        """A new, empty database; its address, without the password."""
        administrator = sa.URL.create("postgresql", USER, PASSWORD, "127.0.0.1", self.port, "postgres")
        with sa.create_engine(administrator, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
        command = [*as_user, f"{self._bin}/{program}", *arguments]
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="postgres"))  # pytest's own folders are closed to other users
    database = None
    try:
        database = Postgres(folder)
        yield database
    finally:
        if database is not None:
            with contextlib.suppress(subprocess.CalledProcessError):
                database.kill()
        deadline = time.monotonic() + 10
        while folder.exists() and time.monotonic() < deadline:
            shutil.rmtree(folder, ignore_errors=True)
