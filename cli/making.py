"""From class names to a classifier: create, collect, train."""

import sys
import time
from typing import Any

import click

from cli.options import Collecting, collecting_options, learning_options, progress_option, training_options
from cli.output import telling
from tellapart.names import check_name, parse_class_names
from tellapart.settings import Settings, check_home, load_settings


@click.command(short_help="From class names to a classifier.")
@click.argument("name")
@click.argument("classes", nargs=-1, required=True, metavar="CLASS CLASS...")
@collecting_options
@click.option("--yes", is_flag=True, help="Do not ask before starting.")
@progress_option
@learning_options(budget="10m")
@training_options
def create(
    form: str, name: str, classes: tuple[str, ...], collecting: Collecting, yes: bool, resume: bool, **training: Any
) -> None:
    """Collect pictures of each CLASS, train a classifier on them, and publish it as NAME.

    Killed or stopped, the same command goes on where it was.

    \b
    tellapart create pets cat dog                              # from Openverse
    tellapart create pets cat dog --source folder:my-pictures
    tellapart create demo mammals birds --source gallery       # needs no network
    """
    import workflow
    from scraping.queries import parse_queries
    from tellapart import tables
    from training.launch import followed, processes
    from training.options import TrainingOptions

    with processes(training["device"]) as world, telling(form) as out:
        if followed(world):
            return
        settings, wanted = _writable_places(), parse_class_names(classes)
        plan = workflow.Plan(
            name,
            wanted,
            collecting.sources or (workflow.DEFAULT_SOURCE,),
            collecting.per_class,
            parse_queries(collecting.queries, wanted),
            TrainingOptions(**training),
            collecting.since,
            collecting.license,
        )
        if not yes and sys.stdin.isatty() and form == "bar":
            most = plan.per_class * len(plan.classes)
            click.confirm(f"Get up to {most} pictures from {', '.join(plan.sources)}?", abort=True, err=True)
        model = workflow.create(plan, settings, out.report, resume, world)
        out.result(tables.trained_values(model), tables.trained(model))


@click.command(short_help="Collect pictures only.")
@click.argument("dataset")
@click.argument("classes", nargs=-1, required=True, metavar="CLASS CLASS...")
@collecting_options
@progress_option
def collect(form: str, dataset: str, classes: tuple[str, ...], collecting: Collecting) -> None:
    """Collect pictures of each CLASS into DATASET (a folder, or a name), without training.

    \b
    tellapart collect pets cat dog --source wikimedia --per-class 500
    """
    import workflow
    from scraping.queries import parse_queries
    from tellapart import tables

    with telling(form) as out:
        settings, wanted = load_settings(), parse_class_names(classes)
        collected = workflow.collect(
            workflow.dataset_root(dataset, settings),
            wanted,
            collecting.sources or (workflow.DEFAULT_SOURCE,),
            collecting.per_class,
            settings,
            out.report,
            parse_queries(collecting.queries, wanted),
            collecting.since,
            collecting.license,
        )
        out.result(tables.counts_values(collected), tables.counts(collected))


@click.command(short_help="Train a classifier on pictures.")
@click.argument("dataset")
@click.option("--name", required=True, help="The classifier's name in the model store.")
@progress_option
@learning_options(budget=None)
@training_options
def train(form: str, dataset: str, name: str, resume: bool, **training: Any) -> None:
    """Train a classifier on DATASET (a data set, or a plain folder of class folders) and publish it.

    \b
    tellapart train my-pictures --name pets       # my-pictures/cat/..., my-pictures/dog/...
    """
    import workflow
    from tellapart import tables
    from tellapart.folders import open_dataset
    from training.launch import followed, processes
    from training.options import TrainingOptions

    began = time.monotonic()
    with processes(training["device"]) as world, telling(form) as out:
        if followed(world):
            return
        check_name(name)
        settings = _writable_places()
        opened = open_dataset(dataset, settings, out.report)
        model = workflow.train(opened, name, TrainingOptions(**training), settings, out.report, resume, world, began)
        out.result(tables.trained_values(model), tables.trained(model))


def _writable_places() -> Settings:
    """The settings, where the data sets and classifiers that they lead to can be written."""
    from tellapart.promotions import check_store

    settings = load_settings()
    check_home(settings)
    check_store(writing=True)
    return settings
