"""Studies on a Ray cluster of several machines, each with an address, a host name and mounts of its own."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from study import names
from study.state import journal as events
from study.state.home import Home
from study.state.journal import JOURNAL_FILE, Journal
from support.cluster_nodes import ray_nodes, wait_until
from support.mlflow_records import epochs_logged, runs, with_empty_store
from support.study_integrity import assert_intact

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cluster,
]
EPOCHS, FEWER = 40, 25  # a worker starts in the time of the longer trials
STUDY: dict[str, Any] = {
    "name": "cluster",
    "question": "Does it run on several machines?",
    "profile": "mini",
    "base": {"mode": "supervised", "data.subset": "clean", "optim.epochs": EPOCHS, "compute.threads": 1},
    "space": {"loss.alpha": {"grid": [1.0, 0.7, 0.5]}},
    "resources": {"cpus": 1},
}
PAIR = {**STUDY, "base": {**STUDY["base"], "optim.epochs": FEWER}, "space": {"loss.alpha": {"grid": [1.0, 0.5]}}}


def written(folder: Path, study: dict[str, object]) -> Path:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study))
    return path


def journals(home: Path) -> list[Path]:
    return list(home.glob(f"studies/cluster/*/{JOURNAL_FILE}"))


def epochs(home: Path) -> int:
    return sum(path.read_text().count('"event": "epoch"') for path in journals(home))


def hosts(home: Path) -> dict[str, list[tuple[str, int]]]:
    """Of each trial the machines that trained it, and from which epoch on."""
    found = {}
    for path in sorted(home.glob("studies/cluster/sweep/*/state/provenance.json")):
        launches = json.loads(path.read_text())
        found[path.parents[1].name] = [(launch["hardware"]["host"], launch["from_epoch"]) for launch in launches]
    return found


def assert_complete(home: Path, trials: int, epochs: int) -> None:
    assert_intact(home, "cluster")
    logged = runs(home, names.KIND_TRIAL)
    assert len(logged) == trials
    for trial in logged:
        assert trial.data.tags[names.OUTCOME] == names.FINISHED
        assert epochs_logged(home, trial) == list(range(1, epochs + 1))


@pytest.mark.timeout(400)
def test_trials_outlive_their_machine_and_a_late_one_is_used(tiny_corpus: Path, tmp_path: Path, common_folder: Path) -> None:
    home, study = with_empty_store(tmp_path / "home"), written(tmp_path, PAIR)
    with ray_nodes(3, common_folder, fresh=True) as (head, second, late):
        second.hide(tiny_corpus)
        late.hide(tiny_corpus)
        head.join(cpus=2)
        second.join(gpus=1)  # as Ray counts them; room for one trial, since it has one CPU
        launch = head.acl_study("run", study, "--data", tiny_corpus, "--home", home, "--address", head.head, "--gpus", 0.5)
        wait_until(lambda: epochs(home) >= 3, launch)
        (worker,) = [pid for pid, name in second.node.processes().items() if name.startswith("ray::ImplicitFunc")]
        assert b"MALLOC_ARENA_MAX=1" in Path(f"/proc/{worker}/environ").read_bytes().split(b"\0")
        (orphan,) = hosts(home)
        had = Journal(home / "studies" / "cluster" / "sweep").trials[orphan].epochs
        second.kill()
        late.join(cpus=2, gpus=4)
        out, err = launch.communicate(timeout=240)
    assert launch.returncode == 0, out + err
    assert f"{orphan}: its node went down or cannot be reached; it goes on, on another one" in err
    assert "features to 1 machine" in err
    assert_complete(home, 2, FEWER)
    journal = Journal(home / "studies" / "cluster" / "sweep")
    assert [event["trial"] for event in journal.events if event["event"] == events.LOST] == [orphan]
    (first, again) = hosts(home)[orphan]
    assert first == (second.name, 1)
    assert had <= again[1] <= FEWER  # the last epoch that was reported may have been on its way to the disk
    assert {trained[-1][0] for trained in hosts(home).values()} == {late.name}  # the head has no GPU
    assert not list(home.glob("studies/cluster/.launch-*"))


@pytest.mark.timeout(400)
def test_machines_that_do_not_share_the_home_are_not_used(tiny_corpus: Path, tmp_path: Path, common_folder: Path) -> None:
    home, study = with_empty_store(tmp_path / "home"), written(tmp_path, STUDY)
    with ray_nodes(2, common_folder) as (head, late):
        late.hide(home)
        head.join()
        command = (study, "--data", tiny_corpus, "--home", home, "--address", head.head)
        launch = head.acl_study("run", *command)
        # By then the launch has looked at its machines, and the first worker starts, which takes as long as a machine that joins.
        wait_until(lambda: any('"event": "trial"' in path.read_text() for path in journals(home)), launch)
        late.join(cpus=2)
        out, err = launch.communicate(timeout=200)
        assert launch.returncode == 0, out + err
        assert re.search(rf"sweep-000\d: {late.name} does not see", err), err
        assert {trained[-1][0] for trained in hosts(home).values()} == {head.name}
        assert_complete(home, 3, EPOCHS)
        for verb in ("run", "plan"):
            refused = head.acl_study(verb, *command, "--name", "other")
            out, err = refused.communicate(timeout=100)
            assert refused.returncode == 1
            folder = Home(home).study("other")
            assert f"error: {late.name} does not see {folder}; put --home on a folder that all machines share" in err
            assert "Traceback" not in err
            assert not folder.exists()


@pytest.mark.timeout(400)
def test_trials_keep_their_state_in_a_storage_without_sharing(tiny_corpus: Path, tmp_path: Path, common_folder: Path) -> None:
    home, study = with_empty_store(tmp_path / "home"), written(tmp_path, PAIR)
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "word-that-nobody-sees", "AWS_DEFAULT_REGION": "us-east-1"}
    with ray_nodes(2, common_folder, **keys) as (head, second):
        server = f"{head.node.address}:5555"
        moto = Path(sys.executable).with_name("moto_server")
        head.start("sh", "-c", f"exec {moto} -H {head.node.address} -p 5555 2>/dev/null")  # else it fills the pipe
        bucket = f"import urllib.request as r; r.urlopen(r.Request('http://{server}/bucket', method='PUT'))"
        wait_until(lambda: head.start(sys.executable, "-c", bucket).wait() == 0)
        second.hide(home)
        head.join()
        second.join()
        storage = f"s3://bucket/trials?scheme=http&endpoint_override={server}"
        command = (study, "--data", tiny_corpus, "--home", home, "--address", head.head, "--storage", storage)
        launch = head.acl_study("run", *command)
        journal = home / "studies" / "cluster" / "sweep"
        wait_until(lambda: [state.epochs >= 3 for state in Journal(journal).trials.values()] == [True, True], launch)
        had = {name: state.epochs for name, state in Journal(journal).trials.items()}
        second.kill()
        out, err = launch.communicate(timeout=240)
        assert launch.returncode == 0, out + err
        assert_complete(home, 2, FEWER)
        (lost,) = [event["trial"] for event in Journal(journal).events if event["event"] == events.LOST]
        (_, first), (host, again) = hosts(home)[lost]
        assert (first, host) == (1, head.name)
        assert again >= had[lost]  # the state of the last epoch but one, at least, had arrived
        assert len(list(journal.glob("*/state/checkpoint.pt"))) == 1  # of the winner, whose weights were asked for
        exported = head.acl_study("export", f"cluster/{lost}", tmp_path / "model", "--home", home)
        assert exported.wait() == 0, exported.communicate()
    for path in (*home.rglob("*.json*"), *home.rglob("*.yaml"), home / "mlflow.db"):
        assert b"word-that-nobody-sees" not in path.read_bytes()
    assert "word-that-nobody-sees" not in out + err


@pytest.mark.timeout(400)
def test_a_launch_that_loses_the_head_is_resumed_elsewhere(tiny_corpus: Path, tmp_path: Path, common_folder: Path) -> None:
    home, study = with_empty_store(tmp_path / "home"), written(tmp_path, PAIR)
    with ray_nodes(1, common_folder) as (head,):
        head.join(cpus=2)
        launch = head.acl_study("run", study, "--data", tiny_corpus, "--home", home, "--address", "auto")
        wait_until(lambda: epochs(home) >= 3, launch)
        head.kill("gcs_server")
        out, err = launch.communicate(timeout=120)
        assert launch.returncode == 130, out + err
        assert "the head of the Ray cluster has not answered for 40 s: ended at once; continue with: " in err
        assert f"resume cluster --home {home} --address auto" in err
        head.kill()
        head.join(cpus=2)
        resumed = head.acl_study("resume", "cluster", "--home", home, "--address", "auto")
        out, err = resumed.communicate(timeout=200)
        assert resumed.returncode == 0, out + err
    assert_complete(home, 2, FEWER)
