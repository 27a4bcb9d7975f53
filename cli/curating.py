"""What is in a data set: curate, audit."""

import sys
from typing import IO, Any

import click

from cli.options import json_option, progress_option, training_options
from cli.output import show, telling, write_json
from tellapart.errors import UsageError
from tellapart.settings import load_settings
from tellapart.terminal import Terminal

_ANSWERS = {"y": "yes", "n": "no", "s": "skip", "q": "stop"}


@click.command()
@click.argument("dataset")
@click.option("--apply", "apply_", is_flag=True, help="Take out the suspects that are almost certainly wrong.")
@click.option("--undo", is_flag=True, help="Take back the last --apply.")
@progress_option
@training_options
def curate(form: str, dataset: str, apply_: bool, undo: bool, **training: Any) -> None:
    """Find duplicates, conflicts and suspects in DATASET and assign its splits; nothing is ever deleted."""
    import workflow
    from curation.telling import outcome, suspects_table
    from tellapart import tables
    from training.options import TrainingOptions

    with telling(form) as out:
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


@click.command()
@click.argument("dataset")
@click.option(
    "--per-class", default=30, type=click.IntRange(2, 10_000), show_default=True, help="Pictures to ask about."
)
@click.option(
    "--answers", type=click.File("rb"), metavar="FILE", help="Take answers from a file; - is the standard input."
)
@json_option("sample and result")
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
        auditing.ask_person(opened, sample, _ask, show)
    if json_out:
        write_json(json_out, auditing.to_json(opened, auditing.draw_samples(opened, per_class)))
    else:
        show(auditing.purity_table(opened))


def _ask(question: str) -> Any:
    text = f"{question} y(es), n(o), s(kip), q(uit)"
    return _ANSWERS[click.prompt(text, type=click.Choice(list(_ANSWERS)), show_choices=False, err=True)]
