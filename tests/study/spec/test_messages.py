"""Errors of study files: each names file, line and field, and says what to write."""

import math
from pathlib import Path
from typing import Any

import pytest

from study.cli.resolve import parse_settings
from study.errors import StudyError
from study.spec.files import read_value
from study.spec.resolve import read_study, replaced_fields, resolve_study

FILE = """\
name: my
question: Does it?
base: {mode: supervised}
search: random
budget:
  trials: 4
sweeps:
  - name: first
    space:
      loss.alpha: {uniform: [0, 1]}
      loss.margin:
        uniform: [0.1, 1.0]
    enqueue:
      - {loss.alpha: 0.5, loss.margin: 0.5}
  - name: second
    space:
      loss.alpha: {choice: [0.5, 1.0]}
    scheduler: {name: asha, grace: 0.2}
"""


def refusal(tmp_path: Path, text: str, **options: Any) -> str:
    path = tmp_path / "my.yaml"
    path.write_text(text)
    with pytest.raises(StudyError) as caught:
        resolve_study(read_study(str(path)), **options)
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_the_file_itself_is_right(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(FILE)
    assert resolve_study(read_study(str(path))).runs == 8


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "uniform: [0.1, 1.0]",
            "uniform: [1.0, 0.1]",
            "my.yaml:11: sweeps.first.space.loss.margin: uniform is [low, high] with low < high; got [1.0, 0.1]",
        ),
        ("uniform: [0.1, 1.0]", "uniform: [0.1, 4.0]", "my.yaml:11: sweeps.first.space.loss.margin: must be less than"),
        (
            "uniform: [0.1, 1.0]",
            "uniform: [0.1, much]",
            "my.yaml:12: sweeps.first.space.loss.margin.uniform: must be a number, got [0.1, 'much']",
        ),
        (
            "uniform: [0.1, 1.0]",
            "normal: [0, 1]",
            "my.yaml:12: sweeps.first.space.loss.margin: normal is not a field of a dimension",
        ),
        ("{choice: [0.5, 1.0]}", "[0.5, 1.0]", "my.yaml:17: sweeps.second.space.loss.alpha: must be a mapping with one of grid"),
        ("{choice: [0.5, 1.0]}", "0.5", "my.yaml:17: sweeps.second.space.loss.alpha: must be a mapping with one of grid"),
        ("grace: 0.2", "grace: 2", "my.yaml:18: sweeps.second.scheduler.grace: must be less than or equal to 1, got 2"),
        (
            "grace: 0.2",
            "interval: 0.2",
            "my.yaml:18: sweeps.second.scheduler: interval is not a field of scheduler asha; it has grace",
        ),
        ("name: asha", "name: ashar", "my.yaml:18: sweeps.second.scheduler: must be one of none, asha, hyperband, median, pbt"),
        ("{name: asha, grace", "{grace", "my.yaml:18: sweeps.second.scheduler: must be one of none, asha, hyperband, median, pbt"),
        ("  trials: 4", "  trials: 0", "my.yaml:6: sweeps.first.budget.trials: must be greater than or equal to 1, got 0"),
        ("budget:\n  trials: 4", "budget: 4", "my.yaml:5: budget is a mapping of names to values, got 4"),
        ("  trials: 4", "  trails: 4", "my.yaml:6: sweeps.first.budget: trails is not a field of budget; did you mean trials?"),
        ("loss.alpha: 0.5, loss", "loss.alpha: 5, loss", "my.yaml:14: sweeps.first.enqueue.0: loss.alpha 5 lies outside"),
        ("loss.alpha: 0.5, ", "", "my.yaml:14: sweeps.first.enqueue.0: loss.alpha is missing"),
        ("search: random", "serach: random", "my.yaml:4: serach is not a field of a study; did you mean search?"),
        ("search: random", "search: bayes", "my.yaml:4: sweeps.first.search: must be 'grid', 'random', 'tpe'"),
        (
            "mode: supervised",
            "mode: both",
            "my.yaml:3: sweeps.first.base: mode must be one of supervised, self-supervised; write it",
        ),
        (
            "mode: supervised",
            "mode: supervised, optim.lr: -1",
            "my.yaml:3: sweeps.first.base.optim.lr: must be greater than 0",
        ),
        (
            "loss.alpha: {choice",
            "loss.alhpa: {choice",
            "my.yaml:17: sweeps.second.space: loss.alhpa is not a setting of supervised",
        ),
        ("question: Does it?\n", "", "my.yaml:1: question: is missing"),
        (
            "question: Does it?",
            "question: Does it?\nmode: supervised",
            "my.yaml:3: mode is not a field of a study; it is a setting",
        ),
        ("  - name: second", "  - name: first", "my.yaml:1: sweeps need different names"),
        ("  - name: second", "  - name: second\n    name: third", "my.yaml:16: name is written twice, first in line 15"),
        ("  trials: 4", "  trials: 4\n  trials: 5", "my.yaml:7: trials is written twice, first in line 6"),
        ("question: Does it?", "question: [", "my.yaml:4: expected"),
        ("question: Does it?", "question: &a [*a]", "my.yaml:2: a part contains itself"),
        ("question: Does it?", "? [a, b]\n: c", "my.yaml:2: a key is a name"),
        ("question: Does it?", "question: !!python/object:os.system x", "my.yaml:2: could not determine a constructor"),
    ],
)
def test_a_mistake_is_found_where_it_was_written(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in FILE
    message = refusal(tmp_path, FILE.replace(old, new, 1))
    assert message.startswith(expected)
    assert "\n" not in message
    assert message.count(", got ") + message.count("; got ") <= 1


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    text = FILE.replace("trials: 4", "trials: 0").replace("[0.1, 1.0]", "[1.0, 0.1]").replace("grace: 0.2", "grace: 2")
    places = [line.partition(": must be")[0].partition(": uniform is")[0] for line in refusal(tmp_path, text).splitlines()]
    assert places == [
        "my.yaml:11: sweeps.first.space.loss.margin",
        "my.yaml:6: sweeps.first.budget.trials",  # both sweeps have it from one line
        "my.yaml:18: sweeps.second.scheduler.grace",
    ]
    text = FILE.replace("mode: supervised", "mode: supervised, optim.lr: -1, optim.lrr: 1").replace("[0.1, 1.0]", "[0.1, 4.0]")
    settings = [line.partition(" must be")[0].partition(" is not")[0] for line in refusal(tmp_path, text).splitlines()]
    assert settings == [
        "my.yaml:3: sweeps.first.base: optim.lrr",
        "my.yaml:3: sweeps.first.base.optim.lr:",
        "my.yaml:11: sweeps.first.space.loss.margin:",
    ]
    options = refusal(tmp_path, FILE, overrides={"loss.margin": 4, "optim.lr": -1}).splitlines()
    assert [line.partition(": ")[0] for line in options] == ["--set loss.margin", "--set optim.lr"]
    fields = refusal(tmp_path, FILE.replace("search:", "serach:").replace("    space:", "    spice:")).splitlines()
    assert [line.partition(" is not")[0] for line in fields] == [
        "my.yaml:4: serach",
        "my.yaml:9: sweeps.first: spice",
        "my.yaml:16: sweeps.second: spice",
    ]


def test_what_came_from_the_command_line_has_no_line(tmp_path: Path) -> None:
    assert refusal(tmp_path, FILE, overrides={"loss.margin": 4}).startswith("--set loss.margin: must be less than or equal")
    assert refusal(tmp_path, FILE, overrides={"budget.trials": 0}).startswith("--set budget.trials: must be greater than")
    assert refusal(tmp_path, FILE, overrides={"search": "bayes"}).startswith("--set search: must be 'grid'")
    assert refusal(tmp_path, FILE, overrides={"budget.trails": 3}).startswith("--set budget.trails: trails is not a field")
    misspelt = refusal(tmp_path, FILE, overrides={"sheduler": "asha"})
    assert misspelt.startswith("--set sheduler: ")
    assert "did you mean scheduler?" in misspelt
    assert refusal(tmp_path, FILE, overrides={"seeds.first": 3}).startswith("--set seeds.first: ")
    assert refusal(tmp_path, FILE, profile="minni").startswith("--profile: profile must be one of recipe")
    assert refusal(tmp_path, FILE, profile="paper-ssl").startswith("--profile: profile paper-ssl is about self-supervised runs")
    assert refusal(tmp_path, f"{FILE}profile: paper-ssl\n").startswith("my.yaml:19: profile paper-ssl is about")


def test_a_study_without_sweeps_has_short_fields(tmp_path: Path) -> None:
    text = "name: my\nquestion: Does it?\nbase: {mode: supervised}\nspace:\n  loss.alpha:\n    grid: []\n"
    assert refusal(tmp_path, text).startswith("my.yaml:6: space.loss.alpha.grid: List should have at least 1 item")


@pytest.mark.parametrize("name", ["study.yaml", "inputs.json", "record.json", "mirrored.json"])
def test_a_sweep_has_no_name_of_a_file_beside_it(tmp_path: Path, name: str) -> None:
    expected = (
        f"my.yaml:8: sweeps.{name}: name {name} may be that of a file in the study's folder; choose one without .yaml or .json"
    )
    assert refusal(tmp_path, FILE.replace("name: first", f"name: {name}")) == expected


@pytest.mark.parametrize("name", ["index.html", "compared"])
def test_a_study_has_no_name_of_a_file_beside_its_report(tmp_path: Path, name: str) -> None:
    expected = f"my.yaml:1: name {name} is that of a file or folder beside the reports; choose another"
    assert refusal(tmp_path, FILE.replace("name: my", f"name: {name}")) == expected


def test_exponents_are_numbers_in_study_files(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text("name: my\nquestion: Does it?\nbase: {mode: supervised}\nspace:\n  optim.lr: {grid: [1e-3, 1E-2, 5.e-4]}\n")
    assert resolve_study(read_study(str(path))).sweeps[0].space["optim.lr"].values == [0.001, 0.01, 0.0005]


def test_values_are_those_of_yaml_1_2() -> None:
    texts = {
        "010": 10,
        "0o10": 8,
        "0x10": 16,
        "+7": 7,
        "1.": 1.0,
        "-.5e1": -5.0,
        ".inf": math.inf,
        "~": None,
        "": None,
        "True": True,
    }
    assert {text: read_value(text) for text in texts} == texts
    for text in ("1:30", "1:30.5", "yes", "no", "on", "off", "1_000", "0b11", "=", "2024-01-01"):
        assert read_value(text) == text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("optim.epochs=true", "--set optim.epochs: must be a whole number, got True"),
        ("optim.epochs=1:30", "--set optim.epochs: must be a whole number, got '1:30'"),
        ("optim.lr=yes", "--set optim.lr: must be a number, got 'yes'"),
        ("optim.lr='0.5'", "--set optim.lr: must be a number, got '0.5'"),
        ("budget.trials=true", "--set budget.trials: must be a whole number, got True"),
        ("resources.cpus=true", "--set resources.cpus: must be a number, got True"),
        ("seeds=[true]", "--set seeds: must be a whole number, got [True]"),
        ("scheduler={name: asha, grace: true}", "--set scheduler: must be a number, got True"),
        ("compute.channels_last=yes", "--set compute.channels_last: must be a boolean, got 'yes'"),
    ],
)
def test_a_boolean_or_a_text_is_no_number(tmp_path: Path, given: str, expected: str) -> None:
    assert refusal(tmp_path, FILE, overrides=parse_settings([given], None)).startswith(expected)


def test_fields_of_sweeps_can_be_set_like_settings() -> None:
    settings = ["search=random", "scheduler=median", "scheduler.grace=0.3", "budget.trials=7", "resources.cpus=3"]
    settings += ["objective=val.macro_accuracy", "seeds=[5]", "optim.epochs=3"]
    (sweep,) = resolve_study(read_study("search-supervised"), None, parse_settings(settings, None)).sweeps
    assert (sweep.search, sweep.scheduler.model_dump()) == ("random", {"name": "median", "grace": 0.3})
    assert (sweep.budget.trials, sweep.resources.cpus, sweep.resources.gpus) == (7, 3, 1)
    assert (sweep.objectives, sweep.seeds, sweep.base["optim.epochs"]) == (("val.macro_accuracy",), [5], 3)


def test_a_search_that_is_replaced_is_named() -> None:
    lines = replaced_fields(read_study("quickstart"), "mini", {"loss.temperature": 0.3, "optim.epochs": 2})
    assert lines == [
        f"--set loss.temperature=0.3 replaces the search over it in sweep {name}" for name in ("temperatures", "search-ssl")
    ]
    assert replaced_fields(read_study("table2-ssl"), "recipe", {"loss.alpha": 1.0}) == [
        "--set loss.alpha=1.0 replaces the search over it"
    ]


def test_resources_that_a_profile_replaces_are_named() -> None:
    assert replaced_fields(read_study("table2-ssl"), "mini", {}) == [
        "profile mini has resources cpus 1, gpus 0 instead of cpus 2, gpus 1; --set resources.PART=VALUE changes it"
    ]
