"""Making a classifier: the form, a look at sample pictures, the start."""

from contextlib import suppress

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from tellapart.errors import UsageError
from tellapart.gallery import known_words
from tellapart.licenses import FILTER_WORDS
from tellapart.names import slugify
from tellapart.source_list import SOURCES, lacking
from tellapart.wire import ServiceError
from webui.client import Unavailable
from webui.create_form import MOST_PER_CLASS, CreateForm, CreatePlan, FormProblem, check
from webui.estimate import estimate
from webui.job_pages import edition, find_job, fragment, visible_job
from webui.jobs import AlreadyThere, Job, Kind
from webui.login import asks, current_user
from webui.parts import parts

blueprint = Blueprint("create", __name__)


def front_page(form: CreateForm, problem: FormProblem | None = None) -> str:
    """The front page: the form, the jobs, and the classifiers if the service says which there are."""
    try:
        classifiers, resting = parts().catalog.classifiers(), ""
    except Unavailable as error:
        classifiers, resting = [], str(error)
    settings, jobs = parts().settings, parts().jobs.list(current_user(), most=8)
    return render_template(
        "web/index.html",
        classifiers=classifiers,
        resting=resting,
        jobs=jobs,
        no_worker=parts().jobs.lack_worker(jobs),
        form=form,
        problem=problem,
        sources=[(source, lacking(source, settings)) for source in SOURCES],
        gallery_words=known_words(settings.gallery_folder),
        licenses=FILTER_WORDS,
        most=MOST_PER_CLASS,
        with_folder=not asks(),
        with_mail=bool(settings.smtp_url),
    )


@blueprint.get("/create/<job_id>")
def look(job_id: str) -> AnyResponse:
    """Sample pictures of what was asked for, with how long it will take, and the start button."""
    job = find_job(job_id)
    if job.kind != Kind.SAMPLE:
        return redirect(url_for("jobs.show", job_id=job.id))
    return make_response(_look_page(job))


@blueprint.post("/create")
def submit() -> AnyResponse:
    """Start what the form says, or look at samples of it first (`action=sample`)."""
    form = CreateForm.read(request.form)
    try:
        plan = check(form, parts().settings, with_folder=not asks(), in_use=_names_in_use)
        _refuse_other_classifier(plan)
        return _sample(plan) if request.form.get("action") == "sample" else _start(plan)
    except FormProblem as problem:
        return make_response(front_page(problem.form or form, problem), 400)
    except UsageError as refused:  # too many of theirs are unfinished, or another's works on the name
        return make_response(front_page(form, FormProblem("", refused)), 409)


def _sample(plan: CreatePlan) -> AnyResponse:
    job = parts().jobs.enqueue(Kind.SAMPLE, "", plan.sample_options(), owner=current_user())
    return redirect(url_for(".look", job_id=job.id), 303)


def _start(plan: CreatePlan) -> AnyResponse:
    """Put the job in the queue; where the same is on its way already, show that."""
    try:
        job_id = parts().jobs.enqueue(Kind.CREATE, plan.name, plan.options(), plan.email, current_user()).id
    except AlreadyThere as running:
        job_id = visible_job(running)
        flash("This is being made already; here it is. To make another one of the same classes, give it a name.")
    return redirect(url_for("jobs.show", job_id=job_id), 303)


def _look_page(job: Job) -> str:
    form, options = CreateForm.of_job(job), job.options
    words = estimate(
        len(options["classes"]), int(form.per_class), options["sources"], parts().jobs.list(current_user(), most=100)
    )
    standing = parts().jobs.standing(job)
    return render_template(
        "web/create_look.html",
        job=job,
        form=form,
        live=fragment(job, standing),
        seen=edition(job, standing),
        estimate=words,
    )


def _names_in_use() -> set[str]:
    """Names that unfinished jobs work on, and those of the classifiers, where the service says which there are."""
    names = {job.name for job in parts().jobs.active()}
    with suppress(ServiceError, Unavailable):
        names |= {classifier.name for classifier in parts().catalog.classifiers()}
    return names


def _refuse_other_classifier(plan: CreatePlan) -> None:
    """Refuse the name of a classifier that was made elsewhere, of other classes."""
    try:
        there = parts().catalog.classifier(plan.name).current
    except (ServiceError, Unavailable):
        return
    if {slugify(name) for name in there.classes} != {c.slug for c in plan.classes}:
        error = UsageError(f"there is a classifier {plan.name!r} with other classes already", "Choose another name")
        raise FormProblem("name", error)
