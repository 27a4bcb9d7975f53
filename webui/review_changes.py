"""Deciding about many pictures at once: staged first, then carried out in one go, and taken back in one go."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, flash, jsonify, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from tellapart.actions import ACTIONS, apply, history, undo
from tellapart.dataset import Dataset
from tellapart.decisions import Action, in_force
from tellapart.errors import UsageError
from tellapart.listing import standing
from webui.datasets import changing, find_dataset, job_on
from webui.errors import Trouble, answer, wants_json
from webui.formats import pictures
from webui.job_pages import visible_job
from webui.jobs import AlreadyThere, Kind
from webui.login import current_user
from webui.parts import parts
from webui.review_filters import read_filters, read_number
from webui.staging import MAX_STAGED

blueprint = Blueprint("review_changes", __name__, url_prefix="/datasets/<name>")
_PICTURE = re.compile(r"([^/]{1,120})/([0-9a-f]{64})")


@dataclass(frozen=True)
class Decision:
    """One decision about some pictures, (class slug, sha256) each; the action "none" takes a staged one back."""

    action: str
    to_slug: str
    pictures: tuple[tuple[str, str], ...]

    def actions(self) -> list[Action]:
        """One action for each picture; a move to where a picture stands is none."""
        return [
            Action(self.action, slug, sha256, self.to_slug, by="person")
            for slug, sha256 in self.pictures
            if slug != self.to_slug
        ]


@blueprint.post("/stage")
def stage(name: str) -> AnyResponse:
    """Remember a decision until it is applied."""
    dataset = find_dataset(name, parts().settings)
    try:
        decision = _standing(dataset, _read_decision(dataset))
    except UsageError as error:
        return answer(Trouble(400, "That decision cannot be taken", str(error), "wrong_field"))
    if decision.action == "none":
        parts().staging.unstage(dataset, decision.pictures)
    else:
        parts().staging.stage(dataset, decision.actions())
    return _after(name, dataset, staged=len(parts().staging.staged(dataset)))


@blueprint.post("/discard")
def discard(name: str) -> AnyResponse:
    """Forget all that is staged."""
    dataset = find_dataset(name, parts().settings)
    parts().staging.unstage(dataset)
    return _after(name, dataset, "Nothing is marked any more.")


@blueprint.post("/apply")
def apply_staged(name: str) -> AnyResponse:
    """Carry out all that is staged, as one batch that can be undone; what was carried out already is not again."""
    dataset = find_dataset(name, parts().settings)
    if job_on(name, dataset):
        return _busy()
    with changing(dataset):
        staged = parts().staging.staged(dataset)
        actions = _outstanding(dataset, staged)
        if actions:
            apply(dataset, actions)
        parts().staging.settle(dataset, staged)
    done = f"Carried out for {pictures(len(actions))}. Train again to let the classifier know."
    return _after(name, dataset, done if actions else "Nothing was marked.")


@blueprint.post("/undo")
def undo_last(name: str) -> AnyResponse:
    """Take back what a person applied last."""
    dataset = find_dataset(name, parts().settings)
    if job_on(name, dataset):
        return _busy()
    with changing(dataset):
        undone = undo(dataset, by="person")
    return _after(name, dataset, f"Taken back for {pictures(len(undone))}." if undone else "Nothing to take back.")


@blueprint.post("/train")
def train(name: str) -> AnyResponse:
    """Train again on the pictures as they are now, and watch it."""
    dataset = find_dataset(name, parts().settings)
    try:
        where = {"dataset": str(dataset.folder or dataset.root)}
        job_id = parts().jobs.enqueue(Kind.TRAIN, name, where, owner=current_user()).id
    except AlreadyThere as running:
        job_id = visible_job(running)
    return redirect(url_for("jobs.show", job_id=job_id), 303)


def _standing(dataset: Dataset, decision: Decision) -> Decision:
    """The decision about those of its pictures that are still there.

    Raises:
        UsageError: none is.
    """
    there = standing(dataset.manifest, decision.pictures)
    if not there:
        raise UsageError("the pictures are not there any more", "Reload the page")
    return replace(decision, pictures=tuple(picture for picture in decision.pictures if picture in there))


def _outstanding(dataset: Dataset, staged: Sequence[Action]) -> list[Action]:
    """What is staged about pictures that are still there, and is not what was decided about them last."""
    there = standing(dataset.manifest, [(a.class_slug, a.sha256) for a in staged])
    decided = {(a.class_slug, a.sha256): (a.action, a.to_slug) for a in in_force(history(dataset)) if a.by == "person"}
    new = [a for a in staged if decided.get((a.class_slug, a.sha256)) != (a.action, a.to_slug)]
    return [a for a in new if (a.class_slug, a.sha256) in there]


def _read_decision(dataset: Dataset) -> Decision:
    """The decision in a form or in JSON: `action`, `to` (a class slug) and `pictures`, each CLASS_SLUG/SHA256."""
    try:
        sent = request.get_json(silent=True)
    except RecursionError:  # nested beyond all sense
        sent = None
    given: dict[str, Any] = sent if isinstance(sent, dict) else {}
    action = str(given.get("action") or request.form.get("action", ""))
    to_slug = str(given.get("to") or request.form.get("to", "")) if action == "move" else ""
    if action not in (*ACTIONS, "none"):
        raise UsageError(f"{action[:20]!r} is none of the decisions", "Choose keep, remove or move")
    if action == "move" and to_slug not in {c.slug for c in dataset.classes}:
        raise UsageError("no class to move the pictures to was chosen", "Choose one")
    chosen = given.get("pictures") or request.form.getlist("pictures")
    return Decision(action, to_slug, _read_pictures(chosen))


def _read_pictures(chosen: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    if not isinstance(chosen, list) or not 0 < len(chosen) <= MAX_STAGED:
        raise UsageError("no picture was chosen, or too many at once", f"Choose 1 to {MAX_STAGED}")
    found = [_PICTURE.fullmatch(str(text)) for text in chosen]
    if not all(match and match[1].isprintable() for match in found):
        raise UsageError("a picture has an unknown address", "Reload the page")
    return tuple((match[1], match[2]) for match in found if match)


def _busy() -> AnyResponse:
    message = "A job is working on these pictures. Wait for it, or stop it; what you decided is kept."
    return answer(Trouble(409, "One moment", message, "busy"))


def _after(name: str, dataset: Dataset, message: str = "", **values: Any) -> AnyResponse:
    """JSON for the script; for a form the page it was on again, with a message."""
    if wants_json():
        return jsonify(values | {"message": message})
    if message:
        flash(message)
    where: dict[str, Any] = dict(read_filters(request.form, dataset).query())
    where["offset"] = read_number(request.form, "offset", 0) or None
    return redirect(url_for("review.show", name=name, **where), 303)
