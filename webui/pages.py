"""The front page, the snippets page, and the health check."""

from flask import Blueprint, Response, jsonify, render_template

from webui.parts import parts
from webui.snippets import snippets

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def index() -> str:
    """All classifiers."""
    return render_template("web/index.html", classifiers=parts().catalog.classifiers())


@blueprint.get("/api")
def api() -> str:
    """How a program asks the service, with the default classifier as the example."""
    models = parts().catalog.models()
    model = models.default or next((m.model for m in models.models), "")
    return render_template(
        "web/api.html", snippets=snippets(parts().settings, model.split(":")[0]), service=parts().settings.service_url
    )


@blueprint.get("/livez")
def livez() -> Response:
    """200 while this process answers, whatever the service does."""
    return jsonify({"web": "up"})


@blueprint.get("/healthz")
def healthz() -> Response:
    """200 while the service can be asked, 503 while it cannot."""
    reachable = parts().client.ready()
    response = jsonify({"web": "up", "service": "ready" if reachable else "unreachable"})
    response.status_code = 200 if reachable else 503
    return response
