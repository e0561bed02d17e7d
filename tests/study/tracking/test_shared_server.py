"""The command `server` on a real PostgreSQL and an S3 server, with basic authentication and TLS."""

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml

from study import names
from study.results.publish import log_figures
from study.state import journal as events
from study.state.home import Home
from study.state.study_folder import MIRRORED_FILE, mirrored
from study.tracking.mirror import Mirror
from support import mirrored_study
from support.command_line import SMOKE, acl_study, call
from support.mirrored_study import SWEEP, Sides
from support.mlflow_records import records_by_run_name, runs
from support.preloaded import Command
from support.shared_server import (
    BUCKET,
    DATABASE_PASSWORD,
    NAME,
    PASSWORD,
    S3_KEYS,
    Postgres,
    SharedServer,
    bucket,
    files_in,
    postgres,
    seen_in_process_list,
)
from support.studies_without_training import end_study, go_on, study_of
from support.study_integrity import assert_intact

pytestmark = pytest.mark.slow

SECRETS = (PASSWORD, DATABASE_PASSWORD, S3_KEYS["AWS_SECRET_ACCESS_KEY"])


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with postgres() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPASSWORD", DATABASE_PASSWORD)
        yield running


@pytest.fixture(scope="module")
def server(database: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedServer]:
    with bucket(BUCKET) as s3, pytest.MonkeyPatch.context() as patch:
        running = SharedServer(database.database("served"), s3, tmp_path_factory.mktemp("server"))
        for name, value in running.client.items():
            patch.setenv(name, value)
        yield running
        said = running.stop()
    assert not any(secret in said for secret in SECRETS)


def test_two_processes_can_begin_an_empty_store_at_once(
    database: Postgres, server: SharedServer, tmp_path: Path, expected: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """A database whose tables both want to make, a server whose experiment both want to make, a SQLite file."""
    stores = [database.database("direct"), server.address, f"sqlite:///{tmp_path / 'both.db'}"]
    folders = [tmp_path / "one", tmp_path / "two"]
    script = Path(mirrored_study.__file__)
    path = os.pathsep.join([str(script.parents[2]), str(script.parents[1])])
    both = []
    for folder in folders:
        folder.mkdir()
        both.append(Command([str(script), str(folder), *stores], os.environ | {"PYTHONPATH": path}, Path.cwd(), fresh=True))
        request.addfinalizer(both[-1].kill)
    for number in range(len(stores)):
        while not all((folder / f"ready{number}").exists() for folder in folders):
            assert all(process.poll() is None for process in both)
            time.sleep(0.05)
        (tmp_path / str(number)).touch()
    for process in both:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert [json.loads(line) for line in out.splitlines()] == [json.loads(json.dumps(expected))] * len(stores)
    for number, store in enumerate(stores):
        found = sorted(run.data.tags[names.STUDY] for run in runs(tmp_path, names.KIND_STUDY, store))
        assert found == [f"one-{number}", f"two-{number}"]
        assert len(mlflow.MlflowClient(store).search_experiments(filter_string=f"name = '{names.EXPERIMENT}'")) == 1


def test_database_and_server_that_die_in_mid_study_cost_nothing(
    database: Postgres, server: SharedServer, tmp_path: Path, expected: dict[str, Any]
) -> None:
    sides = Sides(tmp_path / "study", server.address)
    mirror = sides.mirror()
    sides.note(mirror, events.LAUNCH, resources={})
    deadline = time.monotonic() + 60
    while not mirrored(sides.folder / MIRRORED_FILE):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    database.kill()
    sides.happen(mirror)
    sides.wait_for_line("the MLflow store does not answer")
    server.kill()
    time.sleep(0.5)
    database.start()
    server.start()
    sides.wait_for_line("the MLflow store answers again")
    assert mirror.close(complete=False)
    assert len(sides.said) == 2
    assert sides.recorded() == expected
    sides.said.clear()
    mirror = Mirror(sides.record, sides.folder, {"s": (SWEEP, sides.journal)}, sides.said.append)
    database.kill()  # and start again beneath a server that goes on
    database.start()
    assert mirror.close(complete=False)
    assert sides.recorded() == expected


def test_a_password_that_turns_wrong_in_mid_study_is_waited_for(
    server: SharedServer, tmp_path: Path, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = Sides(tmp_path / "study", server.address)
    mirror = sides.mirror()
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong-wrong-wrong")
    sides.happen(mirror)
    sides.wait_for_line("the MLflow store does not answer (it asks for another user or password")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    assert mirror.close(complete=False)
    assert sides.recorded() == expected


def test_an_offline_study_is_pushed_once_despite_kills(
    server: SharedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    home = Home(tmp_path / "home")
    study = study_of("offline", {"space": {"loss.alpha": {"grid": [1.0, 0.5]}}, "seeds": [0, 1, 2]})
    record = end_study(home, study, lambda settings: (30 - settings["seed"], 70), trials=5)
    arguments = ("sync", "offline", "--home", str(home.root), "--store", server.address)
    process = acl_study(*arguments, wait=False)
    deadline = time.monotonic() + 90
    while len(runs(home.root, names.KIND_TRIAL, server.address, "offline")) < 2:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert 2 <= len(runs(home.root, names.KIND_TRIAL, server.address, "offline")) < 5
    assert call(monkeypatch, *arguments) == 0
    assert "1 of its trials are left" in capfd.readouterr().out
    assert log_figures(study, home, home.store_uri) == []  # as its launch does
    assert records_by_run_name(server.address, "offline") == records_by_run_name(home.store_uri, "offline")
    go_on(home, study, record, lambda settings: None if settings["seed"] else (31, 71), begin=5)
    for _ in range(2):
        assert call(monkeypatch, *arguments) == 0
    assert log_figures(study, home, home.store_uri) == []  # as its launch does
    assert records_by_run_name(server.address, "offline") == records_by_run_name(home.store_uri, "offline")


def test_the_server_answers_to_the_names_that_it_was_given(server: SharedServer) -> None:
    assert [server.status(host) for host in (NAME, f"{NAME}:8443", f"localhost:{server.port}", socket.gethostname())] == [200] * 4
    assert server.status("elsewhere.example") == 403


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("MLFLOW_TRACKING_PASSWORD", "wrong-wrong-wrong", "it asks for another user or password; set MLFLOW_TRACKING_USERNAME and"),
        ("MLFLOW_TRACKING_PASSWORD", None, "it asks for another user or password; set MLFLOW_TRACKING_USERNAME and"),
        ("MLFLOW_TRACKING_USERNAME", "nobody", "it asks for another user or password; set MLFLOW_TRACKING_USERNAME and"),
        ("MLFLOW_TRACKING_SERVER_CERT_PATH", None, "its certificate is not trusted; name a file with its certificate"),
        ("MLFLOW_TRACKING_SERVER_CERT_PATH", "/nowhere.pem", "no TLS connection comes about; name a file with its certificate"),
        ("another name", "127.0.0.2", "the server does not know itself by this name; start it with --name"),
    ],
)
def test_who_is_not_let_in_learns_it_before_anything_runs(
    variable: str,
    value: str | None,
    says: str,
    server: SharedServer,
    tmp_path: Path,
    tiny_corpus: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    address = server.address
    if variable == "another name":
        address = address.replace("127.0.0.1", str(value))
    elif value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)
    arguments = ("--data", str(tiny_corpus), "--home", str(tmp_path / "home"), "--store", address)
    assert call(monkeypatch, "run", str(SMOKE), *arguments) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"error: no access to the MLflow store {address}: {says}")
    assert not (tmp_path / "home" / "studies").exists()


def test_a_wrong_password_is_told_from_a_missing_database(
    database: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    store = database.database("closed")
    absent = store.replace("/closed", "/absent")
    for address, password, says in (
        (store, "wrong", f"error: no access to the MLflow store {store}: "),
        (store, None, f"error: no access to the MLflow store {store}: "),
        (absent, DATABASE_PASSWORD, f"error: the MLflow store {absent} does not answer ("),
    ):
        if password is None:
            monkeypatch.delenv("PGPASSWORD")
        else:
            monkeypatch.setenv("PGPASSWORD", password)
        assert call(monkeypatch, "report", "x", "--home", str(tmp_path), "--store", address) == 1
        (line,) = capfd.readouterr().err.splitlines()
        assert line.startswith(says)
        assert ("PGPASSWORD" in line) == (password != DATABASE_PASSWORD)


def test_a_study_trains_against_the_server_and_shows_no_password(
    server: SharedServer, tmp_path: Path, tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    study = yaml.safe_load(SMOKE.read_text())
    study |= {"name": "guarded", "sweeps": [study["sweeps"][0] | {"space": {"loss.alpha": {"grid": [0.5]}}}]}
    (tmp_path / "guarded.yaml").write_text(yaml.safe_dump(study))
    home, store = tmp_path / "home", ("--store", server.address)
    process = acl_study("run", tmp_path / "guarded.yaml", "--data", tiny_corpus, "--cpus", 2, "--home", home, *store, wait=False)
    assert seen_in_process_list(SECRETS, process) == []
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert "Traceback" not in out + err
    assert_intact(home, "guarded", store_uri=server.address)
    (run,) = runs(home, names.KIND_STUDY, server.address, "guarded")
    assert run.data.tags[names.WINNERS]
    # The server passes files on, so that clients know neither the bucket nor its keys.
    assert {"MLmodel", "predictions.csv"} <= {key.rpartition("/")[2] for key in files_in(server.s3, BUCKET)}
    copy = f"sqlite:///{tmp_path / 'copy.db'}"
    assert call(monkeypatch, "sync", "guarded", "--home", str(home), "--store", copy) == 0
    assert records_by_run_name(copy, "guarded") == records_by_run_name(server.address, "guarded")
    assert mlflow.MlflowClient(copy).search_logged_models(["1"])[0].tags[names.STUDY] == "guarded"
    for command in ("best", "report"):  # both know the store without being told
        assert call(monkeypatch, command, "guarded", "--home", str(home)) == 0
    said = "".join((out, err, *capfd.readouterr()))
    assert f"{server.address}/#/experiments/" in (home / "reports" / "guarded" / "index.html").read_text()
    recorded = [
        str(run.to_dictionary()) for kind in (names.KIND_STUDY, names.KIND_TRIAL) for run in runs(home, kind, server.address)
    ]
    places = [home, server.home, *Path("/tmp/ray").glob("session_latest/logs")]
    files = [path.read_bytes() for place in places for path in place.rglob("*") if path.is_file() and path.name != "users.db"]
    for secret in SECRETS:
        assert secret not in said
        assert not any(secret in text for text in recorded)
        assert not any(secret.encode() in content for content in files)
