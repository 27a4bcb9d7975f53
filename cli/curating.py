"""What is in a data set: curate, audit."""

import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from cli.options import WholeNumber, json_option, progress_option, training_options
from cli.output import say, show, telling, write_json
from tellapart.errors import NoDataError, UsageError
from tellapart.settings import load_settings
from tellapart.terminal import Terminal
from tellapart.wording import counted

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tellapart.decisions import Action

_PER_CLASS = 30
_ANSWERS = {"y": "yes", "n": "no", "s": "skip", "q": "stop"}


@click.command(short_help="Find duplicates and suspects.")
@click.argument("dataset")
@click.option("--apply", "apply_", is_flag=True, help="Take out the suspects that are almost certainly wrong.")
@click.option("--undo", is_flag=True, help="Take back the last --apply.")
@json_option("every suspect")
@progress_option
@training_options
def curate(form: str, dataset: str, apply_: bool, undo: bool, json_out: str | None, **training: Any) -> None:
    """Find duplicates, conflicts and suspects in DATASET and assign its splits; nothing is ever deleted.

    DATASET is a data set's name, its folder, or a plain folder of class folders.

    \b
    tellapart curate pets
    tellapart curate pets --json suspects.json
    tellapart curate pets --apply
    tellapart curate pets --undo
    """
    import workflow
    from curation.telling import applied_outcome, listed, outcome, put_back, suspects_tables
    from tellapart import tables
    from tellapart.folders import open_dataset
    from training.options import TrainingOptions

    with telling(form) as out:
        if apply_ and undo:
            raise UsageError("--apply and --undo together", "Give one of them")
        if undo and json_out:
            raise UsageError("--undo looks for no suspects", "Leave out --json")
        if form == "json" and json_out == "-":
            raise UsageError("--progress json and --json - both write on the standard output", "Name a file")
        options = TrainingOptions(**training)
        opened = open_dataset(dataset, load_settings(), out.report)
        if undo:
            undone = workflow.undo_apply(opened, options.seed, out.report)
            out.result(tables.counts_values(opened) | {"undone": len(undone)}, tables.counts(opened), put_back(undone))
            return
        summary = workflow.curate(opened, options.seed, out.report)
        suspects = workflow.find_suspects(opened, options, out.report)
        if json_out:
            write_json(json_out, listed(opened, suspects))
        applied: list[Action] = []
        if apply_:
            applied, summary = workflow.apply_confident(opened, options.seed, out.report)
            told = applied_outcome(dataset, suspects, applied)
        else:
            told = outcome(dataset, opened, suspects)
        shown: list[RenderableType] = [tables.counts(opened), summary.text]
        shown += [*suspects_tables(opened, suspects, applied), told]
        values = tables.counts_values(opened) | {"suspects": len(suspects), "applied": len(applied)}
        out.result(values, *([] if json_out == "-" else shown))


@click.command(short_help="Say how many pictures are right.")
@click.argument("dataset")
@click.option(
    "--per-class", default=_PER_CLASS, type=WholeNumber(2, 10_000), show_default=True, help="Pictures to ask about."
)
@click.option("--answers", metavar="FILE", help="Take answers from a file; - is the standard input.")
@json_option("sample and result")
def audit(dataset: str, per_class: int, answers: str | None, json_out: str | None) -> None:
    """Say how many pictures of each class are right, from a person's yes or no to a sample.

    In a terminal it asks. Elsewhere, --json writes the sample, and --answers takes it back with "right" filled in.
    Where the data set has changed in between, what still applies is taken, and the exit code is 3 if anything was not.

    \b
    tellapart audit pets
    tellapart audit pets --json sample.json       # then set "right" to true or false in it
    tellapart audit pets --answers sample.json
    """
    from curation import auditing
    from tellapart.folders import open_dataset

    given = _read(answers) if answers else b""
    with Terminal() as terminal:
        opened = open_dataset(dataset, load_settings(), terminal.report)
    sample = auditing.draw_samples(opened, per_class)
    taken = auditing.take_answers(opened, given, answers) if answers else None
    if taken:
        say(f"{counted(taken.stored, 'answer')} taken from {answers}")
    elif not json_out and sys.stdin.isatty():
        auditing.ask_person(opened, sample, _ask, show)
    elif not json_out:
        say(f"there is no terminal to ask in; to answer elsewhere: tellapart audit {quote(dataset)} --json FILE")
    if json_out:
        asked = auditing.draw_samples(opened, per_class)
        write_json(json_out, auditing.to_json(opened, asked))
        size = "" if per_class == _PER_CLASS else f" --per-class {per_class}"
        say(_next_step(f"{quote(dataset)}{size}", json_out, len(asked), sum(item.right is None for item in asked)))
    else:
        show(auditing.purity_table(opened))
    if taken:
        taken.refuse_rest(str(answers))


def _read(answers: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if answers == "-" else Path(answers).read_bytes()
    except OSError as error:
        raise NoDataError(f"{answers} cannot be read: {error.strerror}", "Check the path") from error


def _next_step(dataset: str, out: str, asked: int, left: int) -> str:
    """What was written and what is to be done with it; on the standard error, as programs read the other."""
    where = "" if out == "-" else f" to {out}"
    if not left:
        return f"wrote a sample of {counted(asked, 'picture')}{where}; each has an answer"
    return (
        f'wrote a sample of {counted(asked, "picture")}{where}, {left} without an answer; set their "right" to true '
        f"or false, then: tellapart audit {dataset} --answers {'FILE' if out == '-' else quote(out)}"
    )


def _ask(question: str) -> Any:
    text = f"{question} y(es), n(o), s(kip), q(uit)"
    return _ANSWERS[click.prompt(text, type=click.Choice(list(_ANSWERS)), show_choices=False, err=True)]
