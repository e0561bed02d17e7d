"""Sections of studies beyond the quickstart in a real browser: drawn, as wide as the page, and safe."""

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from analysis.report.report import write_report
from study import names
from support.offline_browser import needs_chromium

pytestmark = [pytest.mark.browser, needs_chromium]


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
        selector = f"#figure-{name} {marks}"
        WebDriverWait(browser, 20).until(lambda page, wanted=selector: len(page.find_elements(By.CSS_SELECTOR, wanted)) >= 6, name)
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


def test_hostile_names_are_text(browser, records, tmp_path):
    attacks = [
        "</script><script>window.hit=1</script>",
        "<img src=x onerror=window.hit=1>",
        "<a href='javascript:window.hit=1'>x</a>",
    ]
    study = records.study(attacks[0], corpus=attacks[1], question=attacks[2], synthetic=True)
    for alpha in (1.0, 0.5):
        records.trial(study, alpha=alpha, sweep=attacks[1], classes=(*attacks, "&amp;"), data__root=attacks[0])
    failed = records.trial(study, alpha=0.3, sweep=attacks[2], outcome=names.FAILED)
    records.client.set_tag(failed, names.REASON, attacks[0])
    first = browser.current_url
    browser.get(write_report(records.uri, [attacks[0]], tmp_path / "report").as_uri())
    assert browser.execute_script("return window.hit") is None
    assert browser.find_elements(By.CSS_SELECTOR, "img, iframe, a[href^='javascript'], [onerror]") == []
    labels = [label.text for label in browser.find_elements(By.CSS_SELECTOR, "#figure-fig2 .ytick text")]
    assert "<img src=x onerror=window.hit=1> (25)" in labels
    assert attacks[0] in browser.find_element(By.CSS_SELECTOR, "#failed tbody").text
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    browser.get(first)
