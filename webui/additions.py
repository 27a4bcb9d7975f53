"""Pictures that people said were answered wrongly join the data set, in the class they said is right."""

from flask import Blueprint, flash, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from tellapart.dataset import Dataset
from tellapart.errors import TellapartError, UsageError
from tellapart.manifest import Attempt, now
from tellapart.pictures import Reason, Status
from webui.datasets import changing, find_dataset, refuse_at_work
from webui.decoding import decoding
from webui.feedback import Feedback
from webui.parts import parts

blueprint = Blueprint("additions", __name__, url_prefix="/datasets/<name>")
SOURCE = "feedback"


@blueprint.post("/additions")
def add(name: str) -> AnyResponse:
    """Add the picture of one answer, `record`, that was said to be wrong."""
    dataset = find_dataset(name, parts().settings)
    told = parts().feedback.about(request.form.get("record", ""))
    try:
        added = _add(dataset, told if told and told.classifier == name else None)
    except TellapartError as error:
        flash(f"The picture was not added: {error}.")
    else:
        flash(f"Added to {added}. Train again to let the classifier know.")
    return redirect(url_for("classifiers.wrong", name=name), 303)


def _add(dataset: Dataset, told: Feedback | None) -> str:
    """The name of the class that got the picture.

    Raises:
        UsageError: there is no such answer, its picture was not to be kept, or the data set cannot take it (now).
        Rejected: it is too small or damaged.
    """
    path = parts().feedback.picture(told) if told else None
    if told is None or path is None:
        raise UsageError("it is not here", "Only pictures that may be kept can be added")
    if dataset.folder is not None:
        raise UsageError("the pictures are in a folder of your own", f"Put it into {dataset.folder.name}/ yourself")
    wanted = next((c for c in dataset.classes if c.name == told.right_class), None)
    if wanted is None:
        raise UsageError("the data set has no class for it", "Only pictures of its classes can be added")
    data = path.read_bytes()
    with decoding() as apart:
        picture = apart.inspect(data)
    url = f"{SOURCE}:{picture.sha256}"
    fresh = Attempt(url, wanted.slug, Status.KEPT, Reason.OK, source=SOURCE, fetched_at=now()).with_picture(picture)
    refuse_at_work(told.classifier, dataset)
    with changing(dataset):
        if any(a.status == Status.KEPT for a in dataset.manifest.with_digest(picture.sha256)):
            raise UsageError("it is there already", "Nothing is left to do")
        dataset.store(wanted.slug, picture, data)
        dataset.manifest.add([fresh])
    return wanted.name
