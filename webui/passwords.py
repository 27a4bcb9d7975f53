"""Changing one's own password, where there are users."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from tellapart.errors import UsageError
from webui.login import begin_session, current_user
from webui.parts import parts
from webui.users import MAX_PASSWORD, MIN_PASSWORD

blueprint = Blueprint("passwords", __name__)


@blueprint.get("/password")
def form() -> str | AnyResponse:
    """The form, for who is logged in."""
    return _form_page() if current_user() else redirect(url_for("pages.index"))


@blueprint.post("/password")
def change() -> AnyResponse:
    """Take the new password, where the old one is right; whoever else is logged in under this name no longer is."""
    user = current_user()
    if user is None:
        return redirect(url_for("pages.index"), 303)
    old, new = request.form.get("old", ""), request.form.get("new", "")
    if new != request.form.get("again", ""):
        return _refused("The new password is not the same both times.", 400)
    try:
        token = parts().users.change_password(user, old, new)
    except UsageError as error:
        return _refused(f"That cannot be the new password: {error}.", 400)
    if token is None:
        return _refused("The old password is not right.", 401)
    begin_session(token)
    flash("Your password is changed. Wherever else you were logged in, you no longer are.")
    return redirect(url_for("pages.index"), 303)


def _refused(problem: str, status: int) -> AnyResponse:
    return AnyResponse(_form_page(problem), status, mimetype="text/html")


def _form_page(problem: str = "") -> str:
    return render_template("web/password.html", problem=problem, least=MIN_PASSWORD, most=MAX_PASSWORD)
