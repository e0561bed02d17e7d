"""MLflow's own pages, as the command `ui` serves them."""

import contextlib
import json
import signal
import socket
import time
import urllib.request
from pathlib import Path

import pytest

from study import names
from study.tracking.writer import StudyRecord
from support.command_line import acl_study, call, fresh_acl_study
from support.tracking_server import free_port


@pytest.mark.slow
def test_the_ui_serves_the_records_until_ctrl_c(
    record: StudyRecord, record_home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    process = acl_study("ui", "--home", record_home, "--port", port, wait=False)
    try:
        address = f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/get-by-name?experiment_name={names.EXPERIMENT}"
        answer = None
        deadline = time.monotonic() + 90
        while answer is None:
            assert time.monotonic() < deadline
            with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as page:
                answer = json.loads(page.read())
            time.sleep(0.2)
        assert answer["experiment"]["name"] == names.EXPERIMENT
        assert call(monkeypatch, "ui", "--home", str(record_home), "--port", str(port)) == 1
        assert capfd.readouterr().err.startswith(f"error: port {port} is taken")
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in err
    assert is_free(port)


@pytest.mark.slow
def test_a_killed_ui_takes_the_server_that_it_started_with_it(record: StudyRecord, record_home: Path) -> None:
    port = free_port()
    process = fresh_acl_study("ui", "--home", record_home, "--port", port)
    deadline = time.monotonic() + 90
    while is_free(port):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.kill()
    while not is_free(port):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.communicate(timeout=10)  # nobody holds its output open any more


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
