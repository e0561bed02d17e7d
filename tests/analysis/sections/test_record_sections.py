import pandas as pd
import pytest

from analysis.sections.records import record_sections, run_address, store_in_words
from study import names

SERVER = "https://me:secret@mlflow.example:5000/base/?token=secret"


def sections_of(fakes, store_uri):
    trials = fakes.trials.assign(start_time=pd.Timestamp("2026-01-01", tz="UTC"))
    launched = pd.DataFrame({"run_id": ["s"], "experiment_id": ["7"]})
    provenance = trials[["run_id"]].assign(reason="")
    return {each.anchor: each for each in record_sections(store_uri, launched, trials, provenance, {"Seeds": "0"})}


def test_runs_of_a_server_are_links_without_its_password(fakes):
    fakes.add(1.0, val=0.5, correct=50)
    fakes.add(0.5, val=0.5, correct=50, outcome=names.FAILED)
    sections = sections_of(fakes, SERVER)
    links = [row[-1].href for anchor in ("failed", "runs") for row in sections[anchor].rows]
    base = "https://mlflow.example:5000/base/#/experiments/7/runs"
    assert links == [f"{base}/run001", f"{base}/run000", f"{base}/run001"]
    assert "secret" not in sections["runs"].text


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
    assert row["settings"] == "data.subset all, loss.alpha 0.5, loss.margin 0.5, seed 0, optim.epochs 9"
    assert row["reason"] == "not recorded"
