"""Pictures of the README: the quickstart's report in a browser. `make pictures` takes them anew."""

import subprocess
import sys
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

DOCS = Path(__file__).parent
HOME = DOCS.parent / "build" / "pictures"
FIRST_SCREEN = (1180, 800)  # px
ADD_STYLE = "document.head.append(Object.assign(document.createElement('style'), {textContent: arguments[0]}))"
HIDDEN = ".modebar { display: none !important; }"  # which a browser without a pointer always shows
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars")


def main() -> None:
    """Run the quickstart unless it is there, and write `report.png` and `published-gains.png`."""
    subprocess.run([Path(sys.executable).with_name("acl-study"), "quickstart", "--home", HOME], check=True)
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in FLAGS:
        options.add_argument(flag)
    browser = webdriver.Chrome(options, Service("/usr/bin/chromedriver"))
    try:
        width, height = FIRST_SCREEN
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get((HOME / "reports" / "quickstart" / "index.html").as_uri())
        browser.execute_script(ADD_STYLE, HIDDEN)
        time.sleep(2)  # until the plot is drawn
        browser.save_screenshot(str(DOCS / "report.png"))
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics | {"height": 2 * height})  # which the plot fits
        browser.execute_script("location.hash = 'published'")
        time.sleep(2)
        browser.find_element(By.ID, "figure-published").screenshot(str(DOCS / "published-gains.png"))
    finally:
        browser.quit()


if __name__ == "__main__":
    main()
