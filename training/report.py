"""The report for people: one self-contained page, without scripts, that loads nothing from anywhere."""

import base64
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from tellapart import __version__
from tellapart.backbones import BACKBONES
from tellapart.bundle import BundleInfo
from tellapart.dataset import Dataset
from tellapart.errors import TellapartError
from tellapart.files import write_bytes
from tellapart.images import decode
from tellapart.manifest import Attempt
from tellapart.pictures import REASON_TEXT, Reason
from training.confusion_picture import draw_confusion
from training.features import Skipped
from training.protocol import Outcome
from training.protocol_names import PROTOCOL_TEXT
from training.words import advice, how_measured, mix_ups, verdict

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"
MOST_MISTAKES = 12
_THUMBNAIL = 200
_MOST_LICENSES = 20


@dataclass(frozen=True)
class Mistake:
    """A wrong answer: its picture as a data: URL, what it was, and what was answered how surely."""

    picture: str
    true: str
    answered: str
    confidence: float


def write_report(path: Path, info: BundleInfo, dataset: Dataset, outcome: Outcome, skipped: Sequence[Skipped]) -> None:
    """Render the report of a training and write it, whole or not at all.

    Raises:
        TellapartError: the disk is full or the folder cannot be written.
    """
    kept = dataset.manifest.kept()
    page = (
        _environment()
        .get_template("report.html")
        .render(
            info=info,
            version=__version__,
            backbone=BACKBONES[info.backbone].title,
            verdict=verdict(info.metrics),
            advice=advice(info.metrics, info.dataset),
            how_measured=how_measured(info.metrics, info.dataset),
            protocol=PROTOCOL_TEXT[outcome.protocol],
            picture=draw_confusion(info.metrics["confusion"], info.class_names),
            mix_ups=mix_ups(info.metrics),
            mistakes=worst_mistakes(outcome, info.class_names),
            n_wrong=info.metrics["n"] - round(info.metrics["accuracy"] * info.metrics["n"]),
            reasons=_reasons(dataset),
            counts=_counts(dataset),
            sources=Counter(a.source or "not stated" for a in kept).most_common(),
            licenses=_licenses(kept),
            skipped=Counter(s.why for s in skipped).most_common(),
        )
    )
    write_bytes(path, page.encode())


def worst_mistakes(outcome: Outcome, class_names: Sequence[str], most: int = MOST_MISTAKES) -> list[Mistake]:
    """The wrong answers it was surest of, surest first; a picture that is gone by now is passed over."""
    predicted, confidence = outcome.probabilities.argmax(axis=1), outcome.probabilities.max(axis=1)
    targets = outcome.judged.targets
    wrong = np.flatnonzero(predicted != targets)
    mistakes: list[Mistake] = []
    for i in wrong[np.argsort(-confidence[wrong], kind="stable")]:
        if len(mistakes) == most:
            break
        picture = _thumbnail(outcome.judged.samples[i].path)
        if picture:
            true, answered = class_names[targets[i]], class_names[predicted[i]]
            mistakes.append(Mistake(picture, true, answered, float(confidence[i])))
    return mistakes


def _thumbnail(path: Path) -> str:
    """A small JPEG as a data: URL, made of the pixels alone, so that no metadata goes along; "" where it is gone."""
    try:
        image = decode(path.read_bytes(), shorter_side=_THUMBNAIL)
    except (OSError, TellapartError):
        return ""
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    bare = Image.new("RGB", image.size)
    bare.paste(image)
    data = io.BytesIO()
    bare.save(data, "JPEG", quality=75)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda share: f"{share:.0%}"
    environment.filters["percent1"] = lambda share: f"{share:.1%}"
    return environment


def _reasons(dataset: Dataset) -> list[tuple[Reason, str]]:
    """The reasons that occur, with their words, in the order of the closed list."""
    seen = {reason for counts in dataset.manifest.counts().values() for reason in counts}
    return [(reason, REASON_TEXT[reason]) for reason in Reason if reason in seen]


def _counts(dataset: Dataset) -> list[tuple[str, dict[Reason, int]]]:
    counts = dataset.manifest.counts()
    return [(c.name, dict(counts.get(c.slug, {}))) for c in dataset.classes]


def _licenses(kept: Sequence[Attempt]) -> list[tuple[str, int]]:
    found: Counter[str] = Counter(a.license or "not stated" for a in kept)
    shown = found.most_common(_MOST_LICENSES)
    rest = sum(found.values()) - sum(count for _, count in shown)
    return [*shown, ("others", rest)] if rest else shown
