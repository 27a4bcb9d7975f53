"""Times stand in UTC on pages, and a script shows them by the reader's clock."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from selenium import webdriver

from webui.jobs import Jobs, Kind, State

pytestmark = pytest.mark.browser


@pytest.fixture
def in_tokyo(browser: webdriver.Chrome) -> webdriver.Chrome:
    """The browser of somebody whose clock is nine hours ahead of UTC."""
    browser.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Tokyo"})
    return browser


@pytest.mark.parametrize("scripts", [True, False])
def test_a_time_is_the_readers_own(
    in_tokyo: webdriver.Chrome, page: Any, serve: Any, app: Flask, jobs: Jobs, change: Callable[..., Any], scripts: bool
) -> None:
    job = jobs.enqueue(Kind.TRAIN, "pets", {})
    change(job, state=State.STOPPED, finished=datetime(2026, 3, 31, 20, 5, tzinfo=UTC))
    in_tokyo.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
    in_tokyo.get(f"{serve(app)}/jobs")
    page.shown(".when", "1 Apr 2026, 05:05" if scripts else "31 Mar 2026, 20:05 UTC")
