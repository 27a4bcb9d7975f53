"""A headless Chromium for sources that show their pictures to browsers only; the one module that imports Selenium.

    with open_browser(settings) as browser:
        browser.visit(address)
        if browser.shown([("tiles", page.tiles), ("nothing", page.nothing)]) == "tiles":
            tiles, mark = browser.read(page)
            while browser.bring_more(page, mark):
                tiles, mark = browser.read(page)

Nothing here holds on to an element of the page: each step is one script that looks for what it needs, so
that a page that rebuilds itself meanwhile is read as it is. Chromium says what it is, headless and driven.
It stores no file that a page hands it, and gets out by a proxy of its own (scraping/proxy.py) alone.

Chromium and its driver end with the block, whatever ends it, and also when this process is killed: the
driver gets the signal of its parent's death, and Chromium ends with the pipe to its driver.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import (
    InvalidElementStateException,
    InvalidSelectorException,
    JavascriptException,
    TimeoutException,
    WebDriverException,
)
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.options import BaseOptions
from selenium.webdriver.support.wait import WebDriverWait

from scraping.page_scripts import LINK, PRESS, READ, REVEAL, SHOWN, STATUS, STEP, TOOLS
from scraping.proxy import Proxy
from scraping.selectors import Page
from scraping.source import LayoutChanged, Unavailable
from tellapart.addresses import Network
from tellapart.settings import Settings
from tellapart.stopping import end_with_parent

Tile = dict[str, str]

_FLAGS = (
    "--headless=new",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",
    "--window-size=1280,2000",
    "--blink-settings=imagesEnabled=false",
)
_INSTALL = "Install the browser and its driver: apt-get install chromium chromium-driver"
_PATIENCE = 10.0
_PAGE_LOAD = 30.0
_SCRIPT = 5.0
_POLL = 0.03
_PROFILE = "tellapart-chromium-"
_PREFERENCES = {
    "download_restrictions": 3,  # none
    "webrtc.ip_handling_policy": "disable_non_proxied_udp",
}


class Browser:
    """What sources do with a page: visit it, see what it shows, read its tiles, make it show more.

    Raises (every method):
        Unavailable: the browser failed.
        LayoutChanged: a selector is none.
    """

    def __init__(self, driver: webdriver.Chrome, patience: float = _PATIENCE) -> None:
        """Drive `driver`, waiting `patience` seconds at most for what a page is to show."""
        self.driver = driver
        self._patience = patience

    def visit(self, address: str) -> None:
        """Open a page.

        Raises:
            Unavailable: it does not open.
        """
        with _told_by_selenium():
            self.driver.get(address)

    def address(self) -> str:
        """Where the browser is now, sent on by the site or led away by the page's own script."""
        with _told_by_selenium():
            return str(self.driver.current_url)

    def status(self) -> int:
        """The HTTP status the page came with; 0 for the browser's own page that says what went wrong."""
        return int(self._run(STATUS))

    def shown(self, choices: Sequence[tuple[str, str]], wait: bool = True) -> str:
        """The name of the first of some (name, selector) that matches something visible; "" for none in time."""
        found = ""

        def look() -> bool:
            nonlocal found
            found = str(self._run(SHOWN, choices))
            return bool(found) or not wait

        self._until(look)
        return found

    def press(self, selector: str) -> bool:
        """Press the first visible element that matches and wait until none does; False where it stays."""
        return bool(self._run(PRESS, selector)) and self._until(lambda: not self.shown([("it", selector)], wait=False))

    def read(self, page: Page) -> tuple[list[Tile], int]:
        """The tiles that have a picture's address, in one step, and a mark that changes when they do.

        Each tile also has the address that its relative ones start from, as `base`.
        """
        if page.press:
            self._run(REVEAL, page.press)
        tiles, mark = self._run(READ, _script_form(page))
        return list(tiles), int(mark)

    def bring_more(self, page: Page, mark: int) -> bool:
        """Press "show more" and scroll until the tiles are others than those with this mark; False if they stay."""
        pressed, state = False, ""

        def step() -> bool:
            nonlocal pressed, state
            pressed = pressed or bool(self._run(PRESS, page.more))
            with _told_by_selenium():
                try:
                    state = str(self.driver.execute_async_script(TOOLS + STEP, _script_form(page), mark))
                except TimeoutException:  # its own script led the page away
                    state = "changed"
            return bool(state)

        self._until(step)
        return state == "changed"

    def link(self, selector: str) -> str:
        """The address that the first match links to; "" for none."""
        return str(self._run(LINK, selector))

    def _run(self, script: str, *arguments: object) -> Any:
        with _told_by_selenium():
            return self.driver.execute_script(TOOLS + script, *arguments)

    def _until(self, condition: Callable[[], bool]) -> bool:
        with _told_by_selenium():
            try:
                return WebDriverWait(self.driver, self._patience, _POLL).until(lambda _: condition())
            except TimeoutException:
                return False


@contextmanager
def open_browser(
    settings: Settings, local: bool = False, network: Network | None = None, patience: float = _PATIENCE
) -> Generator[Browser, None, None]:
    """A headless Chromium with a fresh profile, which connects to public addresses only.

    Args:
        settings: where it is.
        local: whether it may connect to this machine too.
        network: how it looks names up, and what it may connect to.
        patience: seconds to wait at most for what a page is to show.

    Raises:
        Unavailable: the browser or its driver is missing or does not start.
    """
    _require(settings.chromium, "browser")
    _require(settings.chromedriver, "browser driver")
    _try_out(settings.chromium)
    _sweep_profiles()
    with (
        Proxy(network or Network(), local) as proxy,
        tempfile.TemporaryDirectory(prefix=f"{_PROFILE}{os.getpid()}-", ignore_cleanup_errors=True) as profile,
    ):
        driver = _start(settings, _flags(profile, proxy))
        try:
            yield Browser(driver, patience)
        finally:
            with suppress(WebDriverException, OSError):
                driver.quit()


def _start(settings: Settings, flags: Sequence[str]) -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = str(settings.chromium)
    options.page_load_strategy = "eager"
    options.unhandled_prompt_behavior = "dismiss"
    options.add_experimental_option("prefs", _PREFERENCES)
    BaseOptions.ignore_local_proxy_environment_variables(options)  # that of Options itself warns of its age
    options.timeouts = {"pageLoad": int(_PAGE_LOAD * 1000), "script": int(_SCRIPT * 1000)}
    for flag in flags:
        options.add_argument(flag)
    environment = {**os.environ, "SE_OFFLINE": "true"}
    service = Service(
        str(settings.chromedriver),
        env=environment,
        popen_kw={"preexec_fn": end_with_parent, "start_new_session": True},
    )
    try:
        return webdriver.Chrome(options, service)
    except (WebDriverException, OSError) as error:
        service.stop()
        raise Unavailable(f"the browser does not start: {_first_line(error)}", _INSTALL) from error


def _script_form(page: Page) -> dict[str, object]:
    return {"tiles": page.tiles, "fields": dict(page.fields), "end": page.end}


def _flags(profile: str, proxy: Proxy) -> Sequence[str]:
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    way_out = (f"--proxy-server=socks5://127.0.0.1:{proxy.port}", "--proxy-bypass-list=<-loopback>")
    return (*_FLAGS, *way_out, f"--user-data-dir={profile}", *sandbox)


def _require(path: Path, what: str) -> None:
    if not os.access(path, os.X_OK):
        raise Unavailable(f"there is no {what} at {path}", _INSTALL)


def _try_out(chromium: Path) -> None:
    """See that the browser runs at all: its driver waits a whole minute for one that does not."""
    try:
        subprocess.run([chromium, "--version"], check=True, capture_output=True, timeout=_PATIENCE)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"the browser does not start: {_first_line(error)}", _INSTALL) from error


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
    except (JavascriptException, InvalidElementStateException, InvalidSelectorException) as error:
        raise LayoutChanged(f"the page cannot be read: {_first_line(error)}", "Check the selectors") from error
    except (WebDriverException, OSError) as error:
        raise Unavailable(f"the browser failed: {_first_line(error)}", "Run the same command again") from error
    except Exception as error:  # urllib3's own, when the driver is gone
        if type(error).__module__.startswith("urllib3"):
            raise Unavailable("the browser has gone away", "Run the same command again") from error
        raise


def _first_line(error: BaseException) -> str:
    text = getattr(error, "msg", None) or str(error)
    return (text.strip().splitlines() or [type(error).__name__])[0]
