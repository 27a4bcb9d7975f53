"""How our servers are started: the commands, as `supervisor` runs them."""

import sys
from pathlib import Path

from tellapart.settings import Settings, reachable
from tellapart.supervisor import Server

_ROOT = Path(__file__).resolve().parent.parent
_ENVIRONMENT = {"BENTOML_DO_NOT_TRACK": "True"}  # only this literal word is understood


def service(settings: Settings) -> Server:
    """The Bento service, from the source tree."""
    return Server(
        name="service",
        setting="SERVICE_PORT= for make, or TELLAPART_SERVICE_PORT",
        command=[
            *(sys.executable, "-m", "bentoml", "serve", "service:Classifier"),
            *("--host", settings.host, "--port", str(settings.service_port)),
            *("--timeout-keep-alive", "75"),  # longer than clients do, so that none is closed under a request
            *(() if settings.log == "info" else ("--quiet",)),
        ],
        host=settings.host,
        port=settings.service_port,
        ready_url=f"{reachable(settings.host, settings.service_port)}/readyz",
        environment=_ENVIRONMENT,
        folder=_ROOT,
    )


def web(settings: Settings, alone: bool = False) -> Server:
    """The web page under gunicorn; it is ready when it reaches the service, or at once if it is started `alone`."""
    return Server(
        name="web page",
        setting="PORT= for make, or TELLAPART_WEB_PORT",
        command=[sys.executable, "-m", "webui"],
        host=settings.host,
        port=settings.web_port,
        ready_url=f"{web_url(settings)}/{'livez' if alone else 'healthz'}",
        environment=_ENVIRONMENT,
        folder=_ROOT,
    )


def worker() -> Server:
    """What does the jobs of the web page; a job goes on after its worker was started again."""
    return Server(
        name="worker",
        command=[sys.executable, "-m", "webui.worker"],
        environment=_ENVIRONMENT,
        folder=_ROOT,
        again=True,
    )


def web_url(settings: Settings) -> str:
    """Where a browser on this machine finds the web page."""
    return reachable(settings.host, settings.web_port)
