"""A headless Chromium for sources that show their pictures to browsers only; the one module that imports Selenium.

    with open_browser(settings) as browser:
        browser.open(address)
        for tiles in browser.grow(".tile", {"full": ("", "data-full")}, more="button.more", end="#end"):
            ...

Chromium and its driver end with the block, whatever ends it, and also when this process is killed: the
driver gets the signal of its parent's death, and Chromium ends with the pipe to its driver.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import TimeoutException, WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.wait import WebDriverWait

from scraping.source import LayoutChanged, Unavailable
from tellapart.settings import Settings

Tile = dict[str, str]

_FLAGS = (
    "--headless=new",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
    "--window-size=1280,2000",
    "--blink-settings=imagesEnabled=false",
)
_INSTALL = "Install the browser and its driver: apt-get install chromium chromium-driver"
_PATIENCE = 10.0
_POLL = 0.03
_PROFILE = "tellapart-chromium-"
_PR_SET_PDEATHSIG = 1

_READ_TILES = """
const [selector, fields, start] = arguments;
return Array.from(document.querySelectorAll(selector)).slice(start).map(tile => {
  const found = {};
  for (const [name, [within, attribute]] of Object.entries(fields)) {
    const element = within ? tile.querySelector(within) : tile;
    const value = element && (attribute ? element.getAttribute(attribute) : element.textContent);
    found[name] = (value || "").trim();
  }
  return found;
});
"""
_SCROLL = "window.scrollTo(0, document.documentElement.scrollHeight);"
_CLICK_VISIBLE = """
const button = document.querySelector(arguments[0]);
const visible = button && button.checkVisibility() && !button.disabled;
if (visible) button.click();
return Boolean(visible);
"""


class Browser:
    """What sources do with a page: open it, wait for it, read its tiles, make it show more."""

    def __init__(self, driver: webdriver.Chrome, patience: float = _PATIENCE) -> None:
        self.driver = driver
        self._patience = patience

    def open(self, address: str, ready: str) -> None:
        """Open a page and wait until something matches the selector `ready`.

        Raises:
            Unavailable: the page does not open.
            LayoutChanged: nothing on it matches in time.
        """
        with _told_by_selenium():
            self.driver.get(address)
        if not self._until(lambda: self.has(ready)):
            raise LayoutChanged(f"{address} shows nothing that matches {ready!r}", "Update this program")

    def has(self, selector: str) -> bool:
        """Whether the page has an element that matches."""
        with _told_by_selenium():
            return bool(self.driver.execute_script("return !!document.querySelector(arguments[0])", selector))

    def read(self, tiles: str, fields: Mapping[str, tuple[str, str]], start: int = 0) -> list[Tile]:
        """Read what matches `tiles`, from number `start` on, in one step.

        Args:
            tiles: selector of the elements.
            fields: for each wanted name, a selector within the tile ("" for itself) and an attribute
                ("" for the text).
            start: how many to leave out.
        """
        with _told_by_selenium():
            return list(self.driver.execute_script(_READ_TILES, tiles, dict(fields), start))

    def grow(
        self, tiles: str, fields: Mapping[str, tuple[str, str]], more: str = "", end: str = ""
    ) -> Generator[list[Tile], None, None]:
        """Yield the tiles that are there, then scroll (or press `more`) and yield the new ones, until none come.

        Args:
            tiles, fields: as for `read`.
            more: selector of a "show more" button, "" for none.
            end: selector of what only a page shown to its end has, "" where it has no such thing;
                without it the end is known by nothing new coming for a while.
        """
        count = 0
        while True:
            new = self.read(tiles, fields, count)
            if new:
                count += len(new)
                yield new
            elif (end and self.has(end)) or not self._bring_more(tiles, count, more, end):
                return

    def _bring_more(self, tiles: str, count: int, more: str, end: str) -> bool:
        """Scroll and press until there are more than `count` tiles or the end shows; False if neither happens."""

        def came() -> bool:
            self.driver.execute_script(_SCROLL)
            if more:
                self.driver.execute_script(_CLICK_VISIBLE, more)
            total = self.driver.execute_script("return document.querySelectorAll(arguments[0]).length", tiles)
            return int(total) > count or bool(end and self.has(end))

        return self._until(came)

    def _until(self, condition: Callable[[], bool]) -> bool:
        with _told_by_selenium():
            try:
                return WebDriverWait(self.driver, self._patience, _POLL).until(lambda _: condition())
            except TimeoutException:
                return False


@contextmanager
def open_browser(settings: Settings) -> Generator[Browser, None, None]:
    """A headless Chromium with a fresh profile.

    Raises:
        Unavailable: the browser or its driver is missing or does not start.
    """
    _require(settings.chromium, "browser")
    _require(settings.chromedriver, "browser driver")
    _try_out(settings.chromium)
    _sweep_profiles()
    with tempfile.TemporaryDirectory(prefix=f"{_PROFILE}{os.getpid()}-", ignore_cleanup_errors=True) as profile:
        driver = _start(settings, profile)
        try:
            yield Browser(driver)
        finally:
            with suppress(WebDriverException, OSError):
                driver.quit()


def _start(settings: Settings, profile: str) -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = str(settings.chromium)
    for flag in _flags(profile):
        options.add_argument(flag)
    environment = {**os.environ, "SE_OFFLINE": "true"}
    service = Service(
        str(settings.chromedriver),
        env=environment,
        popen_kw={"preexec_fn": _end_with_parent(), "start_new_session": True},
    )
    try:
        return webdriver.Chrome(options, service)
    except (WebDriverException, OSError) as error:
        service.stop()
        raise Unavailable(f"the browser does not start: {_first_line(error)}", _INSTALL) from error


def _flags(profile: str) -> Sequence[str]:
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    return (*_FLAGS, f"--user-data-dir={profile}", *sandbox)


def _require(path: Path, what: str) -> None:
    if not os.access(path, os.X_OK):
        raise Unavailable(f"there is no {what} at {path}", _INSTALL)


def _try_out(chromium: Path) -> None:
    """See that the browser runs at all: its driver waits a whole minute for one that does not."""
    try:
        subprocess.run([chromium, "--version"], check=True, capture_output=True, timeout=_PATIENCE)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"the browser does not start: {_first_line(error)}", _INSTALL) from error


def _end_with_parent() -> Callable[[], None]:
    """What the driver's process does before it becomes the driver: ask to be ended with the thread that made it."""
    libc = ctypes.CDLL(None)

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return ask


def _sweep_profiles() -> None:
    """Remove the profiles of processes that were killed."""
    for profile in Path(tempfile.gettempdir()).glob(f"{_PROFILE}*"):
        owner = profile.name.removeprefix(_PROFILE).partition("-")[0]
        if owner.isdecimal() and not Path("/proc", owner).exists():
            shutil.rmtree(profile, ignore_errors=True)


@contextmanager
def _told_by_selenium() -> Generator[None, None, None]:
    try:
        yield
    except TimeoutException:
        raise
    except (WebDriverException, OSError) as error:
        raise Unavailable(f"the browser failed: {_first_line(error)}", "Run the same command again") from error
    except Exception as error:  # urllib3's own, when the driver is gone
        if type(error).__module__.startswith("urllib3"):
            raise Unavailable("the browser has gone away", "Run the same command again") from error
        raise


def _first_line(error: BaseException) -> str:
    text = getattr(error, "msg", None) or str(error)
    return (text.strip().splitlines() or [type(error).__name__])[0]
