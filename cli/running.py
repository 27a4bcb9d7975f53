"""Servers, and what this machine has: serve, web, worker, up, doctor."""

import os

import click

from cli.output import say, show
from tellapart.settings import load_settings


@click.command()
def serve() -> None:
    """Serve the classifiers over HTTP (TELLAPART_HOST, TELLAPART_SERVICE_PORT)."""
    from tellapart import servers, supervisor

    settings = load_settings()
    supervisor.run([servers.service(settings)], lambda: say(f"the service answers at {settings.service_url}"))


@click.command()
def web() -> None:
    """Serve the web page (TELLAPART_HOST, TELLAPART_WEB_PORT)."""
    from tellapart import servers, supervisor

    settings = load_settings()
    supervisor.run([servers.web(settings, alone=True)], lambda: say(f"the web page is at {servers.web_url(settings)}"))


@click.command()
def worker() -> None:
    """Do the jobs that people start on the web page (its settings and home must be the same)."""
    from tellapart import servers, supervisor

    supervisor.run([servers.worker()], lambda: say("the worker waits for jobs"))


@click.command()
@click.option("--open/--no-open", "open_page", default=True, help="Open the page in a browser where there is one.")
@click.option("--check", is_flag=True, help="Only see whether its ports are free.")
def up(open_page: bool, check: bool) -> None:
    """Run the service, the web page and the worker together until Ctrl-C; a job that runs goes on at the next start."""
    from tellapart import servers, supervisor

    settings = load_settings()
    url = servers.web_url(settings)
    together = [servers.service(settings), servers.web(settings), servers.worker()]

    def ready() -> None:
        say(f"Tellapart is at {url} (the service at {settings.service_url}); Ctrl-C stops it")
        if open_page and os.environ.get("DISPLAY"):
            click.launch(url)

    if check:
        supervisor.check_ports(together)
    else:
        supervisor.run(together, ready)


@click.command()
def doctor() -> None:
    """Say what is missing (browser, weights, GPU, Redis, demo pictures) and how to get it."""
    from tellapart.doctor import examine

    for finding in examine(load_settings()):
        show(f"{finding.what}: {finding.state}" + (f". {finding.fix}" if finding.fix else ""))
