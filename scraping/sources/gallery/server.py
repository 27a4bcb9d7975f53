"""Serving the gallery from a thread, on a loopback address and a free port."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from werkzeug.serving import WSGIRequestHandler, make_server

from scraping.sources.gallery.catalog import Catalog
from scraping.sources.gallery.site import create_site


class _Quiet(WSGIRequestHandler):
    """Keeps connections open between requests and logs none of them."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 (werkzeug's name)
        """Say nothing."""


@contextmanager
def serve_gallery(folder: Path) -> Generator[str, None, None]:
    """Serve a folder's pictures; gives the site's address, without a slash at its end.

    Raises:
        Unavailable: there is no such folder.
    """
    site = create_site(Catalog(folder))
    server = make_server("127.0.0.1", 0, site, threaded=True, request_handler=_Quiet)
    thread = Thread(target=lambda: server.serve_forever(poll_interval=0.05), name="gallery", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
