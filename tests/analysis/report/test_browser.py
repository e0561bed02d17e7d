"""The report in a real browser: its controls, and sections that are drawn, fit the page and are safe."""

import base64
import re

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from analysis.report.page import write_report
from study import names
from support.fabricated_trials import FIGURES
from support.offline_browser import needs_chromium

pytestmark = [pytest.mark.browser, needs_chromium]


def draw_all(browser):
    """Open all details and scroll through the page, as a figure is drawn when it comes near the window."""
    browser.execute_script("for (const fold of document.querySelectorAll('details')) fold.open = true")
    for figure in browser.find_elements(By.CSS_SELECTOR, ".plotly-graph-div"):
        browser.execute_script("arguments[0].scrollIntoView()", figure)
        WebDriverWait(browser, 20).until(lambda page, own=figure: own.find_elements(By.CSS_SELECTOR, "svg.main-svg"))


def severe(browser):
    return [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def test_only_what_is_in_view_is_drawn_at_first(browser):
    script = "return [...document.querySelectorAll('.js-plotly-plot')].map((figure) => figure.id)"
    assert set(browser.execute_script(script)) < {f"figure-{name}" for name in FIGURES}
    assert browser.execute_script(script)[0] == "figure-forest"


def test_the_first_screen_has_question_answer_and_plot(browser):
    for width, height in ((1366, 768), (390, 844)):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.refresh()
        for shown in ("h1", ".answer", "#figure-forest .main-svg"):
            place = browser.find_element(By.CSS_SELECTOR, shown).rect
            assert place["y"] < height
            assert place["x"] + place["width"] <= width
        assert browser.execute_script("return document.querySelector('#forest figure').scrollWidth") <= width
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.refresh()
    assert browser.execute_script("return document.documentElement.scrollHeight") <= 8000  # folded


def test_every_figure_is_drawn_and_the_console_is_silent(browser):
    draw_all(browser)
    figures = browser.find_elements(By.CSS_SELECTOR, ".plotly-graph-div")
    assert [figure.get_attribute("id") for figure in figures] == [f"figure-{name}" for name in FIGURES]
    for figure in figures:
        assert figure.size["height"] > 200
        assert figure.find_elements(By.CSS_SELECTOR, "svg.main-svg g.trace path, svg.main-svg .heatmaplayer image")
    assert severe(browser) == []


def test_nothing_is_fetched(browser):
    fetched = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [address for address in fetched if not address.startswith("data:")] == []


def test_the_page_does_not_scroll_sideways(browser):
    for width in (1366, 390):
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        for fold in browser.find_elements(By.CSS_SELECTOR, "details"):
            browser.execute_script("arguments[0].open = true", fold)
        assert browser.execute_script("return innerWidth") == width  # a phone would zoom out to show what sticks out
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        if width == 390:  # tables and figures scroll inside their box
            box = browser.find_element(By.CSS_SELECTOR, "#table1 .scroll")
            assert box.get_property("scrollWidth") > box.get_property("clientWidth")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def column(browser, section, number):
    cells = browser.find_elements(By.CSS_SELECTOR, f"#{section} tbody td:nth-child({number})")
    return [cell.get_attribute("textContent") for cell in cells]


def test_tables_are_sorted_by_numbers_with_mouse_and_keyboard(browser):
    browser.execute_script("document.querySelector('#search .table').open = true")
    browser.execute_script("document.querySelector('#search table').scrollIntoView({block: 'center'})")
    heading = browser.find_element(By.CSS_SELECTOR, "#search th:nth-child(8)")  # temperature, which the supervised lack
    heading.find_element(By.TAG_NAME, "button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    rising = ["0.07", "0.1", "0.1", "0.2", "0.2", "0.5", "0.5", "0.6"]
    assert column(browser, "search", 8) == rising + ["–"] * 12
    heading.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert heading.get_attribute("aria-sort") == "descending"
    assert column(browser, "search", 8) == rising[::-1] + ["–"] * 12
    other = browser.find_element(By.CSS_SELECTOR, "#search th:nth-child(2)")
    other.find_element(By.TAG_NAME, "button").send_keys(Keys.SPACE)
    assert (heading.get_attribute("aria-sort"), other.get_attribute("aria-sort")) == ("none", "ascending")
    assert column(browser, "search", 2) == sorted(column(browser, "search", 2))


def test_a_number_is_not_sorted_as_text(browser):
    values = ["9", "10", "–", "-3"]
    browser.execute_script("document.querySelector('#counts').open = true")
    script = """
        const body = document.querySelector('#counts tbody'), row = body.rows[0];
        body.replaceChildren(...arguments[0].map((value) => {
            const copy = row.cloneNode(true), cell = copy.cells[2];
            cell.textContent = value;
            if (value === "–") cell.removeAttribute("data-sort"); else cell.dataset.sort = value;
            return copy;
        }));
        document.querySelector('#counts th:nth-child(3) button').click();"""
    browser.execute_script(script, values)
    assert column(browser, "counts", 3) == ["-3", "9", "10", "–"]
    browser.refresh()


def test_contents_and_the_skip_link_work_by_keyboard(browser):
    browser.execute_script("document.activeElement.blur()")
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert browser.switch_to.active_element.get_attribute("class") == "skip"
    link = browser.find_element(By.CSS_SELECTOR, "nav a[href='#training']")
    link.send_keys(Keys.ENTER)
    assert browser.current_url.endswith("#training")
    assert 0 <= browser.execute_script("return document.querySelector('#training').getBoundingClientRect().top") < 200
    assert link.rect["y"] - browser.execute_script("return scrollY") < 50  # the bar stays in view
    WebDriverWait(browser, 5).until(lambda page: link.get_attribute("aria-current"))


def test_a_link_to_a_detail_opens_it(browser):
    assert browser.find_element(By.ID, "checklist").get_attribute("open") is None
    browser.execute_script("location.hash = 'checklist'")
    WebDriverWait(browser, 5).until(lambda page: page.find_element(By.ID, "checklist").get_attribute("open"))
    unfold = browser.find_element(By.ID, "unfold")
    unfold.click()
    assert not browser.find_elements(By.CSS_SELECTOR, "details.more:not([open])")
    unfold.click()
    assert not browser.find_elements(By.CSS_SELECTOR, "details.more[open]")


def test_the_page_follows_the_systems_theme_and_keeps_a_choice(browser):
    def background(place):
        return browser.execute_script("return getComputedStyle(document.querySelector(arguments[0])).backgroundColor", place)

    media = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.refresh()
    draw_all(browser)
    dark = (background("body"), background("#figure-fig2 .main-svg"))
    assert dark == ("rgb(22, 25, 29)", "rgb(22, 25, 29)")
    assert browser.execute_script(CONTRAST) == []
    browser.find_element(By.ID, "theme").click()
    light = (background("body"), background("#figure-fig2 .main-svg"))
    assert light == ("rgb(255, 255, 255)", "rgb(255, 255, 255)")
    browser.refresh()
    draw_all(browser)
    assert (background("body"), background("#figure-fig2 .main-svg")) == light
    assert browser.execute_script(CONTRAST) == []
    browser.execute_script("localStorage.clear()")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    browser.refresh()


CONTRAST = """
    const light = (colour) => {
        const [r, g, b] = colour.match(/[\\d.]+/g).map((value) => value / 255)
            .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
    };
    const behind = (element) => {
        const colour = getComputedStyle(element).backgroundColor;
        return /, 0\\)$/.test(colour) && element.parentElement ? behind(element.parentElement) : colour;
    };
    return [...document.querySelectorAll("p, a, button, td, dt, dd, h1, h2, summary, strong, span")]
        .filter((element) => element.innerText && element.innerText.trim() && !element.closest(".plotly-graph-div"))
        .map((element) => [light(getComputedStyle(element).color), light(behind(element)), element.outerHTML.slice(0, 80)])
        .filter(([first, second]) => Math.max(first, second) / Math.min(first, second) < 4.5);"""


def test_it_prints_light_on_few_pages_what_is_open(browser):
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    assert 3 <= len(re.findall(rb"/Type\s*/Page[^s]", pdf)) <= 10
    browser.execute_script("document.querySelector('#plane').open = true")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    shown = [name for name in FIGURES if browser.find_element(By.ID, f"figure-{name}").is_displayed()]
    assert shown == ["forest", "fig2", "fig3", "plane", "search", "curves"]
    assert all(browser.find_elements(By.CSS_SELECTOR, f"#figure-{name} .main-svg") for name in shown)
    assert not browser.find_element(By.ID, "theme").is_displayed()
    browser.execute_script("dispatchEvent(new Event('afterprint'))")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_the_data_of_a_figure_come_out_of_the_page(browser):
    draw_all(browser)
    link = browser.find_element(By.CSS_SELECTOR, "#fig2 .download a")
    assert link.get_attribute("download") == "fig2.csv"
    text = base64.b64decode(link.get_attribute("href").partition("base64,")[2]).decode()
    assert text.startswith("mode,class,clips,baseline_accuracy")
    buttons = browser.find_elements(By.CSS_SELECTOR, "#figure-fig2 .modebar-btn")
    titles = [button.get_attribute("data-title") for button in buttons]
    assert "Download plot as a PNG" in titles
    assert not [title for title in titles if "hare" in title]  # plotly.js would send the chart to its maker's server


def test_the_sections_that_the_paper_lacks_are_drawn_and_fit(browser, records, tmp_path):
    study = records.study("mine")
    for seed in range(5):
        records.trial(study, alpha=1.0, seed=seed, correct=50 + seed)
    for mode in ("supervised", "self-supervised"):
        for margin in (0.1, 0.5, 0.9):
            records.trial(study, alpha=0.7, mode=mode, loss__margin=margin)
    first = browser.current_url
    browser.get(write_report(records.uri, ["mine"], tmp_path / "report").as_uri())
    draw_all(browser)
    for name, points in (("margin", 6), ("null", 5)):
        figure = browser.find_element(By.ID, f"figure-{name}")
        assert len(figure.find_elements(By.CSS_SELECTOR, "g.trace g.errorbar")) == points
        assert len(figure.find_elements(By.CSS_SELECTOR, "g.trace path.point")) > points  # and the rings
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert severe(browser) == []
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
    draw_all(browser)
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
    assert severe(browser) == []
    browser.get(first)


def test_evaluations_of_fine_tuned_encoders_are_drawn_and_fit(browser, records, tmp_path):
    study = records.study("mine")
    others = {"finetune_noisy": 55, "finetune_clean": 70, "knn": 40}
    for alpha in (1.0, 0.6, 0.3):
        records.trial(study, alpha=alpha, mode="self-supervised", others=others)
    first = browser.current_url
    browser.get(write_report(records.uri, ["mine"], tmp_path / "report").as_uri())
    draw_all(browser)
    figure = browser.find_element(By.ID, "figure-evaluations")
    assert len(figure.find_elements(By.CSS_SELECTOR, "g.trace g.errorbar")) == 4 * 3
    assert len(figure.find_elements(By.CSS_SELECTOR, "g.trace path.point")) == (4 + 3) * 3  # kNN is not published
    assert len(figure.find_elements(By.CSS_SELECTOR, ".legend .traces")) == 4 + 3
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert severe(browser) == []
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
    draw_all(browser)
    assert browser.execute_script("return window.hit") is None
    assert browser.find_elements(By.CSS_SELECTOR, "img, iframe, a[href^='javascript'], [onerror]") == []
    labels = [label.text for label in browser.find_elements(By.CSS_SELECTOR, "#figure-fig2 .ytick text")]
    assert "<img src=x onerror=window.hit=1> (25)" in labels
    assert attacks[0] in browser.find_element(By.CSS_SELECTOR, "#failed tbody").text
    assert severe(browser) == []
    browser.get(first)
