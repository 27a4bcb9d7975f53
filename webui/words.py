"""What jobs and their stages are called on pages and in mails; the one place for these words."""

from collections.abc import Mapping
from typing import Any

from tellapart.wording import counted, sentence
from webui.jobs import Kind, State

KIND_WORDS = {
    Kind.CREATE: "Making a classifier:",
    Kind.TRAIN: "Training again:",
    Kind.SAMPLE: "Looking for pictures",
}
STATE_WORDS = {
    State.QUEUED: "Waiting",
    State.RUNNING: "Working",
    State.STOPPING: "Stopping",
    State.STOPPED: "Stopped",
    State.DONE: "Done",
    State.FAILED: "Failed",
}
COLLECT = "collect "
_STAGE_WORDS = {
    "read pictures": "Reading the pictures",
    "quality": "Looking for blurred, dark and odd ones",
    "curate": "Sorting out duplicates",
    "start": "Getting ready",
    "backbone": "The network",
    "features": "Looking at every picture",
    "suspects": "Looking for pictures in the wrong class",
    "check": "Pictures to look at",
    "train": "Training",
    "search": "Trying out how to learn",
    "decode": "Making the pictures ready",
    "decode validation": "Making the held-back pictures ready",
    "fine-tune": "Learning from the pictures",
    "head": "Learning to tell the classes apart",
    "evidence": "Measuring how far it can be trusted",
    "report": "Writing the report",
}
CURVE_WORDS = {
    "train_loss": "Error on the pictures it learns from",
    "val_loss": "Error on pictures held back",
    "val_accuracy": "Share of held-back pictures answered rightly",
}
_NOT_SHOWN = {"log"}
_COUNTED = {"pictures", "files", "trials"}
PHASES = ("Collect pictures", "Check them", "Learn", "Measure and publish")
_PHASE_OF = {
    "read pictures": 1, "curate": 1, "start": 1, "features": 1, "quality": 1, "suspects": 1, "check": 1,
    "evidence": 3, "report": 3,
}  # fmt: skip


def stage_words(stage: str) -> str:
    """A stage's name for people."""
    if stage.startswith(COLLECT):
        return f"Collecting {stage.removeprefix(COLLECT)}"
    if stage.startswith("problem "):
        return "A source had trouble"
    if stage.startswith("features, "):  # of another view of each picture
        return "Looking at every picture once more"
    return _STAGE_WORDS.get(stage, sentence(stage))


def note_words(note: str) -> str:
    """What a stage says about itself, without what is to be typed in a terminal; "" for nothing."""
    return note.partition("; to ")[0]


def is_shown(stage: str) -> bool:
    """Whether a stage is for people who look at the page."""
    return stage not in _NOT_SHOWN


def phase_of(stage: str) -> int:
    """Index in `PHASES` of the phase a stage belongs to."""
    if stage.startswith((COLLECT, "problem ")):
        return 0
    return _PHASE_OF.get(stage, 2)


def duration_words(seconds: float) -> str:
    """A duration as people say it: "a few seconds", "about 3 minutes"."""
    if seconds < 10:
        return "a few seconds"
    if seconds < 50:
        return f"about {round(seconds / 10) * 10} seconds"
    minutes = round(seconds / 60) or 1
    if minutes < 60:
        return "about a minute" if minutes == 1 else f"about {minutes} minutes"
    hours = round(minutes / 60)
    return "about an hour" if hours == 1 else f"about {hours} hours"


def count_words(stage: Mapping[str, Any]) -> str:
    """What a stage has counted: "12 of 40 pictures"; "" where it has counted nothing that people know."""
    done, total, unit = stage["done"], stage["total"], stage["unit"]
    if unit not in _COUNTED:
        return ""
    if total and not (stage["finished"] and done < total):
        return f"{min(done, total)} of {counted(total, unit.removesuffix('s'), unit)}"
    return counted(done, unit.removesuffix("s"), unit) if done else ""
