"""What the numbers mean and what to do about them, for people who do not read tables. Needs no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tellapart.wording import counted, percent
from training.protocol_names import Protocol

FEW_PICTURES = 50  # of a class
_WEAK_RECALL = 0.75
_WIDE_INTERVAL = 0.15
_POOR_CALIBRATION = 0.1
_MOST_ADVICE = 5


@dataclass(frozen=True)
class MixUp:
    """How often pictures of one class were taken for another."""

    true: str
    answered: str
    count: int
    support: int


@dataclass(frozen=True)
class Baseline:
    """The accuracy of an answer that needs no classifier."""

    name: str
    share: float


def verdict(metrics: Mapping[str, Any]) -> str:
    """Two sentences: how good it is, and how sure that is."""
    n, accuracy = metrics["n"], metrics["accuracy"]
    low, high = metrics["accuracy_low"], metrics["accuracy_high"]
    first = (
        f"It gave the right answer for {round(accuracy * n)} of {n} pictures it had not learned from "
        f"({percent(accuracy, 0)})."
    )
    second = f"On other pictures of this kind, expect between {percent(low, 0)} and {percent(high, 0)} (95 % interval)"
    guess = largest_class(metrics).share
    if low <= guess:
        return (
            f"{first} {second}, which is not clearly better than always answering with the largest class "
            f"({percent(guess, 0)})."
        )
    return f"{first} {second}."


def largest_class(metrics: Mapping[str, Any]) -> Baseline:
    """What always answering with the class of the most judged pictures would get."""
    rows = metrics["per_class"]
    name = max(rows, key=lambda name: rows[name]["support"])
    return Baseline(name, rows[name]["support"] / max(1, metrics["n"]))


def how_measured(metrics: Mapping[str, Any], dataset: Mapping[str, Any]) -> str:
    """The protocol in words."""
    protocol, n = Protocol(metrics["protocol"]), metrics["n"]
    if protocol is Protocol.TEST:
        return (
            f"The {n} pictures were put aside before training, near-copies together, and looked at once, at the end. "
            "Nothing about the classifier was chosen with them."
        )
    if protocol is Protocol.VALIDATION:
        return (
            f"The {n} validation pictures that came with the data were held out: nothing was chosen with them, "
            "and they were looked at once, at the end."
        )
    if protocol is Protocol.HOLD_OUT:
        return (
            f"The {n} pictures are a fifth of all, near-copies together, put aside before the network learned and "
            "looked at once, at the end. They are few: a head on fixed features is measured on every picture there is."
        )
    return (
        f"With only {dataset['pictures']} pictures, a test set put aside would say little. So the pictures were "
        "divided into parts, near-copies together, and each part was judged by a classifier that had learned from "
        "the other parts and had chosen all its settings there. The classifier you use learned from all pictures."
    )


def mix_ups(metrics: Mapping[str, Any], most: int = 8) -> list[MixUp]:
    """The most frequent confusions, most frequent first."""
    names = list(metrics["per_class"])
    matrix = np.array(metrics["confusion"])
    np.fill_diagonal(matrix, 0)
    order = np.argsort(-matrix, axis=None, kind="stable")[:most]
    places = [divmod(int(place), len(names)) for place in order]
    support = [metrics["per_class"][name]["support"] for name in names]
    return [MixUp(names[i], names[j], int(matrix[i, j]), support[i]) for i, j in places if matrix[i, j]]


def advice(metrics: Mapping[str, Any], dataset: Mapping[str, Any]) -> list[str]:
    """What would help most, most helpful first."""
    found = [
        *_suspects_advice(metrics),
        *_weak_class_advice(metrics),
        *_amount_advice(metrics, dataset),
        *_care_advice(metrics, dataset),
    ]
    if not found:
        found = ["Nothing stands out. Try it on pictures of your own, taken where it will be used."]
    return found[:_MOST_ADVICE]


def _suspects_advice(metrics: Mapping[str, Any]) -> list[str]:
    if not metrics["suspected"]:
        return []
    count = metrics["suspected"]["pictures"]
    return [
        f"Settle what is almost certainly wrong among the pictures that judged ({count} of {metrics['n']}) before you "
        "go by the accuracy: “tellapart curate --json FILE” lists every suspect, the review on the web pages takes "
        "them out or keeps them, and “tellapart audit” says how many pictures of each class are right."
    ]


def _weak_class_advice(metrics: Mapping[str, Any]) -> list[str]:
    weak = sorted((row["recall"], name) for name, row in metrics["per_class"].items() if row["support"])
    taken_for = {m.true: m for m in reversed(mix_ups(metrics, most=len(weak) ** 2))}
    lines = []
    for recall, name in weak[:2]:
        if recall < _WEAK_RECALL and name in taken_for:
            lines.append(
                f"“{name}” is found in only {percent(recall, 0)} of its pictures, most often taken for "
                f"“{taken_for[name].answered}”. Look at the pictures of both for wrong ones, then add more that show "
                "the difference."
            )
    return lines


def _amount_advice(metrics: Mapping[str, Any], dataset: Mapping[str, Any]) -> list[str]:
    lines = []
    few = [f"“{name}” ({count})" for name, count in dataset["counts"].items() if count < FEW_PICTURES]
    if few:
        shown = ", ".join(few[:4]) + (f" and {len(few) - 4} more" if len(few) > 4 else "")
        lines.append(f"Add pictures: fewer than {FEW_PICTURES} were there for {shown}.")
    if metrics["accuracy_high"] - metrics["accuracy_low"] > _WIDE_INTERVAL:
        lines.append("The accuracy is uncertain because few pictures judged it; more pictures make it surer.")
    return lines


def _care_advice(metrics: Mapping[str, Any], dataset: Mapping[str, Any]) -> list[str]:
    lines = _confidence_advice(metrics)
    skipped = sum(dataset["skipped"].values())
    if skipped:
        lines.append(f"{counted(skipped, 'picture')} could not be read when training began; see below for why.")
    return lines


def _confidence_advice(metrics: Mapping[str, Any]) -> list[str]:
    """Where chance does not explain it: confidence below the interval of the accuracy does not mislead as others do."""
    calibration, accuracy = metrics["calibration"], metrics["accuracy"]
    sure = sum(row["n"] * row["confidence"] for row in calibration["bins"]) / max(1, calibration["n"])
    if calibration["after"] > calibration["by_chance_high"] and sure < metrics["accuracy_low"]:
        return [
            f"It is less sure than it is right: {percent(sure, 0)} sure on average, and right for "
            f"{percent(accuracy, 0)}. A low confidence alone does not make an answer wrong."
        ]
    if metrics["ece"] > _POOR_CALIBRATION:
        return ["Its confidence is off by more than ten points on average: do not decide by confidence alone."]
    return []
