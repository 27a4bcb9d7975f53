"""Pages and data of batches: many pictures in one go, answered part by part."""

from flask import Blueprint, Response, abort, jsonify, render_template, request, url_for

from tellapart.archives import ArchiveError, open_archive
from tellapart.wire import Problem, ServiceError
from webui.answers import Question
from webui.asking import ask, for_programs
from webui.batches import MAX_PICTURES, PAGE, PART, Batch, read_part
from webui.downloads import as_csv, as_json
from webui.intake import Upload, read_number, read_top_k, read_uploads, shown_name
from webui.login import current_user, mine
from webui.parts import parts
from webui.records import Entry

blueprint = Blueprint("batches", __name__, url_prefix="/batches")


@blueprint.post("")
def start() -> Response:
    """Begin a batch of `total` pictures that will be sent in parts."""
    model = parts().catalog.resolve(request.form.get("model", ""))
    total = read_number("total", 1, 1, MAX_PICTURES)
    question = Question(model.model, read_top_k())
    batch = parts().batches.start(shown_name(request.form.get("title")), question, total, owner=current_user())
    return jsonify({"batch": url_for(".show", batch_id=batch.id)})


@blueprint.post("/<batch_id>")
def add(batch_id: str) -> Response:
    """Classify the pictures in `images`, which are number `start` and those after it."""
    batch = _find(batch_id)
    first, uploads = read_number("start", 0, 0, batch.total - 1), read_uploads()
    if batch.from_archive or first + len(uploads) > batch.total:
        raise ServiceError("wrong_field", f"the batch takes {batch.total} pictures")
    if parts().batches.overlaps(batch, first, len(uploads)):
        raise ServiceError("wrong_field", "some of these pictures came in another part already")
    entries = ask(uploads, batch.question, many=True)
    parts().batches.save_part(batch, first, entries)
    return jsonify({"results": [for_programs(entry) for entry in entries]})


@blueprint.get("/<batch_id>")
def show(batch_id: str) -> str:
    """A batch from `?start=` on: one part of an archive, the rest by the script; of a folder one page."""
    batch = _find(batch_id)
    first, step = _start(batch), PART if batch.from_archive else PAGE
    shown = _answer_part(batch, first) if batch.from_archive else parts().batches.entries(batch, first, first + step)
    has_picture = {e.sha256 for e in shown if parts().previews.has(e.sha256)}
    return render_template(
        "web/batch.html",
        batch=batch,
        entries=shown,
        start=first,
        step=step,
        has_picture=has_picture,
        always=not all(entry.says_none for entry in shown),
    )


@blueprint.get("/<batch_id>/part")
def part(batch_id: str) -> Response:
    """The answers to the part of an archive that begins at `?start=`."""
    batch = _find(batch_id)
    if not batch.from_archive:
        abort(404)
    return jsonify({"results": [for_programs(entry) for entry in _answer_part(batch, _start(batch))]})


@blueprint.get("/<batch_id>/json")
def json(batch_id: str) -> Response:
    """All answers so far, to keep."""
    return as_json(parts().batches.entries(_find(batch_id)), f"results-{batch_id}")


@blueprint.get("/<batch_id>/csv")
def csv(batch_id: str) -> Response:
    """All answers so far as a table."""
    return as_csv(parts().batches.entries(_find(batch_id)), f"results-{batch_id}")


def _answer_part(batch: Batch, first: int) -> list[Entry]:
    """The answers to one part of an archive: kept ones, else asked for now."""
    kept = parts().batches.part(batch, first)
    if kept is not None:
        return kept
    try:
        with open_archive(parts().batches.archive(batch)) as archive:
            entries = [entry for group in read_part(archive, first) for entry in _answer_group(batch, group)]
    except ArchiveError:  # another request has answered the last of it, and so it went
        return parts().batches.part(batch, first) or abort(404)
    parts().batches.save_part(batch, first, entries)
    return entries


def _answer_group(batch: Batch, group: list[tuple[str, bytes | ArchiveError]]) -> list[Entry]:
    found = [(shown_name(name), data) for name, data in group]
    readable = [Upload(name, data) for name, data in found if isinstance(data, bytes)]
    answers = iter(ask(readable, batch.question, many=True))
    return [next(answers) if isinstance(data, bytes) else _unreadable(name, data) for name, data in found]


def _unreadable(name: str, error: ArchiveError) -> Entry:
    return Entry(name=name, sha256="", error=Problem(code=error.code, message=str(error)))


def _start(batch: Batch) -> int:
    """Where the part that is asked for begins."""
    text = request.args.get("start", "0")
    first = int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else -1
    return first if 0 <= first < batch.total and first % PART == 0 else abort(404)


def _find(batch_id: str) -> Batch:
    batch = parts().batches.find(batch_id)
    return batch if batch and mine(batch.owner) else abort(404)
