"""What the command line prints about suspects and what was done with them."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from tellapart.dataset import Dataset
from tellapart.decisions import Action
from tellapart.flags import Suspect
from tellapart.wording import counted

SHOWN = 3


def suspects_table(dataset: Dataset, suspects: Sequence[Suspect]) -> Table:
    """A table of the worst suspects of each class."""
    table = Table("class", "picture", "why", "score", "suggested", title="Suspects")
    for c in dataset.classes:
        mine = sorted((s for s in suspects if s.class_slug == c.slug), key=lambda s: (not s.confident, -s.score))
        for s in mine[:SHOWN]:
            what = f"{s.action} to {s.suggested_slug}" if s.action == "move" else s.action
            table.add_row(escape(c.name), s.sha256[:12], escape(s.reason), f"{s.score:.2f}", what)
        if len(mine) > SHOWN:
            table.add_row(escape(c.name), "", f"and {len(mine) - SHOWN} more", "", "")
    return table


def put_back(undone: Sequence[Action]) -> str:
    """What `--undo` did."""
    return f"put back: {counted(len(undone), 'picture')}" if undone else "nothing to take back: no --apply is in force"


def outcome(dataset: str, suspects: Sequence[Suspect], applied: Sequence[Action]) -> str:
    """What was done, and what can be done next, in one line."""
    if applied:
        moved = sum(a.action == "move" for a in applied)
        return (
            f"taken out: {len(applied) - moved}; moved to another class: {moved}; left for a person: "
            f"{len(suspects) - len(applied)}. Nobody has looked at them, so they teach nothing but still count where "
            f"accuracy is measured. To take it back: tellapart curate {dataset} --undo"
        )
    confident = sum(s.confident for s in suspects)
    advice = f". To take those out: tellapart curate {dataset} --apply" if confident else ""
    return f"{counted(len(suspects), 'suspect')}, {confident} almost certainly wrong{advice}"
