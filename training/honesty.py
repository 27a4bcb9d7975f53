"""All that is told beside the accuracy, so that a person knows how far to trust a classifier.

calibration        whether confidence means what it says
selective          how many pictures are answered for a promised accuracy
none_of_these      how well pictures of none of the classes are turned away, and from how many that was learned
random_split       what near-copies on both sides of a split would have pretended
learning_curve     what more pictures of each class would add
set_aside          what leaving out the pictures that `curate --apply` took out would have pretended
suspected          what leaving out the judging pictures that are almost certainly wrong themselves would show
"""

from collections.abc import Sequence, Set
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tellapart.dataset import Role
from tellapart.intervals import wilson
from tellapart.progress import Report, Stage
from training.features import Features
from training.head import one_thread
from training.protocol import Outcome
from training.protocol_names import Protocol
from training.refits import Refits, learning_curves, random_split
from training.reliability import calibration_evidence
from training.selective import selective_table
from training.stranger_evidence import FALSE_REJECT, RejectionEvidence, Share
from training.strangers import learn_rejection


def gather_evidence(
    outcome: Outcome,
    strangers: NDArray[np.float32],
    class_names: Sequence[str],
    seed: int,
    report: Report,
    suspected: Set[tuple[int, str]] = frozenset(),
) -> tuple[Outcome, dict[str, Any]]:
    """The outcome with a head that can say "none of these", and the evidence by name, as JSON-able values.

    Args:
        strangers: (M, D) features of pictures the user says are none of the classes, M may be 0.
        suspected: (class index, sha256) of the pictures that are almost certainly wrong where they stand.
    """
    targets = outcome.judged.targets
    before = outcome.probabilities if outcome.uncalibrated is None else outcome.uncalibrated
    found: dict[str, Any] = {
        "calibration": calibration_evidence(targets, before, outcome.probabilities, seed),
        "selective": selective_table(targets, outcome.probabilities),
        "none_of_these": None,
        "none_of_these_pictures": None,
        "random_split": None,
        "learning_curve": None,
        "set_aside": _without(outcome, [s.role is Role.JUDGE for s in outcome.judged.samples]),
        "suspected": _without(outcome, [(s.class_index, s.sha256) in suspected for s in outcome.judged.samples]),
    }
    known, unseen = outcome.frozen or outcome.learning, outcome.unseen or outcome.learning
    if known is None or unseen is None:
        return outcome, found
    with Stage(report, "evidence", unit="checks") as stage, one_thread():
        refits = _refits(known, outcome, len(class_names), seed)
        to_reject = refits if unseen is known else _refits(unseen, outcome, len(class_names), seed)
        found["none_of_these_pictures"] = len(to_reject.targets)
        outcome, found["none_of_these"] = _reject(outcome, to_reject, strangers, class_names)
        stage.advance()
        found["random_split"] = random_split(refits)
        stage.advance()
        found["learning_curve"] = dict(zip(class_names, learning_curves(refits), strict=True))
        stage.advance()
    return outcome, found


def _refits(features: Features, outcome: Outcome, n_classes: int, seed: int) -> Refits:
    c, adjustment = outcome.choice.c, outcome.choice.adjustment
    return Refits(features.values, features.targets, features.groups, n_classes, c, seed, adjustment)


def _reject(
    outcome: Outcome, refits: Refits, strangers: NDArray[np.float32], class_names: Sequence[str]
) -> tuple[Outcome, dict[str, Any] | None]:
    answers = None if outcome.unseen is None else outcome.head.probabilities(refits.features)
    learned = learn_rejection(refits, strangers, outcome.choice.temperature, answers)
    if learned is None:
        return outcome, None
    rejection, evidence = learned
    outcome = replace(outcome, head=replace(outcome.head, rejection=rejection))
    return outcome, _rejection_facts(outcome, evidence, class_names)


def _rejection_facts(outcome: Outcome, evidence: RejectionEvidence, class_names: Sequence[str]) -> dict[str, Any]:
    """Known pictures that judged nothing else are the better witnesses of what is turned away wrongly."""
    turned_away = evidence.false_reject
    if outcome.protocol is not Protocol.CROSS_VALIDATION:
        none = outcome.head.none_of_these(outcome.judged.values, outcome.probabilities)
        turned_away = Share(int(none.sum()), len(none))
    left_out = evidence.left_out
    everything = Share(sum(s.count for s in left_out.values()), sum(s.n for s in left_out.values()))
    return {
        "aim_false_reject": FALSE_REJECT,
        "false_reject": _share(turned_away),
        "false_accept": _share(everything) if left_out else None,
        "false_accept_by_class": {class_names[i]: _share(s) for i, s in left_out.items()},
        "false_accept_given": _share(evidence.given) if evidence.given else None,
        "false_accept_by_confidence_alone": _share(evidence.by_confidence) if left_out else None,
    }


def _without(outcome: Outcome, left_out: Sequence[bool]) -> dict[str, Any] | None:
    """The accuracy without these (N,) of the judged pictures, and how many they are; None where there are none."""
    aside = np.array(left_out, dtype=np.bool_)
    if not aside.any():
        return None
    right = outcome.probabilities.argmax(axis=1) == outcome.judged.targets
    return {
        "pictures": int(aside.sum()),
        "right": int(right[aside].sum()),
        "without": _share(Share(int(right[~aside].sum()), int((~aside).sum()))),
    }


def _share(share: Share) -> dict[str, Any]:
    low, high = wilson(share.count, share.n)
    return {"count": share.count, "n": share.n, "share": share.count / max(1, share.n), "low": low, "high": high}
