"""`tellapart users`: who may log in to the web page."""

from typing import IO

import click

from tellapart.settings import load_settings
from tellapart.terminal import refuse_without_terminal


@click.group("users", short_help="Who may log in to the web page.")
def users() -> None:
    """Say who may log in to the web page; with no user at all it asks nobody and is for this machine only."""


@users.command("add")
@click.argument("name")
@click.option("--password-file", type=click.File(), help="Read the password from a file; - is the standard input.")
def add_command(name: str, password_file: IO[str] | None) -> None:
    """Add a user NAME, or give one a new password."""
    from webui.database import Database
    from webui.users import Users, check_user_name

    check_user_name(name)
    if password_file:
        password = password_file.read().rstrip("\r\n")
    else:
        refuse_without_terminal("for the password", "Give --password-file FILE, - for the standard input")
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    Users(Database(load_settings())).add(name, password)
    click.echo(f"{name} can log in", err=True)


@users.command("list")
def list_command() -> None:
    """List the users."""
    from webui.database import Database
    from webui.users import Users

    names = Users(Database(load_settings())).names()
    for name in names:
        click.echo(name)
    if not names:
        click.echo("nobody yet; the page asks for no login and is for this machine only", err=True)


@users.command("remove")
@click.argument("name")
def remove_command(name: str) -> None:
    """Take a user out; who is logged in under that name no longer is."""
    from webui.database import Database
    from webui.users import Users

    Users(Database(load_settings())).remove(name)
    click.echo(f"{name} cannot log in any more", err=True)
