"""Help and completion: every command's --help has examples that parse, and Tab completes."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from study.cli.app import app
from support.command_line import SMOKE, call

ROOT = typer.main.get_command(app)


def _commands(command, names=()):
    """Every command of a tree with the names that lead to it; groups are no commands of their own."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield names, command
    for name, child in (inner or {}).items():
        yield from _commands(child, (*names, name))


COMMANDS = dict(_commands(ROOT))


def test_the_tree_is_whole():
    assert {("run",), ("data", "prepare"), ("launch", "slurm"), ("doctor",), ("server",), ("export",)} <= set(COMMANDS)
    assert len(COMMANDS) >= 24


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_every_command_has_examples_that_parse(names):
    lines = [line.strip() for line in COMMANDS[names].help.splitlines()]
    examples = [line.removeprefix("Example: ") for line in lines if line.startswith("Example: ")]
    assert examples
    for example in examples:
        words = shlex.split(example.partition(" > ")[0])
        assert tuple(words[: 1 + len(names)]) == ("acl-study", *names)
        context = COMMANDS[names].make_context(example, words[1 + len(names) :])  # parses, and calls nothing
        assert all(context.params.get(parameter.name) is not None for parameter in COMMANDS[names].params if parameter.required)


def _completed(typed, tmp_path, shell="bash"):
    """What a shell's completion function is told for a line that ends at the cursor, and how long its process says it took."""
    words = typed.split(" ")
    state = {"COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1), "_TYPER_COMPLETE_ARGS": typed}
    code = (
        "import sys; sys.argv = ['acl-study']\n"
        "import atexit; atexit.register(lambda: print(sorted({'torch', 'ray', 'mlflow', 'pandas'} & set(sys.modules))))\n"
        "from study.cli.app import main; main()"
    )
    environment = os.environ | state | {"_ACL_STUDY_COMPLETE": f"complete_{shell}", "PYTHONPATH": str(Path(__file__).parents[3])}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, cwd=tmp_path, timeout=60
    )
    assert ended.stderr == ""
    *offered, heavy = ended.stdout.splitlines()
    assert heavy == "[]"
    return offered


def test_completion_needs_no_heavy_imports(tmp_path):
    assert {"run", "report", "resume"} <= set(_completed("acl-study r", tmp_path))
    assert _completed("acl-study run table", tmp_path) == ["table1-supervised", "table2-ssl"]
    assert _completed("acl-study run table2-ssl --set loss.a", tmp_path) == ["loss.alpha=", "loss.angular_scale="]
    assert _completed("acl-study plan table2-ssl --profile paper-s", tmp_path) == ["paper-ssl", "paper-supervised"]
    assert _completed("acl-study train --mode su", tmp_path, "zsh") != []


def test_launched_studies_are_completed_from_the_home_folder(tmp_path):
    for home, name in (("acl-runs", "mine"), ("other", "theirs")):
        folder = tmp_path / home / "studies" / name
        folder.mkdir(parents=True)
        (folder / "study.yaml").write_text("name: mine\n")
    assert _completed("acl-study resume ", tmp_path) == ["mine"]
    assert _completed("acl-study report --home other t", tmp_path) == ["theirs"]


def test_the_completion_script_works_in_its_shell(tmp_path):
    code = "import sys; sys.argv = ['acl-study', '--show-completion', 'bash']; from study.cli.app import main; main()"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3]), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    script = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
    assert "complete" in script
    assert "acl-study" in script
    # A bash that has read it calls acl-study, here one that runs these sources.
    command = tmp_path / "acl-study"
    command.write_text(
        f"#!/bin/sh\nexec '{sys.executable}' -c \"import sys; sys.argv[0] = 'acl-study'; from study.cli import main; main()\"\n"
    )
    command.chmod(0o755)
    asked = 'COMP_WORDS=(acl-study run null); COMP_CWORD=2; _acl_study_completion acl-study; printf "%s\\n" "${COMPREPLY[@]}"'
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    out = subprocess.run(
        ["bash", "-c", f"{script}\n{asked}"], env=environment | {"PATH": path}, capture_output=True, text=True, check=True
    )
    assert out.stdout.split() == ["null-alpha"]


EVIL = """it's "$(touch pwned)" `touch pwned`; touch pwned # {{ 1 }} é"""


def kuberay(monkeypatch: pytest.MonkeyPatch, *options: object) -> int:
    given = ("--image", "me/acl-study:1", "--data", f"/mnt/acl-study/{EVIL}", "--cpus-per-node", 4, "--out", "out")
    return call(monkeypatch, "launch", "kuberay", *map(str, (SMOKE, *given, *options)))


@pytest.mark.parametrize("command", ["slurm", "kuberay", "ray-up"])
def test_help_has_an_example(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "launch", command, "--help") == 0
    assert f"Example: acl-study launch {command} " in capsys.readouterr().out
