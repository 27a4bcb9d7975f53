"""The command line `tellapart`: it parses, calls, and prints; the work is in the rooms.

Exit codes: 0 done, 1 a failure that is ours, 2 wrong usage, 3 bad input or data set,
4 a source refused or is unreachable, 5 weights or a model not found.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, Any

import click
from rich.console import Console

from tellapart import __version__, servers, supervisor, tables
from tellapart.errors import DataError, TellapartError, UsageError
from tellapart.files import write_bytes
from tellapart.json_lines import JsonLines
from tellapart.licenses import LicenseFilter
from tellapart.names import check_name, parse_class_names
from tellapart.settings import load_settings
from tellapart.stopping import stopping_on_sigterm
from tellapart.terminal import Terminal
from webui.users_command import users

_OUT = Console(highlight=False)
_SOURCE_HELP = (
    "Where to look: openverse, wikimedia, inaturalist, flickr, bing, duckduckgo, google, gallery, "
    "site:RECIPE, folder:PATH or urls:PATH. May be repeated."
)
_QUERY_HELP = "Other words to search for, beside the class's name. May be repeated."
_SINCE_HELP = "Ask sources only for what is new since this day (UTC): flickr, inaturalist, wikimedia."
_LICENSE_HELP = "Take only pictures of such a licence; one's own files are always taken."
_NONE_YET = "No classifiers yet. Make one with: tellapart create NAME CLASS CLASS..."
_BACKBONES = ["auto", "resnet50", "resnet18", "efficientnet_lite0"]
_MODE_HELP = "What learns: the head on fixed features, or the whole network. auto fine-tunes where a GPU is."
_BUDGET_HELP = "How long training may take: 90s, 10m, 2h."
_EPOCHS_HELP = "Fine-tuning's passes over the pictures, at most."
_PROGRESS_HELP = "How to say how far it is: a bar for people, or JSON lines on the standard output for programs."
_RESUME_HELP = "Go on where a killed fine-tuning stopped, or begin anew."
_TUNE_HELP = "Search fine-tuning's settings in so many trials."


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tellapart")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def cli(debug: bool) -> None:
    """Type the classes you want to tell apart; get the pictures, the classifier, and an endpoint that serves it."""


def _past_day(context: click.Context, option: click.Parameter, moment: datetime | None) -> date | None:  # noqa: ARG001
    """The day that was typed; nothing is new since a day that is still to come."""
    if moment and moment.date() > datetime.now(UTC).date():
        raise click.BadParameter(f"{moment.date()} is still to come.")
    return moment.date() if moment else None


def _duration(context: click.Context, option: click.Parameter, text: str | None) -> float | None:  # noqa: ARG001
    """Seconds of a time as people write it."""
    from training.durations import parse_duration

    return None if text is None else parse_duration(text)


progress_option = click.option(
    "--progress", "form", default="bar", type=click.Choice(["bar", "json"]), show_default=True, help=_PROGRESS_HELP
)


@contextmanager
def _telling(form: str) -> Generator[Terminal | JsonLines, None, None]:
    """Where work reports how far it is and what came of it; SIGTERM ends it as Ctrl-C does."""
    with stopping_on_sigterm(), JsonLines() if form == "json" else Terminal() as out:
        yield out


def collecting_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of `collect`, which `create` shares."""
    for option in (
        click.option("--per-class", default=200, type=click.IntRange(2, 100_000), show_default=True),
        click.option(
            "--since", type=click.DateTime(["%Y-%m-%d"]), callback=_past_day, metavar="YYYY-MM-DD", help=_SINCE_HELP
        ),
        click.option(
            "--license",
            default="any",
            type=click.Choice([f.value for f in LicenseFilter]),
            show_default=True,
            help=_LICENSE_HELP,
        ),
        click.option("--query", "queries", multiple=True, metavar="CLASS=WORDS", help=_QUERY_HELP),
        click.option("--source", "sources", multiple=True, help=_SOURCE_HELP + "  [default: openverse]"),
    ):
        command = option(command)
    return command


def training_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of `train` that decide which features there are; `create` and `curate` share them."""
    for option in (
        click.option("--device", default="auto", type=click.Choice(["auto", "cpu", "cuda"]), show_default=True),
        click.option("--seed", default=0, show_default=True, help="Makes a run on a CPU repeat exactly."),
        click.option("--weights", default="auto", metavar="auto|none|PATH", show_default=True),
        click.option("--backbone", default="auto", type=click.Choice(_BACKBONES), show_default=True),
    ):
        command = option(command)
    return command


def learning_options(budget: str | None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options of `train` that say how to learn, which `create` shares; `budget` is the default."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for option in (
            click.option("--resume/--no-resume", default=True, show_default=True, help=_RESUME_HELP),
            click.option("--tune", default=0, type=click.IntRange(0, 10_000), metavar="N", help=_TUNE_HELP),
            click.option("--optimizer", default="adamw", type=click.Choice(["adamw", "sgd"]), show_default=True),
            click.option("--epochs", type=click.IntRange(1, 10_000), help=_EPOCHS_HELP),
            click.option(
                "--budget", default=budget, callback=_duration, metavar="TIME", show_default=True, help=_BUDGET_HELP
            ),
            click.option(
                "--mode",
                default="auto",
                type=click.Choice(["auto", "head", "finetune"]),
                show_default=True,
                help=_MODE_HELP,
            ),
        ):
            command = option(command)
        return command

    return add


@cli.command()
@click.argument("name")
@click.argument("classes", nargs=-1, required=True, metavar="CLASS CLASS...")
@collecting_options
@click.option("--yes", is_flag=True, help="Do not ask before starting.")
@progress_option
@learning_options(budget="10m")
@training_options
def create(
    form: str,
    name: str,
    classes: tuple[str, ...],
    sources: tuple[str, ...],
    queries: tuple[str, ...],
    since: date | None,
    license: str,  # noqa: A002
    per_class: int,
    yes: bool,
    resume: bool,
    **training: Any,
) -> None:
    """Collect pictures of each CLASS, train a classifier on them, and publish it as NAME."""
    import workflow
    from scraping.queries import parse_queries
    from training.launch import followed, processes
    from training.options import TrainingOptions

    with processes(training["device"]) as world, _telling(form) as out:
        if followed(world):
            return
        wanted = parse_class_names(classes)
        extra, options = parse_queries(queries, wanted), TrainingOptions(**training)
        places = sources or (workflow.DEFAULT_SOURCE,)
        plan = workflow.Plan(name, wanted, places, per_class, extra, options, since, LicenseFilter(license))
        if not yes and sys.stdin.isatty() and form == "bar":
            most = per_class * len(plan.classes)
            click.confirm(f"Get up to {most} pictures from {', '.join(places)}?", abort=True, err=True)
        model = workflow.create(plan, load_settings(), out.report, resume, world)
        out.result(tables.trained_values(model), tables.trained(model))


@cli.command()
@click.argument("dataset")
@click.argument("classes", nargs=-1, required=True, metavar="CLASS CLASS...")
@collecting_options
@progress_option
def collect(
    form: str,
    dataset: str,
    classes: tuple[str, ...],
    sources: tuple[str, ...],
    queries: tuple[str, ...],
    since: date | None,
    license: str,  # noqa: A002
    per_class: int,
) -> None:
    """Collect pictures of each CLASS into DATASET (a folder, or a name), without training."""
    import workflow
    from scraping.queries import parse_queries

    with _telling(form) as out:
        settings = load_settings()
        root = workflow.dataset_root(dataset, settings)
        wanted = parse_class_names(classes)
        asked, extra = sources or (workflow.DEFAULT_SOURCE,), parse_queries(queries, wanted)
        collected = workflow.collect(
            root, wanted, asked, per_class, settings, out.report, extra, since, LicenseFilter(license)
        )
        out.result(tables.counts_values(collected), tables.counts(collected))


@cli.command()
@click.argument("dataset")
@click.option("--apply", "apply_", is_flag=True, help="Take out the suspects that are almost certainly wrong.")
@click.option("--undo", is_flag=True, help="Take back the last --apply.")
@progress_option
@training_options
def curate(form: str, dataset: str, apply_: bool, undo: bool, **training: Any) -> None:
    """Find duplicates, conflicts and suspects in DATASET and assign its splits; nothing is ever deleted."""
    import workflow
    from curation.telling import outcome, suspects_table
    from training.options import TrainingOptions

    with _telling(form) as out:
        if apply_ and undo:
            raise UsageError("--apply and --undo together", "Give one of them")
        options = TrainingOptions(**training)
        opened = workflow.find_dataset(dataset, load_settings(), out.report)
        undone = workflow.undo_apply(opened, options.seed, out.report) if undo else []
        summary = workflow.curate(opened, options.seed, out.report)
        suspects = workflow.find_suspects(opened, options, out.report)
        applied = workflow.apply_confident(opened, options.seed, out.report) if apply_ else []
        if applied:
            summary = workflow.curate(opened, options.seed, out.report)
        out.result(
            tables.counts_values(opened) | {"suspects": len(suspects), "applied": len(applied), "undone": len(undone)},
            tables.counts(opened),
            summary.text,
            *([suspects_table(opened, suspects)] if suspects else []),
            outcome(dataset, suspects, applied, undone, undo),
        )


@cli.command()
@click.argument("dataset")
@click.option(
    "--per-class", default=30, type=click.IntRange(2, 10_000), show_default=True, help="Pictures to ask about."
)
@click.option(
    "--answers", type=click.File("rb"), metavar="FILE", help="Take answers from a file; - is the standard input."
)
@click.option("--json", "json_out", metavar="OUT", help="Write sample and result as JSON; - is the standard output.")
def audit(dataset: str, per_class: int, answers: IO[bytes] | None, json_out: str | None) -> None:
    """Say how many pictures of each class are right, from a person's yes or no to a sample.

    In a terminal it asks. Elsewhere, --json prints the sample, and --answers takes it back with "right" filled in.
    """
    import workflow
    from curation import auditing

    with Terminal() as terminal:
        opened = workflow.find_dataset(dataset, load_settings(), terminal.report)
    sample = auditing.draw_samples(opened, per_class)
    if answers:
        auditing.take_answers(opened, sample, answers.read(), answers.name)
    elif not json_out and sys.stdin.isatty():
        auditing.ask_person(opened, sample, _yes_or_no, _print)
    if json_out:
        result = auditing.to_json(opened, auditing.draw_samples(opened, per_class))
        _write(json_out, json.dumps(result, indent=2, ensure_ascii=False) + "\n")
        return
    _OUT.print(auditing.purity_table(opened))


@cli.command()
@click.argument("dataset")
@click.option("--name", required=True, help="The classifier's name in the model store.")
@progress_option
@learning_options(budget=None)
@training_options
def train(form: str, dataset: str, name: str, resume: bool, **training: Any) -> None:
    """Train a classifier on DATASET (a data set, or a plain folder of class folders) and publish it."""
    import workflow
    from training.launch import followed, processes
    from training.options import TrainingOptions

    with processes(training["device"]) as world, _telling(form) as out:
        if followed(world):
            return
        check_name(name)
        settings = load_settings()
        opened = workflow.find_dataset(dataset, settings, out.report)
        model = workflow.train(opened, name, TrainingOptions(**training), settings, out.report, resume, world)
        out.result(tables.trained_values(model), tables.trained(model))


@cli.command()
@click.argument("tag")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--json", "json_out", metavar="OUT", help="Write the numbers as JSON; - is the standard output.")
def evaluate(tag: str, folder: Path, json_out: str | None) -> None:
    """Measure the classifier TAG on FOLDER, a folder of class folders it has not seen."""
    import workflow

    with Terminal() as terminal:
        result = workflow.evaluate(tag, folder, load_settings(), terminal.report)
    if json_out:
        _write(json_out, json.dumps(result, indent=2, ensure_ascii=False) + "\n")
        return
    _OUT.print(tables.evaluation(f"{tag} on {folder}", result))
    _print(tables.evaluated(result))


@cli.command()
@click.argument("tag")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "json_out", metavar="OUT", help="Write the answers as JSON; - is the standard output.")
@click.option("--csv", "csv_out", metavar="OUT", help="Write the answers as CSV; - is the standard output.")
def predict(tag: str, paths: tuple[Path, ...], json_out: str | None, csv_out: str | None) -> None:
    """Classify pictures: files, folders and zip archives."""
    import workflow
    from training import predict as prediction

    with Terminal() as terminal:
        rows = list(workflow.predict(tag, paths, terminal.report))
    if json_out:
        _write(json_out, prediction.to_json(rows))
    if csv_out:
        _write(csv_out, prediction.to_csv(rows))
    if not json_out and not csv_out:
        for row in rows:
            _print(str(row))
    if not rows:
        raise DataError("there is no picture in what was given", "Name files, folders or zip archives of pictures")
    if all(row.error for row in rows):
        raise DataError(f"none of {len(rows)} inputs could be classified", "Each one's reason is in its row")


@cli.group()
def models() -> None:
    """List, show, promote, roll back and delete classifiers."""


@models.command("list")
@click.argument("name", required=False)
@click.option("--json", "json_out", metavar="OUT", help="Write the list as JSON; - is the standard output.")
def list_command(name: str | None, json_out: str | None) -> None:
    """List the classifiers in the model store, newest first."""
    from tellapart import store

    found = store.list_models(name)
    if json_out:
        rows = [{"tag": m.tag, "promoted": m.promoted, **m.info.to_json()} for m in found]
        _write(json_out, json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
        return
    _OUT.print(tables.models(found) if found else _NONE_YET)


@models.command()
@click.argument("tag")
@click.option("--json", "json_out", metavar="OUT", help="Write it as JSON; - is the standard output.")
def show(tag: str, json_out: str | None) -> None:
    """Show what is known of one classifier."""
    from tellapart import store

    model = store.resolve(tag)
    text = json.dumps({"tag": model.tag, "promoted": model.promoted, **model.info.to_json()}, indent=2)
    if json_out:
        _write(json_out, text + "\n")
        return
    _print(tables.trained(model))
    _print(f"classes: {', '.join(model.info.class_names)}")
    _print(f"backbone: {model.info.backbone} ({model.info.weights})")
    _OUT.print(f"created: {model.info.created}")


@models.command("promote")
@click.argument("tag")
def promote_command(tag: str) -> None:
    """Let TAG (NAME:VERSION) answer requests for its name; running servers follow."""
    from tellapart import store

    _OUT.print(f"{store.promote(tag).tag} answers now")


@models.command("rollback")
@click.argument("name")
def rollback_command(name: str) -> None:
    """Let the version of NAME that answered before answer again."""
    from tellapart import store

    _OUT.print(f"{store.rollback(name).tag} answers now")


@models.command("delete")
@click.argument("tag")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete_command(tag: str, yes: bool) -> None:
    """Delete one exact version, NAME:VERSION."""
    from tellapart import store

    if not yes:
        click.confirm(f"Delete {tag}?", abort=True, err=True)
    _OUT.print(f"{store.delete(tag).tag} is deleted")


@cli.command()
@click.argument("tag")
@click.option("--format", "kind", required=True, type=click.Choice(["pt", "onnx", "torchscript", "zip"]))
@click.option("--out", required=True, metavar="DIR", type=click.Path(path_type=Path), help="Folder for the files.")
def export(tag: str, kind: str, out: Path) -> None:
    """Write the classifier TAG as files for other programs, checked to answer the same; zip adds its data set."""
    import workflow

    with Terminal() as terminal:
        made = workflow.export(tag, kind, out, load_settings(), terminal.report)
    for path in made.files:
        _print(str(path))
    _OUT.print(
        f"the same {made.pictures} pictures: probabilities differ by {made.difference:.1e} at most "
        f"from the classifier in float32, by {made.serving_difference:.1e} from what is served ({made.serving_form})",
        soft_wrap=True,
    )


@cli.command()
def serve() -> None:
    """Serve the classifiers over HTTP (TELLAPART_HOST, TELLAPART_SERVICE_PORT)."""
    settings = load_settings()
    supervisor.run([servers.service(settings)], lambda: _err(f"the service answers at {settings.service_url}"))


@cli.command()
def web() -> None:
    """Serve the web page (TELLAPART_HOST, TELLAPART_WEB_PORT)."""
    settings = load_settings()
    supervisor.run([servers.web(settings, alone=True)], lambda: _err(f"the web page is at {servers.web_url(settings)}"))


@cli.command()
def worker() -> None:
    """Do the jobs that people start on the web page (its settings and home must be the same)."""
    supervisor.run([servers.worker()], lambda: _err("the worker waits for jobs"))


@cli.command()
@click.option("--open/--no-open", "open_page", default=True, help="Open the page in a browser where there is one.")
@click.option("--check", is_flag=True, help="Only see whether its ports are free.")
def up(open_page: bool, check: bool) -> None:
    """Run the service, the web page and the worker together until Ctrl-C; a job that runs goes on at the next start."""
    settings = load_settings()
    url = servers.web_url(settings)
    together = [servers.service(settings), servers.web(settings), servers.worker()]

    def ready() -> None:
        _err(f"Tellapart is at {url} (the service at {settings.service_url}); Ctrl-C stops it")
        if open_page and os.environ.get("DISPLAY"):
            click.launch(url)

    if check:
        supervisor.check_ports(together)
    else:
        supervisor.run(together, ready)


cli.add_command(users)


@cli.command()
def doctor() -> None:
    """Say what is missing (browser, weights, GPU, demo pictures) and how to get it."""
    from tellapart.doctor import examine

    for finding in examine(load_settings()):
        _print(f"{finding.what}: {finding.state}" + (f" ({finding.fix})" if finding.fix else ""))


def _yes_or_no(question: str) -> Any:
    keys = {"y": "yes", "n": "no", "s": "skip", "q": "stop"}
    text = f"{question} y(es), n(o), s(kip), q(uit)"
    return keys[click.prompt(text, type=click.Choice(list(keys)), show_choices=False, err=True)]


def _write(out: str, text: str) -> None:
    if out == "-":
        sys.stdout.write(text)
    else:
        write_bytes(Path(out).absolute(), text.encode())


def _print(text: str) -> None:
    _OUT.print(text, markup=False, soft_wrap=True)


def _err(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; an error is one line on stderr."""
    debug = "--debug" in (sys.argv[1:] if arguments is None else arguments)
    try:
        cli.main(arguments, prog_name="tellapart", standalone_mode=False)
    except TellapartError as error:
        return _fail(error, str(error), error.exit_code, debug)
    except click.exceptions.Abort:
        _err("stopped")
        return 130
    except click.ClickException as error:
        return _misused(error, debug)
    except BrokenPipeError:
        return 1
    except Exception as error:  # the last resort: still one line
        what = " ".join(f"{type(error).__name__}: {error}".split())
        return _fail(error, f"unexpected failure: {what}. Run again with: tellapart --debug", 1, debug)
    return 0


def _misused(error: click.ClickException, debug: bool) -> int:
    """One line; where nothing was asked for, all that could have been."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError) and error.ctx:
        _print(error.ctx.get_help())
        return UsageError.exit_code
    command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "tellapart"
    what = " ".join(error.format_message().split())
    return _fail(error, f"{what} See: {command} --help", UsageError.exit_code, debug)


def _fail(error: Exception, text: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    _err(f"error: {text}")
    return code


if __name__ == "__main__":
    sys.exit(main())
