"""One classifier: its classes, versions, report, card, and what can be downloaded and changed."""

import zipfile
from functools import partial
from pathlib import Path
from typing import IO

from flask import (
    Blueprint,
    Response,
    abort,
    flash,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    send_file,
    url_for,
)
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from tellapart.dataset_zip import write_zip
from tellapart.store import StoredModel
from webui import versions
from webui.catalog import Classifier
from webui.errors import wants_json
from webui.exports import KINDS, AnotherIsMade
from webui.learned import dataset_of, learned_thumbnail
from webui.model_card import make_card, markdown
from webui.parts import parts
from webui.security import report_policy
from webui.snippets import snippets
from webui.streams import add_files, zip_response

blueprint = Blueprint("classifiers", __name__, url_prefix="/classifiers")


@blueprint.get("/<name>")
def show(name: str) -> str:
    """What there is to know about a classifier."""
    classifier = parts().catalog.classifier(name)
    current = classifier.current.model
    return render_template(
        "web/classifier.html",
        classifier=classifier,
        versions=versions.versions_of(classifier),
        previous=versions.previous(name),
        here=versions.stored_version(current) is not None,
        has_dataset=dataset_of(current) is not None,
        wrong=parts().feedback.wrong(name),
        export_kinds=KINDS,
        snippets=snippets(parts().settings, classifier.name),
    )


@blueprint.get("/<name>/report")
def report(name: str) -> Response:
    """The training report of a version (`?version=`, else the one that answers), which may run nothing."""
    back = Markup('<main><p><a href="{}">{}</a></p>').format(url_for(".show", name=name), f"Back to {name}")
    html = parts().client.report(_tag(name)).replace("<main>", back, 1)  # it is a file of its own, without our head
    response = make_response(html)
    response.headers["Content-Security-Policy"] = report_policy(html)
    return response


@blueprint.get("/<name>/card")
def card(name: str) -> str:
    """The model card of a version (`?version=`): what it is for, what it learned from, how good it is, its limits."""
    model = _stored(name)
    return render_template("web/card.html", card=make_card(model, dataset_of(model.tag)), name=name)


@blueprint.get("/<name>/card.md")
def card_markdown(name: str) -> Response:
    """The same as Markdown, to go with the model."""
    model = _stored(name)
    text = markdown(make_card(model, dataset_of(model.tag)))
    response = Response(text, mimetype="text/markdown")
    response.headers["Content-Disposition"] = f'attachment; filename="{_file_name(model)}-card.md"'
    return response


@blueprint.get("/<name>/dataset.zip")
def dataset_zip(name: str) -> Response:
    """The pictures a version learned from, with the record of every attempt and whom to name."""
    dataset = dataset_of(_tag(name)) or abort(404)
    return zip_response(partial(write_zip, dataset), f"{name}-pictures.zip")


@blueprint.get("/<name>/model.zip")
def model_zip(name: str) -> Response:
    """A version's own files: safetensors, labels, model.json and report."""
    model = _stored(name)
    return zip_response(partial(_write_folder, model.path), f"{_file_name(model)}.zip")


@blueprint.post("/<name>/export")
def export(name: str) -> Response:
    """A version as files for other programs, checked to answer the same.

    As JSON only the address of what is made, or with 202 after how many seconds to ask again, as another comes first.
    """
    model, kind = _stored(name), request.form.get("kind", "")
    if kind not in KINDS:
        abort(404)
    try:
        folder = parts().exports.folder(model.tag, kind)
    except AnotherIsMade as first:
        if not wants_json():
            raise
        return make_response({"again": first.retry_after}, 202)
    if wants_json():
        return jsonify({"made": url_for(".exported", name=name, kind=kind, version=model.version)})
    return _send_export(folder, model, kind)


@blueprint.get("/<name>/export/<kind>.zip")
def exported(name: str, kind: str) -> Response:
    """The same, once they are made."""
    model = _stored(name)
    folder = (parts().exports.made(model.tag, kind) if kind in KINDS else None) or abort(404)
    return _send_export(folder, model, kind)


@blueprint.get("/<name>/learned/<version>/<sha256>.jpg")
def learned(name: str, version: str, sha256: str) -> Response:
    """A small copy of a picture that a version learned from."""
    path = learned_thumbnail(f"{name}:{version}", sha256) or abort(404)
    response = send_file(path, mimetype="image/jpeg")
    response.headers["Cache-Control"] = "private, max-age=86400, immutable"
    return response


@blueprint.get("/<name>/wrong")
def wrong(name: str) -> str:
    """The answers that people said are wrong."""
    classifier = parts().catalog.classifier(name)
    told = [(f, parts().feedback.picture(f) is not None) for f in parts().feedback.wrong(name)]
    dataset = dataset_of(classifier.current.model)
    can_add = dataset is not None and dataset.folder is None
    return render_template("web/wrong.html", name=name, told=told, can_add=can_add)


@blueprint.get("/<name>/wrong/<sha256>.jpg")
def wrong_picture(name: str, sha256: str) -> Response:
    """A picture whose answer was said to be wrong, where it may be kept."""
    found = (parts().feedback.picture(f) for f in parts().feedback.wrong(name) if f.sha256 == sha256)
    path = next((p for p in found if p), None) or abort(404)
    response = send_file(path, mimetype="image/jpeg")
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/<name>/<any(promote, rollback, delete):action>")
def confirm(name: str, action: str) -> str:
    """Ask before a change to which versions there are."""
    classifier = parts().catalog.classifier(name)
    tag = versions.previous(name) or abort(404) if action == "rollback" else _tag(name)
    return render_template("web/confirm.html", classifier=classifier, action=action, tag=tag)


@blueprint.post("/<name>/<any(promote, rollback, delete):action>")
def change(name: str, action: str) -> AnyResponse:
    """Make that change."""
    parts().catalog.forget()  # the command line may have changed it just now
    classifier, tag = parts().catalog.classifier(name), _tag(name)
    if action == "promote":
        versions.promote(tag)
        flash(f"{tag} answers now.")
    elif action == "rollback":
        flash(f"{versions.roll_back(name)} answers again.")
    else:
        versions.delete(classifier, tag)
        flash(f"{tag} is deleted.")
        if len(classifier.versions) == 1:
            return redirect(url_for("pages.index"), 303)
    return redirect(url_for(".show", name=name), 303)


def _tag(name: str) -> str:
    """The version that `?version=` or the form names, else the one that answers; 404 where there is none such."""
    classifier: Classifier = parts().catalog.classifier(name)
    wanted = request.values.get("version", classifier.current.version)
    return next((m.model for m in classifier.versions if m.version == wanted), None) or abort(404)


def _stored(name: str) -> StoredModel:
    return versions.stored_version(_tag(name)) or abort(404)


def _send_export(folder: Path, model: StoredModel, kind: str) -> Response:
    return zip_response(partial(_write_folder, folder), f"{_file_name(model)}-{kind}.zip")


def _file_name(model: StoredModel) -> str:
    return f"{model.name}-{model.version}"


def _write_folder(folder: Path, file: IO[bytes]) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        add_files(archive, folder)
