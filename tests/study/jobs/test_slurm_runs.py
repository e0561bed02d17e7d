"""Batch scripts for Slurm, run on nodes of their own with a stand-in for srun and scontrol: real Ray, real trials."""

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from study.state.journal import JOURNAL_FILE
from support.cluster_nodes import Node, nodes
from support.command_line import acl_study, call
from support.mlflow_records import with_empty_store
from support.slurm_stand_in import Job, SlurmStandIn, slurm
from support.study_integrity import assert_intact

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(600)]

STUDY = """
name: nodes
question: Do all nodes work?
profile: mini
base: {mode: supervised, data.subset: clean, optim.epochs: 12, compute.threads: 1}
space: {loss.alpha: {grid: [1.0, 0.5]}}
"""
TRIAL = "ray::ImplicitFunc"  # a worker that trains
CLIENT = """
import sys
from ray._raylet import GcsClient
print(len(GcsClient(address=sys.argv[1]).get_all_node_info()), "nodes")
"""  # what `ray.init` begins with; that itself tries for a minute


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, tiny_corpus: Path) -> Path:
    """The folder that all nodes see; its name is as hard on scripts as names get."""
    folder: Path = tmp_path_factory.mktemp("shared") / 'it\'s $(shared) "x"'
    folder.mkdir()
    shutil.copytree(tiny_corpus, folder / "corpus")
    (folder / "study.yaml").write_text(STUDY)
    return folder


@pytest.fixture(scope="module")
def cluster(shared: Path) -> Iterator[SlurmStandIn]:
    with nodes(2, shared) as machines, slurm(machines, shared) as stand_in:
        yield stand_in


@pytest.fixture
def write(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes a batch script for the study, and returns it."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))

    def write(home: Path, out: str, *options: object) -> Path:
        given = ("--data", shared / "corpus", "--home", home, "--cpus-per-node", 1, "--hours", 1, "--out", shared / out)
        process = acl_study("launch", "slurm", shared / "study.yaml", *given, *options)
        assert process.returncode == 0, process.err
        return shared / out / "nodes.sbatch"

    return write


def epochs(home: Path) -> int:
    """Epochs that the journal has."""
    return sum(path.read_text().count('"event": "epoch"') for path in home.glob(f"studies/nodes/*/{JOURNAL_FILE}"))


def wait_for(condition: Callable[[], bool], job: Job, seconds: float = 200) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, job.text
        assert job.process is not None
        assert job.process.poll() is None, job.text
        time.sleep(0.1)


def assert_gone(cluster: SlurmStandIn) -> None:
    """Nothing of a job is left: no process, no folder of Ray, no token."""
    for node in cluster.nodes:
        deadline = time.monotonic() + 20
        while left := node.processes():
            assert time.monotonic() < deadline, (node.name, left)
            time.sleep(0.2)
        assert on(node, "ls /tmp").split() == [path for path in on(node, "ls /tmp").split() if not path.startswith("acl-")]
    assert not list(cluster.folder.rglob("auth_token"))


def on(node: Node, script: str, seconds: float = 60) -> str:
    """What a shell on the node prints."""
    process = subprocess.run(
        node.command(["bash", "-c", script], Path("/")), capture_output=True, text=True, timeout=seconds, check=False
    )
    return process.stdout + process.stderr


def test_a_requeued_job_on_one_node_continues(
    cluster: SlurmStandIn, shared: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = with_empty_store(shared / "one home")
    script = write(home, "one")
    job = cluster.start(script, 101)
    wait_for(lambda: epochs(home) >= 2, job)
    job.terminate()
    assert job.wait() == 130, job.text
    assert "SIGTERM: incomplete, " in job.text
    assert job.requeued
    assert_gone(cluster)
    again = cluster.requeue(job)
    assert again.wait() == 0, again.text
    assert "job 101, start 2" in again.text
    assert "the study is complete" in again.text
    assert not again.requeued
    assert "Traceback" not in again.text
    assert_intact(home, "nodes")
    assert_gone(cluster)
    assert call(monkeypatch, "status", "nodes", "--home", str(home)) == 0


def test_jobs_on_two_nodes_train_on_both_and_continue_each_other(
    cluster: SlurmStandIn, shared: Path, write: Callable[..., Path]
) -> None:
    """By `ray symmetric-run` until the time is over, then with ports of their own."""
    home = with_empty_store(shared / "two homes")
    job = cluster.start(write(home, "symmetric", "--nodes", 2), 102)
    wait_for(lambda: all(trains(node) for node in cluster.nodes), job)
    wait_for(lambda: epochs(home) >= 2, job)
    job.terminate()
    assert job.wait() == 130, job.text
    assert "SIGTERM: incomplete, 2 trials are left" in job.text
    assert job.requeued
    assert_gone(cluster)

    job = cluster.start(write(home, "ports", "--nodes", 2, "--ports", "20000-29999"), 103)
    wait_for(lambda: all(trains(node) for node in cluster.nodes), job)
    (token_file,) = home.rglob("auth_token")
    token = token_file.read_text()
    assert token_file.stat().st_mode & 0o777 == 0o600
    assert len(token) == 64
    for node in cluster.nodes:
        assert not [command for command in node.processes().values() if token in command]
    address = f"{cluster.nodes[0].address}:{20000 + 103 % 50 * 200}"
    client = f"{sys.executable} -c {shlex.quote(CLIENT)} {address}"
    for stranger in ("RAY_AUTH_MODE=disabled", f"RAY_AUTH_MODE=token RAY_AUTH_TOKEN={'0' * 64}"):
        assert "Authentication token is missing or incorrect" in on(cluster.nodes[1], f"{stranger} {client}")
    friend = f"RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH={shlex.quote(str(token_file))}"
    assert "2 nodes" in on(cluster.nodes[1], f"{friend} {client}")
    listening = on(cluster.nodes[0], "ss -ltnH || cat /proc/net/tcp")
    assert ":8265" not in listening.replace("127.0.0.1:8265", "")
    assert job.wait() == 0, job.text
    assert "Ray runs on 2 nodes" in job.text
    assert token not in job.text
    assert "Traceback" not in job.text
    assert_intact(home, "nodes")
    assert_gone(cluster)


def trains(node: Node) -> bool:
    return any(command.startswith(TRIAL) for command in node.processes().values())
