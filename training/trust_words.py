"""The evidence of `training.honesty` in words, for people who do not read tables. Needs no torch."""

from collections.abc import Mapping
from typing import Any

from tellapart.intervals import wilson
from tellapart.none_of_these import always_answers
from tellapart.wording import percent
from training.refits import MORE

FEW_JUDGED = 20  # pictures of a class below which its shares say little


def rejection_words(found: Mapping[str, Any] | None, pictures: int | None = None) -> list[str]:
    """How well pictures of none of the classes are turned away; `pictures` is from how many that was learned."""
    if found is None:
        return [always_answers(pictures)]
    lines = [
        f"It says “none of these” to {_share(found['false_reject'])} of the pictures that do show one of its classes; "
        f"the aim was {percent(found['aim_false_reject'], 0)}. What counts is how much a picture looks like any of "
        "them, not which: one between two classes may be answered with 30 %, one unlike them all turned away at 80 %."
    ]
    if found["false_accept"]:
        lines.append(
            "The hardest strangers are pictures of a class like those it knows. Each class was left out in turn (ten "
            f"of them where there are more) and shown to a classifier without it: {_share(found['false_accept'])} "
            f"were let through, by confidence alone {percent(found['false_accept_by_confidence_alone']['share'], 0)}."
        )
    if found["false_accept_given"]:
        lines.append(f"Of the pictures in the folder “none”, {_share(found['false_accept_given'])} were let through.")
    else:
        lines.append(
            "Put ten or more pictures of what else it may be shown into a folder “none” beside the class folders: it "
            "learns to refuse what looks like them, which helps far more than anything else."
        )
    return lines


def split_words(found: Mapping[str, Any] | None) -> str:
    """What near-copies would have pretended; "" where there are none."""
    if found is None:
        return ""
    grouped, random = found["grouped"], found["random"]
    told = random["accuracy"] > grouped["accuracy_high"]
    verdict = "" if told else "That is no difference that can be told from chance. "
    return (
        f"Splitting at random, with near-copies on both sides, would have shown {percent(random['accuracy'])} "
        f"({percent(random['accuracy_low'])} to {percent(random['accuracy_high'])}); keeping near-copies "
        f"together, as everywhere on this page, the same heads get {percent(grouped['accuracy'])} "
        f"({percent(grouped['accuracy_low'])} to {percent(grouped['accuracy_high'])}). {verdict}"
        "Both are of heads by cross-validation among the pictures it learned from; neither is the accuracy above."
    )


def set_aside_words(found: Mapping[str, Any] | None) -> str:
    """What the pictures that a machine took out do to the accuracy; "" where there are none."""
    if found is None:
        return ""
    count = found["pictures"]
    was, them, they = ("was", "it", "it counts") if count == 1 else ("were", "them", "they count")
    return (
        f"{count} of the pictures that judged {was} taken out of the data set by “curate --apply”: the classifier did "
        f"not learn from {them}, but {they} here as collected ({found['right']} answered so), because nobody has "
        f"looked at {them} and a machine takes out the hard ones first. Without {them} accuracy would read "
        f"{percent(found['without']['share'])}. Remove or keep {them} by hand to settle it."
    )


def suspected_words(found: Mapping[str, Any] | None) -> str:
    """What judging pictures that are almost certainly wrong do to the accuracy; "" where there are none."""
    if found is None:
        return ""
    without, count = found["without"], found["pictures"]
    low, high = percent(without["low"], 0), percent(without["high"], 0)
    are = "is almost certainly wrong itself" if count == 1 else "are almost certainly wrong themselves"
    them = "it" if count == 1 else "them"
    return (
        f"{count} of the {count + without['n']} pictures it was measured on {are} (“tellapart curate” shows {them}): "
        f"without {them} {percent(without['share'], 0)} ({low} to {high}). Nobody has "
        f"looked at {them}, so the first number stands until a person has."
    )


def more_pictures(curves: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(class name, what 100 more pictures of it would add), the largest gain first."""
    order = sorted(curves.items(), key=lambda item: -(item[1]["gain"] or 0.0) if item[1]["told"] else 1.0)
    return [(name, _gain(row)) for name, row in order]


def with_intervals(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the table by class: name, shares, "found" and "believable" (low, high), whether too few judged.

    "believable" is None for a class that was never answered.
    """
    answered = [sum(column) for column in zip(*metrics["confusion"], strict=True)]
    return [
        {
            "name": name,
            "found": wilson(round(row["recall"] * row["support"]), row["support"]),
            "believable": wilson(round(row["precision"] * times), times) if times else None,
            "few": row["support"] < FEW_JUDGED,
            **row,
        }
        for (name, row), times in zip(metrics["per_class"].items(), answered, strict=True)
    ]


def _gain(row: Mapping[str, Any]) -> str:
    if row["gain"] is None:
        return "cannot be told from so few pictures"
    if not row["told"]:
        return "no gain that can be told from chance"
    low, high = 100 * row["gain_low"], 100 * row["gain_high"]
    return f"{MORE} more: about +{100 * row['gain']:.0f} points (between +{low:.0f} and +{high:.0f})"


def _share(share: Mapping[str, Any]) -> str:
    interval = f"95 % interval {percent(share['low'], 0)} to {percent(share['high'], 0)}"
    return f"{share['count']} of {share['n']} ({percent(share['share'], 0)}; {interval})"
