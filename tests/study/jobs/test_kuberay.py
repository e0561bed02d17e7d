"""Manifests of `acl-study launch kuberay`: valid and complete, and no option becomes code."""

import copy
import os
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from study.cli.resolve import choose_study
from study.state.home import Home
from support.command_line import SMOKE, call
from support.kuberay_schema import RAY_JOB

CRD = "ACL_STUDY_KUBERAY_CRD"  # KubeRay's own definition of a RayJob, a file


EVIL = """it's "$(touch pwned)" `touch pwned`; touch pwned # {{ 1 }} é"""


KUBERNETES = "1.34"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def kuberay(monkeypatch: pytest.MonkeyPatch, *options: object) -> int:
    given = ("--image", "me/acl-study:1", "--data", f"/mnt/acl-study/{EVIL}", "--cpus-per-node", 4, "--out", "out")
    return call(monkeypatch, "launch", "kuberay", *map(str, (SMOKE, *given, *options)))


def manifests(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def test_a_rayjob_is_valid_for_kubernetes_and_kuberay(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = f"s3://bucket/{EVIL}"
    options = (
        "--home",
        f"/mnt/acl-study/{EVIL}",
        "--storage",
        storage,
        "--nodes",
        3,
        "--gpus-per-node",
        1,
        "--gpus",
        0.5,
        "--hours",
        2,
        "--name",
        "A_b",
    )
    assert kuberay(monkeypatch, *options) == 0
    config, job = manifests(here / "out" / "A_b.yaml")
    kubernetes_validate.validate(config, KUBERNETES, strict=True)
    jsonschema.validate(job, RAY_JOB)
    if CRD in os.environ:
        (version,) = [
            each for each in yaml.safe_load(Path(os.environ[CRD]).read_text())["spec"]["versions"] if each["name"] == "v1"
        ]
        jsonschema.validate(job, version["schema"]["openAPIV3Schema"])
    cluster = job["spec"]["rayClusterSpec"]
    (workers,) = cluster["workerGroupSpecs"]
    for group in (cluster["headGroupSpec"], workers):
        kubernetes_validate.validate(as_pod(group["template"]), KUBERNETES, strict=True)
    (worker,) = workers["template"]["spec"]["containers"]
    assert worker["resources"]["limits"] == {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"}
    assert worker["resources"]["requests"] == worker["resources"]["limits"]
    assert workers["replicas"] == 3
    assert job["spec"]["activeDeadlineSeconds"] == 7200
    assert cluster["authOptions"] == {"mode": "token"}
    # What runs: the study, and a command whose values are whole after the shell.
    (here / "study.yaml").write_text(config["data"]["study.yaml"])
    assert choose_study("study.yaml", Home(here)).name == "A_b"
    assert choose_study("study.yaml", Home(here)).sweeps[0].base["data.root"] == f"/mnt/acl-study/{EVIL}"
    command = shlex.split(config["data"]["run.sh"].splitlines()[-1])
    assert command[:3] == ["exec", "acl-study", "run"]
    assert command[command.index("--home") + 1] == f"/mnt/acl-study/{EVIL}"
    assert command[command.index("--storage") + 1] == storage


def as_pod(template: dict[str, Any]) -> dict[str, Any]:
    """A pod as KubeRay makes it of a template."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, **template}


def test_the_schemas_notice_what_is_wrong(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kuberay(monkeypatch) == 0
    _, job = manifests(here / "out" / "smoke.yaml")
    for path, value in (("backofLimit", 1), ("backoffLimit", "1"), ("ttlSecondsAfterFinished", None)):
        wrong = copy.deepcopy(job)
        wrong["spec"][path] = value
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, RAY_JOB)
    pod = as_pod(job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"])
    pod["spec"]["containers"][0]["volumeMount"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--data", "/elsewhere"], "--data /elsewhere is not on the volume"),
        (["--home", "runs"], "--home runs: it is a folder on the nodes"),
        (["--image", "a\nb"], "--image 'a\\nb' is no image's name"),
        (["--claim", "a: b"], "--claim 'a: b' is no name"),
        (["--storage", "s3://key:word@bucket"], "--storage s3://… holds a password"),
        (["--storage", "/mnt/acl-study/state"], "--storage /mnt/acl-study/state is no address"),
    ],
)
def test_a_rayjob_that_cannot_run_is_refused(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str], line: str
) -> None:
    assert kuberay(monkeypatch, *options) == 1
    assert line in capsys.readouterr().err
    assert not (here / "out").exists()
