"""The lists behind the addresses of one thing each: jobs, data sets, classifiers."""

from collections.abc import Iterator
from dataclasses import dataclass

from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response as AnyResponse

from tellapart.dataset import Dataset
from tellapart.errors import TellapartError
from tellapart.listing import Wanted, count
from tellapart.settings import Settings
from webui.login import current_user
from webui.parts import parts

blueprint = Blueprint("lists", __name__)
_MOST_JOBS = 100


@dataclass(frozen=True)
class DatasetRow:
    """A data set known by name, with how many pictures it has."""

    name: str
    classes: list[str]
    pictures: int


@blueprint.get("/classifiers")
def classifiers() -> AnyResponse:
    """The front page lists them."""
    return redirect(url_for("pages.index", _anchor="classifiers"))


@blueprint.get("/jobs")
def jobs() -> str:
    """The jobs of who asks, the newest first."""
    found = parts().jobs.list(current_user(), most=_MOST_JOBS)
    return render_template("web/jobs.html", jobs=found, no_worker=parts().jobs.lack_worker(found))


@blueprint.get("/datasets")
def datasets() -> str:
    """The data sets known by name."""
    return render_template("web/datasets.html", datasets=list(_datasets(parts().settings)))


def _datasets(settings: Settings) -> Iterator[DatasetRow]:
    """In the order of their names; one that cannot be read is left out."""
    for described in sorted(settings.datasets.glob("*/dataset.json")):
        try:
            dataset = Dataset.open(described.parent)
            names = [c.name for c in dataset.classes]
            yield DatasetRow(described.parent.name, names, count(dataset.manifest, Wanted()))
        except TellapartError:
            continue
