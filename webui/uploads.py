"""Pictures in, answers out: the upload form and what it posts to."""

import unicodedata
from dataclasses import dataclass

from flask import Blueprint, Response, jsonify, make_response, redirect, render_template, request, url_for
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response as AnyResponse

from tellapart.images import DEFAULT_LIMITS
from tellapart.wire import DEFAULT_TOP_K, HTTP_STATUS, MAX_BATCH_IMAGES, Problem, ServiceError
from webui.answers import Answer, Question
from webui.errors import wants_json
from webui.parts import parts
from webui.records import Entry, Record, new_id

blueprint = Blueprint("uploads", __name__)
_MAX_TOP_K = 100
_SHOWN_NAME = 120


@dataclass(frozen=True)
class Upload:
    """A picture as it came; its name is only ever shown."""

    name: str
    data: bytes


@blueprint.get("/classify")
def form() -> str:
    """The upload form; `?model=` chooses a classifier."""
    return _form(request.args.get("model", ""))


@blueprint.post("/classify")
def classify() -> AnyResponse:
    """Classify the pictures in `images`: one leads to its result, several to a page of results."""
    model = parts().catalog.resolve(request.form.get("model", ""))
    try:
        question, uploads = Question(model.model, _top_k()), _uploads()
    except ServiceError as error:
        return _refused(Problem(code=error.code, message=str(error)), model.name)
    answers = parts().answers.answer([u.data for u in uploads], question)
    entries = [_record(upload, answer) for upload, answer in zip(uploads, answers, strict=True)]
    if len(entries) == 1 and (problem := entries[0].error):
        return _refused(problem, model.name, entries[0].name)
    return _answered(entries)


def _answered(entries: list[Entry]) -> AnyResponse:
    if wants_json():
        return jsonify({"results": [_for_programs(entry) for entry in entries]})
    if len(entries) == 1:
        return redirect(url_for("results.show", record_id=entries[0].id), 303)
    record_id = parts().records.save(Record(entries=entries), new_id())
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
        max_images=MAX_BATCH_IMAGES,
        max_bytes=DEFAULT_LIMITS.max_bytes,
    )


def _record(upload: Upload, answer: Answer) -> Entry:
    """What became of one upload; a result gets its own record and a preview."""
    if isinstance(answer.outcome, Problem):
        return Entry(name=upload.name, sha256=answer.digest, error=answer.outcome)
    entry = Entry(
        name=upload.name, sha256=answer.digest, id=new_id(), result=answer.outcome, from_cache=answer.from_cache
    )
    parts().previews.save(answer.digest, upload.data)
    parts().records.save(Record(entries=[entry]), entry.id)
    return entry


def _for_programs(entry: Entry) -> dict[str, object]:
    if entry.error:
        return {"name": entry.name, "error": entry.error.model_dump()}
    return {
        "name": entry.name,
        "url": url_for("results.show", record_id=entry.id),
        "picture": url_for("results.picture", digest=entry.sha256),
        "from_cache": entry.from_cache,
        "result": entry.result.model_dump(mode="json") if entry.result else None,
    }


def _uploads() -> list[Upload]:
    """The pictures that came; a form sent with none chosen holds one without name and bytes."""
    files = request.files.getlist("images")
    if len(files) > MAX_BATCH_IMAGES:
        raise ServiceError("too_large", f"{len(files)} pictures were sent; up to {MAX_BATCH_IMAGES} are taken at once")
    uploads = [(f.filename, Upload(shown_name(f), f.stream.read(DEFAULT_LIMITS.max_bytes + 1))) for f in files]
    chosen = [upload for name, upload in uploads if name or upload.data]
    if not chosen:
        raise ServiceError("empty", "Choose at least one picture")
    return chosen


def shown_name(file: FileStorage) -> str:
    """A file's name as it is shown: without folders, control characters, or excess length."""
    base = (file.filename or "").replace("\\", "/").rsplit("/", 1)[-1]
    clean = "".join(c for c in base if unicodedata.category(c)[0] != "C").strip()
    return clean[:_SHOWN_NAME] or "picture"


def _top_k() -> int:
    text = request.form.get("top_k", str(DEFAULT_TOP_K))
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= _MAX_TOP_K):
        raise ServiceError("wrong_field", f"top_k is {text[:20]!r}; a number from 1 to {_MAX_TOP_K} is expected")
    return int(text)
