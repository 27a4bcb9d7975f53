"""How values are shown to people."""

from datetime import UTC, datetime

from flask import Flask
from markupsafe import Markup

from tellapart.backbones import BACKBONES
from tellapart.none_of_these import ALWAYS_ANSWERS
from tellapart.wording import confidence, counted, on_one_line, percent, sentence
from webui.jobs import State
from webui.words import STATE_WORDS

_TIME = Markup('<time datetime="{}">{}</time>')


def day(text: str) -> str:
    """An ISO 8601 time as a date, "21 November 2026"; anything else as it is."""
    moment = _parse(text)
    return _TIME.format(moment.date().isoformat(), f"{moment.day} {moment:%B %Y}") if moment else text


def minute(text: str) -> str:
    """An ISO 8601 time as "21 Nov 2026, 10:47 UTC", which a script shows by the reader's clock; else as it is."""
    moment = _parse(text)
    return _TIME.format(moment.isoformat(), f"{moment.day} {moment:%b %Y, %H:%M} UTC") if moment else text


def milliseconds(value: float) -> str:
    """A duration: "41 ms", "1.2 s"."""
    return f"{value / 1000:.1f} s" if value >= 1000 else f"{value:.0f} ms"


def backbone_title(name: str) -> str:
    """A backbone's name as people write it."""
    return BACKBONES[name].title if name in BACKBONES else name


def state_words(state: str) -> str:
    """Where a job is, in a word."""
    return STATE_WORDS[State(state)]


def pictures(number: int) -> str:
    """How many pictures: "1 picture", "12 pictures"."""
    return counted(number, "picture")


def register(app: Flask) -> None:
    """Make them template filters, and what is said alike everywhere a name in templates."""
    app.jinja_env.globals["always_answers"] = ALWAYS_ANSWERS
    for filter_ in (day, minute, milliseconds, backbone_title, state_words, pictures, sentence):
        app.add_template_filter(filter_)
    for share in (percent, confidence):
        app.add_template_filter(on_one_line(share), share.__name__)


def _parse(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
