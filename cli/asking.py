"""What a classifier says, how good that is, and taking it elsewhere: predict, evaluate, export."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import json_option, writable
from cli.output import say, show, write, write_json
from tellapart.errors import DataError, UsageError
from tellapart.settings import load_settings
from tellapart.terminal import Terminal
from tellapart.wording import counted

if TYPE_CHECKING:
    from training.predict import PredictionRow

_FORMATS = ["pt", "onnx", "torchscript", "zip"]


@click.command(short_help="Measure a classifier on other pictures.")
@click.argument("tag")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option("the numbers")
def evaluate(tag: str, folder: Path, json_out: str | None) -> None:
    """Measure the classifier TAG on FOLDER, a folder of class folders it has not seen.

    Folders that are named like none of its classes are left out, and said.

    \b
    tellapart evaluate pets new-pictures/
    tellapart evaluate pets:VERSION new-pictures/ --json numbers.json
    """
    import workflow
    from tellapart import tables

    with Terminal() as terminal:
        result = workflow.evaluate(tag, folder, load_settings(), terminal.report)
    if json_out:
        write_json(json_out, result)
    else:
        show(tables.evaluation(f"{tag} on {folder}", result), tables.evaluated(result))


@click.command(short_help="Classify pictures.")
@click.argument("tag")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@json_option("the answers")
@click.option(
    "--csv", "csv_out", metavar="OUT", callback=writable, help="Write the answers as CSV; - is the standard output."
)
def predict(tag: str, paths: tuple[Path, ...], json_out: str | None, csv_out: str | None) -> None:
    """Classify pictures with the classifier TAG: files, folders and zip archives.

    One bad picture stops no other; where any has no answer, the exit code is 3. Files in folders and archives that
    are plainly no pictures, such as a readme, are left out and counted.

    \b
    tellapart predict pets cat.jpg holiday/ more.zip
    tellapart predict pets holiday/ --csv answers.csv
    """
    import workflow
    from training import predict as prediction

    if json_out == csv_out == "-":
        raise UsageError("--json - and --csv - both write on the standard output", "Name a file for one of them")
    with Terminal() as terminal:
        rows = list(workflow.predict(tag, paths, terminal.report))
    for out, to_text in ((json_out, prediction.to_json), (csv_out, prediction.to_csv)):
        if out:
            write(out, to_text(rows))
            say(f"wrote {counted(len(rows), 'row')}{'' if out == '-' else f' to {out}'}")
    if not json_out and not csv_out:
        show(*map(str, rows))
    _refuse_failures(rows)


def _refuse_failures(rows: "Sequence[PredictionRow]") -> None:
    """Let a script know that pictures have no answer; those that have one are written all the same."""
    failed = sum(row.error is not None for row in rows)
    if not rows:
        raise DataError("there is no picture in what was given", "Name files, folders or zip archives of pictures")
    if failed:
        if len(rows) == 1:
            raise DataError("the picture could not be classified", "The reason is in its row")
        some = f"{failed} of {len(rows)} inputs could not" if failed < len(rows) else f"none of {failed} inputs could"
        raise DataError(f"{some} be classified", "Each one's reason is in its row")


@click.command(short_help="Write a classifier for other programs.")
@click.argument("tag")
@click.option("--format", "kind", required=True, type=click.Choice(_FORMATS), help="See docs/exports.md.")
@click.option(
    "--out",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    callback=writable,
    help="Folder for the files; made where there is none.",
)
def export(tag: str, kind: str, out: Path) -> None:
    """Write the classifier TAG as files for other programs, checked to answer the same; zip adds its data set.

    \b
    tellapart export pets --format onnx --out pets-onnx
    """
    import workflow

    with Terminal() as terminal:
        made = workflow.export(tag, kind, out, load_settings(), terminal.report)
    show(*map(str, made.files))
    show(
        f"the same {made.pictures} pictures: probabilities differ by {made.difference:.1e} at most "
        f"from the classifier in float32, by {made.serving_difference:.1e} from what is served ({made.serving_form})"
    )
