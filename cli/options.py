"""Options that several commands share."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click

from tellapart.errors import UsageError
from tellapart.files import refuse_unwritable
from tellapart.licenses import LicenseFilter

Command = Callable[..., None]
_SOURCE_HELP = (
    "Where to look: openverse, wikimedia, inaturalist, flickr, bing, duckduckgo, google, gallery, "
    "site:RECIPE, folder:PATH or urls:PATH. May be repeated.  [default: openverse]"
)
_QUERY_HELP = "Other words to search for, beside the class's name. May be repeated."
_SINCE_HELP = "Ask sources only for what is new since this day (UTC): flickr, inaturalist, wikimedia."
_LICENSE_HELP = "Take only pictures of such a licence; one's own files are always taken."
_BACKBONES = click.Choice(["auto", "resnet50", "resnet18", "efficientnet_lite0"])
_DEVICES, _OPTIMIZERS = click.Choice(["auto", "cpu", "cuda"]), click.Choice(["adamw", "sgd"])
_MODE_HELP = "What learns: the head on fixed features, or the whole network. auto fine-tunes where a GPU is."
_BUDGET_HELP = "How long training may take: 90s, 10m, 2h. It bounds fine-tuning; a head takes what it needs."
_EPOCHS_HELP = "Fine-tuning's passes over the pictures, at most."
_PROGRESS_HELP = "How to say how far it is: a bar for people, or JSON lines on the standard output for programs."
_PER_CLASS_HELP = "Pictures wanted of each class."
_DEVICE_HELP = "Where to compute; auto takes a GPU where there is one."
_WEIGHTS_HELP = "ImageNet weights found or downloaded, random ones, or a .pth or .safetensors file."
_BACKBONE_HELP = (
    "The network under the classifier; auto is resnet50, or where its weights cannot be had efficientnet_lite0, "
    "which comes with this program."
)
_OPTIMIZER_HELP = "How fine-tuning steps."
_RESUME_HELP = "Go on where a killed fine-tuning stopped, or begin anew."
_SEED_HELP = "Makes a run on a CPU repeat exactly."
_TUNE_HELP = "Search fine-tuning's settings in so many trials."


class WholeNumber(click.IntRange):
    """A whole number between two, which an error names."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See click."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is not a whole number from {self.min} to {self.max}", param, ctx)


@dataclass(frozen=True)
class Collecting:
    """What `collecting_options` were given, as they were typed."""

    sources: tuple[str, ...]
    queries: tuple[str, ...]
    per_class: int
    since: date | None
    license: LicenseFilter


def json_option(what: str) -> Callable[[Command], Command]:
    """`--json OUT`; `what` is written."""
    text = f"Write {what} as JSON; - is the standard output."
    return click.option("--json", "json_out", metavar="OUT", callback=writable, help=text)


progress_option = click.option(
    "--progress", "form", default="bar", type=click.Choice(["bar", "json"]), show_default=True, help=_PROGRESS_HELP
)


def collecting_options(command: Command) -> Command:
    """The options of `collect`, which `create` shares; the command gets them as one `collecting`."""

    @wraps(command)
    def packed(license: str, **others: Any) -> None:  # noqa: A002
        given = {name: others.pop(name) for name in ("sources", "queries", "per_class", "since")}
        command(collecting=Collecting(**given, license=LicenseFilter(license)), **others)

    licenses = click.Choice([f.value for f in LicenseFilter])
    return _with(
        packed,
        click.option("--per-class", default=200, type=WholeNumber(2, 100_000), show_default=True, help=_PER_CLASS_HELP),
        click.option("--since", callback=_past_day, metavar="YYYY-MM-DD", help=_SINCE_HELP),
        click.option("--license", default="any", type=licenses, show_default=True, help=_LICENSE_HELP),
        click.option("--query", "queries", multiple=True, metavar="CLASS=WORDS", help=_QUERY_HELP),
        click.option("--source", "sources", multiple=True, help=_SOURCE_HELP),
    )


def training_options(command: Command) -> Command:
    """The options of `train` that decide which features there are; `create` and `curate` share them."""
    return _with(
        command,
        click.option("--device", default="auto", type=_DEVICES, show_default=True, help=_DEVICE_HELP),
        click.option("--seed", default=0, type=WholeNumber(0, 2**31 - 1), show_default=True, help=_SEED_HELP),
        click.option("--weights", default="auto", metavar="auto|none|PATH", show_default=True, help=_WEIGHTS_HELP),
        click.option("--backbone", default="auto", type=_BACKBONES, show_default=True, help=_BACKBONE_HELP),
    )


def learning_options(budget: str | None) -> Callable[[Command], Command]:
    """The options of `train` that say how to learn, which `create` shares; `budget` is the default."""
    modes = click.Choice(["auto", "head", "finetune"])
    return lambda command: _with(
        command,
        click.option("--resume/--no-resume", default=True, show_default=True, help=_RESUME_HELP),
        click.option("--tune", default=0, type=WholeNumber(0, 10_000), metavar="N", help=_TUNE_HELP),
        click.option("--optimizer", default="adamw", type=_OPTIMIZERS, show_default=True, help=_OPTIMIZER_HELP),
        click.option("--epochs", type=WholeNumber(1, 10_000), help=_EPOCHS_HELP),
        click.option(
            "--budget", default=budget, callback=_duration, metavar="TIME", show_default=True, help=_BUDGET_HELP
        ),
        click.option("--mode", default="auto", type=modes, show_default=True, help=_MODE_HELP),
    )


def _with(command: Command, *options: Callable[[Command], Command]) -> Command:
    for option in options:
        command = option(command)
    return command


def writable(context: click.Context, option: click.Parameter, out: str | Path | None) -> str | Path | None:  # noqa: ARG001
    """A file (a text, - for the standard output) or a folder (a path) that can be written, before any work is done."""
    try:
        if out not in (None, "-"):
            refuse_unwritable(Path(out), folder=isinstance(out, Path))
    except UsageError as error:
        raise click.BadParameter(error.what) from error
    return out


def _past_day(context: click.Context, option: click.Parameter, text: str | None) -> date | None:  # noqa: ARG001
    """The day that was typed; nothing is new since a day that is still to come."""
    if text is None:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise click.BadParameter(f"{text!r} is no day written like 2026-01-31") from None
    if day > datetime.now(UTC).date():
        raise click.BadParameter(f"{day} is still to come")
    return day


def _duration(context: click.Context, option: click.Parameter, text: str | None) -> float | None:  # noqa: ARG001
    """Seconds of a time as people write it."""
    from training.durations import parse_duration

    return None if text is None else parse_duration(text)
