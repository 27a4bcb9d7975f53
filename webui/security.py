"""What every answer and every form is held to: headers, cookies, tokens against forged requests, sizes."""

import base64
import hashlib
import re
import secrets
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, g, has_request_context, request
from flask.sessions import SecureCookieSessionInterface
from flask_wtf import CSRFProtect
from werkzeug.exceptions import SecurityError
from werkzeug.middleware.proxy_fix import ProxyFix

from tellapart.settings import Settings

MAX_UPLOAD_BYTES = 100 * 2**20
_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
CONFIG: dict[str, Any] = {
    "MAX_CONTENT_LENGTH": MAX_UPLOAD_BYTES,
    "MAX_FORM_PARTS": 200,
    "SESSION_COOKIE_NAME": "tellapart",
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_SAMESITE": "Lax",
    "PERMANENT_SESSION_LIFETIME": timedelta(days=7),
    "WTF_CSRF_TIME_LIMIT": None,  # as long as the session: a page may stay open over lunch
}
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_PROXYS = re.compile(r"x-forwarded-|forwarded$|x-real-ip$|via$", re.IGNORECASE)  # headers
_STYLE = re.compile(r"<style[^>]*>(.*?)</style>", re.DOTALL | re.IGNORECASE)


class _Sessions(SecureCookieSessionInterface):
    """Session cookies that are marked secure whenever the page came over HTTPS."""

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure or super().get_cookie_secure(app)


def only_this_machine(settings: Settings) -> bool:
    """Whether nobody but this machine's own user reaches the page: it listens on loopback, with no proxy in front.

    A proxy that nobody told us of gives itself away by what it adds to the request.
    """
    try:
        loopback = settings.host == "localhost" or ip_address(settings.host).is_loopback
    except ValueError:
        loopback = False
    return loopback and not settings.proxies and not _is_passed_on()


def _is_passed_on() -> bool:
    """Whether the request, if there is one, comes from a proxy."""
    return has_request_context() and any(_PROXYS.match(name) for name, _ in request.headers)


def secure(app: Flask, settings: Settings, gate: Callable[[], Any]) -> None:
    """Hold an app to all of it; the app has its secret key and `CONFIG` already.

    Args:
        gate: who may pass at all; it comes before the look for tokens, which reads a form whole.
    """
    known = trusted_hosts(settings)
    app.before_request(lambda: _refuse_other_names(known))
    app.before_request(gate)
    if settings.proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, settings.proxies, settings.proxies, settings.proxies)  # type: ignore[method-assign]
    CSRFProtect(app)
    app.jinja_env.globals["nonce"] = nonce
    app.session_interface = _Sessions()
    app.after_request(_add_headers)


def trusted_hosts(settings: Settings) -> set[str]:
    """The names the page may be asked for by: this machine's own, and the one people know it by.

    Any other is refused, so that a site whose name was pointed at this machine cannot read the page.
    """
    known = urlsplit(settings.web_url).hostname or ""
    return _LOOPBACK | ({settings.host.lower(), known} - {"", "0.0.0.0", "::"})


def nonce() -> str:
    """What the scripts of this answer carry, and nothing that others put into it."""
    if "nonce" not in g:
        g.nonce = secrets.token_urlsafe(16)
    made: str = g.nonce
    return made


def report_policy(html: str) -> str:
    """The policy for a report: its own style blocks and embedded pictures, nothing else."""
    digests = [hashlib.sha256(block.encode()).digest() for block in _STYLE.findall(html)]
    allowed = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests) or "'none'"
    return (
        f"default-src 'none'; img-src data:; style-src {allowed}; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )


def _refuse_other_names(known: set[str]) -> None:
    """Flask's own TRUSTED_HOSTS knows no IPv6 addresses."""
    try:
        name = urlsplit(f"//{request.host}").hostname
    except ValueError:
        name = None
    if name not in known:
        raise SecurityError


def _add_headers(response: Response) -> Response:
    scripts = f"; script-src 'nonce-{nonce()}'" if "nonce" in g else ""
    response.headers.setdefault("Content-Security-Policy", _PAGE_POLICY + scripts)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    camera = "(self)" if request.blueprint == "uploads" else "()"
    response.headers["Permissions-Policy"] = f"camera={camera}, microphone=(), geolocation=()"
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    response.headers.setdefault("Cache-Control", "no-store")  # what may be kept says so itself
    return response
