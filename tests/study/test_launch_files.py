"""What `acl-study launch` writes: valid, complete, and nothing in it can become code."""

import copy
import os
import shlex
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from command_line import SMOKE, call
from kuberay_schema import RAY_JOB
from study.commands import choose_study
from study.home import Home
from study.launched import study_digest
from study.study_files import read_study, resolve_study, shipped_studies

CRD = "ACL_STUDY_KUBERAY_CRD"  # KubeRay's own definition of a RayJob, a file
EVIL = """it's "$(touch pwned)" `touch pwned`; touch pwned # {{ 1 }} é"""
KUBERNETES = "1.34"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def slurm(monkeypatch: pytest.MonkeyPatch, corpus: Path, *options: object) -> int:
    given = ("--data", corpus, "--cpus-per-node", 4, *([] if "--hours" in options else ["--hours", 1]))
    return call(monkeypatch, "launch", "slurm", *map(str, (SMOKE, *given, *options)))


def directives(script: Path) -> list[str]:
    """Options of sbatch, as it reads them: until the first line that is no comment."""
    lines = []
    for line in script.read_text().splitlines():
        if line and not line.startswith("#"):
            break
        lines += [line.removeprefix("#SBATCH ")] if line.startswith("#SBATCH ") else []
    return lines


@pytest.mark.parametrize("ways", [("1",), ("3",), ("3", "--ports", "20000-29999")], ids=" ".join)
def test_scripts_are_sound_for_bash_and_shellcheck(
    here: Path, tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch, ways: tuple[str, ...]
) -> None:
    corpus = here / f"corpus {EVIL}".replace("/", " ")
    corpus.symlink_to(tiny_corpus)
    assert slurm(monkeypatch, corpus, "--home", here / EVIL, "--out", here / f"out {EVIL}", "--nodes", *ways) == 0
    script = here / f"out {EVIL}" / "smoke.sbatch"
    subprocess.run(["bash", "-n", script], check=True)
    if shutil.which("shellcheck"):  # it takes the quotes in these names for mistakes, which the rest of this test disproves
        checked = subprocess.run(
            ["shellcheck", "--severity=warning", "--exclude=SC2089,SC2090", script], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stdout
    # The lines that name folders, run by bash: they come out as they went in.
    lines = [line for line in script.read_text().splitlines() if line.startswith(("study=", "home=", "export PATH"))]
    shown = subprocess.run(
        ["bash", "-c", "\n".join([*lines, 'printf "%s\\0" "$study" "$home"'])], capture_output=True, text=True, check=True
    )
    assert shown.stdout.split("\0")[:2] == [str(script.parent / "study.yaml"), str(here / EVIL)]
    assert not list(here.rglob("pwned"))


def test_a_script_asks_for_what_was_ordered(here: Path, tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--nodes", 2, "--gpus-per-node", 1, "--gpus", 0.5, "--partition", "gpu", "--account", "phys", "--sbatch", "mem=64G")
    assert slurm(monkeypatch, tiny_corpus, *options, "--hours", "26.5", "--out", "out") == 0
    asked = directives(here / "out" / "smoke.sbatch")
    wanted = ["nodes=2", "cpus-per-task=4", "gpus-per-node=1", "time=1-02:30:00", "partition=gpu", "account=phys", "mem=64G"]
    assert {f"--{option}" for option in [*wanted, "exclusive", "requeue", "open-mode=append", "signal=B:TERM@120"]} <= set(asked)
    assert slurm(monkeypatch, tiny_corpus, *options, "--ports", "20000-20999", "--out", "shared") == 0
    assert "--exclusive" not in directives(here / "shared" / "smoke.sbatch")


def test_jobs_that_share_a_node_have_different_ports(here: Path, tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert slurm(monkeypatch, tiny_corpus, "--nodes", 2, "--ports", "20000-20999", "--out", "out") == 0
    (line,) = [line for line in (here / "out" / "smoke.sbatch").read_text().splitlines() if line.startswith("first_port=")]
    ports = [
        int(subprocess.run(["bash", "-c", f"SLURM_JOB_ID={job}; {line}; echo $first_port"], capture_output=True, check=True).stdout)
        for job in range(4711, 4717)
    ]
    assert sorted(set(ports)) == [20000, 20200, 20400, 20600, 20800]
    assert ports[0] == ports[5]  # the range has room for five jobs


def test_hours_come_from_a_plan_on_the_nodes(
    here: Path, tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = {"name": "timed", "question": "How long?", "profile": "mini", "base": {"mode": "supervised", "optim.epochs": 40}}
    study["space"] = {"loss.alpha": {"grid": [0.1, 0.2, 0.3, 0.4]}}
    (here / "timed.yaml").write_text(yaml.safe_dump(study))
    hours = []
    for nodes in ("1", "4"):
        given = ("--data", str(tiny_corpus), "--cpus-per-node", "1", "--nodes", nodes, "--out", f"on {nodes}")
        assert call(monkeypatch, "launch", "slurm", "timed.yaml", *given) == 0
        text = (here / f"on {nodes}" / "timed.sbatch").read_text()
        (time,) = [line for line in text.splitlines() if line.startswith("#SBATCH --time=")]
        parts = [int(part) for part in time.partition("=")[2].split(":")]
        hours.append(parts[0] + parts[1] / 60)
        assert "1.5 times the" in text
    assert 0.25 < hours[1] <= hours[0]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--cpus", "8"], "a trial of supervised takes 8 CPUs, a node is asked for 4 CPUs and 0 GPUs; raise --cpus-per-node"),
        (["--set", "optim.epoch=3"], "--set optim.epoch"),
        (["--ports", "80-90"], "--ports '80-90': it takes FIRST-LAST"),
        (["--sbatch", "comment=a\nrm -rf ~"], "--sbatch 'comment=a\\nrm -rf ~': it takes NAME=VALUE"),
        (["--partition", "a b"], "--sbatch 'partition=a b'"),
        (["--home", "a\nb"], "--home 'a\\nb' has a character that cannot be printed"),
        (["--store", "http://me:secret@127.0.0.1:9"], "leave user, password and token out"),
        (["--name", "x\ny"], "name"),
    ],
)
def test_what_cannot_run_is_refused_before_it_waits_in_a_queue(
    here: Path,
    tiny_corpus: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    line: str,
) -> None:
    assert slurm(monkeypatch, tiny_corpus, *options, "--out", "out") != 0
    shown = capsys.readouterr()
    assert line in shown.err
    assert len(shown.err.splitlines()) == 1
    assert "secret" not in shown.err
    assert not (here / "out").exists()


def test_hours_are_asked_for_where_gpus_cannot_be_measured(
    here: Path, tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert call(monkeypatch, "launch", "slurm", str(SMOKE), "--data", str(tiny_corpus), "--gpus", "1", "--out", "out") == 1
    assert "pass --hours H" in capsys.readouterr().err


@pytest.mark.parametrize("name", shipped_studies())
def test_the_written_study_is_the_study(name: str, here: Path) -> None:
    """So that a job continues what `acl-study run` began, and the other way round."""
    from study.launched import study_text

    study = resolve_study(read_study(name), "mini", {"data.root": "/corpus"})
    (here / "study.yaml").write_text(study_text(study))
    again = choose_study("study.yaml", Home(here))
    assert again == study
    assert study_digest(again) == study_digest(study)


def kuberay(monkeypatch: pytest.MonkeyPatch, *options: object) -> int:
    given = ("--image", "me/acl-study:1", "--data", f"/mnt/acl-study/{EVIL}", "--cpus-per-node", 4, "--out", "out")
    return call(monkeypatch, "launch", "kuberay", *map(str, (SMOKE, *given, *options)))


def manifests(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def test_a_rayjob_is_valid_for_kubernetes_and_kuberay(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--home", f"/mnt/acl-study/{EVIL}", "--nodes", 3, "--gpus-per-node", 1, "--gpus", 0.5, "--hours", 2, "--name", "A_b")
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
    ],
)
def test_a_rayjob_that_cannot_run_is_refused(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str], line: str
) -> None:
    assert kuberay(monkeypatch, *options) == 1
    assert line in capsys.readouterr().err
    assert not (here / "out").exists()


def test_a_cluster_file_is_valid_for_ray(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--host", "10.0.0.1", "--host", "box2", "--data", f"/nfs/{EVIL}", "--home", f"/nfs/{EVIL}", "--ssh-user", "me"]
    out = here / EVIL.replace("/", " ")
    assert call(monkeypatch, "launch", "ray-up", str(SMOKE), *given, "--image", "me/acl:1", "--out", str(out)) == 0
    cluster = yaml.safe_load((out / "cluster.yaml").read_text())
    prepared = prepare_config(copy.deepcopy(cluster))  # as `ray up` does before it logs in anywhere
    validate_config(prepared)
    assert prepared["max_workers"] == 1
    assert cluster["provider"] == {"type": "local", "head_ip": "10.0.0.1", "worker_ips": ["box2"]}
    assert cluster["file_mounts"] == {"~/acl-study-smoke": str(out)}
    started = [*cluster["head_start_ray_commands"], *cluster["worker_start_ray_commands"]]
    assert all("RAY_AUTH_MODE=token" in command for command in started)
    assert shlex.split(cluster["docker"]["run_options"][0]) == ["--volume", f"/nfs/{EVIL}:/nfs/{EVIL}"]
    subprocess.run(["bash", "-n", out / "run.sh"], check=True)
    token = out / "auth_token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    secret = token.read_text()
    assert len(secret) == 64
    assert not [path for path in out.iterdir() if path != token and secret in path.read_text()]
    # Written again, e.g. with another machine: the cluster that runs keeps its token, and nothing shows it.
    assert call(monkeypatch, "launch", "ray-up", str(SMOKE), *given, "--out", str(out)) == 0
    assert token.read_text() == secret
    shown = capsys.readouterr()
    assert secret not in shown.out + shown.err


@pytest.mark.parametrize("command", ["slurm", "kuberay", "ray-up"])
def test_help_has_an_example(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "launch", command, "--help") == 0
    assert f"Example: acl-study launch {command} " in capsys.readouterr().out
