"""All commands as one, and how each ends: its exit code, and one line for an error."""

import gc
import io
import os
import sys
import traceback
from contextlib import suppress

import click

from cli.asking import evaluate, export, predict
from cli.curating import audit, curate
from cli.making import collect, create, train
from cli.models import models
from cli.output import say, show
from cli.running import doctor, serve, up, web, worker
from tellapart import __version__
from tellapart.errors import TellapartError, UsageError
from webui.users_command import users

# imports make half a million objects that stay: looking through them again and again was a tenth of every start
_COLLECT = (20_000, 20, 20)


class _Group(click.Group):
    """Lists its commands in the order of the work."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """See click."""
        return list(self.commands)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tellapart")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def cli(debug: bool) -> None:
    """Type the classes you want to tell apart; get the pictures, the classifier, and an endpoint that serves it.

    \b
    tellapart create demo mammals birds --source gallery   # needs no network
    tellapart predict demo picture.jpg
    tellapart up                                           # the web page, the service and the worker

    Exit codes: 0 done, 1 a failure of ours or of this machine, 2 wrong usage, 3 bad input or data set, 4 a source
    refused or is unreachable, 5 weights or a classifier not found. Completion in bash:
    eval "$(_TELLAPART_COMPLETE=bash_source tellapart)"
    """


for _command in (
    *(create, collect, curate, audit, train),
    *(evaluate, predict, models, export),
    *(serve, web, worker, up, users, doctor),
):
    cli.add_command(_command)


def run(arguments: list[str] | None = None) -> int:
    """See `cli.main`."""
    debug = "--debug" in (sys.argv[1:] if arguments is None else arguments)
    gc.set_threshold(*_COLLECT)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names in letters that a terminal may not know
    try:
        cli.main(arguments, prog_name="tellapart", standalone_mode=False)
        sys.stdout.flush()
    except TellapartError as error:
        return _fail(error, str(error), error.exit_code, debug)
    except (click.exceptions.Abort, KeyboardInterrupt) as stop:
        return _stopped(stop)
    except click.ClickException as error:
        return _misused(error, debug)
    except Exception as error:
        return _unforeseen(error, debug)
    return 0


def _stopped(stop: BaseException) -> int:
    """Say what `telling` noted of an interrupt."""
    notes = getattr(stop.__cause__ or stop, "__notes__", [])
    say("; ".join(["stopped (exit code 130)", *notes]))
    return 130


def _unforeseen(error: Exception, debug: bool) -> int:
    """The last resort: still one line, and none where what read our output has gone."""
    if isinstance(error, OSError) and not error.filename:
        _let_go_of_output()
    if isinstance(error, BrokenPipeError):
        return 1
    if isinstance(error, OSError):
        what = f"{error.strerror or error}: {error.filename or 'the standard output'}"
        return _fail(error, f"{what}. Check the disk, the folder and its permissions", 1, debug)
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return _fail(error, f"unexpected failure: {what}. Run again with: tellapart --debug", 1, debug)


def _let_go_of_output() -> None:
    """What is still to be written has nowhere to go; Python would try again as it ends, and complain."""
    with suppress(OSError, ValueError), open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _misused(error: click.ClickException, debug: bool) -> int:
    """One line; where nothing was asked for, all that could have been."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError) and error.ctx:
        show(error.ctx.get_help())
        return UsageError.exit_code
    command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "tellapart"
    what = " ".join(error.format_message().split())
    what += "" if what.endswith((".", "?")) else "."
    return _fail(error, f"{what} See: {command} --help", UsageError.exit_code, debug)


def _fail(error: Exception, text: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    say(f"error: {text}")
    return code
