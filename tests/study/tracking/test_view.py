"""MLflow's page as `acl-study ui` opens it: what a person sees first, in Chromium."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By

from analysis.records.runs import find_trial
from study import names
from study.results.publish import log_figures
from study.state.home import Home
from study.tracking.view import address_of_runs, view_of
from support.command_line import fresh_acl_study
from support.mlflow_records import runs, with_empty_store
from support.offline_browser import local_browser, needs_chromium
from support.studies_without_training import end_study, study_of
from support.tracking_server import free_port

SPACE = {"loss.alpha": {"grid": [1.0, 0.5, 0.25]}, "loss.margin": {"grid": [0.43]}}
VAL = {1.0: 20, 0.5: 28, 0.25: 24}  # of 40


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """An earlier study, and the newest one."""
    home = Home(with_empty_store(tmp_path_factory.mktemp("home")))
    for name in ("earlier", "newest"):
        study = study_of(name, {"space": SPACE})
        end_study(home, study, lambda settings: (VAL[settings["loss.alpha"]], 50))
        assert log_figures(study, home, home.store_uri) == []
    return home


@pytest.fixture
def address(home: Home) -> Iterator[str]:
    """The address that the command prints, while it serves."""
    process = fresh_acl_study("ui", "--home", home.root, "--port", free_port())
    try:
        assert process.stdout is not None
        yield process.stdout.readline().removeprefix("MLflow: ").partition("  ")[0]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


@needs_chromium
@pytest.mark.browser
@pytest.mark.slow
def test_the_first_view_has_the_newest_trials_best_first(address: str, tmp_path: Path) -> None:
    with local_browser(address, tmp_path) as browser:
        shown = seen(browser, ROWS[-1])
        assert [line for line in shown.splitlines() if " \u00b7 " in line] == ROWS
        values = [cell.text for cell in browser.find_elements(By.CSS_SELECTOR, "[col-id='metrics.`val.accuracy`'][role=gridcell]")]
        assert values == ["0.7", "0.6", "0.5"]
        assert "Sort: val.accuracy" in shown
        assert "Judges" not in shown  # which belong to its views of language models
        browser.get(address.replace("workflowType", "compareRunsMode=CHART&workflowType"))
        charts = seen(browser, "Trials and settings")
        assert charts.index("Learning curves") < charts.index("Trials and settings")


ROWS = ["0001 \u00b7 \u03b1 0.5 \u00b7 m 0.43", "0002 \u00b7 \u03b1 0.25 \u00b7 m 0.43", "0000 \u00b7 \u03b1 1 \u00b7 m 0.43"]


def seen(browser: Any, text: str) -> str:
    """What the page shows once it shows this."""
    deadline = time.monotonic() + 60
    while text not in (shown := str(browser.execute_script("return document.body.innerText"))):
        assert time.monotonic() < deadline, shown
        time.sleep(0.3)
    return shown


def test_a_view_has_the_settings_that_vary_and_the_objective(home: Home) -> None:
    (study,) = runs(home.root, names.KIND_STUDY, study="newest")
    view = view_of(study, runs(home.root, names.KIND_TRIAL, study="newest"))
    assert view["selectedColumns"] == [
        "metrics.`val.accuracy`",
        "metrics.`test.accuracy`",
        "params.`loss.alpha`",
        f"tags.`{names.OUTCOME}`",
    ]
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`val.accuracy`", False)
    kinds = [(chart["type"], chart["displayName"]) for chart in view["compareRunCharts"]]
    assert ("PARALLEL", "val.accuracy by settings") in kinds
    assert ("SCATTER", "val.accuracy by loss.alpha") in kinds


def test_another_study_is_shown_by_its_name(home: Home) -> None:
    assert (
        address_of_runs(home.store_uri, "earlier") != address_of_runs(home.store_uri) == address_of_runs(home.store_uri, "newest")
    )


def test_a_trial_is_found_by_the_number_in_its_run_name(home: Home) -> None:
    short, whole = (find_trial(home.store_uri, f"newest/{trial}") for trial in ("0001", "sweep-0001"))
    assert short == whole
    assert short.trial_id == "sweep-0001"


def test_the_study_run_has_its_winner_and_counts_of_trials(home: Home) -> None:
    (study,) = runs(home.root, names.KIND_STUDY, study="newest")
    assert study.data.metrics == {
        "winner.val.accuracy": 0.7,
        "winner.test.accuracy": 0.5,
        "trials.finished": 3,
        "trials.stopped": 0,
        "trials.failed": 0,
        "trials.left": 0,
    }
