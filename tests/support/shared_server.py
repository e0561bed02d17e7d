"""The command `acl-study server` as a laboratory would run it: on PostgreSQL and S3, with users and passwords, over TLS."""

import base64
import contextlib
import glob
import os
import pwd
import select
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import boto3
import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from support.command_line import fresh_acl_study
from support.tracking_server import free_port

S3_KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "word-of-the-bucket-5d20", "AWS_DEFAULT_REGION": "us-east-1"}
DATABASE_PASSWORD = "of-the-database-5e2a"  # that no other text has
DATABASE_USER = "records"
PASSWORD = "of-the-administrator-91c7"
BUCKET = "records"
NAME = "records.example"  # under which clients elsewhere would know it


@contextmanager
def bucket(name: str) -> Iterator[str]:
    """Address of a server that has one empty bucket."""
    port = free_port()
    moto = Path(sys.executable).with_name("moto_server")
    server = subprocess.Popen([moto, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        while True:
            with suppress(OSError), urllib.request.urlopen(urllib.request.Request(f"{address}/{name}", method="PUT")):
                break
            assert server.poll() is None
            time.sleep(0.1)
        yield address
    finally:
        server.kill()
        server.wait()


def files_in(address: str, name: str) -> list[str]:
    """Keys of all objects in a bucket."""
    client = boto3.client(
        "s3",
        endpoint_url=address,
        aws_access_key_id=S3_KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=S3_KEYS["AWS_SECRET_ACCESS_KEY"],
        region_name=S3_KEYS["AWS_DEFAULT_REGION"],
    )
    return [
        entry["Key"] for page in client.get_paginator("list_objects_v2").paginate(Bucket=name) for entry in page.get("Contents", [])
    ]


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
        secret.write_text(DATABASE_PASSWORD)
        secret.chmod(0o644)
        self._run(
            "initdb", "-D", f"{folder}/data", "-U", DATABASE_USER, "-A", "scram-sha-256", "--pwfile", str(secret), "--no-sync"
        )
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
        administrator = sa.URL.create("postgresql", DATABASE_USER, DATABASE_PASSWORD, "127.0.0.1", self.port, "postgres")
        with sa.create_engine(administrator, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        return f"postgresql://{DATABASE_USER}@127.0.0.1:{self.port}/{name}"

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


class SharedServer:
    """The server; what its clients need to know is in `client`, environment variables."""

    def __init__(self, database: str, s3: str, home: Path) -> None:
        self.database, self.s3, self.home, self.port = database, s3, home, free_port()
        self.address = f"https://127.0.0.1:{self.port}"
        self.certificate, self._key = home / "certificate.pem", home / "key.pem"
        names = "subjectAltName=IP:127.0.0.1,IP:127.0.0.2"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=acl", "-addext", names]
        command += ["-keyout", str(self._key), "-out", str(self.certificate)]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        self.client = {
            "MLFLOW_TRACKING_USERNAME": "admin",
            "MLFLOW_TRACKING_PASSWORD": PASSWORD,
            "MLFLOW_TRACKING_SERVER_CERT_PATH": str(self.certificate),
        }
        self.start()

    def start(self) -> None:
        """Wait until it says that clients may come."""
        secrets = {"PGPASSWORD": DATABASE_PASSWORD, "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD, "MLFLOW_S3_ENDPOINT_URL": self.s3}
        options = ["--database", self.database, "--home", self.home, "--port", self.port, "--workers", 1, "--auth"]
        options += ["--artifacts", f"s3://{BUCKET}/files"]
        options += ["--host", "0.0.0.0", "--name", NAME]
        tls = ["--certificate", self.certificate, "--key", self._key]
        self._process = fresh_acl_study("server", *options, *tls, env=secrets | S3_KEYS)
        assert self._process.stdout is not None
        assert select.select([self._process.stdout], [], [], 120)[0], "the server does not begin"
        self.said = self._process.stdout.readline()
        assert self.said.startswith(f"MLflow server: https://{NAME}:{self.port} "), self._process.communicate(timeout=30)[1]

    def status(self, host: str) -> int:
        """Of its answer to one who calls it by this name."""
        asked = urllib.request.Request(f"{self.address}/api/2.0/mlflow/experiments/search?max_results=1")
        login = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
        for name, value in {"Host": host, "Authorization": f"Basic {login}"}.items():
            asked.add_header(name, value)
        try:
            with urllib.request.urlopen(asked, context=ssl.create_default_context(cafile=self.certificate)) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def kill(self) -> None:
        """All its processes, at once: MLflow's are in a session of their own."""
        for entry in Path("/proc").glob("[0-9]*"):
            words = command_line(entry)
            if "mlflow" in words and "server" in words and str(self.port) in words:
                os.killpg(int(entry.name), signal.SIGKILL)
        self._process.communicate(timeout=30)

    def stop(self) -> str:
        """As by Ctrl-C; what it has said on both streams."""
        self._process.send_signal(signal.SIGINT)
        out, err = self._process.communicate(timeout=60)
        assert self._process.returncode == 0
        return self.said + str(out) + str(err)


def command_line(process: Path) -> list[str]:
    """Of a folder in /proc."""
    try:
        return (process / "cmdline").read_text(errors="replace").split("\0")
    except OSError:  # it has ended
        return []


def seen_in_process_list(secrets: tuple[str, ...], until: subprocess.Popen[str]) -> list[str]:
    """Command lines that anybody could have read a secret in while a process ran; this one watches as such a person would."""
    seen: list[str] = []
    while until.poll() is None:
        lines = [" ".join(command_line(entry)) for entry in Path("/proc").glob("[0-9]*")]
        seen += [line for line in lines if any(secret in line for secret in secrets)]
        time.sleep(0.3)
    return seen
