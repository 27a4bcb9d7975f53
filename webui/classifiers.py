"""One classifier: its classes, versions, snippets and report."""

from flask import Blueprint, Response, abort, make_response, render_template, request

from webui.parts import parts
from webui.security import report_policy
from webui.snippets import snippets

blueprint = Blueprint("classifiers", __name__, url_prefix="/classifiers")


@blueprint.get("/<name>")
def show(name: str) -> str:
    """What there is to know about a classifier."""
    classifier = parts().catalog.classifier(name)
    return render_template(
        "web/classifier.html", classifier=classifier, snippets=snippets(parts().settings, classifier.name)
    )


@blueprint.get("/<name>/report")
def report(name: str) -> Response:
    """The training report of a version (`?version=`, else the one that answers), which may run nothing."""
    classifier = parts().catalog.classifier(name)
    wanted = request.args.get("version", classifier.current.version)
    tag = next((m.model for m in classifier.versions if m.version == wanted), None)
    if tag is None:
        abort(404)
    html = parts().client.report(tag)
    response = make_response(html)
    response.headers["Content-Security-Policy"] = report_policy(html)
    return response
