"""A thirty-second audit: twenty answers about a class tell how many of its pictures are right."""

from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from tellapart.dataset import Dataset
from tellapart.decisions import AuditItem, Decisions
from tellapart.errors import DataError
from tellapart.listing import class_counts
from tellapart.names import ClassName
from tellapart.purity import Purity, answer, draw_sample, estimate_from
from webui.datasets import find_dataset
from webui.parts import parts

blueprint = Blueprint("audit", __name__, url_prefix="/datasets/<name>/audit")
SAMPLE = 20
_ANSWERS = {"yes": True, "no": False, "undo": None}


@dataclass(frozen=True)
class ClassAudit:
    """What is known of one class of so many pictures: its sample with the answers, if one was drawn."""

    of: ClassName
    pictures: int
    sample: list[AuditItem]

    @property
    def purity(self) -> Purity:
        """The estimate from the answers."""
        return estimate_from(self.sample)

    @property
    def asked(self) -> int:
        """How many pictures the sample has, or will have; one picture is none."""
        return len(self.sample) or (min(SAMPLE, self.pictures) if self.pictures > 1 else 0)

    @property
    def waiting(self) -> list[AuditItem]:
        """The pictures without an answer, in the order to ask."""
        return [item for item in self.sample if item.right is None]

    @property
    def last(self) -> AuditItem | None:
        """The picture answered last."""
        answered = [item for item in self.sample if item.right is not None]
        return max(answered, key=lambda item: item.answered_at, default=None)


@blueprint.get("")
def show(name: str) -> str:
    """One picture to answer about, of `?class=` or the first class that still has some, and what is known so far."""
    dataset, asked = find_dataset(name, parts().settings), request.args.get("class", "")
    audits = _audits(dataset)
    open_ones = [a for a in audits if a.waiting or a.asked > len(a.sample)]
    chosen = next((a for a in audits if a.of.slug == asked), None) if asked else next(iter(open_ones or audits), None)
    if chosen is None:
        abort(404)
    drawn = _drawn(dataset, chosen)
    shown = [drawn if a.of == drawn.of else a for a in audits]
    return render_template("web/audit.html", name=name, dataset=dataset, audits=shown, audit=drawn)


@blueprint.post("/<class_slug>")
def reply(name: str, class_slug: str) -> AnyResponse:
    """Store one answer, "yes" or "no"; "undo" takes it back. The class may have changed since it was asked."""
    dataset = find_dataset(name, parts().settings)
    given = request.form.get("answer", "")
    if given not in _ANSWERS:
        abort(400)
    try:
        answer(dataset, class_slug, request.form.get("picture", ""), _ANSWERS[given])
    except DataError:
        flash("That answer was not taken: the pictures of this class have changed since it was asked.")
    where: dict[str, Any] = {"class": class_slug}
    return redirect(url_for("audit.show", name=name, **where), 303)


def _audits(dataset: Dataset) -> list[ClassAudit]:
    """What is known of each class with pictures, from the samples that were drawn so far."""
    samples: dict[str, list[AuditItem]] = {}
    for item in Decisions(dataset.manifest).audit():
        samples.setdefault(item.class_slug, []).append(item)
    counts = class_counts(dataset.manifest)
    return [ClassAudit(c, counts[c.slug], samples.get(c.slug, [])) for c in dataset.classes if counts.get(c.slug)]


def _drawn(dataset: Dataset, audit: ClassAudit) -> ClassAudit:
    """The same with a sample of the pictures that the class has now."""
    return replace(audit, sample=draw_sample(dataset, audit.of.slug, SAMPLE) if audit.pictures > 1 else [])
