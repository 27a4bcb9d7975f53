"""The form that pictures are sent with, and what it posts to."""

from flask import Blueprint, Response, jsonify, make_response, redirect, render_template, request, url_for
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response as AnyResponse

from tellapart.archives import ArchiveError
from tellapart.images import DEFAULT_LIMITS
from tellapart.wire import HTTP_STATUS, MAX_BATCH_IMAGES, Problem, ServiceError
from tellapart.wording import sentence
from webui.answers import Question
from webui.asking import ask, for_programs
from webui.batches import count_pictures
from webui.errors import wants_json
from webui.intake import Upload, as_file, read_pictures, read_top_k, sent_archive, shown_name
from webui.login import current_user
from webui.parts import parts
from webui.records import Entry, Record, new_id
from webui.security import MAX_UPLOAD_BYTES

blueprint = Blueprint("uploads", __name__)


@blueprint.get("/classify")
def form() -> str:
    """The upload form; `?model=` chooses a classifier."""
    return _form(request.args.get("model", ""))


@blueprint.post("/classify")
def classify() -> AnyResponse:
    """Classify what was sent: the pictures in `images`, a zip archive there, or the picture at `url`.

    One picture leads to its result, several to a page of results.
    """
    model = parts().catalog.resolve(request.form.get("model", ""))
    try:
        question = Question(model.model, read_top_k())
        if archive := sent_archive():
            return _start_batch(archive, question)
        uploads = _fetched() or read_pictures()
    except ServiceError as error:
        return _refused(Problem(code=error.code, message=sentence(str(error))), model.name)
    entries = ask(uploads, question)
    if len(entries) == 1 and (problem := entries[0].error):
        return _refused(problem, model.name, entries[0].name)
    return _answered(entries)


def _fetched() -> list[Upload]:
    """The picture at the address that was given, nothing where none was."""
    address = request.form.get("url", "").strip()
    if not address:
        return []
    found = parts().fetcher.fetch(address)
    return [Upload(shown_name(found.name), found.data)]


def _start_batch(archive: FileStorage, question: Question) -> AnyResponse:
    """An archive is answered part by part, by its own page."""
    with as_file(archive, parts().settings) as path:
        try:
            total, left_out = count_pictures(path)
        except ArchiveError as error:
            raise ServiceError(error.code, str(error)) from error
        name = shown_name(archive.filename)
        batch = parts().batches.start(name, question, total, path, current_user(), left_out)
    where = url_for("batches.show", batch_id=batch.id)
    return jsonify({"batch": where}) if wants_json() else redirect(where, 303)


def _answered(entries: list[Entry]) -> AnyResponse:
    if wants_json():
        return jsonify({"results": [for_programs(entry) for entry in entries]})
    if len(entries) == 1:
        return redirect(url_for("results.show", record_id=entries[0].id), 303)
    record_id = parts().records.save(Record(entries=entries, owner=current_user()), new_id())
    return redirect(url_for("results.show", record_id=record_id), 303)


def _refused(problem: Problem, model: str, name: str = "") -> Response:
    """The form again with what is wrong, or the error as JSON."""
    shown = f"{name}: {problem.message}" if name else problem.message
    body = jsonify({"error": problem.model_dump()}) if wants_json() else make_response(_form(model, shown))
    body.status_code = HTTP_STATUS.get(problem.code, 400)
    return body


def _form(model: str, problem: str = "") -> str:
    catalog = parts().catalog
    chosen = catalog.resolve(model) if catalog.models().models else None
    return render_template(
        "web/classify.html",
        classifiers=catalog.classifiers(),
        chosen=chosen,
        problem=problem,
        address=request.form.get("url", ""),
        max_images=MAX_BATCH_IMAGES,
        max_bytes=DEFAULT_LIMITS.max_bytes,
        max_upload_bytes=MAX_UPLOAD_BYTES,
    )
