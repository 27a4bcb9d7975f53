"""What the pages work with, made once per app."""

from dataclasses import dataclass

from flask import current_app

from tellapart.settings import Settings
from webui.answers import Answers
from webui.batches import Batches
from webui.catalog import Catalog
from webui.client import ServiceClient
from webui.database import Database
from webui.decoding import Decoders
from webui.explanations import Explanations
from webui.exports import Exports
from webui.feedback import FeedbackBook
from webui.fetching import PictureFetcher
from webui.jobs import Jobs
from webui.previews import Previews
from webui.records import Records
from webui.shares import Shares
from webui.staging import Staging
from webui.users import Users

EXTENSION = "tellapart"


@dataclass(frozen=True)
class Parts:
    """The app's own objects; `parts()` finds them inside a request."""

    settings: Settings
    client: ServiceClient
    catalog: Catalog
    answers: Answers
    records: Records
    previews: Previews
    fetcher: PictureFetcher
    batches: Batches
    explanations: Explanations
    exports: Exports
    database: Database
    shares: Shares
    feedback: FeedbackBook
    jobs: Jobs
    staging: Staging
    decoders: Decoders
    users: Users


def parts() -> Parts:
    """The parts of the app that answers the current request."""
    found: Parts = current_app.extensions[EXTENSION]
    return found
