"""Batch scripts of `acl-study launch slurm`: valid and complete, and no option becomes code."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from study.cli.resolve import choose_study
from study.jobs.nodes import Nodes, planned_on
from study.planning.estimate import StudyPlan, plan_study
from study.spec.files import shipped_studies
from study.spec.resolve import read_study, resolve_study
from study.state.home import Home
from study.state.study_folder import keep_study, study_digest, study_text
from support.command_line import SMOKE, call

EVIL = """it's "$(touch pwned)" `touch pwned`; touch pwned # {{ 1 }} é"""


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


def test_a_script_asks_for_what_was_ordered(
    here: Path, tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--nodes", 2, "--gpus-per-node", 1, "--gpus", 0.5, "--partition", "gpu", "--account", "phys", "--sbatch", "mem=64G")
    assert slurm(monkeypatch, tiny_corpus, *options, "--hours", "26.5", "--out", "out") == 0
    asked = directives(here / "out" / "smoke.sbatch")
    wanted = ["nodes=2", "cpus-per-task=4", "gpus-per-node=1", "time=1-02:30:00", "partition=gpu", "account=phys", "mem=64G"]
    assert {f"--{option}" for option in [*wanted, "exclusive", "requeue", "open-mode=append", "signal=B:TERM@120"]} <= set(asked)
    assert slurm(monkeypatch, tiny_corpus, *options, "--ports", "20000-20999", "--out", "shared") == 0
    assert "--exclusive" not in directives(here / "shared" / "smoke.sbatch")
    assert capsys.readouterr().err == ""
    assert slurm(monkeypatch, tiny_corpus, "--gpus", 1, "--total-gpus", 4, "--out", "one") == 0
    assert {"--nodes=1", "--gpus-per-node=4"} <= set(directives(here / "one" / "smoke.sbatch"))
    assert capsys.readouterr().err == ""
    assert slurm(monkeypatch, tiny_corpus, "--gpus", 1, "--nodes", 2, "--out", "idle") == 0
    assert "uses 1 GPU of each" in capsys.readouterr().err


def test_jobs_that_share_a_node_have_different_ports(here: Path, tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert slurm(monkeypatch, tiny_corpus, "--nodes", 2, "--ports", "20000-20999", "--out", "out") == 0
    (line,) = [line for line in (here / "out" / "smoke.sbatch").read_text().splitlines() if line.startswith("first_port=")]
    ports = [
        int(subprocess.run(["bash", "-c", f"SLURM_JOB_ID={job}; {line}; echo $first_port"], capture_output=True, check=True).stdout)
        for job in range(4711, 4717)
    ]
    assert sorted(set(ports)) == [20000, 20200, 20400, 20600, 20800]
    assert ports[0] == ports[5]  # the range has room for five jobs


@pytest.mark.slow
def test_hours_come_from_a_plan_on_the_nodes(
    here: Path, tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = {"name": "timed", "question": "How long?", "profile": "mini", "base": {"mode": "supervised", "optim.epochs": 40}}
    study["space"] = {"loss.alpha": {"grid": [0.1, 0.2, 0.3, 0.4]}}
    (here / "timed.yaml").write_text(yaml.safe_dump(study))
    plans: list[StudyPlan] = []

    def measured_once(*arguments: Any, **options: Any) -> StudyPlan:
        plans.extend([] if plans else [plan_study(*arguments, **options)])
        return plans[0]

    monkeypatch.setattr("study.planning.estimate.plan_study", measured_once)
    hours = []
    for nodes in ("1", "4"):
        given = ("--data", str(tiny_corpus), "--cpus-per-node", "1", "--nodes", nodes, "--out", f"on {nodes}")
        assert call(monkeypatch, "launch", "slurm", "timed.yaml", *given) == 0
        text = (here / f"on {nodes}" / "timed.sbatch").read_text()
        (time,) = [line for line in text.splitlines() if line.startswith("#SBATCH --time=")]
        parts = [int(part) for part in time.partition("=")[2].split(":")]
        hours.append(parts[0] + parts[1] / 60)
        assert "1.5 times the" in text
        (memory,) = re.findall(r"^#SBATCH --mem=(\d+)G$", text, re.MULTILINE)
        assert 4 < int(memory) < 12
    assert 0.25 < hours[1] <= hours[0]
    assert planned_on(plans[0], Nodes(4, 1, 0)) < 0.6 * planned_on(plans[0], Nodes(1, 1, 0))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--cpus", "8"], "a trial of supervised takes 8 CPUs, a node is asked for 4 CPUs and 0 GPUs; raise --cpus-per-node"),
        (["--set", "optim.epoch=3"], "--set optim.epoch"),
        (["--ports", "80-90"], "--ports '80-90': it takes FIRST-LAST"),
        (["--ports", "20000-29999"], "--ports is for several nodes"),
        (["--sbatch", "comment=a\nrm -rf ~"], "--sbatch 'comment=a\\nrm -rf ~': it takes NAME=VALUE"),
        (["--partition", "a b"], "--sbatch 'partition=a b'"),
        (["--home", "a\nb"], "--home 'a\\nb' has a character that cannot be printed"),
        (["--store", "http://me:secret@127.0.0.1:9"], "no password in an address"),
        (["--storage", "file:///proc/nowhere"], "the storage file:///proc/nowhere cannot be used"),
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


def test_a_name_that_another_study_has_is_refused(
    here: Path, tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keep_study(Home(here / "runs"), resolve_study({**read_study("quickstart"), "name": "smoke"}, "mini", {"data.root": "/corpus"}))
    assert slurm(monkeypatch, tiny_corpus, "--home", here / "runs", "--out", "out") == 1
    assert "results of two studies never mix" in capsys.readouterr().err
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
    study = resolve_study(read_study(name), "mini", {"data.root": "/corpus"})
    (here / "study.yaml").write_text(study_text(study))
    again = choose_study("study.yaml", Home(here))
    assert again == study
    assert study_digest(again) == study_digest(study)
