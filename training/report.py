"""The report for people: one self-contained page, without scripts, that loads nothing from anywhere."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tellapart import __version__
from tellapart.backbones import BACKBONES
from tellapart.bundle import BundleInfo
from tellapart.dataset import Dataset
from tellapart.files import write_bytes
from tellapart.manifest import Attempt
from tellapart.pictures import REASON_TEXT, Reason, Status
from tellapart.public import public_source
from tellapart.wording import confidence, on_one_line, percent, sentence
from training.confusion_picture import draw_confusion
from training.curves_picture import draw_curves
from training.features import FeatureSource, Skipped
from training.protocol import Outcome
from training.protocol_names import PROTOCOL_TEXT
from training.reliability import calibration_words
from training.reliability_picture import draw_reliability
from training.report_pictures import examples, worst_mistakes
from training.trust_words import (
    more_pictures,
    rejection_words,
    set_aside_words,
    split_words,
    suspected_words,
    with_intervals,
)
from training.words import advice, how_measured, largest_class, mix_ups, verdict

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"
_MOST_LICENSES = 20
_MOST_NAMES = 200


def write_report(
    path: Path,
    info: BundleInfo,
    dataset: Dataset,
    outcome: Outcome,
    skipped: Sequence[Skipped],
    source: FeatureSource | None = None,
    name: str = "",
) -> None:
    """Render the report of a training and write it, whole or not at all.

    Args:
        source: computes the heat maps of the mistakes; None for none.
        name: of the classifier, "" where it has none.

    Raises:
        TellapartError: the disk is full or the folder cannot be written.
    """
    attempts = dataset.manifest.attempts()
    kept = [a for a in attempts if a.status == Status.KEPT]
    others = [a for a in attempts if a.status != Status.KEPT]
    page = (
        _environment()
        .get_template("report.html")
        .render(
            info=info,
            name=name,
            version=__version__,
            backbone=BACKBONES[info.backbone].title,
            verdict=verdict(info.metrics),
            baseline=largest_class(info.metrics),
            advice=advice(info.metrics, info.dataset),
            how_measured=how_measured(info.metrics, info.dataset),
            protocol=PROTOCOL_TEXT[outcome.protocol],
            picture=draw_confusion(info.metrics["confusion"], info.class_names),
            mix_ups=mix_ups(info.metrics),
            examples=(groups := examples(outcome, info.class_names)),
            shown={group.place for group in groups},
            mistakes=worst_mistakes(outcome, info.class_names, source),
            curves=draw_curves(info.training.get("curves", ())),
            calibration=calibration_words(info.metrics["calibration"]),
            reliability=draw_reliability(info.metrics["calibration"]["bins"]),
            rejection=rejection_words(info.metrics["none_of_these"], info.metrics.get("none_of_these_pictures")),
            split=split_words(info.metrics["random_split"]),
            suspected=suspected_words(info.metrics["suspected"]),
            set_aside=set_aside_words(info.metrics["set_aside"]),
            more=more_pictures(info.metrics["learning_curve"] or {}),
            per_class=with_intervals(info.metrics),
            n_wrong=info.metrics["n"] - round(info.metrics["accuracy"] * info.metrics["n"]),
            reasons=_reasons(dataset),
            counts=_counts(dataset),
            sources=Counter(public_source(a.source) or "not stated" for a in kept).most_common(),
            licenses=_licenses(kept),
            turned_away=[(_name(a, dataset), REASON_TEXT[a.reason]) for a in others[:_MOST_NAMES]],
            n_turned_away=len(others),
            skipped=Counter(s.why for s in skipped).most_common(),
        )
    )
    write_bytes(path, page.encode())


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=on_one_line(percent), confidence=on_one_line(confidence), sentence=sentence)
    return environment


def _name(attempt: Attempt, dataset: Dataset) -> str:
    """What a person knows a picture by: a file's place in its folder, else the address."""
    if not attempt.url.startswith("file:"):
        return attempt.url
    path = Path(unquote(urlsplit(attempt.url).path, errors="replace"))
    if dataset.folder is not None and path.is_relative_to(dataset.folder):
        return str(path.relative_to(dataset.folder))
    return path.name


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
