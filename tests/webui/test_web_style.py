"""The colours can be told apart by everyone (WCAG 2.2, level AA), in light and dark."""

import re
from pathlib import Path

import pytest

import webui

CSS = (Path(webui.__file__).parent / "static" / "app.css").read_text()
LIGHT, DARK = (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6})\b", block)) for block in CSS.split(":root {")[1:3])
TEXT = [
    ("ink", "paper"),
    ("ink", "surface"),
    ("ink", "code"),
    ("ink", "tint"),
    ("ink", "warm-tint"),
    ("quiet", "paper"),
    ("quiet", "surface"),
    ("accent", "paper"),
    ("accent", "surface"),
    ("accent", "tint"),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
    ("warm", "surface"),
    ("on-warm", "warm"),
]
SHAPES = [("edge", "surface"), ("edge", "paper"), ("accent", "track"), ("warm", "warm-tint")]


def luminance(colour: str) -> float:
    """Relative luminance, from sRGB (WCAG 2.2, definitions)."""
    digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
    channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_as_defined() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#777", "#fff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_shapes_stand_out(colours: dict[str, str]) -> None:
    for pairs, least in ((TEXT, 4.5), (SHAPES, 3.0)):
        weak = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in pairs}
        assert {pair: value for pair, value in weak.items() if value < least} == {}
