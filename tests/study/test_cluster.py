"""Studies on a Ray cluster of several machines, each with an address, a host name and mounts of its own."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from command_line import epochs_logged, runs
from empty_store import with_store
from machines import PORT, Machine, Machines, can_make_machines, machines, wait_until
from study import journal as events
from study import record_names as names
from study.home import Home
from study.journal import JOURNAL_FILE, Journal
from whole import assert_whole

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cluster,
    pytest.mark.skipif(not can_make_machines(), reason="needs root, iproute2 and util-linux for network namespaces"),
]
EPOCHS = 14
STUDY = {
    "name": "cluster",
    "question": "Does it run on several machines?",
    "profile": "mini",
    "base": {"mode": "supervised", "data.subset": "clean", "optim.epochs": EPOCHS, "compute.threads": 1},
    "space": {"loss.alpha": {"grid": [1.0, 0.7, 0.5, 0.3]}},
    "resources": {"cpus": 1},
}


@pytest.fixture
def network() -> Iterator[Machines]:
    with machines() as network:
        yield network


def head_of(network: Machines, cpus: int) -> Machine:
    head = network.add("alpha")
    network.join(head, cpus=cpus)
    return head


def written(folder: Path, study: dict[str, object]) -> Path:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study))
    return path


def epochs(home: Path) -> int:
    return sum(path.read_text().count('"event": "epoch"') for path in home.glob(f"studies/cluster/*/{JOURNAL_FILE}"))


def hosts(home: Path) -> dict[str, list[tuple[str, int]]]:
    """Of each trial the machines that trained it, and from which epoch on."""
    found = {}
    for path in sorted(home.glob("studies/cluster/sweep/*/state/provenance.json")):
        launches = json.loads(path.read_text())
        found[path.parents[1].name] = [(launch["hardware"]["host"], launch["from_epoch"]) for launch in launches]
    return found


def assert_complete(home: Path, trials: int = 4) -> None:
    assert_whole(home, "cluster")
    logged = runs(home, names.KIND_TRIAL)
    assert len(logged) == trials
    for trial in logged:
        assert trial.data.tags[names.OUTCOME] == names.FINISHED
        assert epochs_logged(home, trial) == list(range(1, EPOCHS + 1))


@pytest.mark.timeout(400)
def test_trials_spread_and_outlive_their_machine_and_a_late_machine_is_used(
    network: Machines, tiny_corpus: Path, tmp_path: Path
) -> None:
    home = with_store(tmp_path / "home")
    head, beta = head_of(network, cpus=1), network.add("beta")
    beta.hide(tiny_corpus)
    network.join(beta)
    study = written(tmp_path, STUDY)
    launch = head.acl_study("run", study, "--data", tiny_corpus, "--home", home, "--address", f"{head.address}:{PORT}")
    wait_until(lambda: len(hosts(home)) == 2 and epochs(home) >= 6, launch)
    journal = Journal(home / "studies" / "cluster" / "sweep")
    (on_beta,) = [trial for trial, trained in hosts(home).items() if trained[0][0] == "beta"]
    had = journal.trials[on_beta].epochs
    beta.power_off()
    gamma = network.add("gamma")
    gamma.hide(tiny_corpus)
    network.join(gamma)
    out, err = launch.communicate(timeout=240)
    assert launch.returncode == 0, out + err
    assert f"{on_beta}: its node went down or cannot be reached; it goes on, on another one" in err
    assert "features to 1 machine" in err
    assert_complete(home)
    journal = Journal(home / "studies" / "cluster" / "sweep")
    (lost,) = [event for event in journal.events if event["event"] == events.LOST]
    assert lost["trial"] == on_beta
    (_, first), (host, again) = hosts(home)[on_beta]
    assert first == 1
    assert host != "beta"
    assert had < again <= EPOCHS
    assert {trained[-1][0] for trained in hosts(home).values()} == {"alpha", "gamma"}
    assert not list(home.glob("studies/cluster/.launch-*"))


@pytest.mark.timeout(300)
def test_machines_that_do_not_share_the_home_are_refused_and_one_that_joins_late_is_left_out(
    network: Machines, tiny_corpus: Path, tmp_path: Path
) -> None:
    home = with_store(tmp_path / "home")
    head, beta = head_of(network, cpus=1), network.add("beta")
    beta.hide(home)
    command = (
        written(tmp_path, {**STUDY, "space": {"loss.alpha": {"grid": [1.0, 0.5]}}}),
        "--data",
        tiny_corpus,
        "--home",
        home,
        "--address",
        f"{head.address}:{PORT}",
    )
    launch = head.acl_study("run", *command)
    wait_until(lambda: epochs(home) >= 1, launch)
    network.join(beta, cpus=2)
    out, err = launch.communicate(timeout=200)
    assert launch.returncode == 0, out + err
    assert "sweep-0001: beta does not see" in err
    assert {trained[-1][0] for trained in hosts(home).values()} == {"alpha"}
    assert_complete(home, trials=2)
    for verb in ("run", "plan"):
        refused = head.acl_study(verb, *command, "--name", "other")
        out, err = refused.communicate(timeout=100)
        assert refused.returncode == 1
        assert f"error: beta does not see {Home(home).study('other')}; put --home on a folder that all machines share" in err
        assert "Traceback" not in err
        assert not Home(home).study("other").exists()


@pytest.mark.timeout(400)
def test_trials_keep_their_state_in_a_storage_where_machines_share_no_folder(
    network: Machines, tiny_corpus: Path, tmp_path: Path
) -> None:
    home = with_store(tmp_path / "home")
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "word-that-nobody-sees", "AWS_DEFAULT_REGION": "us-east-1"}
    head, beta = network.add("alpha"), network.add("beta")
    storage = f"s3://bucket/trials?scheme=http&endpoint_override={head.address}:5555"
    head.start(Path(sys.executable).with_name("moto_server"), "-H", head.address, "-p", 5555)
    make = f"import urllib.request as r; r.urlopen(r.Request('http://{head.address}:5555/bucket', method='PUT'))"
    wait_until(lambda: head.start(sys.executable, "-c", make).wait() == 0)
    beta.hide(home)
    network.join(head, env=keys)
    network.join(beta, env=keys)
    study = written(tmp_path, {**STUDY, "space": {"loss.alpha": {"grid": [1.0, 0.5]}}})
    launch = head.acl_study(
        "run", study, "--data", tiny_corpus, "--home", home, "--address", f"{head.address}:{PORT}", "--storage", storage, env=keys
    )
    journal = home / "studies" / "cluster" / "sweep"
    wait_until(lambda: [state.epochs >= 3 for state in Journal(journal).trials.values()] == [True, True], launch)
    had = {name: state.epochs for name, state in Journal(journal).trials.items()}
    beta.power_off()
    out, err = launch.communicate(timeout=240)
    assert launch.returncode == 0, out + err
    assert_complete(home, trials=2)
    (lost,) = [event["trial"] for event in Journal(journal).events if event["event"] == events.LOST]
    (_, first), (host, again) = hosts(home)[lost]
    assert (first, host) == (1, "alpha")
    assert again >= had[lost]  # the state of the last epoch but one, at least, had arrived
    assert len(list(journal.glob("*/state/checkpoint.pt"))) == 1  # of the winner, whose weights were asked for
    exported = head.acl_study("export", f"cluster/{lost}", tmp_path / "model", "--home", home, env=keys)
    assert exported.wait() == 0, exported.communicate()
    for path in (*home.rglob("*.json*"), *home.rglob("*.yaml"), home / "mlflow.db"):
        assert b"word-that-nobody-sees" not in path.read_bytes()
    assert "word-that-nobody-sees" not in out + err


@pytest.mark.timeout(400)
def test_a_launch_whose_cluster_loses_its_head_says_so_and_is_resumed_on_another_one(
    network: Machines, tiny_corpus: Path, tmp_path: Path
) -> None:
    home = with_store(tmp_path / "home")
    head = head_of(network, cpus=2)
    study = written(tmp_path, {**STUDY, "space": {"loss.alpha": {"grid": [1.0, 0.5]}}})
    launch = head.acl_study("run", study, "--data", tiny_corpus, "--home", home, "--address", f"{head.address}:{PORT}")
    wait_until(lambda: epochs(home) >= 3, launch)
    head.kill("gcs_server")
    out, err = launch.communicate(timeout=120)
    assert launch.returncode == 130, out + err
    assert "the head of the Ray cluster has not answered for 40 s: ended at once; `acl-study resume` continues" in err
    head.power_off()
    network.join(head, cpus=2)
    resumed = head.acl_study("resume", "cluster", "--home", home, "--address", f"{head.address}:{PORT}")
    out, err = resumed.communicate(timeout=200)
    assert resumed.returncode == 0, out + err
    assert_complete(home, trials=2)
