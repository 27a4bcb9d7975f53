"""A thirty-second audit: twenty answers about a class tell how many of its pictures are right."""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from tellapart.dataset import Dataset
from tellapart.decisions import AuditItem
from tellapart.errors import DataError
from tellapart.names import ClassName
from tellapart.purity import Purity, answer, draw_sample, estimate_from
from webui.datasets import find_dataset
from webui.parts import parts

blueprint = Blueprint("audit", __name__, url_prefix="/datasets/<name>/audit")
SAMPLE = 20
_ANSWERS = {"yes": True, "no": False, "undo": None}


@dataclass(frozen=True)
class ClassAudit:
    """What is known of one class: its sample with the answers, and the estimate from them."""

    of: ClassName
    sample: list[AuditItem]
    purity: Purity

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
    dataset = find_dataset(name, parts().settings)
    audits = [_audit(dataset, c) for c in dataset.classes if dataset.manifest.kept(c.slug)]
    asked = request.args.get("class", "")
    if asked and asked not in {a.of.slug for a in audits}:
        abort(404)
    open_ones = [a for a in audits if a.waiting]
    chosen = [a for a in audits if a.of.slug == asked] or open_ones or audits
    if not chosen:
        abort(404)
    return render_template("web/audit.html", name=name, dataset=dataset, audits=audits, audit=chosen[0])


@blueprint.post("/<class_slug>")
def reply(name: str, class_slug: str) -> AnyResponse:
    """Store one answer, "yes" or "no"; "undo" takes it back."""
    dataset = find_dataset(name, parts().settings)
    given = request.form.get("answer", "")
    if given not in _ANSWERS:
        abort(400)
    try:
        answer(dataset, class_slug, request.form.get("picture", ""), _ANSWERS[given])
    except DataError:
        abort(404)
    where: dict[str, Any] = {"class": class_slug}
    return redirect(url_for("audit.show", name=name, **where), 303)


def _audit(dataset: Dataset, of: ClassName) -> ClassAudit:
    count = len(dataset.manifest.kept(of.slug))
    sample = draw_sample(dataset, of.slug, SAMPLE) if count > 1 else []
    return ClassAudit(of, sample, estimate_from(sample))
