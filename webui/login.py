"""Logging in, where there are users: the form, and the gate before every page."""

from contextlib import suppress
from urllib.parse import urlsplit

from flask import Blueprint, Flask, g, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from tellapart.errors import TellapartError
from webui.errors import Trouble, answer, wants_json
from webui.parts import parts
from webui.security import only_this_machine

blueprint = Blueprint("login", __name__)
_OPEN = {  # what nobody has to log in for
    *("static", "login.form", "login.enter", "pages.healthz", "pages.livez"),
    *("shares.show", "shares.picture"),  # who has the link may see it
}
_LONGEST_FORM = 64 * 2**10


@blueprint.get("/login")
def form() -> str | AnyResponse:
    """The form; `?next=` is where to go afterwards."""
    if not asks() or current_user():
        return redirect(url_for("pages.index"))
    return _form_page(_inside(request.args.get("next", "")))


@blueprint.post("/login")
def enter() -> AnyResponse:
    """Log in; whatever is wrong, the answer is the same."""
    name, password = request.form.get("name", ""), request.form.get("password", "")
    after = _inside(request.form.get("next", ""))
    token = parts().users.log_in(name, password)
    if token is None:
        page = _form_page(after, "That name and password do not belong together.")
        return AnyResponse(page, 401, mimetype="text/html")
    begin_session(token)
    return redirect(after or url_for("pages.index"), 303)


@blueprint.post("/logout")
def leave() -> AnyResponse:
    """Log out; a copy of the cookie is worth nothing from now on."""
    parts().users.log_out(str(session.get("login", "")))
    session.clear()
    return redirect(url_for(".form"), 303)


def _form_page(after: str, problem: str = "") -> str:
    return render_template("web/login.html", next=after, problem=problem, users=parts().users.exist())


def begin_session(token: str) -> None:
    """Let this browser carry a session of `Users`, and nothing of what it had before."""
    session.clear()
    session.permanent = True
    session["login"] = token


def asks() -> bool:
    """Whether everybody has to log in: there are users, or others than this machine's own reach the page.

    So a page that others reach stays closed where its last user is taken out.
    """
    return parts().users.exist() or not only_this_machine(parts().settings)


def current_user() -> str | None:
    """Who asks; None where the page has no users, or nobody is logged in."""
    if "user" not in g:
        token = session.get("login")
        g.user = parts().users.logged_in(token) if isinstance(token, str) else None
    found: str | None = g.user
    return found


def mine(owner: str | None) -> bool:
    """Whether what belongs to `owner` is the asker's; what belongs to nobody is everybody's."""
    return owner is None or owner == current_user()


def register(app: Flask) -> None:
    """Let every page of an app show who is logged in."""
    app.context_processor(lambda: {"current_user": _shown_user})


def gate() -> AnyResponse | None:
    """The answer to whoever has to log in first, None for all others."""
    endpoint = request.endpoint or ""
    if endpoint in ("login.enter", "passwords.change"):
        request.max_content_length = _LONGEST_FORM
    if endpoint in _OPEN or not asks():
        return None
    if current_user():
        return None
    if wants_json() or request.method != "GET" or "X-Requested-With" in request.headers:  # a script's, as ours say
        message = "You are not logged in, or no longer. Log in and try again."
        return answer(Trouble(401, "Log in first", message, "unauthorized"))
    return redirect(url_for("login.form", next=request.full_path.rstrip("?")))


def _shown_user() -> str | None:
    """Who asks, for the page's head; nobody where the database is away, as errors have that head too."""
    with suppress(TellapartError):
        return current_user()
    return None


def _inside(path: str) -> str:
    """A path of this site, "" for anything else: nobody is sent to another site after logging in."""
    parsed = urlsplit(path)
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and "\\" not in path
    return path if plain and not parsed.scheme and not parsed.netloc else ""
