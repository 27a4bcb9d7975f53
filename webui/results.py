"""Results: one picture with its classes, or a list of several, and the preview pictures."""

from flask import Blueprint, Response, abort, jsonify, render_template, send_file

from webui.parts import parts
from webui.records import Record

blueprint = Blueprint("results", __name__)


@blueprint.get("/results/<record_id>")
def show(record_id: str) -> str:
    """The page of a result, or of several."""
    record = _find(record_id)
    has_picture = {e.sha256 for e in record.entries if parts().previews.find(e.sha256)}
    template = "web/result.html" if len(record.entries) == 1 else "web/results.html"
    return render_template(template, record=record, record_id=record_id, has_picture=has_picture)


@blueprint.get("/results/<record_id>/json")
def download(record_id: str) -> Response:
    """The same as JSON, to keep."""
    record = _find(record_id)
    response = jsonify(record.model_dump(mode="json"))
    response.headers["Content-Disposition"] = f'attachment; filename="result-{record_id}.json"'
    return response


@blueprint.get("/pictures/<digest>.jpg")
def picture(digest: str) -> Response:
    """The preview of a picture; the digest is of the uploaded bytes."""
    path = parts().previews.find(digest)
    if path is None:
        abort(404)
    response = send_file(path, mimetype="image/jpeg")
    response.headers["Cache-Control"] = "private, max-age=86400, immutable"
    return response


def _find(record_id: str) -> Record:
    record = parts().records.find(record_id)
    if record is None:
        abort(404)
    return record
