"""Every error as a page of the site, or as JSON where JSON was asked for."""

from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, current_app, jsonify, make_response, redirect, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, SecurityError
from werkzeug.wrappers import Response as AnyResponse

from tellapart.errors import Busy, DataError, MissingError, TellapartError, UsageError
from tellapart.wire import ServiceError
from tellapart.wording import sentence
from webui.client import Unavailable
from webui.parts import parts
from webui.security import MAX_UPLOAD_BYTES, only_this_machine

_DRAIN_BYTES = 4 * MAX_UPLOAD_BYTES
_CODES = {405: "method_not_allowed", 413: "too_large", 404: "not_found", 503: "overloaded"}


@dataclass(frozen=True)
class Trouble:
    """An error as people see it: the status, a heading, one line on what to do."""

    status: int
    title: str
    message: str
    code: str = ""


_TITLES = {
    400: ("That did not work", "The request was not complete. Go back, reload the page and try again."),
    403: ("Not allowed", "This is not open to you."),
    404: (
        "Nothing here",
        "The page does not exist, or it has expired: results are kept for a week. Check the address, or start anew.",
    ),
    405: ("That did not work", "This address does not take this kind of request."),
    413: ("Too much at once", f"Up to {MAX_UPLOAD_BYTES // 2**20} MB fit into one upload. Choose fewer pictures."),
    500: ("Our mistake", "Something went wrong on our side; it has been logged. Try again."),
}


def wants_json() -> bool:
    """Whether the client prefers JSON to a page."""
    accepted = request.accept_mimetypes
    return accepted["application/json"] > accepted["text/html"]


def answer(trouble: Trouble, **headers: str) -> Response:
    """The answer for an error."""
    if wants_json():
        code = trouble.code or _CODES.get(trouble.status, "error")
        response = jsonify({"error": {"code": code, "message": trouble.message}})
    else:
        response = make_response(render_template("web/error.html", trouble=trouble))
    response.status_code = trouble.status
    response.headers.update(headers)
    return response


def register(app: Flask) -> None:
    """Answer every error of an app this way."""
    handlers: list[tuple[type[Exception], Any]] = [
        (HTTPException, _on_http),
        (SecurityError, _on_foreign_host),
        (CSRFError, _on_csrf),
        (RequestEntityTooLarge, _on_too_large),
        (ServiceError, _on_service_error),
        (Unavailable, _on_unavailable),
        (UsageError, _on_refusal),
        (Busy, _on_busy),
        (MissingError, _on_missing),
        (DataError, _on_unreadable),
        (TellapartError, _on_failure),
    ]
    for kind, handler in handlers:
        app.register_error_handler(kind, handler)


def _on_http(error: HTTPException) -> AnyResponse:
    if isinstance(error.response, Response):  # somebody has said it better already
        return error.response
    status = error.code or 500
    if status == 405 and request.method == "GET" and not wants_json():
        return redirect("/" + request.path.strip("/").rpartition("/")[0])  # the page that the form was on
    title, message = _TITLES.get(status, _TITLES[400 if status < 500 else 500])
    allow = dict(error.get_headers()).get("Allow")
    return answer(Trouble(status, title, message), **({"Allow": allow} if allow else {}))


def _on_foreign_host(_: SecurityError) -> Response:
    """Plain text: no address of ours can be written for a name that is not ours."""
    text = "This page is not known by that name. Ask for it by its own, or set TELLAPART_WEB_URL to this one.\n"
    return Response(text, 400, mimetype="text/plain")


def _on_csrf(_: CSRFError) -> Response:
    message = "This page was open for too long, or cookies are switched off. Reload it and send the picture again."
    return answer(Trouble(400, "Please send that again", message, "wrong_token"))


def _on_too_large(error: RequestEntityTooLarge) -> AnyResponse:
    """Read on for a while: a browser that is still sending shows no answer."""
    stream, left = request.environ["wsgi.input"], min(request.content_length or 0, _DRAIN_BYTES)
    while left > 0 and (block := stream.read(min(left, 2**20))):
        left -= len(block)
    return _on_http(error)


def _on_service_error(error: ServiceError) -> Response:
    title = "No such classifier" if error.code == "unknown_model" else _TITLES[400][0]
    return answer(Trouble(error.status, title, sentence(str(error)), error.code))


def _on_refusal(error: UsageError) -> Response:
    return answer(Trouble(409, "That cannot be done", sentence(str(error)), "refused"))


def _on_busy(error: Busy) -> Response:
    return answer(Trouble(409, "One moment", sentence(str(error)), "busy"))


def _on_missing(error: MissingError) -> Response:
    return answer(Trouble(404, _TITLES[404][0], sentence(str(error)), "not_found"))


def _on_unreadable(error: DataError) -> Response:
    """Something that is kept here is damaged; which file is nobody's business but the log's."""
    current_app.logger.error("%s", error)
    message = "What is kept of it is damaged, or of another version of this program. The page's log says which file."
    return answer(Trouble(409, "That cannot be read", message, "unreadable"))


def _on_failure(error: TellapartError) -> Response:
    current_app.logger.error("%s", error)
    title, message = _TITLES[500]
    shown = sentence(str(error)) if only_this_machine(parts().settings) else message  # it may name paths and hosts
    return answer(Trouble(500, title, shown))


def _on_unavailable(error: Unavailable) -> Response:
    trouble = Trouble(503, "The classifier is resting", sentence(str(error)) + ".", "overloaded")
    return answer(trouble, **{"Retry-After": str(error.retry_after)})
