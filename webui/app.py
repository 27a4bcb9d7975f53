"""Making the Flask app."""

from pathlib import Path
from typing import Any

from flask import Flask
from flask_caching import Cache

from tellapart.settings import Settings, load_settings
from webui import (
    additions,
    assets,
    audit,
    batch_pages,
    classifiers,
    create,
    errors,
    formats,
    job_pages,
    limits,
    lists,
    login,
    own_pictures,
    pages,
    passwords,
    removal,
    results,
    review,
    review_changes,
    security,
    share_pages,
    uploads,
)
from webui.answers import Answers
from webui.batches import Batches
from webui.cache import cache_config
from webui.catalog import Catalog
from webui.client import ServiceClient
from webui.database import Database
from webui.decoding import Decoders
from webui.explanations import Explanations
from webui.exports import Exports
from webui.feedback import FeedbackBook
from webui.fetching import PictureFetcher
from webui.jobs import Jobs
from webui.parts import EXTENSION, Parts
from webui.previews import Previews
from webui.queue import Queue
from webui.records import Records
from webui.secret import secret_key
from webui.shares import Shares
from webui.staging import Staging
from webui.users import Users

_PAGES = (
    pages,
    lists,
    create,
    job_pages,
    classifiers,
    uploads,
    batch_pages,
    results,
    share_pages,
    review,
    review_changes,
    additions,
    own_pictures,
    removal,
    audit,
    login,
    passwords,
)
_TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


def create_app(settings: Settings | None = None, client: ServiceClient | None = None, **overrides: Any) -> Flask:
    """The web page as a WSGI app; gunicorn calls it without arguments in each worker.

    Args:
        settings: read from the environment if not given.
        client: replaces the client of the service.
        overrides: Flask configuration, such as TESTING=True.

    Raises:
        TellapartError: the home folder cannot be used, or a setting is wrong.
    """
    settings = settings or load_settings()
    app = Flask(__name__, static_folder=None, template_folder=str(_TEMPLATES))
    app.url_map.merge_slashes = False  # it would send people on to a whole address, made of what they asked for
    app.config.update(SECRET_KEY=secret_key(settings.home), SEND_FILE_MAX_AGE_DEFAULT=3600)
    app.config.update(security.CONFIG | cache_config(settings) | overrides)
    app.extensions[EXTENSION] = made = _parts(app, settings, client)
    security.secure(app, settings, login.gate)
    errors.register(app)
    formats.register(app)
    assets.register(app)
    for module in _PAGES:
        app.register_blueprint(module.blueprint)
    limits.register(app, settings, made.database, made.users)
    login.register(app)
    return app


def _parts(app: Flask, settings: Settings, client: ServiceClient | None) -> Parts:
    client = client or ServiceClient(settings.service_url, settings.token)
    folder, database, cache = settings.home / "web", Database(settings), Cache(app)
    return Parts(
        settings=settings,
        client=client,
        catalog=Catalog(client, folder / "changes"),
        answers=Answers(client, cache),
        records=Records(folder / "results"),
        previews=Previews(folder / "pictures"),
        fetcher=PictureFetcher(),
        batches=Batches(folder / "batches"),
        explanations=Explanations(client, cache),
        exports=Exports(settings),
        database=database,
        shares=Shares(database, folder / "shares"),
        feedback=FeedbackBook(database, folder / "feedback"),
        jobs=Jobs(database, Queue(settings).wake),
        staging=Staging(database, folder / "locks"),
        decoders=Decoders(),
        users=Users(database),
    )
