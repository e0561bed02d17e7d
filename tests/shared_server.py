"""The command `acl-study server` as a laboratory would run it: on PostgreSQL and S3, with users and passwords, over TLS."""

import base64
import os
import select
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from bucket import KEYS
from command_line import fresh_acl_study
from postgres import PASSWORD as DATABASE_PASSWORD
from tracking_server import free_port

PASSWORD = "of-the-administrator-91c7"
BUCKET = "records"
NAME = "records.example"  # under which clients elsewhere would know it


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
        self._process = fresh_acl_study("server", *options, *tls, env=secrets | KEYS)
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
