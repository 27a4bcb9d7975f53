"""The page's styles and scripts: sent packed, and kept by browsers for as long as their content is the same.

They are read once, at the start, so that what a request asks for is never looked up among the files of the machine.
Only these files are packed, never a page: how small a page with a secret gets would tell what is in it.
"""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, abort, request, url_for

_FOLDER = Path(__file__).parent / "static"
_PACKED = {".css", ".js", ".svg"}


@dataclass(frozen=True)
class _Asset:
    """A file's bytes as they are and packed, `b""` for one that is never packed; `digest` stands for its content."""

    data: bytes
    packed: bytes
    digest: str
    mimetype: str


def register(app: Flask) -> None:
    """Serve the static files of an app made without any, and let templates write their addresses with `asset(name)`."""
    _assets()
    app.add_url_rule("/static/<path:filename>", "static", _send)
    app.jinja_env.globals["asset"] = address


def address(name: str) -> str:
    """URL of a static file that changes with its content, so that no browser shows an old one."""
    return url_for("static", filename=name, v=_assets()[name].digest)


def _send(filename: str) -> Response:
    asset = _assets().get(filename) or abort(404)
    packed = bool(asset.packed and request.accept_encodings["gzip"])
    response = Response(asset.packed if packed else asset.data, mimetype=asset.mimetype)
    response.set_etag(f"{asset.digest}-gzip" if packed else asset.digest)
    kept = "31536000, immutable" if request.args.get("v") == asset.digest else "3600"
    response.headers["Cache-Control"] = f"public, max-age={kept}"
    if asset.packed:
        response.vary.add("Accept-Encoding")
    if packed:
        response.content_encoding = "gzip"
    response.make_conditional(request)
    return response


@lru_cache
def _assets() -> dict[str, _Asset]:
    return {path.relative_to(_FOLDER).as_posix(): _read(path) for path in _FOLDER.rglob("*") if path.is_file()}


def _read(path: Path) -> _Asset:
    data = path.read_bytes()
    return _Asset(
        data=data,
        packed=gzip.compress(data, mtime=0) if path.suffix in _PACKED else b"",
        digest=hashlib.sha256(data).hexdigest()[:10],
        mimetype=mimetypes.guess_type(path.name)[0] or "application/octet-stream",
    )
