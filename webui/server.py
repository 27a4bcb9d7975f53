"""Starting the web page under gunicorn."""

import os
import sys
from pathlib import Path
from typing import NoReturn

from tellapart import servers
from tellapart.errors import UsageError
from tellapart.settings import Settings
from tellapart.supervisor import check_ports
from webui.database import Database
from webui.secret import secret_key
from webui.security import only_this_machine
from webui.users import Users

WORKERS = 2
THREADS = 16
_ROOT = Path(__file__).resolve().parent.parent


def command(settings: Settings) -> list[str]:
    """The gunicorn command line: threads, because a request mostly waits for the service."""
    return [
        *(sys.executable, "-m", "gunicorn"),
        *("--worker-class", "gthread", "--workers", str(WORKERS), "--threads", str(THREADS)),
        *("--bind", f"{_bracketed(settings.host)}:{settings.web_port}", "--pythonpath", str(_ROOT)),
        *("--timeout", "120", "--graceful-timeout", "10", "--no-control-socket", "--log-level", "warning"),
        "webui.app:create_app()",
    ]


def run(settings: Settings) -> NoReturn:
    """Become the web server; the workers read the same settings from the environment.

    Raises:
        UsageError: the port is taken, or others could reach a page without a login.
        TellapartError: the home folder cannot be written.
    """
    check_ports([servers.web(settings)])
    secret_key(settings.home)
    refuse_strangers(settings)
    line = command(settings)
    os.execve(line[0], line, {**os.environ, **_environment(settings)})


def refuse_strangers(settings: Settings) -> None:
    """Without a login the page is for this machine alone.

    Raises:
        UsageError: others would reach it too, and nobody can log in yet.
    """
    if only_this_machine(settings) or Users(Database(settings)).exist():
        return
    how = "through a proxy" if settings.proxies else f"on {settings.host}"
    raise UsageError(
        f"the web page would answer everybody {how}, and has no login",
        "Make the first user with: tellapart users add NAME, or leave TELLAPART_HOST and TELLAPART_PROXIES unset",
    )


def _environment(settings: Settings) -> dict[str, str]:
    """What the workers must agree on with these settings; secrets stay as the environment has them."""
    return {"TELLAPART_HOME": str(settings.home), "TELLAPART_SERVICE_URL": settings.service_url}


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
