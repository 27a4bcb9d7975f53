"""The page's styles and scripts: sent packed, and kept by browsers for as long as their content is the same.

Only these files are packed, never a page: how small a page with a secret gets would tell what is in it.
"""

import gzip
import hashlib
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, request, url_for

_FOLDER = Path(__file__).parent / "static"
_PACKED = {".css", ".js", ".svg"}


def register(app: Flask) -> None:
    """Serve an app's static files this way, and let templates write their addresses with `asset(name)`."""
    app.jinja_env.globals["asset"] = address
    app.after_request(_as_asset)


def address(name: str) -> str:
    """URL of a static file that changes with its content, so that no browser shows an old one."""
    return url_for("static", filename=name, v=_digest(name))


def _as_asset(response: Response) -> Response:
    name = (request.view_args or {}).get("filename", "")
    if request.endpoint != "static" or response.status_code != 200:
        return response
    if request.args.get("v") == _digest(name):
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    if Path(name).suffix in _PACKED:
        response.vary.add("Accept-Encoding")
        if request.accept_encodings["gzip"]:
            response.close()
            response.direct_passthrough = False
            response.set_data(_packed(name))
            response.content_encoding = "gzip"
    return response


@lru_cache
def _digest(name: str) -> str:
    return hashlib.sha256((_FOLDER / name).read_bytes()).hexdigest()[:10]


@lru_cache
def _packed(name: str) -> bytes:
    return gzip.compress((_FOLDER / name).read_bytes(), mtime=0)
