"""`acl-study best` and `confirm` on records with known numbers."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from analysis.records.runs import load_predictions, load_trials
from analysis.settings import comparable_settings, pick
from analysis.stats.confirmation import CONFIRMED, UNDECIDED
from study import names
from study.cli.status import show_status
from study.errors import StudyError
from study.results.best import print_best, print_summary
from study.results.confirm import confirmation_lines, confirmation_study, confirmations, confirming
from study.results.study_results import StudyResults
from study.spec.study import Study
from study.state.home import Home
from study.state.study_folder import keep_study, load_study
from support.command_line import acl_study
from support.mlflow_records import with_empty_store
from support.studies_without_training import end_study, study_of

ALPHAS = {"space": {"loss.alpha": {"grid": [1.0, 0.5, 0.3]}}}
VAL = {1.0: 20, 0.5: 28, 0.3: 24}  # of 40
TEST = {1.0: 50, 0.5: 70, 0.3: 90}  # of 100: the best on test is not the best on validation


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One store for the file: creating its schema takes seconds."""
    return Home(with_empty_store(tmp_path_factory.mktemp("home")))


def by_alpha(settings: Mapping[str, Any]) -> tuple[int, int]:
    return VAL[settings["loss.alpha"]], TEST[settings["loss.alpha"]]


def again(home: Home, name: str, seeds: int | None, resources: dict[str, float]) -> Study:
    return confirmation_study(load_study(home, name), home, home.store_uri, seeds, resources)


def test_nothing_is_broken_within_words_at_80_columns(
    home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names_of_sweeps = ("supervised-noisy-small", "supervised-of-all-clips")
    study = study_of("narrow", *({"name": name, **ALPHAS} for name in names_of_sweeps))
    end_study(home, study, by_alpha)
    shows = (
        lambda: print_best(study, home, home.store_uri),
        lambda: print_summary(study, home.store_uri),
        lambda: show_status(home, "narrow", watch=False),
    )
    for show in shows:
        texts = []
        for columns in ("80", "1000"):
            monkeypatch.setenv("COLUMNS", columns)
            show()
            texts.append(capsys.readouterr().out)
        narrow = [line for line in texts[0].splitlines() if str(home.root) not in line]  # commands stay whole
        assert max(map(len, narrow)) <= 80
        assert all(re.search(rf"{name}\b", texts[0]) for name in names_of_sweeps)
        words = set(re.findall(r"[\w.\-]+", texts[1])) - {"epochs", "per", "hour", "last", "objective"}
        assert not {word for word in words if word not in re.findall(r"[\w.\-]+", texts[0])}


def printed(home: Home, name: str, capsys: pytest.CaptureFixture[str]) -> str:
    print_best(load_study(home, name), home, home.store_uri)
    return capsys.readouterr().out


def test_the_winner_and_its_verdict_are_those_of_the_report(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    study = study_of("plain", ALPHAS)
    end_study(home, study, by_alpha)
    results = StudyResults(study, home.store_uri)
    trials = load_trials(home.store_uri, ["plain"])
    predictions = load_predictions(home.store_uri, trials["run_id"])
    pair = pick(comparable_settings(trials, predictions)[0])
    comparison = pair.claim(predictions)
    assert pair.acl is not None
    assert comparison is not None
    (choice,) = results.choices["sweep"]
    assert choice.winners[0].rows[0]["run_id"] == pair.acl["run_ids"][0]
    assert results.verdict(study.sweeps[0], choice) == comparison.verdict
    text = printed(home, "plain", capsys)
    assert "best of 3 finished settings by val.accuracy" in text
    assert "validation  70.0 [54.6, 81.9] %" in text  # Wilson, 28 of 40
    assert "test        70.0 [60.4, 78.1] % (not used for the selection)" in text  # 70 of 100
    assert "trained model better than the baseline's by 20.0 points on 100 test clips; best of 2 other settings" in text
    assert pair.acl["run_ids"][0] in text
    assert f"confirm plain --home {home.root}" in text


@pytest.mark.parametrize("baseline_first", [True, False])
def test_after_a_tie_on_validation_best_and_report_agree(home: Home, baseline_first: bool) -> None:
    sweeps = {
        name: {"name": name, "base": {"loss.alpha": 1.0, "model.dropout": rate}} for name, rate in (("control", 0.5), ("low", 0.1))
    }
    ordered = sorted(sweeps.values(), key=lambda each: (each["name"] == "control") != baseline_first)
    study = study_of(f"tie-{baseline_first}".lower(), *ordered, baseline={"model.dropout": 0.5})
    end_study(home, study, lambda settings: (20, 50 if settings["model.dropout"] == 0.5 else 80))
    results = StudyResults(study, home.store_uri)
    trials = load_trials(home.store_uri, [study.name])
    predictions = load_predictions(home.store_uri, trials["run_id"])
    reported = pick(comparable_settings(trials, predictions, study.question_in("supervised"))[0]).claim(predictions)
    low = next(sweep for sweep in study.sweeps if sweep.name == "low")
    ours = results.claim(low, results.choices["low"][0])
    assert reported is not None
    assert ours is not None
    assert reported.prefers_baseline == ours.prefers_baseline == baseline_first
    assert ours.verdict == reported.verdict


def test_a_baseline_that_wins_is_no_gain(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    end_study(home, study_of("lost", ALPHAS), lambda settings: (int(30 * settings["loss.alpha"]), 50))
    text = printed(home, "lost", capsys)
    assert "no gain: no other setting beats the baseline (alpha 1) on validation, of 2 tried" in text
    assert "confirm lost" not in text
    with pytest.raises(StudyError, match="no winner to confirm"):
        again(home, "lost", 3, {})


def test_a_baseline_of_another_sweep_with_equal_protocol_counts(home: Home) -> None:
    search = {"name": "search", "space": {"loss.alpha": {"grid": [0.5, 0.3]}}}
    baseline = {"name": "baseline", "base": {"loss.alpha": 1.0}}
    same = study_of("same", search, baseline)
    end_study(home, same, by_alpha)
    results = StudyResults(same, home.store_uri)
    verdict = results.verdict(same.sweeps[0], results.choices["search"][0])
    assert verdict.startswith("trained model better than the baseline's by 20.0 points")
    longer = {**baseline, "base": {"loss.alpha": 1.0, "optim.epochs": 2}}
    other = study_of("other", search, longer)
    end_study(home, other, by_alpha)
    results = StudyResults(other, home.store_uri)
    verdict = results.verdict(other.sweeps[0], results.choices["search"][0])
    assert verdict == "no comparison: no trial of the baseline (alpha 1) has finished with the winner's other settings"
    alone = study_of("alone", search)
    end_study(home, alone, by_alpha)
    results = StudyResults(alone, home.store_uri)
    assert results.verdict(alone.sweeps[0], results.choices["search"][0]) == "no baseline (alpha 1) in this study"


def test_a_setting_that_lacks_seeds_is_no_candidate(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    better = {1.0: 20, 0.5: 28, 0.3: 39}
    study = study_of("lacking", {**ALPHAS, "seeds": [0, 1]})

    def right(settings: Mapping[str, Any]) -> tuple[int, int] | None:
        failed = (settings["loss.alpha"], settings["seed"]) == (0.3, 1)
        return None if failed else (better[settings["loss.alpha"]], 60)

    end_study(home, study, right)
    text = printed(home, "lacking", capsys)
    assert "best of 2 finished settings" in text
    assert "sweep: loss.alpha 0.3 is no candidate: it has finished with 1 seed, others with 2" in text
    trials = load_trials(home.store_uri, ["lacking"])
    settings, notes = comparable_settings(trials, load_predictions(home.store_uri, trials.query("outcome == 'finished'")["run_id"]))
    pair = pick(settings)
    assert pair.acl is not None
    assert (pair.acl["alpha"], len(pair.others), len(settings)) == (0.5, 1, 3)
    assert set(pair.acl["run_ids"]) == {
        row["run_id"] for row in StudyResults(study, home.store_uri).choices["sweep"][0].winners[0].rows
    }
    assert notes == [
        "1 supervised setting (lacking) finished with fewer seeds than others of the same sweep. Tables show it, but validation "
        "does not select it."
    ]


def test_a_baseline_that_lacks_seeds_is_not_called_absent(home: Home) -> None:
    study = study_of("short", {**ALPHAS, "seeds": [0, 1]})
    end_study(home, study, lambda settings: None if settings["loss.alpha"] == settings["seed"] else by_alpha(settings))
    results = StudyResults(study, home.store_uri)
    verdict = results.verdict(study.sweeps[0], results.choices["sweep"][0])
    assert verdict == "no comparison: the baseline (alpha 1) has finished with fewer seeds than the winner"


def test_several_objectives_print_the_front(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    objective = [names.VAL_ACCURACY, names.VAL_MACRO_ACCURACY]  # the toy's second falls as the first rises
    end_study(home, study_of("front", {**ALPHAS, "objective": objective}), by_alpha)
    text = printed(home, "front", capsys)
    assert "3 of 3 finished settings on the Pareto front" in text
    assert text.index("alpha 0.5") < text.index("alpha 0.3") < text.index("alpha 1\n")
    with pytest.raises(StudyError, match="no winner to confirm"):
        again(home, "front", 3, {})


def test_only_fresh_seeds_of_winner_and_baseline_decide(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    end_study(home, study_of("first", {**ALPHAS, "seeds": [0, 4]}), by_alpha)
    study = again(home, "first", 3, {"cpus": 2})
    assert (study.name, study.confirms) == ("first-confirm", "first")
    assert [(sweep.name, sweep.base["loss.alpha"], sweep.seeds) for sweep in study.sweeps] == [
        ("sweep-winner", 0.5, [5, 6, 7]),
        ("sweep-baseline", 1.0, [5, 6, 7]),
    ]
    assert {sweep.resources.cpus for sweep in study.sweeps} == {2}
    assert study == again(home, "first", 3, {"cpus": 2})
    better = {5: 70, 6: 72, 7: 71}
    end_study(home, study, lambda settings: (20, better[settings["seed"]] if settings["loss.alpha"] < 1 else 45))
    ((found,),) = ([pair.found for pair in confirmations(study, home.store_uri)],)
    assert found is not None
    assert (found.finding, found.seeds, found.difference) == (CONFIRMED, 3, pytest.approx(0.26))
    text = printed(home, "first-confirm", capsys)
    assert "confirmed: +26.0 points" in text
    assert text.startswith("first on seeds that it did not use (5, 6, 7), its winners by validation against their baselines:\n")
    assert "  sweep, loss.alpha 0.5 against loss.alpha 1: confirmed" in text
    assert "over 3 seeds and 100 test clips; test accuracy 71.0 %, baseline 45.0 %" in text
    assert f"best first-confirm --home {home.root}" in printed(home, "first", capsys)
    launched = confirming(home, "first")
    assert launched is not None
    assert launched.name == "first-confirm"
    with pytest.raises(StudyError, match="second chance"):
        again(home, "first", 6, {})
    assert len(again(home, "first", None, {}).sweeps[0].seeds) == 3
    with pytest.raises(StudyError, match="confirms first itself"):
        again(home, "first-confirm", None, {})


def test_a_study_without_baseline_gets_one_for_each_subset(home: Home) -> None:
    space = {"data.subset": {"grid": ["clean", "noisy_small"]}, "loss.margin": {"uniform": [0.1, 0.9]}}
    drawn = {"space": space, "search": "random", "budget": {"trials": 6}, "base": {"loss.alpha": 0.5}}
    study = study_of("searched", drawn)
    end_study(home, study, lambda settings: (int(40 * settings["loss.margin"]), 60))
    repeated = again(home, "searched", 2, {})
    winners = {
        subset: max(p["loss.margin"] for p in study.sweeps[0].points if p["data.subset"] == subset)
        for subset in ("clean", "noisy_small")
    }
    assert {
        sweep.name: (sweep.base["data.subset"], sweep.base["loss.margin"], sweep.base["loss.alpha"]) for sweep in repeated.sweeps
    } == {
        f"sweep-{subset}{side}": (subset, margin, alpha)
        for subset, margin in winners.items()
        for side, alpha in (("-winner", 0.5), ("-baseline", 1.0))
    }
    end_study(home, repeated, lambda settings: None if settings["seed"] == 2 else (20, 50))
    assert {pair.label: pair.found and pair.found.finding for pair in confirmations(repeated, home.store_uri)} == {
        "sweep-clean": UNDECIDED,
        "sweep-noisy_small": UNDECIDED,
    }
    assert "that all 2 hold at once is less certain" in confirmation_lines(repeated, home.store_uri)[-1]


def test_seeds_on_which_a_winner_diverges_are_counted_in_words(home: Home) -> None:
    end_study(home, study_of("fragile", ALPHAS), by_alpha)
    study = again(home, "fragile", 5, {})

    def right(settings: Mapping[str, Any]) -> tuple[int, int] | None:
        winner = settings["loss.alpha"] < 1
        return None if winner and settings["seed"] in (2, 4) else (20, (90 if winner else 45) + settings["seed"] % 2)

    end_study(home, study, right)
    line = confirmation_lines(study, home.store_uri)[1]
    assert ": cannot be told with 3 of 5 seeds (2 seeds failed on the winner's side): +45.0 points" in line


def test_a_winner_that_fails_on_all_seeds_says_so(home: Home) -> None:
    end_study(home, study_of("broken", ALPHAS), by_alpha)
    study = again(home, "broken", 2, {})
    end_study(home, study, lambda settings: (20, 45) if settings["loss.alpha"] == 1 else None)
    assert confirmation_lines(study, home.store_uri)[1] == (
        "  sweep, loss.alpha 0.5 against loss.alpha 1: no seed has finished on both sides (2 seeds failed on the winner's side)"
    )


def test_winners_that_changed_after_confirming_are_one_line(home: Home, tmp_path: Path) -> None:
    end_study(home, study_of("changed", ALPHAS), by_alpha)
    now = again(home, "changed", 3, {})
    winner, baseline = now.sweeps
    before = winner.model_copy(update={"base": {**winner.base, "loss.alpha": 0.3}})  # 0.5 had failed when it was confirmed
    keep_study(home, now.model_copy(update={"sweeps": [before, baseline]}))
    with pytest.raises(StudyError, match=r"have changed since changed-confirm was launched.*move .*/changed-confirm out") as caught:
        again(home, "changed", None, {})
    assert "\n" not in str(caught.value)
    shutil.move(home.study("changed-confirm"), tmp_path)
    assert again(home, "changed", 3, {}) == now


def test_a_study_that_has_not_ended_is_not_confirmed(home: Home) -> None:
    end_study(home, study_of("half", ALPHAS), by_alpha, trials=2)
    with pytest.raises(StudyError, match="has 1 trials left"):
        again(home, "half", 3, {})


@pytest.mark.parametrize("command", ["best", "confirm"])
def test_an_unknown_study_is_one_line(tmp_path: Path, command: str) -> None:
    process = acl_study(command, "nosuch", "--home", tmp_path)
    assert process.returncode == 1
    assert process.err.startswith("error: no study 'nosuch'")
