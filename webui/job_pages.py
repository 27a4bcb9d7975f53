"""The page of a job: how far it is, live, and stopping, resuming and forgetting it."""

from functools import partial

from flask import (
    Blueprint,
    Response,
    abort,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    send_file,
    stream_with_context,
    url_for,
)
from werkzeug.wrappers import Response as AnyResponse

from tellapart.dataset import Dataset
from tellapart.errors import TellapartError
from webui.datasets import has_dataset
from webui.events import Now, open_stream
from webui.job_command import dataset_folder
from webui.job_view import view
from webui.jobs import AlreadyThere, Job, Kind, Standing
from webui.login import current_user, mine
from webui.parts import parts
from webui.thumbnails import thumbnail
from webui.words import KIND_WORDS, STATE_WORDS

blueprint = Blueprint("jobs", __name__, url_prefix="/jobs")


@blueprint.get("/<job_id>")
def show(job_id: str) -> AnyResponse:
    """The page; without JavaScript it reloads itself while the job is active."""
    job = find_job(job_id)
    if job.kind == Kind.SAMPLE:
        return redirect(url_for("create.look", job_id=job.id))
    standing = parts().jobs.standing(job)
    live, seen = fragment(job, standing), edition(job, standing)
    return make_response(render_template("web/job.html", job=job, live=live, seen=seen, kind=KIND_WORDS[job.kind]))


@blueprint.get("/<job_id>/live")
def live(job_id: str) -> Response:
    """The part of the page that changes, for pages without a stream; 304 where it is as the page has it."""
    job = find_job(job_id)
    standing = parts().jobs.standing(job)
    response = make_response(fragment(job, standing))
    response.headers["X-Job-Active"] = "yes" if job.active else "no"
    response.headers["Cache-Control"] = "no-cache"
    response.set_etag(edition(job, standing))
    response.make_conditional(request)
    return response


@blueprint.get("/<job_id>/events")
def events(job_id: str) -> Response:
    """The same part, sent whenever it changes; 503 where as many as may be are open."""
    find_job(job_id)
    asker = current_user()

    def look() -> Now | None:
        job = parts().jobs.find(job_id, asker)
        if job is None:
            return None
        standing = parts().jobs.standing(job)
        return Now(edition(job, standing), partial(fragment, job, standing), not job.active)

    stream = open_stream(look, request.headers.get("Last-Event-ID", "") or request.args.get("seen", ""))
    if stream is None:
        abort(503)
    response = Response(stream_with_context(iter(stream)), mimetype="text/event-stream")
    response.call_on_close(stream.close)
    response.headers["X-Accel-Buffering"] = "no"
    return response


@blueprint.post("/<job_id>/stop")
def stop(job_id: str) -> AnyResponse:
    """Stop it; what it has done is kept."""
    parts().jobs.stop(find_job(job_id).id)
    return redirect(url_for(".show", job_id=job_id), 303)


@blueprint.post("/<job_id>/resume")
def resume(job_id: str) -> AnyResponse:
    """Let it go on where it stopped."""
    try:
        parts().jobs.resume(find_job(job_id).id)
    except AlreadyThere as other:
        job_id = visible_job(other)
        flash("Another job is working on this classifier; here it is.")
    return redirect(url_for(".show", job_id=job_id), 303)


@blueprint.post("/<job_id>/remove")
def remove(job_id: str) -> AnyResponse:
    """Forget a job that has ended; its pictures and its classifier stay."""
    job = find_job(job_id)
    parts().jobs.remove(job.id)
    flash(f"The job for {job.name} is forgotten. Its pictures are kept." if not job.active else "It is still at work.")
    return redirect(url_for("pages.index"), 303)


@blueprint.get("/<job_id>/pictures/<digest>.jpg")
def picture(job_id: str, digest: str) -> Response:
    """A small copy of one of the pictures that a job collected, without the camera's data."""
    try:
        dataset = Dataset.open(dataset_folder(find_job(job_id), parts().settings))
        attempt = next((a for a in dataset.manifest.with_digest(digest) if a.extension), None)
        path = thumbnail(dataset, attempt) if attempt else abort(404)
    except TellapartError:
        abort(404)
    response = send_file(path, mimetype="image/jpeg")
    response.headers["Cache-Control"] = "private, max-age=86400, immutable"
    return response


def find_job(job_id: str) -> Job:
    """The job with this id; 404 where there is none, or it is another's."""
    return parts().jobs.find(job_id, current_user()) or abort(404)


def visible_job(running: AlreadyThere) -> str:
    """The id of the job that is on its way already; what is another's is only said to be there."""
    if not mine(running.owner):
        raise running
    return running.job_id


def fragment(job: Job, standing: Standing) -> str:
    """The part of a job's page that changes."""
    settings = parts().settings
    return render_template(
        "web/sample_live.html" if job.kind == Kind.SAMPLE else "web/job_live.html",
        job=job,
        shown=view(job, settings),
        state=STATE_WORDS[job.state],
        standing=standing,
        has_pictures=not job.active and job.kind != Kind.SAMPLE and has_dataset(job.name, settings),
    )


def edition(job: Job, standing: Standing) -> str:
    """Another one whenever that part is another."""
    return f"{job.revision}.{standing.ahead}.{standing.worker:d}"
