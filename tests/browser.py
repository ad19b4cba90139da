"""A headless Chromium that opens reports, driven by Selenium through the driver of the same Debian release."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

READY_SECONDS = 60


def missing() -> str | None:
    """Why there is no browser here, or None where there is one."""
    names = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(names)} not found: apt-get install chromium chromium-driver" if names else None


class Browser:
    """One window."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, page: Path, *, width: int = 1280, height: int = 900) -> None:
        """Open a report and wait until it has drawn itself. Raises TimeoutError with what the console says."""
        # A window has a least width, a page shown on a device has not.
        device = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
        self.driver.get(page.resolve().as_uri())
        self.wait_for("document.documentElement.dataset.ready === 'true'")
        self.wait_for_frame()

    def wait_for(self, condition: str) -> None:
        """Wait until a JavaScript expression is true."""
        deadline = time.monotonic() + READY_SECONDS
        while not self.run(f"return Boolean({condition})"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{condition} did not come true; console: {self.errors()}")
            time.sleep(0.02)

    def wait_for_frame(self) -> None:
        """Wait until what was changed is drawn."""
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))"
        )

    def run(self, script: str, *arguments: object) -> Any:
        """Run JavaScript and return what it returns."""
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> WebElement:
        """The first element of a CSS selector."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def click(self, selector: str) -> None:
        """Click on the first element of a CSS selector, away from what stays in sight at the top."""
        element = self.find(selector)
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()
        self.wait_for_frame()

    def thumb(self, preset: str, score: str) -> WebElement:
        """What drags a threshold."""
        return self.find(f'[role="slider"][data-preset="{preset}"][data-score="{score}"]')

    def drag(self, preset: str, score: str, pixels: int) -> None:
        """Drag a threshold sideways with the mouse."""
        thumb = self.thumb(preset, score)
        self.run("arguments[0].scrollIntoView({block: 'center'})", thumb)
        mouse = ActionChains(self.driver, duration=20).click_and_hold(thumb)
        for step in (pixels // 2, pixels - pixels // 2):
            mouse.move_by_offset(step, 0)
        mouse.release().perform()
        self.wait_for_frame()

    def press(self, element: WebElement, *keys: str) -> None:
        """Focus an element, select what is in it, and press keys."""
        self.run("arguments[0].focus(); arguments[0].select?.()", element)
        ActionChains(self.driver).send_keys(*keys).perform()
        self.wait_for_frame()

    def count(self, what: str) -> int:
        """A count that the page shows."""
        return int(self.find(f'[data-count="{what}"]').text.replace(",", ""))

    def errors(self) -> list[str]:
        """What the console has said since it was last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser that ends with the context."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    arguments = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium's own refuses to work for root, as in containers
    for argument in arguments:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
