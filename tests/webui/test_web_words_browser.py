"""Scripts write values as the server does."""

from typing import Any

import pytest
from flask import Flask
from selenium import webdriver

from tellapart.wording import confidence

pytestmark = pytest.mark.browser
TIES = [
    0.00250,
    0.0825,
    0.1225,
    0.1275,
    0.3325,
    0.5625,
    0.6275,
]  # exactly between two tenths of a percent, when times 100
SHARES = [
    *TIES,
    0,
    0.0004,
    0.00099,
    0.001,
    0.0011,
    0.0016,
    0.0021,
    0.25,
    0.9871,
    0.998,
    0.9986,
    0.999,
    0.9991,
    0.9996,
    1,
]


def test_a_confidence_is_written_alike(chromium: webdriver.Chrome, serve: Any, app: Flask) -> None:
    chromium.get(f"{serve(app)}/classify")
    written = chromium.execute_script("return arguments[0].map(confidence)", SHARES)
    assert [text.replace("\N{NO-BREAK SPACE}", " ") for text in written] == list(map(confidence, SHARES))
