"""The report in a real browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from analysis.report import write_report
from study import record_names as names

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1000",
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed"),
]


@pytest.fixture(scope="module")
def browser(quickstart, tmp_path_factory) -> Iterator[webdriver.Chrome]:
    page = write_report(quickstart.uri, ["quickstart"], tmp_path_factory.mktemp("report"))
    profile: Path = tmp_path_factory.mktemp("profile")
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service(str(DRIVER)))
    driver.set_page_load_timeout(60)
    driver.get(page.as_uri())
    yield driver
    driver.quit()


def test_every_figure_is_drawn_and_the_console_is_silent(browser):
    figures = browser.find_elements(By.CSS_SELECTOR, ".plotly-graph-div")
    assert [figure.get_attribute("id") for figure in figures] == [
        f"figure-{name}" for name in ("fig2", "fig3", "alpha", "plane", "confusion", "parallel", "search", "curves", "stopped")
    ]
    for figure in figures:
        assert figure.size["height"] > 250
        assert figure.find_elements(By.CSS_SELECTOR, "svg.main-svg g.trace path, svg.main-svg .heatmaplayer image")
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def test_the_sections_that_the_paper_lacks_are_drawn_and_fit(browser, records, tmp_path):
    study = records.study("mine")
    for seed in range(5):
        records.trial(study, alpha=1.0, seed=seed, correct=50 + seed)
    for mode in ("supervised", "self-supervised"):
        for margin in (0.1, 0.5, 0.9):
            records.trial(study, alpha=0.7, mode=mode, loss__margin=margin)
    first = browser.current_url
    browser.get(write_report(records.uri, ["mine"], tmp_path / "report").as_uri())
    for name, points in (("margin", 6), ("null", 5)):
        figure = browser.find_element(By.ID, f"figure-{name}")
        assert len(figure.find_elements(By.CSS_SELECTOR, "g.trace g.errorbar")) == points
        assert len(figure.find_elements(By.CSS_SELECTOR, "g.trace path.point")) > points  # and the rings
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    browser.get(first)


def test_what_a_search_says_is_drawn_and_fits(browser, records, tmp_path):
    study = records.study("mine")
    for trial in range(18):
        outcome = names.STOPPED if trial % 3 == 2 else names.FINISHED
        search = {"sweep": "search", "loss__margin": 0.1 + trial / 20, "loss__temperature": 0.1 + trial % 5 / 10}
        records.trial(
            study, alpha=trial / 20, val=0.4 + trial % 7 / 50, mode="self-supervised", epochs=6, outcome=outcome, **search
        )
    for alpha in (0.2, 0.6, 1.0):
        for margin in (0.5, 0.9):
            records.trial(study, alpha=alpha, val=0.4 + alpha / 10, loss__margin=margin)
    first = browser.current_url
    browser.get(write_report(records.uri, ["mine"], tmp_path / "report").as_uri())
    drawn = {
        "maps": "path.point",
        "parallel": "path.js-line",
        "stopped": "path.point",
        "early": "path.point",
        "plane": "path.point",
    }
    for name, marks in drawn.items():
        assert len(browser.find_elements(By.CSS_SELECTOR, f"#figure-{name} {marks}")) >= 6, name
    assert len(browser.find_elements(By.CSS_SELECTOR, "#figure-maps .heatmaplayer image")) == 1
    assert len(browser.find_elements(By.CSS_SELECTOR, "#figure-stopped path.point")) == 18
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    browser.get(first)


def test_the_evaluations_of_fine_tuned_encoders_are_drawn_and_fit(browser, records, tmp_path):
    study = records.study("mine")
    others = {"finetune_noisy": 55, "finetune_clean": 70, "knn": 40}
    for alpha in (1.0, 0.6, 0.3):
        records.trial(study, alpha=alpha, mode="self-supervised", others=others)
    first = browser.current_url
    browser.get(write_report(records.uri, ["mine"], tmp_path / "report").as_uri())
    figure = browser.find_element(By.ID, "figure-evaluations")
    assert len(figure.find_elements(By.CSS_SELECTOR, "g.trace g.errorbar")) == 4 * 3
    assert len(figure.find_elements(By.CSS_SELECTOR, "g.trace path.point")) == (4 + 3) * 3  # kNN is not published
    assert len(figure.find_elements(By.CSS_SELECTOR, ".legend .traces")) == 4 + 3
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    browser.get(first)


def test_nothing_is_fetched(browser):
    fetched = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [address for address in fetched if not address.startswith("data:")] == []


def test_the_page_does_not_scroll_sideways(browser):
    for width in (1400, 1000):
        browser.set_window_size(width, 1000)
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
