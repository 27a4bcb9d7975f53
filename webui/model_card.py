"""The model card of a version: what it is for, what it learned from, how good it is, and where it must not be trusted.

After Mitchell et al. 2019, "Model Cards for Model Reporting".
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import render_template

from tellapart.backbones import BACKBONES
from tellapart.dataset import Dataset
from tellapart.public import public_source
from tellapart.store import StoredModel

_MARKS = re.compile(r"([\\`*_{}\[\]()#+!|~-])")


@dataclass(frozen=True)
class ClassFigures:
    """One class: pictures learned from, and how many of those it was measured on it found (None where not measured)."""

    name: str
    pictures: int
    recall: float | None = None


@dataclass(frozen=True)
class Card:
    """What a card says.

    Attributes:
        accuracy, low, high, ece: fractions; None where they were not measured. n: pictures they were measured on.
        sources, licenses: pictures it was trained and measured on by origin and by licence, the most frequent first;
            of versions of before, which have no record of it, those of the data set as it is today, empty where that
            is not on this machine.
    """

    tag: str
    created: str
    backbone: str
    mode: str
    classes: Sequence[ClassFigures]
    pictures: int
    says_none: bool
    protocol: str
    n: int | None
    accuracy: float | None
    low: float | None
    high: float | None
    ece: float | None
    sources: Sequence[tuple[str, int]]
    licenses: Sequence[tuple[str, int]]
    packages: Mapping[str, str]

    @property
    def few(self) -> list[str]:
        """The classes it learned from few pictures of."""
        return [c.name for c in self.classes if c.pictures < 50]


def make_card(model: StoredModel, dataset: Dataset | None) -> Card:
    """The card of a version; `dataset` is what it was trained on, where that is on this machine."""
    info, metrics = model.info, model.info.metrics
    kept = dataset.manifest.kept() if dataset else []
    return Card(
        tag=model.tag,
        created=info.created,
        backbone=BACKBONES[info.backbone].title,
        mode=str(info.training.get("mode") or "head"),
        classes=[_figures(name, info.dataset, metrics) for name in info.class_names],
        pictures=int(info.dataset.get("pictures") or 0),
        says_none=info.says_none,
        protocol=str(metrics.get("protocol") or ""),
        n=metrics.get("n"),
        accuracy=metrics.get("accuracy"),
        low=metrics.get("accuracy_low"),
        high=metrics.get("accuracy_high"),
        ece=metrics.get("ece"),
        sources=_counted(info.dataset.get("origins"), [public_source(a.source) or "unknown" for a in kept]),
        licenses=_counted(info.dataset.get("licenses"), [a.license or "not stated" for a in kept]),
        packages=info.packages,
    )


def markdown(card: Card) -> str:
    """The card as Markdown in which no name can be taken for a mark or a tag."""
    return render_template("web/card.md", card=card, plain=plain)


def plain(text: str) -> str:
    """A text that Markdown shows as it is."""
    one_line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKS.sub(r"\\\1", one_line)


def _figures(name: str, dataset: Mapping[str, Any], metrics: Mapping[str, Any]) -> ClassFigures:
    row = (metrics.get("per_class") or {}).get(name) or {}
    return ClassFigures(name, int((dataset.get("counts") or {}).get(name) or 0), row.get("recall"))


def _counted(recorded: Mapping[str, int] | None, today: Sequence[str]) -> list[tuple[str, int]]:
    return (Counter(recorded) if recorded else Counter(today)).most_common(20)
