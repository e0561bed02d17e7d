"""Hostile command lines: each is refused in a line."""

import contextlib
import io
import sys
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from study.cli import app as cli
from study.cli.app import app
from study.spec.resolve import resolve_study
from study.state.home import Home
from study.state.study_folder import keep_study
from support.hostile_inputs import examples, readable

ODD = (
    *(
        "",
        " ",
        "-",
        "--",
        "-1",
        "0",
        "nan",
        "inf",
        "1e400",
        "9" * 400,
        "x" * 300,
        "x" * 5000,
        "..",
        ".",
        "/",
        "/dev/null",
        "a/b",
        "a'b",
    ),
    *(
        "\udcff",
        "a\nb",
        "\x1b[31m",
        "[red]x[/]",
        "%s",
        "{}",
        "é",
        "=1+1",
        "a=b",
        "loss.alpha",
        "loss.alpha=[",
        "loss.alpha=&a [*a]",
    ),
    *(
        "loss.alpha=!!python/object/apply:os.system [true]",
        "mini",
        "recipe",
        "supervised",
        "tabel1-supervised",
        "abcdef",
        "no/such",
    ),
    *("sqlite:////no/such/folder/x.db", "file:///no", "javascript:x", "ftp://x", "://", "1,2", "png,,pdf", "auto,", "127.0.0.1:x"),
)
LONG = {"quickstart", "server", "ui", "synth"}  # what they do when nothing is wrong takes its time
NOT_TRIED = {"--address", "--storage", "--watch", "--install-completion", "--help"}  # these wait for machines, or for ever


def commands() -> list[tuple[list[str], list[str], list[str], int]]:
    """Names, options, flags and number of arguments of every command."""
    found = []
    waiting = [([], typer.main.get_command(app))]
    while waiting:
        path, command = waiting.pop()
        if hasattr(command, "commands"):
            waiting += [([*path, name], inner) for name, inner in command.commands.items()]
            continue
        options = [each for each in command.params if each.param_type_name == "option" and not set(each.opts) & NOT_TRIED]
        values = [each.opts[0] for each in options if not each.is_flag and each.opts[0] != "--home"]
        flags = [each.opts[0] for each in options if each.is_flag]
        found.append((path, values, flags, sum(each.param_type_name == "argument" for each in command.params)))
    return sorted(found)


COMMANDS = commands()


def called(arguments: list[str]) -> tuple[int, str]:
    """Status and error output of the command line."""
    output, errors = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()  # strict, as standard output is
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        patch.setattr(sys, "argv", ["acl-study", *arguments])
        patch.setattr(cli, "console", type(cli.console)(file=errors, highlight=False))
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(ended.value.code or 0), errors.getvalue()


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    path, options, flags, arguments = draw(st.sampled_from([each for each in COMMANDS if each[0][-1] not in LONG]))
    line = [*path, *draw(st.lists(st.sampled_from(ODD), min_size=arguments, max_size=arguments + (draw(st.integers(0, 9)) == 0)))]
    for option in draw(st.lists(st.sampled_from(options), max_size=3)) if options else []:
        line += [option, draw(st.sampled_from(ODD))]
    if flags and draw(st.booleans()):
        line.append(draw(st.sampled_from(flags)))
    return line


@examples(40)
@given(line=command_lines())
def test_odd_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACL_STUDY_HOME", str(tmp_path / "home"))
    status, errors = called(line)
    assert not errors.startswith("error: unexpected"), (line, errors)
    assert "Traceback" not in errors
    assert not (tmp_path / "acl-study-error.log").exists()
    if status and line[0] != "doctor":  # which finds problems, and lists them on standard output
        readable(errors.rstrip("\n"), longest=12_000)  # what was given, at most twice


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        (["rnu", "quickstart"], "Did you mean 'run'?"),
        (["run", "tabel1-supervised"], "did you mean table1-supervised?"),
        (["run", "table1-supervised", "--proflie", "mini"], "--profile"),
        (["run", "table1-supervised", "--profile", "Mni"], "did you mean mini?"),
        (["run", "table1-supervised", "--set", "los.alpha=1"], "did you mean loss.alpha?"),
        (["run", "table1-supervised", "--set", "objective=val.acuracy"], "did you mean val.accuracy?"),
        (["train", "--mode", "supervisd"], "did you mean supervised?"),
        (["train", "--data", "x", "--set", "optim.epoch=1"], "did you mean optim.epochs?"),
        (["doctor", "--profile", "paper-sll"], "did you mean paper-ssl?"),
        (["data", "synth", "corpus", "--size", "smal"], "did you mean small?"),
        (["resume", "tooy"], "did you mean toy?"),
        (["status", "tooy"], "did you mean toy?"),
    ],
)
def test_errors_suggest_the_nearest_valid_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: list[str], remedy: str
) -> None:
    monkeypatch.chdir(tmp_path)
    keep_study(Home(tmp_path / "acl-runs"), resolve_study({"name": "toy", "question": "?", "base": {"mode": "supervised"}}))
    status, errors = called(line)
    assert status
    assert remedy in errors
    assert errors.count("\n") == 1


def test_names_are_no_markup_and_give_no_orders_to_the_terminal() -> None:
    _, errors = called(["run", "[red]\x1b[31mx[/]"])
    assert r"[red]\x1b[31mx[/]" in errors
    assert "\x1b" not in errors
