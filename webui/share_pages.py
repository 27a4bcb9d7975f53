"""Making and taking back links to a result, and the page that such a link shows: the result, and nothing else."""

from flask import Blueprint, Response, abort, make_response, redirect, render_template, request, send_file, url_for
from werkzeug.wrappers import Response as AnyResponse

from tellapart.wire import ServiceError
from webui.parts import parts
from webui.records import Entry, Record
from webui.results import find_entry, result_page
from webui.shares import DAYS, Share

blueprint = Blueprint("shares", __name__)


@blueprint.post("/results/<record_id>/shares")
def create(record_id: str) -> Response:
    """Make a link that opens for `days`; it is shown this once."""
    record, entry = find_entry(record_id)
    days = request.form.get("days", "")
    if days not in map(str, DAYS):
        raise ServiceError("wrong_field", f"days is {days[:20]!r}; one of {', '.join(map(str, DAYS))} is expected")
    token = parts().shares.create(entry, record.created, parts().previews.find(entry.sha256), int(days))
    _keep_for_links(record, record_id)
    link = url_for(".show", token=token, _external=True)
    return make_response(result_page(record_id, new_link=link), 201)


@blueprint.post("/results/<record_id>/shares/<int(max=2147483647):share_id>/revoke")
def revoke(record_id: str, share_id: int) -> AnyResponse:
    """Take back a link of this result."""
    record, _ = find_entry(record_id)
    if not parts().shares.revoke(record_id, share_id):
        abort(404)
    _keep_for_links(record, record_id)
    return redirect(url_for("results.show", record_id=record_id, _anchor="share"), 303)


@blueprint.get("/shared/<token>")
def show(token: str) -> Response:
    """A shared result, for people who see nothing else of this site."""
    share = _find(token)
    page = render_template(
        "web/shared.html",
        entry=Entry.model_validate(share.entry),
        share=share,
        token=token,
        has_picture=parts().shares.picture(share) is not None,
    )
    return _unlisted(make_response(page))


@blueprint.get("/shared/<token>/picture.jpg")
def picture(token: str) -> Response:
    """The picture of a shared result, without the camera's data."""
    path = parts().shares.picture(_find(token))
    return _unlisted(send_file(path, mimetype="image/jpeg")) if path else abort(404)


def _keep_for_links(record: Record, record_id: str) -> None:
    """A link is taken back on its result's page, which so has to stay as long."""
    parts().records.keep_for(record, record_id, [share.expires for share in parts().shares.of_result(record_id)])


def _find(token: str) -> Share:
    return parts().shares.find(token) or abort(404)


def _unlisted(response: Response) -> Response:
    """Out of search engines, caches, and the addresses that other sites are told."""
    response.headers["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    response.headers["Cache-Control"] = "no-store"
    return response
