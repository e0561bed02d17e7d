"""`acl-study doctor` on installations with real faults."""

import os
import re
import shutil
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest
import torch

from study.doctor import tool_checks
from support.command_line import call, fresh_acl_study
from support.file_systems import read_only
from support.mlflow_records import with_empty_store
from support.tracking_server import free_port


@pytest.fixture
def doctor(tmp_path, monkeypatch, capsys):
    """Exit status and findings, by topic, of a doctor that leaves Ray alone."""

    def run(*arguments, home=tmp_path / "home"):
        status = call(monkeypatch, "doctor", "--no-ray", "--home", str(home), *map(str, arguments))
        lines = capsys.readouterr().out.splitlines()
        return status, {line[9:20].strip(): (line[:8].strip(), line[21:]) for line in lines[:-1]}

    return run


def test_a_sound_installation_has_no_problem(doctor, tiny_corpus, tmp_path):
    status, found = doctor("--data", tiny_corpus)
    assert status == 0
    assert not [line for line in found.values() if line[0] == "problem"]
    assert {"Python", "torch", "acl-study", "GPU", "memory", "results", "figures", "records", "corpus", "features"} <= set(found)
    assert found["torch"][1].startswith(torch.__version__)
    clips = len((tiny_corpus / "features" / "supervised" / "clips.csv").read_text().splitlines()) - 1
    assert found["features"] == ("ok", f"supervised: of {clips} clips")
    counted = re.findall(r"(\d+) (?:train|test)\b", found["corpus"][1].rpartition(": ")[2])
    assert sum(map(int, counted)) == clips
    assert not (tmp_path / "home").exists()


def test_a_corpus_that_is_not_there_is_a_problem(doctor, tmp_path):
    status, found = doctor("--data", tmp_path / "nowhere")
    assert status == 1
    assert found["corpus"][0] == "problem"
    assert "acl-study data synth" in found["corpus"][1]


def test_a_corpus_without_features_names_the_command_for_them(doctor, tiny):
    status, found = doctor("--data", tiny)
    assert status == 1
    assert found["corpus"][0] == "ok"
    assert found["features"][0] == "problem"
    assert found["features"][1].endswith(f"→ run `acl-study data prepare {tiny}`")


def test_features_of_other_clips_than_the_tables_list_are_told(doctor, tiny_corpus, tmp_path):
    root = shutil.copytree(tiny_corpus, tmp_path / "changed")
    table = root / "FSDnoisy18k.meta" / "test.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:-1]) + "\n")
    status, found = doctor("--data", root)
    assert status == 0
    assert found["features"][0] == "warning"
    assert found["features"][1].endswith(f"→ acl-study data prepare {root}")
    os.unlink(root / "FSDnoisy18k.audio_test" / lines[1].partition(",")[0])
    status, found = doctor("--data", root)
    assert status == 1
    assert found["corpus"][0] == "problem"
    assert "restore them or remove their rows" in found["corpus"][1]


def test_a_folder_of_results_that_cannot_be_written_is_a_problem(doctor, tmp_path):
    (tmp_path / "readonly").mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", str(tmp_path / "readonly")]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("only the administrator can mount a file system")
    try:
        status, found = doctor(home=tmp_path / "readonly" / "runs")
    finally:
        subprocess.run(["umount", "--lazy", tmp_path / "readonly"], check=True)
    assert status == 1
    assert found["results"][0] == "problem"
    assert "Read-only file system" in found["results"][1]
    assert found["results"][1].endswith("→ name another folder with --home or ACL_STUDY_HOME")


def test_a_server_that_does_not_answer_is_a_problem(doctor):
    status, found = doctor("--store", f"http://127.0.0.1:{free_port()}")
    assert status == 1
    assert found["records"][0] == "problem"
    assert found["records"][1].endswith("→ start it, or correct --store")


def test_records_that_are_whole_locked_or_damaged(doctor, tmp_path, monkeypatch):
    monkeypatch.setattr(tool_checks, "_SQLITE_SECONDS", 0.1)
    home = with_empty_store(tmp_path / "with")
    file = home / "mlflow.db"
    status, found = doctor(home=home)
    assert (status, found["records"]) == (0, ("ok", f"{file} can be written, 0 runs"))
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    status, found = doctor(home=home)
    assert status == 1
    assert found["records"][1].endswith("database is locked → another process writes to it: wait, or end that one")
    holder.close()
    file.write_bytes(b"this is not a database" * 100)
    status, found = doctor(home=home)
    assert status == 1
    assert "acl-study resume NAME writes the records of a study anew" in found["records"][1]


def test_records_that_nobody_can_write_are_a_problem(doctor, tmp_path):
    home = with_empty_store(tmp_path / "home")
    with read_only(home / "mlflow.db"):
        status, found = doctor(home=home)
    assert (status, found["records"][0]) == (1, "problem")
    assert found["records"][1].endswith("→ make file and folder writable, or name another folder with --home")


def test_without_a_browser_studies_run_but_export_no_figures(doctor, tmp_path, monkeypatch):
    pytest.importorskip("kaleido")
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "chrome"))
    status, found = doctor()
    assert status == 0
    assert found["figures"][0] == "warning"
    assert "install one, name it in BROWSER_PATH" in found["figures"][1]


@pytest.mark.skipif(torch.version.cuda is not None, reason="this torch is built for CUDA")
def test_a_gpu_beside_a_torch_for_cpus_is_told_with_the_remedy(doctor, tmp_path, monkeypatch):
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text("#!/bin/sh\necho 'NVIDIA H200, 570.86.15'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(smi.parent), prepend=os.pathsep)
    status, found = doctor()
    assert (status, found["GPU"][0]) == (0, "warning")
    assert found["GPU"][1].startswith("1 of NVIDIA H200 with driver 570.86.15, and torch ")
    assert "→ install torch's build for CUDA" in found["GPU"][1]


def test_a_torch_that_does_not_load_is_a_line_of_its_own(tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise OSError('libcudart.so.13: cannot open shared object file')\n")
    path = f"{tmp_path}{os.pathsep}{Path(__file__).parents[3]}"
    process = fresh_acl_study("doctor", "--home", tmp_path / "home", env={"PYTHONPATH": path})
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err == ""
    _, torch_line, rest, last = out.splitlines()
    assert torch_line.startswith("problem  torch       does not load (libcudart.so.13: cannot open shared object file) → ")
    assert rest.endswith("→ once torch loads, run acl-study doctor again")
    assert last == "1 problem that would keep studies from running"


def test_a_broken_or_hanging_ray_is_found_in_bounded_time(tmp_path, monkeypatch):
    broken = tmp_path / "ray" / "__init__.py"
    broken.parent.mkdir()
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(__file__).parents[3]}")
    broken.write_text("raise ImportError('libray.so is not for this machine')\n")
    found = tool_checks._ray()
    assert (found.state, found.found) == ("problem", "ImportError: libray.so is not for this machine")
    left = tmp_path / "left"
    broken.write_text(
        "import pathlib, subprocess, time\n"
        f"pathlib.Path({str(left)!r}).write_text(str(subprocess.Popen(['sleep', '600']).pid))\ntime.sleep(600)\n"
    )
    monkeypatch.setattr(tool_checks, "RAY_SECONDS", 8)  # which Python itself takes on a busy machine
    began = time.monotonic()
    found = tool_checks._ray()
    assert time.monotonic() - began < 40
    assert found.found == "has not started within 8 s"
    assert not _runs(int(left.read_text()))


def test_a_session_of_ray_starts_and_ends(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    found = tool_checks._ray()
    assert found.state == "ok", found.line
    assert found.found.startswith("started, ran a task and ended in ")


def _runs(pid):
    """Whether a process still does anything; one that has ended may wait to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
