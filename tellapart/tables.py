"""What the command line prints about classifiers and data sets."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Column, Table

from tellapart.dataset import Dataset
from tellapart.none_of_these import always_answers
from tellapart.pictures import REASON_TEXT, Reason
from tellapart.store import StoredModel
from tellapart.wording import counted


def trained(model: StoredModel) -> str:
    """A classifier's tag, how good it is, what casts doubt on it, what it cannot do, its report; a line each."""
    metrics = model.info.metrics
    limit = "" if model.info.says_none else always_answers(metrics.get("none_of_these_pictures")) + "\n"
    return (
        f"classifier: {model.tag}\n"
        f"accuracy: {metrics['accuracy']:.3f} (95 % interval {metrics['accuracy_low']:.3f} to "
        f"{metrics['accuracy_high']:.3f}, {metrics['protocol']} on {counted(metrics['n'], 'picture')})\n"
        f"{_doubt(metrics)}{limit}report: {_report(model)}"
    )


def _doubt(metrics: Mapping[str, Any]) -> str:
    """How many of the pictures that judged are almost certainly wrong, as a line; "" where none are."""
    found = metrics.get("suspected")
    if not found:
        return ""
    one = found["pictures"] == 1
    return (
        f"{found['pictures']} of these {metrics['n']} pictures {'is' if one else 'are'} almost certainly wrong "
        f"{'itself' if one else 'themselves'}; without {'it' if one else 'them'} {found['without']['share']:.3f}\n"
    )


def trained_values(model: StoredModel) -> dict[str, Any]:
    """The same for programs."""
    metrics = model.info.metrics
    figures = {key: metrics[key] for key in ("accuracy", "accuracy_low", "accuracy_high", "protocol", "n")}
    known = {"tag": model.tag, "classes": model.info.class_names, "says_none": model.info.says_none}
    return {**known, **figures, "report": str(_report(model))}


def counts_values(dataset: Dataset) -> dict[str, Any]:
    """A data set's folder and its kept pictures per class, for programs."""
    found = dataset.manifest.counts()
    kept = {c.name: found.get(c.slug, Counter())[Reason.OK] for c in dataset.classes}
    return {"dataset": str(dataset.root), "kept": kept}


def counts(dataset: Dataset) -> Table:
    """Per class: how many pictures were found, kept, and what became of the rest."""
    found = dataset.manifest.counts()
    table = Table("class", "found", "kept", "not kept, and why", title=escape(str(dataset.folder or dataset.root)))
    for c in dataset.classes:
        reasons = found.get(c.slug, Counter())
        rest = "\n".join(f"{n} {REASON_TEXT[r]}" for r, n in reasons.most_common() if r is not Reason.OK)
        table.add_row(escape(c.name), str(reasons.total()), str(reasons[Reason.OK]), rest)
    return table


def _report(model: StoredModel) -> Path:
    return model.path / "report" / "index.html"


def models(found: Sequence[StoredModel]) -> Table:
    """The classifiers of a store, in the order given; a tag is never cut short."""
    table = Table(Column("classifier", no_wrap=True), "answers", "classes", "accuracy", "backbone", "created")
    for m in found:
        accuracy = m.info.metrics.get("accuracy")
        table.add_row(
            m.tag,
            "yes" if m.promoted else "",
            str(len(m.info.classes)),
            "" if accuracy is None else f"{accuracy:.3f}",
            m.info.backbone,
            m.info.created,
        )
    return table


def evaluation(title: str, result: Mapping[str, Any]) -> Table:
    """Per class: pictures, precision and recall, where it has pictures."""
    table = Table("class", "pictures", "precision", "recall", title=escape(title))
    for name, row in result["per_class"].items():
        shares = (f"{row['precision']:.3f}", f"{row['recall']:.3f}") if row["support"] else ("", "")
        table.add_row(escape(name), str(row["support"]), *shares)
    return table


def evaluated(result: Mapping[str, Any]) -> str:
    """The figures of the whole, and a warning where the classifier learned from what it was measured on."""
    text = (
        f"accuracy {result['accuracy']:.3f}, balanced {result['balanced_accuracy']:.3f}, "
        f"confidence off by {result['ece']:.3f} on average, "
        f"{counted(result['n'], 'picture')}, {result['skipped']} skipped"
    )
    if result["left_out"]:
        folders = ", ".join(f"{name} ({counted(n, 'file')})" for name, n in result["left_out"].items())
        text += f"\nleft out, as the classifier has no such class: {folders}"
    if result["learned_from"]:
        text += f"\nit learned from {result['learned_from']} of these pictures, so these numbers flatter it"
    return text
