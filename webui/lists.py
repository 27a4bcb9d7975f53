"""The lists behind the addresses of one thing each: jobs, data sets, classifiers."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response as AnyResponse

from tellapart.errors import TellapartError
from tellapart.listing import Wanted, count
from tellapart.settings import Settings
from webui.datasets import all_datasets
from webui.login import current_user
from webui.parts import parts

blueprint = Blueprint("lists", __name__)
_MOST_JOBS = 100


@dataclass(frozen=True)
class DatasetRow:
    """A data set with how many pictures it has, under the name that its page has; `folder` is a plain folder's name."""

    name: str
    classes: list[str]
    pictures: int
    folder: str = ""


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
    """The data sets known by name, and the plain folders that classifiers learned from."""
    return render_template("web/datasets.html", datasets=list(_rows(parts().settings)))


def _rows(settings: Settings) -> Iterator[DatasetRow]:
    """In the order of their names; one that cannot be read is left out."""
    for name, dataset in sorted(all_datasets(settings), key=lambda named: named[0]):
        with suppress(TellapartError):
            classes, folder = [c.name for c in dataset.classes], dataset.folder.name if dataset.folder else ""
            yield DatasetRow(name, classes, count(dataset.manifest, Wanted()), folder)
