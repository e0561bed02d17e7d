"""Other data sets from the command line: import, prepare, a shipped study on them, its report."""

from pathlib import Path

import numpy as np
import pytest

from acl.store.feature_store import FeatureStore
from study.cli.resolve import StudyOptions, choose_study
from study.errors import StudyError
from study.execution.preflight import check_runnable
from study.spec.corpus_fit import fit_to_corpus
from study.spec.resolve import read_study, resolve_study
from study.spec.study import Study
from study.state.home import Home
from support.command_line import acl_study, call
from support.corpora import write_esc50, write_sound, write_table
from support.mlflow_records import with_empty_store
from support.shared_ray import variables

MINI = ("--profile", "mini", "--set", "optim.epochs=1")


def shipped(name: str, corpus: Path, **settings: object) -> Study:
    dotted = {key.replace("__", "."): value for key, value in settings.items()}
    return resolve_study(read_study(name), "mini", {"data.root": str(corpus), "data.test_fold": 1, **dotted})


def test_import_says_what_the_corpus_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    published = write_esc50(tmp_path / "ESC-50-master")
    assert call(monkeypatch, "data", "import", "esc50", str(tmp_path / "corpus"), "--audio", str(published)) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"corpus: {tmp_path / 'corpus'} (ESC-50: 60 clips, 3 classes, folds 1, 2, 3, 4, 5)",
        "note: no flags tell clean clips from noisy ones, so the only training subset is all",
        f"next: acl-study data prepare {tmp_path / 'corpus'}",
    ]
    table = published / "meta" / "esc50.csv"
    table.write_text(table.read_text().replace("2-2000-A-0.wav,2,0,crow,True,2000", "2-2000-A-0.wav,2,0,crow,True,1000"))
    assert call(monkeypatch, "data", "import", "esc50", str(tmp_path / "corpus"), "--audio", str(published)) == 0
    assert "1 recording has clips on both sides of a split or fold, first 1000" in capsys.readouterr().out
    table.write_text(table.read_text().replace("2-2000-A-0.wav,2", "2-2000-A-0.wav,two"))
    assert call(monkeypatch, "data", "import", "esc50", str(tmp_path / "corpus"), "--audio", str(published)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "error: esc50.csv line 14: fold must be a number from 1 to 1000, got 'two'; correct it"


def test_sounds_of_any_format_and_rate_are_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    formats = [("a b.flac", 8_000), ("é,1.ogg", 22_050), ("c.mp3", 48_000), ("[d].wav", 96_000)]
    rows = []
    for number, (name, rate) in enumerate(formats * 2):
        path = f"{'train' if number < 4 else 'test'}/{name}"
        write_sound(tmp_path / "sounds" / path, 500, number, rate)
        rows.append((path, ("tone", "noise")[number % 2], path.partition("/")[0]))
    write_table(tmp_path / "mine.csv", "path,label,split", rows)
    root = str(tmp_path / "corpus")
    assert call(monkeypatch, "data", "import", str(tmp_path / "mine.csv"), root, "--audio", str(tmp_path / "sounds")) == 0
    assert f"corpus: {root} (mine: 8 clips, 2 classes, 4 train, 4 test)" in capsys.readouterr().out
    assert call(monkeypatch, "data", "prepare", root, "--workers", "1") == 0
    for front_end, shortest in (("supervised", 201), ("self-supervised", 101)):
        store = FeatureStore.open(root, front_end)  # type: ignore[arg-type]
        assert store.names.tolist() == [row[0] for row in rows]
        assert (store.frame_count >= shortest // 2).all()
        assert np.isfinite(store.frames).all()


def test_a_study_keeps_the_subsets_that_the_corpus_has(folds_corpus: Path, tiny_corpus: Path) -> None:
    study, lines = fit_to_corpus(shipped("table1-supervised", folds_corpus))
    assert study.sweeps[0].space["data.subset"].grid == ["all"]
    assert lines == ["sweep sweep: ESC-50 with noise has no subset noisy or noisy_small or clean; data.subset is all"]
    assert study.runs == 10
    check_runnable(study.sweeps)
    study, lines = fit_to_corpus(shipped("table2-ssl", folds_corpus, knn__k=3))
    assert (study.sweeps[0].base["data.subset"], study.sweeps[0].base["data.validation"]) == ("all", "holdout")
    assert len(lines) == 2
    check_runnable(study.sweeps)
    for name in ("quickstart", "margin-sweep"):
        check_runnable(fit_to_corpus(shipped(name, folds_corpus, knn__k=3))[0].sweeps)
    whole = resolve_study(read_study("quickstart"), "mini", {"data.root": str(tiny_corpus)})
    assert fit_to_corpus(whole) == (whole, [])


def test_what_was_asked_for_by_name_is_refused_and_not_replaced(folds_corpus: Path, tmp_path: Path) -> None:
    overrides = {"data.root": str(folds_corpus), "data.test_fold": 1, "data.subset": "clean"}
    study = choose_study("null-alpha", Home(tmp_path), StudyOptions(profile="mini", overrides=overrides))
    with pytest.raises(StudyError, match=r"sweep sweep: subset 'clean': \S+ has no clean and noisy parts"):
        check_runnable(study.sweeps)
    with pytest.raises(StudyError, match=r"sweep sweep: \S+ has the folds 1, 2, 3, 4, 5, none is named to test"):
        check_runnable(resolve_study(read_study("null-alpha"), "mini", {"data.root": str(folds_corpus)}).sweeps)


def test_noise_and_folds_are_searched_like_any_setting(folds_corpus: Path) -> None:
    space = {
        "data.test_fold": {"grid": [1, 2, 3, 4, 5]},
        "noise.rate": {"grid": [0.0, 0.4]},
        "noise.kind": {"grid": ["symmetric", "out-of-vocabulary"]},
    }
    base = {"mode": "supervised", "data.root": str(folds_corpus)}
    study = resolve_study({"name": "s", "question": "q", "base": base, "space": space})
    check_runnable(study.sweeps)
    assert study.runs == 20
    assert "noise.rate searched (recipe: 0.0)" in study.departures
    without = {**space, "data.test_fold": {"grid": [1, 9]}}
    with pytest.raises(StudyError, match=r"has the folds 1, 2, 3, 4, 5, data.test_fold is 9"):
        check_runnable(resolve_study({"name": "s", "question": "q", "base": base, "space": without}).sweeps)


@pytest.mark.slow
def test_a_shipped_study_runs_and_table_1_has_one_row(folds_corpus: Path, tmp_path: Path, shared_ray: str) -> None:
    home = with_empty_store(tmp_path / "home")
    fixed = ("--set", "data.test_fold=3", "--set", "loss.alpha=1.0", "--set", "noise.rate=0.4")
    process = acl_study(
        "run", "table1-supervised", "--data", folds_corpus, *MINI, *fixed, "--home", home, env=variables(shared_ray)
    )
    assert process.returncode == 0, process.err
    assert "note: sweep sweep: ESC-50 with noise has no subset noisy" in process.err
    process = acl_study("report", "table1-supervised", "--home", home)
    assert process.returncode == 0, process.err
    table = (home / "reports" / "table1-supervised" / "table1.md").read_text().splitlines()
    assert "This corpus has no clean and noisy parts, so there is one row" in table[2]
    assert [line.partition(" | ")[0] for line in table[4:]] == ["| Subset", "| ---", "| all"]
