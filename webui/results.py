"""Results: one picture with its classes, or a list of several; what an answer rests on; what people say of it."""

import base64
import binascii

from flask import Blueprint, Response, abort, redirect, render_template, request, send_file, url_for
from werkzeug.wrappers import Response as AnyResponse

from tellapart.wire import Explanation, ServiceError
from webui.client import Unavailable
from webui.downloads import as_csv, as_json
from webui.learned import learned_pictures
from webui.login import current_user, mine
from webui.parts import parts
from webui.records import Entry, Record
from webui.shares import DAYS

blueprint = Blueprint("results", __name__)


@blueprint.get("/results/<record_id>")
def show(record_id: str) -> str:
    """The page of a result, or of several."""
    return result_page(record_id)


@blueprint.get("/results/<record_id>/json")
def download(record_id: str) -> Response:
    """The same as JSON, to keep."""
    record = _find(record_id)
    return as_json(record.entries, f"result-{record_id}", record.created)


@blueprint.get("/results/<record_id>/csv")
def download_csv(record_id: str) -> Response:
    """The same as a table."""
    return as_csv(_find(record_id).entries, f"result-{record_id}")


@blueprint.get("/results/<record_id>/heat-map.png")
def heat_map(record_id: str) -> Response:
    """Where the classifier looked for `?class=`, to lay over the picture."""
    explanation = _explain(record_id)
    try:
        data = base64.b64decode(explanation.heat_map, validate=True)
    except binascii.Error as error:
        raise Unavailable("the service answered something that is no heat map") from error
    response = Response(data, mimetype="image/png")
    response.headers["Cache-Control"] = "private, max-age=86400"
    return response


@blueprint.get("/results/<record_id>/explanation")
def explanation(record_id: str) -> str:
    """In words where it looked for `?class=`; the result's page shows the piece that matters in place."""
    _, entry = find_entry(record_id)
    return render_template("web/explanation.html", explanation=_explain(record_id), record_id=record_id, entry=entry)


@blueprint.get("/results/<record_id>/nearest")
def nearest(record_id: str) -> str:
    """The most alike of the pictures it learned from; the result's page shows them in place."""
    _, entry = find_entry(record_id)
    assert entry.result
    pictures, reason = [], ""
    try:
        pictures = learned_pictures(parts().explanations.nearest(entry.sha256, _preview(entry), entry.result.model))
    except ServiceError as error:
        if error.code != "no_neighbours":
            raise
        reason = str(error)
    return render_template("web/nearest.html", pictures=pictures, reason=reason, record_id=record_id)


@blueprint.post("/results/<record_id>/feedback")
def tell(record_id: str) -> AnyResponse:
    """Write down whether the answer is right, or what it should be; the picture is kept only if that was ticked."""
    _, entry = find_entry(record_id)
    right = {"yes": True, "no": False}.get(request.form.get("right", ""))
    if right is None:
        raise ServiceError("wrong_field", "right is neither yes nor no")
    right_class = "" if right else _class(entry, request.form.get("class", ""))
    agreed = not right and request.form.get("keep") == "yes"
    parts().feedback.tell(entry, right, right_class, parts().previews.find(entry.sha256) if agreed else None)
    return redirect(url_for(".show", record_id=record_id, _anchor="feedback"), 303)


@blueprint.get("/results/<record_id>/picture.jpg")
def picture(record_id: str) -> Response:
    """The picture that was answered about, small and without the camera's data."""
    _, entry = find_entry(record_id)
    path = parts().previews.find(entry.sha256) or abort(404)
    response = send_file(path, mimetype="image/jpeg")
    response.headers["Cache-Control"] = "private, max-age=86400, immutable"
    return response


def result_page(record_id: str, new_link: str = "") -> str:
    """The page of a result; `new_link` is one that was just made for it."""
    record = _find(record_id)
    has_picture = {e.sha256 for e in record.entries if parts().previews.find(e.sha256)}
    if len(record.entries) > 1:
        return render_template("web/results.html", record=record, record_id=record_id, has_picture=has_picture)
    return render_template(
        "web/result.html",
        record=record,
        record_id=record_id,
        has_picture=has_picture,
        classes=_classes(record.entries[0]),
        feedback=parts().feedback.about(record_id),
        shares=parts().shares.of_result(record_id),
        days=DAYS,
        new_link=new_link,
    )


def find_entry(record_id: str) -> tuple[Record, Entry]:
    """The record of a single picture, and its entry; 404 where there is none."""
    record = _find(record_id)
    if len(record.entries) != 1 or record.entries[0].result is None:
        abort(404)
    return record, record.entries[0]


def _explain(record_id: str) -> Explanation:
    _, entry = find_entry(record_id)
    assert entry.result
    wanted = request.args.get("class", entry.result.top)
    if wanted not in [p.class_name for p in entry.result.predictions]:
        abort(404)
    return parts().explanations.heat_map(entry.sha256, _preview(entry), entry.result.model, wanted)


def _preview(entry: Entry) -> bytes:
    """The picture as the page shows it, which is all that is kept of it."""
    path = parts().previews.find(entry.sha256)
    return path.read_bytes() if path else abort(404)


def _classes(entry: Entry) -> list[str]:
    """All classes of the version that answered; those it named, where it is gone or the service is away."""
    assert entry.result
    try:
        return parts().catalog.resolve(entry.result.model).classes
    except (ServiceError, Unavailable):
        return [p.class_name for p in entry.result.predictions]


def _class(entry: Entry, text: str) -> str:
    """A class of the form, "" for none of them."""
    if text and text not in _classes(entry):
        raise ServiceError("wrong_field", f"{text[:80]!r} is no class of this classifier")
    return text


def _find(record_id: str) -> Record:
    record = parts().records.find(record_id, current_user())
    return record if record and mine(record.owner) else abort(404)
