"""Who chooses, who learns, who judges: how a classifier is measured without deceiving oneself.

Pictures that judge are never among those that chose C, the temperature, the weights, or how pictures are
preprocessed where there are several views of them.

    test             there is a test split: choose by grouped cross-validation on train and val, fit
                     on both, evaluate once on test
    validation       no test split but a given val split: choose by grouped cross-validation inside
                     train, fit on train, evaluate once on val
    cross-validation too few pictures for a split: in each of five grouped folds, choose and fit on the
                     other four and evaluate on it; what is shipped is chosen and fitted on all of them

Fine-tuning is too dear for folds and chooses by pictures it has not learned from (see `cut`): the val
split, or a grouped fifth of what learns. With too few pictures for a split, another fifth is held out to judge.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tellapart.dataset import Role, judging_split
from tellapart.errors import DataError
from tellapart.folds import FOLDS, Fold, grouped_folds
from tellapart.head import Head
from tellapart.progress import Report, Stage
from training.features import Features
from training.forked import forked_map
from training.head import Choice, choose, fit_chosen, one_thread
from training.protocol_names import Protocol
from training.telling_apart import leave_one_out_loss

MIN_PICTURES = 2
_JUDGES = {Protocol.TEST: "test", Protocol.VALIDATION: "val", Protocol.CROSS_VALIDATION: None}  # splits
_CLEARLY = 1.05  # times the loss of a view that sees less
_ENOUGH = 1000  # pictures that choose the view
_MANY = 1500  # pictures from which three folds choose as well as five


@dataclass(frozen=True)
class Outcome:
    """A head and the evidence of what it is worth.

    Attributes:
        head: what is shipped.
        choice: how it was chosen.
        protocol: how it was measured.
        judged: the pictures it was measured on.
        probabilities: (N, C) of those.
        n_fitted: pictures the head was fitted on.
        uncalibrated: (N, C) of the judged pictures at temperature 1; None where that is not known.
        learning: the pictures that chose and fitted; None where they are not at hand.
        unseen: those of them that the backbone has not learned from; None where it has learned from none.
        frozen: `learning` by the backbone before it learned; None where it has not.
    """

    head: Head
    choice: Choice
    protocol: Protocol
    judged: Features
    probabilities: NDArray[np.float32]
    n_fitted: int
    uncalibrated: NDArray[np.float32] | None = None
    learning: Features | None = None
    unseen: Features | None = None
    frozen: Features | None = None


def learn_and_judge(features: Features, class_names: list[str], seed: int, report: Report) -> Outcome:
    """Fit the head and measure it, by the protocol the splits ask for.

    Raises:
        DataError: a class has fewer than 2 pictures to learn from.
    """
    protocol = pick_protocol(features)
    judging = np.array([s.split == _JUDGES[protocol] for s in features.samples], dtype=np.bool_)
    learning = features.part(~judging & _may(features, Role.LEARN))
    _check_enough(learning, class_names)
    crossing = protocol is Protocol.CROSS_VALIDATION
    with Stage(report, "head", unit="folds") as stage, one_thread():
        choosing = (lambda: None) if crossing else stage.advance  # folds that judge are those that are told
        head, choice = learn(learning, len(class_names), seed, choosing)
        if crossing:
            judged, probabilities, plain = _cross_validate(features, len(class_names), seed, stage.advance)
        else:
            judged = features.part(judging & _may(features, Role.JUDGE))
            values = judged.views[choice.view]
            probabilities, plain = head.probabilities(values), _uncalibrated(head, values)
    judged, learning = judged.view(choice.view), learning.view(choice.view)
    return Outcome(head, choice, protocol, judged, probabilities, len(learning.samples), plain, learning)


def pick_protocol(features: Features) -> Protocol:
    """The protocol that the splits there are allow."""
    judging = judging_split(s.split for s in features.samples)
    return next(protocol for protocol, split in _JUDGES.items() if split == judging)


@dataclass(frozen=True)
class Parts:
    """Pictures by what they do in fine-tuning; no group is in two parts.

    Attributes:
        learn: the network learns from them.
        choose: they choose settings, epoch and temperature, and head or network.
        judge: they are looked at once, at the end.
        protocol: how that is called.
    """

    learn: Features
    choose: Features
    judge: Features
    protocol: Protocol


def cut(features: Features, seed: int) -> Parts:
    """The parts of a fine-tuning, by the splits there are."""
    protocol = pick_protocol(features)
    judging = np.array([s.split == _JUDGES[protocol] for s in features.samples], dtype=np.bool_)
    if protocol is Protocol.CROSS_VALIDATION:
        protocol, judging = Protocol.HOLD_OUT, _fifth(features, seed)
    learning = features.part(~judging & _may(features, Role.LEARN))
    choosing = np.array([s.split == "val" for s in learning.samples], dtype=np.bool_)
    if not choosing.any():
        choosing = _fifth(learning, seed)
    judge = features.part(judging & _may(features, Role.JUDGE))
    return Parts(learning.part(~choosing), learning.part(choosing), judge, protocol)


def _fifth(features: Features, seed: int) -> NDArray[np.bool_]:
    """Which pictures (N,) are in the first of five grouped folds; none where there are too few to cut."""
    chosen = np.zeros(len(features.samples), dtype=np.bool_)
    folds = grouped_folds(features.targets, features.groups, seed)
    if folds:
        chosen[folds[0][1]] = True
    return chosen


def _may(features: Features, role: Role) -> NDArray[np.bool_]:
    """Which pictures (N,) may do this."""
    return np.array([s.role in (role, Role.BOTH) for s in features.samples], dtype=np.bool_)


def learn(features: Features, n_classes: int, seed: int, tick: Callable[[], None]) -> tuple[Head, Choice]:
    """Choose view, C, temperature and adjustment and fit a head, by these pictures alone."""
    choice = choose_view(features, n_classes, seed, tick)
    return fit_chosen(features.views[choice.view], features.targets, n_classes, choice), choice


def choose_view(features: Features, n_classes: int, seed: int, tick: Callable[[], None] = lambda: None) -> Choice:
    """C, temperature and adjustment by cross-validation in the best view, the first where nothing can choose."""
    targets = features.targets
    folds = grouped_folds(targets, features.groups, seed, FOLDS if len(targets) < _MANY else 3)
    view = best_view(features, seed) if folds else 0
    return replace(choose(features.views[view], targets, n_classes, folds, tick), view=view)


def best_view(features: Features, seed: int, clearly: float = _CLEARLY) -> int:
    """Index of the view in which classes are told apart best, by one picture of each group.

    The last view sees most of a picture and usually tells more; few pictures cannot tell small differences
    apart, so another one must do better, by 5 %.

    Args:
        clearly: how many times the loss of another view counts.
    """
    if not features.others or not features.samples:
        return 0
    first = np.unique(features.groups, return_index=True)[1]
    chosen = np.sort(np.random.default_rng(seed).permutation(first)[:_ENOUGH])
    *others, last = [leave_one_out_loss(view[chosen], features.targets[chosen]) for view in features.views]
    return int(np.argmin([*(loss * clearly for loss in others), last]))


def _cross_validate(
    features: Features, n_classes: int, seed: int, tick: Callable[[], None]
) -> tuple[Features, NDArray[np.float32], NDArray[np.float32]]:
    """Out-of-fold probabilities, calibrated and not; everything is chosen anew inside each training part.

    Pictures that only judge are held out in their fold, and learned from in none.
    """
    learns, judges = _may(features, Role.LEARN), _may(features, Role.JUDGE)
    probabilities, plain = np.zeros((2, len(features.samples), n_classes), dtype=np.float32)
    judged = np.zeros(len(features.samples), dtype=np.bool_)
    folds = grouped_folds(features.targets, features.groups, seed)

    def answer(fold: Fold) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        train, held = fold
        inside = np.zeros(len(judged), dtype=np.bool_)
        inside[train] = learns[train]
        head, choice = learn(features.part(inside), n_classes, seed, lambda: None)
        values = features.views[choice.view][held]
        return head.probabilities(values), _uncalibrated(head, values)

    for (_, held), answers in zip(folds, forked_map(answer, folds), strict=True):
        probabilities[held], plain[held] = answers
        judged[held] = judges[held]
        tick()
    return features.part(judged), probabilities[judged], plain[judged]


def _uncalibrated(head: Head, features: NDArray[np.float32]) -> NDArray[np.float32]:
    return replace(head, temperature=1.0).probabilities(features)


def _check_enough(features: Features, class_names: list[str]) -> None:
    counts = np.bincount(features.targets, minlength=len(class_names))
    for name, count in zip(class_names, counts, strict=True):
        if count < MIN_PICTURES:
            raise DataError(
                f"class {name!r} has {count} usable picture{'' if count == 1 else 's'} to learn from, "
                f"at least {MIN_PICTURES} are needed",
                "Collect or add more pictures of it, or leave the class out",
            )
