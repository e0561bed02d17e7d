"""Fabricated trials and records."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from analysis.report.page import write_report
from study import names
from support.fabricated_trials import FakeRecords, FakeTrials
from support.offline_browser import offline_browser


@pytest.fixture
def fakes() -> FakeTrials:
    return FakeTrials()


@pytest.fixture
def records(tmp_path: Path) -> FakeRecords:
    return FakeRecords(tmp_path)


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> FakeRecords:
    """A study of all kinds of trials, on a synthetic corpus; read only. In every subset validation and test disagree."""
    records = FakeRecords(tmp_path_factory.mktemp("quickstart"))
    study = records.study("quickstart", corpus="synthetic corpus, small, seed 0", synthetic=True)
    for subset in ("all", "noisy", "noisy_small", "clean"):
        records.trial(study, alpha=1.0, val=0.5, correct=50, data__subset=subset)
        records.trial(study, alpha=0.5, val=0.6, correct=60, data__subset=subset)
        records.trial(study, alpha=0.3, val=0.55, correct=90, data__subset=subset)
    for temperature in (0.1, 0.2, 0.5):
        ssl = {"mode": "self-supervised", "sweep": "temperatures", "loss__temperature": temperature}
        records.trial(study, alpha=1.0, val=0.6, correct=55, **ssl)
        records.trial(study, alpha=0.3, val=0.62, correct=58, **ssl)
    ssl = {"mode": "self-supervised", "sweep": "search-ssl"}
    records.trial(study, alpha=0.41, val=0.5, outcome=names.STOPPED, loss__temperature=0.07, loss__margin=0.9, **ssl)
    records.trial(study, alpha=0.42, val=0.5, outcome=names.FAILED, loss__temperature=0.6, loss__margin=0.2, **ssl)
    return records


@pytest.fixture(scope="module")
def browser(quickstart: FakeRecords, tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """The report of `quickstart`, opened without a network."""
    page = write_report(quickstart.uri, ["quickstart"], tmp_path_factory.mktemp("report"))
    with offline_browser(page, tmp_path_factory.mktemp("profile")) as driver:
        yield driver
