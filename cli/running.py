"""Servers, and what this machine has: serve, web, worker, up, doctor."""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from cli.output import say, show
from tellapart.errors import TellapartError
from tellapart.settings import check_home, load_settings

if TYPE_CHECKING:
    from tellapart.supervisor import Server


def _run(together: Sequence["Server"], ready: Callable[[], None]) -> None:
    from tellapart import supervisor

    supervisor.check_ports(together)
    works = any(server.again for server in together)
    kept = "a job that runs goes on at the next start" if works else "what was asked before is answered first"
    say(f"starting the {', the '.join(server.name for server in together)}; this may take a minute")
    supervisor.run(together, ready, lambda: say(f"stopping; {kept}"), say)
    say("stopped")


@click.command(short_help="The service alone.")
def serve() -> None:
    """Serve the classifiers over HTTP (TELLAPART_HOST, TELLAPART_SERVICE_PORT)."""
    from tellapart import promotions, servers

    promotions.check_store()
    settings = load_settings()
    _run([servers.service(settings)], lambda: say(f"the service answers at {settings.service_url}"))


@click.command(short_help="The web page alone.")
def web() -> None:
    """Serve the web page (TELLAPART_HOST, TELLAPART_WEB_PORT)."""
    from tellapart import servers

    settings = load_settings()
    check_home(settings)
    _run([servers.web(settings, alone=True)], lambda: say(f"the web page is at {servers.web_url(settings)}"))


@click.command(short_help="The worker alone.")
def worker() -> None:
    """Do the jobs that people start on the web page (its settings and home must be the same)."""
    from tellapart import promotions, servers

    check_home(load_settings())
    promotions.check_store(writing=True)
    _run([servers.worker()], lambda: say("the worker waits for jobs"))


@click.command(short_help="Page, service and worker together.")
@click.option("--open/--no-open", "open_page", default=True, help="Open the page in a browser where there is one.")
@click.option("--check", is_flag=True, help="Only see whether its ports are free and its model store can be used.")
def up(open_page: bool, check: bool) -> None:
    """Run the service, the web page and the worker together until Ctrl-C; a job that runs goes on at the next start."""
    from tellapart import promotions, servers, supervisor

    settings = load_settings()
    check_home(settings)
    promotions.check_store()
    url = servers.web_url(settings)
    together = [servers.service(settings), servers.web(settings), servers.worker()]

    def ready() -> None:
        say(f"Tellapart is at {url} (the service at {settings.service_url}); Ctrl-C stops it")
        if open_page and os.environ.get("DISPLAY"):
            click.launch(url)

    if check:
        supervisor.check_ports(together)
    else:
        _run(together, ready)


@click.command(short_help="What this machine has and lacks.")
def doctor() -> None:
    """Say what this machine has, what is missing and how to get it.

    Each line begins with ok, optional (some command needs it) or wrong (nothing works well without it); where
    anything is wrong, the exit code is 1.
    """
    from tellapart.doctor import Level, examine

    wrong = []
    for finding in examine(load_settings()):
        show(f"{finding.level:<8}  {finding.what}: {finding.state}" + (f". {finding.fix}" if finding.fix else ""))
        wrong += [finding.what] if finding.level is Level.WRONG else []
    if wrong:
        raise TellapartError(f"to be put right: {', '.join(wrong)}", "See the lines that begin with wrong")
