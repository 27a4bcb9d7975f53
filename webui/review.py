"""Looking through a data set's pictures: the grid, its data, one picture."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, abort, jsonify, render_template, request, send_file

from tellapart.actions import history
from tellapart.dataset import Dataset
from tellapart.decisions import Action
from tellapart.errors import TellapartError
from tellapart.images import DEFAULT_LIMITS
from tellapart.listing import Listed, Wanted, class_counts, count, page
from tellapart.manifest import Attempt
from tellapart.pictures import REASON_TEXT, Status
from tellapart.public import UPLOAD, public_author
from tellapart.wire import MAX_BATCH_IMAGES
from webui.datasets import find_dataset, find_picture, is_ours, job_on
from webui.judged import judged_pictures
from webui.login import mine
from webui.parts import parts
from webui.review_filters import read_filters, read_number
from webui.secret import pseudonym
from webui.security import MAX_UPLOAD_BYTES
from webui.thumbnails import SIZES, thumbnail

blueprint = Blueprint("review", __name__, url_prefix="/datasets/<name>")
PAGE = 60


@blueprint.get("")
def show(name: str) -> str:
    """The pictures, sixty at a time; the script makes one long window of them."""
    dataset = find_dataset(name, parts().settings)
    filters, offset = read_filters(request.args, dataset), read_number(request.args, "offset", 0)
    wanted, staged, job = filters.wanted(name), _staged(dataset), job_on(name, dataset)
    return render_template(
        "web/review.html",
        name=name,
        dataset=dataset,
        names={c.slug: c.name for c in dataset.classes},
        filters=filters,
        counts={c.slug: 0 for c in dataset.classes} | class_counts(dataset.manifest),
        suspects=count(dataset.manifest, Wanted("suspects")),
        out=count(dataset.manifest, Wanted("out")),
        total=count(dataset.manifest, wanted),
        offset=offset,
        page_size=PAGE,
        items=[_tile(row, staged) for row in page(dataset.manifest, wanted, offset, PAGE)],
        staged=len(staged),
        undoable=_last_batch(dataset),
        judged=judged_pictures(name),
        job=job,
        may_watch=job is not None and mine(job.owner),
        ours=is_ours(dataset, parts().settings),
        max_images=MAX_BATCH_IMAGES,
        max_bytes=DEFAULT_LIMITS.max_bytes,
        max_upload_bytes=MAX_UPLOAD_BYTES,
    )


@blueprint.get("/pictures.json")
def pictures(name: str) -> Response:
    """Pictures from `offset` on, at most `limit`, by the same filters as the page."""
    dataset = find_dataset(name, parts().settings)
    wanted, staged = read_filters(request.args, dataset).wanted(name), _staged(dataset)
    offset, limit = read_number(request.args, "offset", 0), read_number(request.args, "limit", PAGE)
    return jsonify({"items": [_tile(row, staged) for row in page(dataset.manifest, wanted, offset, limit)]})


@blueprint.get("/thumbnails/<class_slug>/<sha256>.jpg")
def picture(name: str, class_slug: str, sha256: str) -> Response:
    """A small copy of a picture (`?size=large` for a larger one), without the camera's data."""
    dataset, size = find_dataset(name, parts().settings), request.args.get("size", "small")
    if size not in SIZES:
        abort(404)
    try:
        path = thumbnail(dataset, find_picture(dataset, class_slug, sha256), size)
    except TellapartError:
        abort(404)
    response = send_file(path, mimetype="image/jpeg")
    response.headers["Cache-Control"] = "private, max-age=86400, immutable"
    return response


@blueprint.get("/pictures/<class_slug>/<sha256>")
def details(name: str, class_slug: str, sha256: str) -> str:
    """One picture, large, with where it came from and what was decided about it."""
    dataset = find_dataset(name, parts().settings)
    attempt = find_picture(dataset, class_slug, sha256)
    shown = "kept" if attempt.status == Status.KEPT else "out"
    listed = page(dataset.manifest, Wanted(shown, class_slug, digests=[sha256]), limit=1)
    return render_template(
        "web/review_picture.html",
        name=name,
        dataset=dataset,
        attempt=attempt,
        flag=listed[0].flag if listed else {},
        reason=REASON_TEXT[attempt.reason],
        author=public_author(attempt.source, attempt.author),
        uploader=_uploader(attempt),
        names={c.slug: c.name for c in dataset.classes},
        staged=_staged(dataset).get((class_slug, sha256)),
        decided=[a for a in history(dataset) if (a.class_slug, a.sha256) == (class_slug, sha256)],
    )


def _tile(row: Listed, staged: Mapping[tuple[str, str], Action]) -> dict[str, Any]:
    """What a tile shows; short, as thousands of them travel."""
    decided = staged.get((row.class_slug, row.sha256))
    return {
        "class": row.class_slug,
        "sha256": row.sha256,
        "why": row.flag.get("reason", "") if row.status == Status.KEPT else REASON_TEXT[row.reason],
        "to": row.flag.get("to", ""),
        "staged": decided.action if decided else "",
        "staged_to": decided.to_slug if decided else "",
    }


def _staged(dataset: Dataset) -> dict[tuple[str, str], Action]:
    return {(a.class_slug, a.sha256): a for a in parts().staging.staged(dataset)}


def _uploader(attempt: Attempt) -> str:
    """Who put a picture in, while they are among the users."""
    if attempt.source != UPLOAD or not attempt.author:
        return ""
    home = parts().settings.home
    return next((name for name in parts().users.names() if pseudonym(home, name) == attempt.author), "")


def _last_batch(dataset: Dataset) -> int:
    """How many pictures the last batch of a person's decisions in force is about."""
    batches = [a.batch for a in history(dataset) if a.by == "person" and not a.undone]
    return batches.count(max(batches)) if batches else 0
