"""Sections of the records: links to runs and stores, and the checklist."""

import pandas as pd
import pytest
import yaml

from analysis.report.page import write_report
from analysis.sections.records import record_sections, run_address, store_in_words
from study import names

SERVER = "https://me:secret@mlflow.example:5000/base/?token=secret"


def sections_of(fakes, store_uri):
    trials = fakes.trials.assign(start_time=pd.Timestamp("2026-01-01", tz="UTC"))
    launched = pd.DataFrame({"run_id": ["s"], "experiment_id": ["7"]})
    launches = pd.DataFrame({"run_id": ["s"], "study": ["mine"], "profile": ["mini"], "corpus": ["pets"]})
    launches["start_time"] = trials["start_time"].iloc[0]
    provenance = trials[["run_id"]].assign(reason="")
    return {each.anchor: each for each in record_sections(store_uri, launches, launched, trials, provenance, {"Seeds": "0"})}


def test_runs_of_a_server_are_links_without_its_password(fakes):
    fakes.add(1.0, val=0.5, correct=50)
    fakes.add(0.5, val=0.5, correct=50, outcome=names.FAILED)
    sections = sections_of(fakes, SERVER)
    links = [row[-1].href for anchor in ("failed", "runs") for row in sections[anchor].rows]
    base = "https://mlflow.example:5000/base/#/experiments/7/runs"
    assert links == [f"{base}/run001", f"{base}/run000", f"{base}/run001"]
    assert sections["provenance"].rows[0][-2].href == f"{base}/s"
    assert "secret" not in sections["provenance"].text


@pytest.mark.parametrize("store_uri", ["sqlite:////home/me/mlflow.db", "postgresql://me:secret@host/db", "/home/me/mlruns"])
def test_runs_of_other_stores_are_ids_and_a_command(fakes, store_uri):
    fakes.add(1.0, val=0.5, correct=50)
    (row,) = sections_of(fakes, store_uri)["runs"].rows
    assert (row[-1].text, row[-1].href) == ("run000", "")
    assert run_address(store_uri, "7", "run000") == ""
    words = store_in_words(store_uri)
    assert "`acl-study ui`" in words
    assert "secret" not in words


def test_settings_of_a_failed_trial_name_what_differs(fakes):
    fakes.add(1.0, val=0.5, correct=50)
    fakes.add(0.5, val=0.5, correct=50, outcome=names.FAILED, optim__epochs=9)
    (row,) = sections_of(fakes, SERVER)["failed"].frame.to_dict("records")
    assert row["settings"] == "subset all, α 0.5, margin 0.5, seed 0, optim.epochs 9"
    assert row["reason"] == "not recorded"


SWEEP = {
    "name": "search",
    "space": {
        "loss.alpha": {"uniform": [0.1, 0.9]},
        "loss.temperature": {"grid": [0.1, 0.2], "when": {"mode": ["self-supervised"]}},
    },
    "search": "tpe",
    "seeds": [0],
    "scheduler": {"name": "asha"},
    "budget": {"trials": 4},
}


def checklist_of(records, folder, study="mine"):
    write_report(records.uri, [study], folder)
    return pd.read_csv(folder / "checklist.csv").set_index("item")["value"]


def tag(records, run_id, **values):
    for name, value in values.items():
        records.client.set_tag(run_id, getattr(names, name), value)


def test_every_item_comes_from_the_records(records, tmp_path):
    study = records.study("mine", departures="")
    records.client.log_text(study, yaml.safe_dump({"sweeps": [SWEEP]}), names.STUDY_FILE)
    tag(records, study, STUDY_DIGEST="abc")
    same = {"GIT_COMMIT": "c0ffee", "VERSIONS": "torch 2", "HARDWARE": "CPU", "CORPUS_SHA256": "12", "FEATURES_SHA256": "34"}
    for seed, dirty in enumerate(("true", "false", "false")):
        run_id = records.trial(study, alpha=1.0, seed=seed)
        tag(records, run_id, GIT_DIRTY=dirty, **same)
        for epoch in (1, 2, 3):
            records.client.log_metric(run_id, names.EPOCH_SECONDS, 400.0, step=epoch)
    records.trial(study, alpha=0.5, outcome=names.FAILED)
    items = checklist_of(records, tmp_path)
    assert items["Search spaces and bounds"] == (
        "mine, search: loss.alpha uniform [0.1, 0.9]; loss.temperature grid {0.1, 0.2} when mode self-supervised "
        "(search tpe, seeds 0, scheduler asha, 4 trials)"
    )
    assert items["Runs by outcome"] == "3 finished, 0 stopped, 1 failed, 0 unfinished; 4 in all"
    assert items["Seeds"] == "0, 1, 2"
    assert items["Compute"] == "1 h of training, summed over 4 trials"
    assert items["Uncommitted changes"] == "none (2 trials); sources differed from the commit (1 trials); not recorded (1 trials)"
    assert (items["Code (git commit)"], items["Hardware"], items["Versions"]) == ("c0ffee", "CPU", "torch 2")
    assert (items["Corpus SHA-256"], items["Features SHA-256"], items["Study SHA-256"]) == ("12", "34", "mine: abc")
    assert items["Splits"] == "supervised: 40 validation clips, 100 test clips (3 trials)"
    assert items["Departures from the recipe"] == "none: the published recipe"


def test_without_the_studys_file_it_says_what_was_tried(records, tmp_path):
    study = records.study("mine")
    for alpha in (1.0, 0.5):
        records.trial(study, alpha=alpha, sweep="grid")
    items = checklist_of(records, tmp_path)
    assert items["Search spaces and bounds"] == "mine, grid: tried subset all; alpha 0.5, 1; margin 0.5"
    assert items["Versions"] == "–"
    assert items["Departures from the recipe"] == "supervised: optim.epochs 3 (recipe: 99)"


def test_a_damaged_study_file_costs_its_line_only(records, tmp_path):
    study = records.study("mine")
    records.client.log_text(study, "sweeps: [", names.STUDY_FILE)
    records.trial(study, alpha=1.0)
    assert checklist_of(records, tmp_path)["Search spaces and bounds"].startswith("mine, grid: tried")
