"""The gallery's web pages: a search that shows more as one scrolls, and a page for each picture."""

import io
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, jsonify, render_template, request, send_file, url_for

from scraping.sources.gallery.catalog import Catalog, title
from tellapart.images import ImageError, decode

BATCH = 24
BATCHES_BEFORE_BUTTON = 3
THUMBNAIL_SIDE = 220
_TEMPLATES = Path(__file__).resolve().parents[3] / "templates"


def create_site(catalog: Catalog) -> Flask:
    """The site that shows a catalog's pictures."""
    site = Flask(__name__, template_folder=str(_TEMPLATES))
    thumbnail = lru_cache(maxsize=1000)(lambda name: _thumbnail(catalog.path(name)))

    @site.get("/")
    def home() -> str:
        query = request.args.get("q", "").strip()
        return render_template("gallery/search.html", query=query, topics=catalog.topics(), total=len(catalog))

    @site.get("/search.json")
    def search() -> Response:
        return jsonify(_batch(catalog, request.args.get("q", ""), request.args.get("offset", 0, type=int)))

    @site.get("/picture/<path:name>")
    def picture(name: str) -> str:
        _require(catalog, name)
        return render_template("gallery/picture.html", name=name, title=title(name), credit=catalog.credit)

    @site.get("/full/<path:name>")
    def full(name: str) -> Response:
        _require(catalog, name)
        return send_file(catalog.path(name), max_age=3600)

    @site.get("/thumbnail/<path:name>")
    def small(name: str) -> Response:
        _require(catalog, name)
        try:
            return Response(thumbnail(name), mimetype="image/jpeg", headers={"Cache-Control": "max-age=3600"})
        except ImageError:
            abort(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)

    return site


def _require(catalog: Catalog, name: str) -> None:
    """Only names that are in the catalog exist here, so no path leads out of its folder."""
    if name not in catalog:
        abort(HTTPStatus.NOT_FOUND)


def _batch(catalog: Catalog, query: str, offset: int) -> dict[str, Any]:
    """One helping of results: its tiles, where the next begins (None at the end), and whether that needs the button."""
    found = catalog.search(query)
    end = max(0, offset) + BATCH
    return {
        "total": len(found),
        "tiles": [_tile(catalog, name) for name in found[end - BATCH : end]],
        "next": end if end < len(found) else None,
        "button": end % (BATCH * BATCHES_BEFORE_BUTTON) == 0,
    }


def _tile(catalog: Catalog, name: str) -> dict[str, str]:
    return {
        "title": title(name),
        "page": url_for("picture", name=name),
        "full": url_for("full", name=name),
        "thumbnail": url_for("small", name=name),
        "license": catalog.credit.license,
        "license_url": catalog.credit.license_url,
        "author": catalog.credit.author,
    }


def _thumbnail(path: Path) -> bytes:
    image = decode(path.read_bytes(), shorter_side=THUMBNAIL_SIDE)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()
