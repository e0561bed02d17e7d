"""The command line: failures are one line with a remedy, and the README's commands exist."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from study.cli import app
from study.cli.resolve import parse_settings
from study.names import PREDICTIONS_FILE, PROVENANCE_FILE
from support.command_line import call

README = Path(__file__).parents[3] / "README.md"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run no-such-study", "neither a file nor a shipped study"),
        ("run table2-ssl", "pass --data DIR"),
        ("run table2-ssl --data nowhere", "acl-study data prepare"),
        ("run table2-ssl --profile maxi", "profile must be one of recipe, mini"),
        (
            "run table2-ssl --profile paper-supervised --data x",
            "is about supervised runs, these are self-supervised; choose another",
        ),
        ("train --profile paper-ssl --mode supervised --data x", "is about self-supervised runs, these are supervised"),
        ("doctor --profile maxi", "profile must be one of recipe, mini"),
        ("run table2-ssl --profile mini --set loss.alpa=1", "did you mean loss.alpha?"),
        ("resume no-such-name", "launched there: none"),
        ("report quickstart", "run a study first"),
        ("figures quickstart", "run a study first"),
        ("ui", "run a study first"),
        ("ui --port 99999", "less than or equal to 65535"),
        ("report quickstart --store http://127.0.0.1:9", "no MLflow server answers at http://127.0.0.1:9"),
        ("train", "data.root is not set"),
        ("train --data x --set optim.lr=[0.5", "is no value"),
        ("train --data nowhere", "acl-study data prepare"),
        ("train --data x --set loss.alpha", "--set takes NAME=VALUE"),
        ("train --data x --set loss.alpha=2", "less than or equal to 1, got 2"),
        ("train --data x --mode other", "mode must be one of"),
        ("data synth corpus --size huge", "size must be one of tiny, small, medium"),
        ("data prepare nowhere", "is missing"),
        ("run", "Missing argument"),
        ("run table2-ssl --no-such-option", "No such option"),
    ],
)
def test_failures_are_one_line_without_traceback(
    arguments: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, *shlex.split(arguments)) in (1, 2)
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_what_nobody_foresaw_leaves_its_traceback_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(app, "app", lambda **options: 1 / 0)
    assert call(monkeypatch, "report", "quickstart") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "Traceback" in (tmp_path / "acl-study-error.log").read_text()


def test_a_file_that_is_no_database_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "acl-runs").mkdir()
    (tmp_path / "acl-runs" / "mlflow.db").write_bytes(b"this is not a database" * 100)
    assert call(monkeypatch, "report", "quickstart") == 1
    assert capsys.readouterr().err == "error: the MLflow store cannot be used: the file is damaged, or no database\n"


def test_settings_are_read_as_yaml_and_exponents_as_numbers() -> None:
    parsed = parse_settings(["a=1e-3", "b=[0.5, 0.9]", "c=true", "d=clean", "e=3"], None)
    assert parsed == {"a": 0.001, "b": [0.5, 0.9], "c": True, "d": "clean", "e": 3}


def test_train_lists_settings_with_meaning_range_and_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--set", "loss.margin=0.7", "--set", "loss.temperature=0.1"]  # the temperature is one of self-supervised runs
    assert call(monkeypatch, "train", "--list", *given) == 0
    listed = capsys.readouterr().out
    assert listed.count("loss.margin = 0.7\n    angular margin\n    0 to pi, in rad; default 0.5\n") == 2
    assert listed.count("loss.temperature = 0.1\n") == 1
    assert listed.count("data.root = (none: name one with --data)\n") == 2
    assert max(map(len, listed.splitlines())) <= 80
    assert call(monkeypatch, "train", "--list", "--set", "loss.tau=1") == 1
    assert "loss.tau is not a setting" in capsys.readouterr().err


def test_train_uses_mode_and_settings_of_a_one_mode_profile(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "train", "--list", "--profile", "paper-ssl", "--set", "seed=1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert {"mode = self-supervised", "probe.protocol = published", "seed = 1"} <= set(lines)


def test_train_prints_a_line_an_epoch_and_resumes(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["train", "--data", str(tiny_corpus), "--checkpoints", str(tmp_path), "--set", "data.subset=clean"]
    assert call(monkeypatch, *options, "--set", "optim.epochs=2") == 0
    first, second, *final = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in (first, second)] == ["epoch 1/2 supervised", "epoch 2/2 supervised"]
    assert not any("test." in line for line in (first, second))
    assert any(line.startswith("  test.accuracy 0.") for line in final)
    assert not any("class_accuracy" in line for line in final)
    assert final[-1] == f"predictions of every clip: {tmp_path / PREDICTIONS_FILE}"
    assert len((tmp_path / PREDICTIONS_FILE).read_text().splitlines()) > 60
    (launch,) = json.loads((tmp_path / PROVENANCE_FILE).read_text())
    assert launch["seed"] == 0
    assert call(monkeypatch, *options, "--set", "optim.epochs=3") == 1
    assert "optim.epochs=2, not 3" in capsys.readouterr().err


def test_help_comes_without_loading_torch_or_ray() -> None:
    code = (
        "import sys; from study.cli.app import app; app(['--help'], standalone_mode=False);"
        "print(sorted({'torch', 'ray', 'mlflow'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


def test_every_command_of_the_readme_exists_with_its_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = re.findall(r"(?:^ {4}|`)acl-study ([^#`\n]+)", README.read_text(), flags=re.MULTILINE)
    assert len(commands) >= 8
    for command in commands:
        words = shlex.split(command)
        name = words[:2] if words[0] in ("data", "launch") else words[:1]
        assert call(monkeypatch, *name, "--help") == 0
        shown = capsys.readouterr().out
        for option in (word for word in words if word.startswith("--")):
            assert option in shown, command
