"""Trials, histories and predictions of MLflow records as frames."""

import pytest

from analysis.errors import AnalysisError
from analysis.records.runs import load_history, load_predictions, load_studies, load_trials, parameter_names
from study import names
from support.mlflow_records import with_empty_store


def test_parameters_are_typed_and_metrics_have_their_last_value(quickstart):
    trials = load_trials(quickstart.uri, ["quickstart"])
    assert len(trials) == 20
    first = trials.iloc[0]
    assert (first["study"], first["corpus"]) == ("quickstart", "synthetic corpus, small, seed 0")
    assert first["loss.alpha"] == 1.0
    assert first["optim.epochs"] == 3
    assert not trials["compute.channels_last"].any()
    assert trials["compute.channels_last"].dtype == bool
    assert first["optim.milestones"] == "[0.65, 0.85]"
    assert first["val.accuracy"] == 0.5  # not the 0.1667 of its first epoch
    assert trials["loss.temperature"].isna().sum() == 12  # supervised trials have none
    assert "loss.alpha" in parameter_names(trials)
    assert not {"run_id", "test.accuracy", "best_epoch"} & set(parameter_names(trials))


def test_unfinished_trials_are_kept_without_test_metrics(quickstart):
    trials = load_trials(quickstart.uri, ["quickstart"]).set_index("outcome")
    assert trials.loc[names.FINISHED, names.TEST_ACCURACY].notna().all()
    for outcome in (names.STOPPED, names.FAILED):
        assert trials.loc[outcome, "loss.alpha"] in (0.41, 0.42)
        assert trials.loc[[outcome], names.TEST_ACCURACY].isna().all()


def test_all_launches_of_a_study_are_gathered_and_no_others(records):
    for name in ("mine", "other", "mine"):
        records.trial(records.study(name), alpha=1.0)
    records.client.create_run(records.experiment)  # somebody else's run in the same experiment
    assert load_trials(records.uri, ["mine"])["study"].tolist() == ["mine", "mine"]
    assert load_studies(records.uri, ["mine", "other"])["study"].tolist() == ["mine", "other", "mine"]


def test_more_trials_than_a_page(records, monkeypatch):
    monkeypatch.setattr("analysis.records.store._PAGE", 2)
    study = records.study("mine")
    written = [records.trial(study, alpha=1.0, outcome=names.STOPPED) for _ in range(5)]
    assert load_trials(records.uri, ["mine"])["run_id"].tolist() == written


def test_unfinished_trial_has_that_outcome(records):
    run_id = records.trial(records.study("mine"), alpha=1.0)
    records.client.delete_tag(run_id, names.OUTCOME)
    assert load_trials(records.uri, ["mine"])["outcome"].tolist() == ["unfinished"]


@pytest.mark.parametrize(("name", "remedy"), [("quikstart", r"did you mean quickstart\?"), ("mine", "known: quickstart")])
def test_unknown_study_names_the_nearest_or_the_known_ones(quickstart, name, remedy):
    with pytest.raises(AnalysisError, match=f"^no study '{name}' in this store; {remedy}$"):
        load_trials(quickstart.uri, [name])


def test_study_without_trials(records):
    records.study("empty")
    with pytest.raises(AnalysisError, match="study empty has no trials yet"):
        load_trials(records.uri, ["empty"])


def test_absent_store_is_an_error_and_is_not_created(tmp_path):
    with pytest.raises(AnalysisError, match="no store at"):
        load_studies(f"sqlite:///{tmp_path}/absent.db", ["any"])
    assert not list(tmp_path.iterdir())


def test_store_without_the_experiment(tmp_path):
    with pytest.raises(AnalysisError, match="no experiment 'acl-study'"):
        load_studies(f"sqlite:///{with_empty_store(tmp_path)}/mlflow.db", ["any"])


def test_history_is_long(records):
    run_id = records.trial(records.study("mine"), alpha=1.0, val=0.6)
    history = load_history(records.uri, [run_id], [names.VAL_EPOCH_ACCURACY, names.VAL_EPOCH_KNN_ACCURACY])
    assert history["metric"].unique().tolist() == [names.VAL_EPOCH_ACCURACY]
    assert history["epoch"].tolist() == [1, 2, 3]
    assert history["value"].tolist() == pytest.approx([0.2, 0.4, 0.6])
    assert set(load_history(records.uri, [run_id])["metric"]) > {names.TRAIN_LOSS, names.TEST_ACCURACY}


def test_predictions_are_long_and_names_like_na_stay_names(records):
    run_id = records.trial(records.study("mine"), alpha=1.0, correct=99, classes=("NA", "None", "nan", "1"))
    predictions = load_predictions(records.uri, [run_id])
    assert predictions["split"].value_counts().to_dict() == {"test": 100, "val": 40}
    assert predictions["label"].unique().tolist() == ["NA", "None", "nan", "1"]
    assert (predictions["label"] == predictions["predicted"]).sum() == 40 + 99


def test_predictions_are_of_the_headline_evaluation_by_default(records):
    run_id = records.trial(records.study("mine"), alpha=1.0, correct=70)
    headline = load_predictions(records.uri, [run_id])
    knn = load_predictions(records.uri, [run_id], names.EVALUATION_KNN)
    assert [*headline.columns] == [*knn.columns]
    assert [*headline.columns] == ["run_id", "split", "clip", "label", "predicted", "patches", "recording"]
    assert headline["recording"].tolist() == headline["clip"].tolist()
    assert headline["clip"].tolist() == knn["clip"].tolist()
    assert headline["clip"].is_unique
    assert (headline["label"] == headline["predicted"]).sum() == 40 + 70
    assert (knn["label"] == knn["predicted"]).sum() == 30
    assert load_predictions(records.uri, [run_id], names.EVALUATION_FINETUNE_CLEAN).empty


def test_predictions_without_a_needed_column_name_the_run(records):
    run_id = records.trial(records.study("mine"), alpha=1.0)
    records.client.log_text(run_id, "split,clip,label,predicted,patches\ntest,1.wav,a,a,1\n", names.PREDICTIONS_FILE)
    with pytest.raises(
        AnalysisError, match=rf"predictions.csv of run {run_id} is damaged or lacks one of the columns evaluation, split"
    ):
        load_predictions(records.uri, [run_id])


def test_missing_predictions_name_the_run(records):
    run_id = records.trial(records.study("mine"), alpha=1.0, outcome=names.STOPPED)
    with pytest.raises(AnalysisError, match=rf"run {run_id} has no predictions.csv"):
        load_predictions(records.uri, [run_id])


def test_a_clip_that_is_listed_twice_is_refused(records):
    run_id = records.trial(records.study("mine"), alpha=1.0)
    row = "classifier,test,1.wav,a,a,1\n"
    records.client.log_text(run_id, "evaluation,split,clip,label,predicted,patches\n" + 2 * row, names.PREDICTIONS_FILE)
    with pytest.raises(AnalysisError, match=f"predictions.csv of run {run_id} has a clip twice"):
        load_predictions(records.uri, [run_id])


def test_settings_that_differ_by_rounding_are_one(records):
    study = records.study("mine")
    for seed, alpha in enumerate((0.15, 0.1 + 0.05)):
        assert alpha != 0.15 or seed == 0
        records.trial(study, alpha=alpha, seed=seed)
    trials = load_trials(records.uri, ["mine"])
    assert trials["loss.alpha"].nunique() == 1
    assert trials["seed"].tolist() == [0, 1]


@pytest.mark.parametrize(("status", "is_open"), [("RUNNING", True), ("KILLED", True), ("FAILED", True), ("FINISHED", False)])
def test_a_study_is_open_until_its_run_is_finished(records, status, is_open):
    study = records.study("mine")
    records.client.set_tag(study, names.STUDY_DIGEST, "abc")
    records.trial(study, alpha=1.0)
    records.client.update_run(study, status=status)
    assert load_trials(records.uri, ["mine"])["study_is_open"].tolist() == [is_open]


def test_recordings_that_one_run_knows_hold_for_all(records):
    study = records.study("mine")
    runs = [records.trial(study, alpha=alpha) for alpha in (1.0, 0.5)]
    head, row = "evaluation,split,clip,label,predicted,patches", "classifier,test,{}.wav,a,a,1"
    old = "\n".join([head, *(row.format(clip) for clip in range(4))])
    new = "\n".join([f"{head},recording", *(f"{row.format(clip)},{clip // 2 * 2}.wav" for clip in range(4))])
    for run_id, text in zip(runs, (old, new), strict=True):
        records.client.log_text(run_id, f"{text}\n", names.PREDICTIONS_FILE)
    found = load_predictions(records.uri, runs)
    assert found["recording"].tolist() == 2 * ["0.wav", "0.wav", "2.wav", "2.wav"]
