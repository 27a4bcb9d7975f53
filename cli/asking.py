"""What a classifier says, how good that is, and taking it elsewhere: predict, evaluate, export."""

from pathlib import Path

import click

from cli.options import json_option
from cli.output import show, write, write_json
from tellapart.errors import DataError
from tellapart.settings import load_settings
from tellapart.terminal import Terminal


@click.command()
@click.argument("tag")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option("the numbers")
def evaluate(tag: str, folder: Path, json_out: str | None) -> None:
    """Measure the classifier TAG on FOLDER, a folder of class folders it has not seen."""
    import workflow
    from tellapart import tables

    with Terminal() as terminal:
        result = workflow.evaluate(tag, folder, load_settings(), terminal.report)
    if json_out:
        write_json(json_out, result)
    else:
        show(tables.evaluation(f"{tag} on {folder}", result), tables.evaluated(result))


@click.command()
@click.argument("tag")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option("the answers")
@click.option("--csv", "csv_out", metavar="OUT", help="Write the answers as CSV; - is the standard output.")
def predict(tag: str, paths: tuple[Path, ...], json_out: str | None, csv_out: str | None) -> None:
    """Classify pictures: files, folders and zip archives."""
    import workflow
    from training import predict as prediction

    with Terminal() as terminal:
        rows = list(workflow.predict(tag, paths, terminal.report))
    if json_out:
        write(json_out, prediction.to_json(rows))
    if csv_out:
        write(csv_out, prediction.to_csv(rows))
    if not json_out and not csv_out:
        show(*map(str, rows))
    if not rows:
        raise DataError("there is no picture in what was given", "Name files, folders or zip archives of pictures")
    if all(row.error for row in rows):
        raise DataError(f"none of {len(rows)} inputs could be classified", "Each one's reason is in its row")


@click.command()
@click.argument("tag")
@click.option("--format", "kind", required=True, type=click.Choice(["pt", "onnx", "torchscript", "zip"]))
@click.option("--out", required=True, metavar="DIR", type=click.Path(path_type=Path), help="Folder for the files.")
def export(tag: str, kind: str, out: Path) -> None:
    """Write the classifier TAG as files for other programs, checked to answer the same; zip adds its data set."""
    import workflow

    with Terminal() as terminal:
        made = workflow.export(tag, kind, out, load_settings(), terminal.report)
    show(*map(str, made.files))
    show(
        f"the same {made.pictures} pictures: probabilities differ by {made.difference:.1e} at most "
        f"from the classifier in float32, by {made.serving_difference:.1e} from what is served ({made.serving_form})"
    )
