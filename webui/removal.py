"""Deleting a data set: its pictures, and what is known of them; asked before, and not while a job uses it."""

import secrets
import shutil

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from werkzeug.wrappers import Response as AnyResponse

from tellapart.dataset import Dataset
from tellapart.files import readable_disk_errors
from tellapart.listing import Wanted, count
from tellapart.settings import Settings
from webui.datasets import changing, deleted_folder, find_dataset, is_ours, job_on, refuse_at_work
from webui.parts import parts

blueprint = Blueprint("removal", __name__, url_prefix="/datasets/<name>")


@blueprint.get("/delete")
def confirm(name: str) -> str:
    """Ask first."""
    dataset = _deletable(name)
    pictures = count(dataset.manifest, Wanted()) + count(dataset.manifest, Wanted("out"))
    return render_template("web/delete_dataset.html", name=name, pictures=pictures, job=job_on(name, dataset))


@blueprint.post("/delete")
def delete(name: str) -> AnyResponse:
    """Delete it; classifiers that were made of it stay."""
    dataset = _deletable(name)
    _delete(name, dataset, parts().settings)
    flash(f"The data set {name} is deleted. Classifiers that were made of it stay.")
    return redirect(url_for("lists.datasets"), 303)


def _deletable(name: str) -> Dataset:
    """The data set of that very name; 404 where it is none of ours, such as a folder of somebody's own.

    The one that a classifier of that name learned from is not meant: what is deleted twice would take it along.
    """
    dataset = find_dataset(name, parts().settings)
    return dataset if is_ours(dataset, parts().settings) and dataset.root.name == name else abort(404)


def _delete(name: str, dataset: Dataset, settings: Settings) -> None:
    """Put it out of everybody's sight at once, then delete it; what a killed process leaves is swept away.

    Raises:
        UsageError: a job uses it.
        NoDataError: somebody else has deleted it.
        Busy: decisions about it are being carried out.
    """
    away = deleted_folder(settings) / secrets.token_urlsafe(12)
    with changing(dataset):
        with parts().database.exclusive():  # so that no job begins meanwhile
            refuse_at_work(name, dataset)
            with readable_disk_errors(dataset.root):
                away.parent.mkdir(parents=True, exist_ok=True)
                dataset.root.rename(away)
        parts().staging.unstage(dataset)
    shutil.rmtree(away, ignore_errors=True)
