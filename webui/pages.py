"""The front page, the snippets page, and the health check."""

from flask import Blueprint, Response, jsonify, render_template, request

from webui.create import front_page
from webui.create_form import CreateForm
from webui.jobs import Kind
from webui.login import current_user
from webui.parts import parts
from webui.snippets import snippets

blueprint = Blueprint("pages", __name__)
_ERRORS = (
    ("400", "empty, not_an_image, truncated", "the picture cannot be used"),
    ("401", "unauthorized", "the token is missing or wrong"),
    ("404", "unknown_model, not_found", "there is no such classifier, or address"),
    ("413", "too_large", "more than 20 MB or 50 megapixels"),
    ("415", "unsupported_type", "a kind of file that is not taken"),
    ("422", "wrong_field", "a field is missing, unknown or out of range"),
    ("503", "overloaded", "too much at once; Retry-After says when to come back"),
)


@blueprint.get("/")
def index() -> str:
    """The form to make a classifier (`?form=` goes on from a job's), the jobs, and all classifiers."""
    job = parts().jobs.find(request.args.get("form", ""), current_user())
    return front_page(CreateForm.of_job(job) if job and job.kind != Kind.TRAIN else CreateForm())


@blueprint.get("/api")
def api() -> str:
    """How a program asks the service, filled in for the classifier of `?model=`, else the default one."""
    catalog, settings = parts().catalog, parts().settings
    wanted = request.args.get("model", "")
    chosen = catalog.resolve(wanted) if wanted or catalog.models().models else None
    name = chosen.name if chosen else "NAME"
    return render_template(
        "web/api.html",
        classifiers=catalog.classifiers(),
        chosen=name,
        snippets=snippets(settings, name),
        service=settings.service_address,
        secured=bool(settings.token),
        example={"model": chosen.model, "top": chosen.classes[0]} if chosen else {"model": "pets:abc", "top": "cat"},
        errors=_ERRORS,
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
