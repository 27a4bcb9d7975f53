"""Suspects: pictures a person should look at first, each with a score, a reason and a suggested action.

`judge` weighs every picture, `find_suspects` names those beyond the bounds. The bounds were set on 720
photographs of clothes and 200 stamps of animals and plants with planted noise (docs/curation.md): of 20 %
wrong labels nine in ten are named, seven in eight of the confident suspects are wrong, and in a clean data set
about 1 % are confident.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from curation.label_errors import LabelErrors, find_label_errors
from curation.neighbours import Floats
from curation.off_topic import strangeness
from curation.out_of_fold import Targets, ask
from curation.quality import Quality, find_fault
from tellapart.flags import Suspect, in_order

MIN_PICTURES = 20  # of all classes together; with fewer, features say nothing about a picture
SUSPECT = {"off_topic": 0.5, "label_error": 0.7}
CONFIDENT = {"off_topic": 0.75, "label_error": 0.9}
FAR = 2.0  # robust deviations of distance that a confident off-topic picture has
MANY_ERRORS = (
    0.18  # share counted by confident learning; it counts 4 to 7 % in clean data sets, 26 % where 20 % are wrong
)
CONFIDENT_OF_MANY = 0.8  # score of a confident label error where that many are
CLEARLY_OTHER = 0.99  # a label error from which the suggested class was right 99 times in 100
_HALF_AT = 2.0  # robust deviations that give an off-topic score of 0.5; one more gives 0.75


@dataclass(frozen=True)
class Names:
    """Who the N pictures are: digests (N,), and slug and name of each class in class index order."""

    digests: Sequence[str]
    slugs: Sequence[str]
    titles: Sequence[str]


@dataclass(frozen=True)
class Judgement:
    """What features say about each of N pictures.

    Attributes:
        off_topic: (N,) in [0, 1].
        far: (N,) whether the picture is far from all others, not only among mixed labels.
        label_errors: against each label.
    """

    off_topic: Floats
    far: NDArray[np.bool_]
    label_errors: LabelErrors

    def is_confident_error(self, index: int) -> bool:
        """Whether a label is wrong beyond doubt: where many are, less evidence will do."""
        errors = self.label_errors
        score = float(errors.scores[index])
        if float(errors.counted.mean()) >= MANY_ERRORS:
            return score >= CONFIDENT_OF_MANY
        return score >= CONFIDENT["label_error"] and bool(errors.counted[index])


def judge(features: Floats, targets: Targets, groups: NDArray[np.str_], n_classes: int, seed: int = 0) -> Judgement:
    """Weigh every picture against its own class and all of them, never by a model that saw its label.

    Args:
        features: (N, D) float32.
        targets: (N,) class indices.
        groups: (N,) group ids; near-duplicates never vouch for one another.
    """
    witnesses = ask(features, targets, groups, n_classes, seed)
    strange = strangeness(features, targets, groups, witnesses)
    off_topic = 1 / (1 + np.exp(-math.log(3) * (strange.total - _HALF_AT)))
    return Judgement(off_topic.astype(np.float32), strange.distance >= FAR, find_label_errors(targets, witnesses))


def find_suspects(
    features: Floats,
    targets: Targets,
    groups: NDArray[np.str_],
    names: Names,
    qualities: Mapping[str, Quality] = MappingProxyType({}),
    seed: int = 0,
) -> list[Suspect]:
    """The suspects among N pictures, those of one kind together, highest score first.

    A picture is named once: as blank, else as off topic, else as in the wrong class, else as of low quality.

    Args:
        features, targets, groups: see `judge`; with fewer than 20 pictures or 2 classes only quality is looked at.
        names: who the pictures and classes are.
        qualities: by sha256; a picture that is not there is not judged by its quality.
        seed: of the folds.
    """
    places = [_Place(digest, int(target), names) for digest, target in zip(names.digests, targets, strict=True)]
    poor = [_poor(place, qualities.get(place.sha256)) for place in places]
    strange: list[Suspect | None] = [None] * len(places)
    if len(places) >= MIN_PICTURES and len(np.unique(targets)) > 1:
        judgement = judge(features, targets, groups, len(names.slugs), seed)
        strange = [_off_topic(p, judgement, i) or _label_error(p, judgement, i) for i, p in enumerate(places)]
    found = [p if p and p.confident else s or p for p, s in zip(poor, strange, strict=True)]
    return in_order(s for s in found if s)


@dataclass(frozen=True)
class _Place:
    """A picture and the class it stands in."""

    sha256: str
    target: int
    names: Names

    @property
    def slug(self) -> str:
        return self.names.slugs[self.target]

    @property
    def title(self) -> str:
        return self.names.titles[self.target]


def _poor(place: _Place, quality: Quality | None) -> Suspect | None:
    fault = find_fault(quality) if quality else None
    if fault is None:
        return None
    action = "remove" if fault.certain else "look"
    return Suspect(place.sha256, place.slug, "low_quality", fault.score, fault.reason, action, confident=fault.certain)


def _off_topic(place: _Place, judgement: Judgement, index: int) -> Suspect | None:
    score = float(judgement.off_topic[index])
    if score < SUSPECT["off_topic"]:
        return None
    confident = score >= CONFIDENT["off_topic"] and bool(judgement.far[index])
    reason = f"unlike the other pictures of {place.title!r} and of every class"
    action = "remove" if confident else "look"
    return Suspect(place.sha256, place.slug, "off_topic", score, reason, action, confident=confident)


def _label_error(place: _Place, judgement: Judgement, index: int) -> Suspect | None:
    errors, names = judgement.label_errors, place.names
    score = float(errors.scores[index])
    if score < SUSPECT["label_error"]:
        return None
    other = int(errors.suggested[index])
    confident = judgement.is_confident_error(index)
    action = "look" if not confident else "move" if score >= CLEARLY_OTHER else "remove"
    reason = f"looks like {names.titles[other]!r}, not {place.title!r}"
    return Suspect(place.sha256, place.slug, "label_error", score, reason, action, names.slugs[other], confident)
