"""A job as its page shows it: phases with their stages, classes with their newest pictures, curves, time left."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tellapart.dataset import Dataset
from tellapart.errors import SourceError, TellapartError
from tellapart.gallery import known_words
from tellapart.listing import Wanted, page
from tellapart.names import slugify
from tellapart.pictures import REASON_TEXT, Reason
from tellapart.progress import Progress
from tellapart.settings import Settings
from tellapart.wording import counted
from webui.job_command import dataset_folder
from webui.jobs import Job, Kind, State
from webui.words import (
    COLLECT,
    CURVE_WORDS,
    PHASES,
    count_words,
    duration_words,
    is_shown,
    note_words,
    phase_of,
    stage_words,
)

_TAKEN = (Reason.OK, Reason.REMOVED, Reason.MOVED)  # at first
_MOST_CLASSES = 60
_MOST_PICTURES = 240  # thumbnails on a page
_PER_CLASS = 12
_AFTER_COLLECT = 20.0  # seconds that the rest takes beside looking at every picture
_LEARN_RATE = 60.0  # pictures a second, on two cores
_WIDTH, _HEIGHT = 320, 120

Stage = dict[str, Any]


@dataclass(frozen=True)
class StageView:
    """A stage in words; `share` is how far it is from 0 to 1, None where that is not known."""

    title: str
    detail: str
    note: str
    finished: bool
    share: float | None


@dataclass(frozen=True)
class PhaseView:
    """One of the four phases; `state` is "done", "now", "halted" or "waiting"."""

    title: str
    state: str
    stages: list[StageView]


@dataclass(frozen=True)
class ClassView:
    """A class while its pictures are collected; `pictures` are the newest ones' sha256."""

    name: str
    kept: int
    wanted: int
    finished: bool
    pictures: list[str]


@dataclass(frozen=True)
class CurveView:
    """What was measured again and again, as an SVG polyline in a box of `width` by `height`."""

    title: str
    points: str
    first: float
    last: float
    width: int = _WIDTH
    height: int = _HEIGHT


@dataclass(frozen=True)
class JobView:
    """Everything a job's page shows beside the job itself.

    Attributes:
        resumable: whether to go on may end otherwise.
        not_taken: why pictures were not taken, how many for each reason; "" until the job has ended.
    """

    phases: list[PhaseView]
    classes: list[ClassView]
    more_classes: int
    curves: list[CurveView]
    left: str
    resumable: bool
    not_taken: str


def view(job: Job, settings: Settings) -> JobView:
    """How a job's page shows it now."""
    names = [] if job.kind == Kind.TRAIN else list(job.options["classes"])
    return JobView(
        phases=_phases(job),
        classes=_classes(job, names[:_MOST_CLASSES], settings),
        more_classes=max(0, len(names) - _MOST_CLASSES),
        curves=[curve for stage in job.stages for curve in _curves(stage)],
        left=_left(job),
        resumable=job.resumable and not job.refused and not _asks_gallery_in_vain(job, settings),
        not_taken="" if job.active else _not_taken(job, names, settings),
    )


def _phases(job: Job) -> list[PhaseView]:
    wanted = {Kind.CREATE: (0, 1, 2, 3), Kind.TRAIN: (1, 2, 3), Kind.SAMPLE: (0,)}[job.kind]
    now = max((phase_of(stage["stage"]) for stage in job.stages), default=wanted[0])
    return [PhaseView(PHASES[i], _phase_state(job, i, now), _stages(job, i)) for i in wanted]


def _phase_state(job: Job, phase: int, now: int) -> str:
    if job.state == State.DONE or phase < now:
        return "done"
    if phase > now or job.state == State.QUEUED:
        return "waiting"
    return "now" if job.active else "halted"


def _stages(job: Job, phase: int) -> list[StageView]:
    """A phase's stages; the classes, which have rows of their own, are one."""
    mine = [stage for stage in job.stages if phase_of(stage["stage"]) == phase and is_shown(stage["stage"])]
    classes = [stage for stage in mine if stage["stage"].startswith(COLLECT)]
    others = [stage for stage in mine if not stage["stage"].startswith(COLLECT)]
    return [*([_together(classes, job)] if classes else []), *map(_stage, others)]


def _stage(stage: Stage) -> StageView:
    share = 1.0 if stage["finished"] else min(1.0, stage["done"] / stage["total"]) if stage["total"] else None
    note = note_words(stage["note"])
    return StageView(stage_words(stage["stage"]), count_words(stage), note, stage["finished"], share)


def _together(stages: Sequence[Stage], job: Job) -> StageView:
    """All classes that are collected, as one stage."""
    done, total = sum(stage["done"] for stage in stages), len(job.options["classes"]) * job.options["per_class"]
    finished = len(stages) == len(job.options["classes"]) and all(stage["finished"] for stage in stages)
    tried = sum(sum(stage["counts"].values()) for stage in stages)
    detail = counted(done, "picture") if finished else f"{done} of up to {total} pictures"
    note = f"{counted(tried - done, 'more picture')} looked at and not taken" if tried > done else ""
    return StageView("Collecting", detail, note, finished, 1.0 if finished else min(1.0, done / total))


def _classes(job: Job, names: Sequence[str], settings: Settings) -> list[ClassView]:
    stages = {stage["stage"]: stage for stage in job.stages}
    pictures = _newest(job, names, settings)
    found = []
    for name in names:
        stage = stages.get(COLLECT + name, {"done": 0, "finished": False})
        wanted = int(job.options["per_class"])
        found.append(ClassView(name, stage["done"], wanted, stage["finished"], pictures.get(name, [])))
    return found


def _newest(job: Job, names: Sequence[str], settings: Settings) -> dict[str, list[str]]:
    """The newest pictures of each class, none while there is no data set."""
    each = max(2, min(_PER_CLASS, _MOST_PICTURES // max(1, len(names))))
    try:
        manifest = Dataset.open(dataset_folder(job, settings)).manifest
        return {
            name: [row.sha256 for row in page(manifest, Wanted(class_slug=slugify(name), order="newest"), limit=each)]
            for name in names
        }
    except TellapartError:
        return {}


def _not_taken(job: Job, names: Sequence[str], settings: Settings) -> str:
    found: Counter[Reason] = Counter()
    with suppress(TellapartError):
        counts = Dataset.open(dataset_folder(job, settings)).manifest.counts()
        for name in names:
            found += counts.get(slugify(name), Counter())
    return "; ".join(f"{n} × {REASON_TEXT[reason]}" for reason, n in found.most_common() if reason not in _TAKEN)


def _asks_gallery_in_vain(job: Job, settings: Settings) -> bool:
    """Whether a job failed at its source, which is only the gallery, and that has no words for one of its classes."""
    if job.result.get("exit_code") != SourceError.exit_code or job.options.get("sources") != ["gallery"]:
        return False
    known = {slugify(word) for word in known_words(settings.gallery_folder, least=1)}
    return any(
        slugify(name) not in known and not {*map(slugify, name.split())} <= known for name in job.options["classes"]
    )


def _curves(stage: Stage) -> list[CurveView]:
    """A curve for each thing that a stage measured twice or more."""
    names = dict.fromkeys(key for point in stage["points"] for key in point if key != "at")
    series = {name: [float(point[name]) for point in stage["points"] if name in point] for name in names}
    return [_curve(name, values) for name, values in series.items() if len(values) > 1]


def _curve(title: str, values: Sequence[float]) -> CurveView:
    low, high = min(values), max(values)
    across, up = _WIDTH / (len(values) - 1), (_HEIGHT - 8) / ((high - low) or 1.0)
    points = " ".join(f"{i * across:.1f},{_HEIGHT - 4 - (v - low) * up:.1f}" for i, v in enumerate(values))
    return CurveView(CURVE_WORDS.get(title, title.replace("_", " ")), points, values[0], values[-1])


def _left(job: Job) -> str:
    """About how long the job still takes, in words, or what it waits for; "" where neither can be said."""
    if job.state != State.RUNNING:
        return ""
    if not job.stages:
        return "getting ready"
    if all(stage["finished"] for stage in job.stages):
        return ""
    classes = [stage for stage in job.stages if stage["stage"].startswith(COLLECT)]
    if phase_of(job.stages[-1]["stage"]) > 0:
        seconds = _of_stage(job.stages[-1])
    elif job.kind == Kind.SAMPLE or not any(stage["done"] for stage in classes):
        return ""
    else:
        seconds = _of_collecting(job, classes)
    return f"{duration_words(seconds)} left" if seconds is not None else ""


def _of_stage(stage: Stage) -> float | None:
    fields = {key: value for key, value in stage.items() if key != "points"}
    return None if stage["finished"] else Progress(**fields).seconds_left


def _of_collecting(job: Job, stages: Sequence[Stage]) -> float:
    total = len(job.options["classes"]) * job.options["per_class"]
    done = sum(stage["done"] for stage in stages)
    missing = total - done - sum(job.options["per_class"] - stage["done"] for stage in stages if stage["finished"])
    rate = done / max(1.0, *(stage["seconds"] for stage in stages))
    return float(missing / rate + total / _LEARN_RATE + _AFTER_COLLECT)
