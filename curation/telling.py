"""What the command line prints about suspects and what was done with them."""

from collections.abc import Sequence
from shlex import quote

from rich.markup import escape
from rich.table import Table

from curation.confident import confident_actions, judging_suspects
from tellapart.actions import history
from tellapart.dataset import Dataset
from tellapart.decisions import Action, in_force
from tellapart.flags import Suspect
from tellapart.manifest import Attempt
from tellapart.pictures import Status
from tellapart.wording import counted, sentence

SHOWN = 3
NONE = "no picture looks wrong"
UNSEARCHED = "wrong pictures were not looked for"
_ANEW = "Pictures are compared with those that are left, so after an --apply others may be named than before"


def suspects_tables(dataset: Dataset, suspects: Sequence[Suspect], applied: Sequence[Action] = ()) -> list[Table]:
    """The worst suspects of each class: those that were acted upon, and those that still stand; none for none."""
    done = {(a.class_slug, a.sha256) for a in applied}
    gone = [s for s in suspects if (s.class_slug, s.sha256) in done]
    left = [s for s in suspects if (s.class_slug, s.sha256) not in done]
    parts = [("Taken out", "action", gone), ("Suspects", "suggested", left)]
    return [_table(dataset, title, action, some) for title, action, some in parts if some]


def listed(dataset: Dataset, suspects: Sequence[Suspect]) -> list[dict[str, object]]:
    """Every suspect for programs: its picture as people find it, its class, sha256, and what its flag says."""
    names = _names(dataset)
    return [
        {"picture": names[s.class_slug, s.sha256], "class": s.class_slug, "sha256": s.sha256, **s.to_json()}
        for s in suspects
    ]


def put_back(undone: Sequence[Action]) -> str:
    """What `--undo` did."""
    return f"put back: {counted(len(undone), 'picture')}" if undone else "nothing to take back: no --apply is in force"


def how_to_see(where: str) -> str:
    """What to type to see the suspects of the data set `where`."""
    return f"to see them: tellapart curate {quote(where)}"


def advice(where: str, dataset: Dataset, suspects: Sequence[Suspect]) -> str:
    """How many pictures of the data set `where` look wrong, and what to type, in one line."""
    if not suspects:
        return NONE
    confident, certain, others = _count(dataset, suspects)
    return (
        f"{counted(len(suspects), 'picture')} may be wrong, {confident or 'none'} of them almost certainly; "
        + how_to_see(where)
        + (f"; to take {certain} out: tellapart curate {quote(where)} --apply" if certain else "")
        + (f"; {others}" if others else "")
    )


def outcome(where: str, dataset: Dataset, suspects: Sequence[Suspect]) -> str:
    """How many suspects were found in the data set `where`, and what can be done next, in one line."""
    if not suspects:
        return NONE
    confident, certain, others = _count(dataset, suspects)
    said = [f"{counted(len(suspects), 'suspect')}, {confident or 'none'} almost certainly wrong"]
    if any(a.by == "curate" for a in in_force(history(dataset))):
        said.append(_ANEW)
    if certain:
        those = "those" if certain == confident else f"{certain} of those"
        said.append(f"To take {those} out: tellapart curate {quote(where)} --apply")
    if others:
        said.append(sentence(others))
    return ". ".join(said)


def applied_outcome(where: str, suspects: Sequence[Suspect], applied: Sequence[Action]) -> str:
    """What `--apply` did with the suspects of the data set `where`, and how to take it back."""
    if not suspects:
        return f"nothing taken out: {NONE}"
    more = len(suspects) - len(applied)
    left = f"{counted(more, 'suspect')} left for a person to look at" if more else "none left to look at"
    if not applied:
        return f"nothing taken out: none may be without looking; {left}"
    moved = sum(a.action == "move" for a in applied)
    belongs = "it belongs" if moved == 1 else "they belong"
    to_others = f", {moved} of them to the class {belongs} to" if moved else ""
    return (
        f"{counted(len(applied), 'suspect')} taken out{to_others}; {left}. Nobody has looked at what was taken out, so "
        "it teaches nothing but still counts where accuracy is measured. "
        f"To take it back: tellapart curate {quote(where)} --undo"
    )


def _count(dataset: Dataset, suspects: Sequence[Suspect]) -> tuple[int, int, str]:
    """How many suspects are almost certainly wrong, how many of those `--apply` would act upon, and why not on all."""
    confident = sum(s.confident for s in suspects)
    certain = len(confident_actions(dataset, suspects))
    left = confident - certain
    judges = sum(s.confident for s in judging_suspects(dataset, suspects))
    reasons = [f"{counted(judges, 'judges', 'judge')} the classifier"] if judges else []
    if left > judges:
        reasons.append(f"{counted(left - judges, 'is', 'are')} among the last of a class")
    if not left:
        return confident, certain, ""
    those = f"the {'other ' if certain else ''}{', '.join(reasons)}"
    return confident, certain, f"{those} and {'is' if left == 1 else 'are'} left for a person"


def _table(dataset: Dataset, title: str, action: str, suspects: Sequence[Suspect]) -> Table:
    table = Table("class", "picture", "why", "score", action, title=title)
    names, called = _names(dataset), {c.slug: escape(c.name) for c in dataset.classes}
    for c in dataset.classes:
        mine = sorted((s for s in suspects if s.class_slug == c.slug), key=lambda s: (not s.confident, -s.score))
        for s in mine[:SHOWN]:
            what = f"{s.action} to {called.get(s.suggested_slug, s.suggested_slug)}" if s.action == "move" else s.action
            table.add_row(
                escape(c.name), escape(names[s.class_slug, s.sha256]), escape(s.reason), f"{s.score:.2f}", what
            )
        if len(mine) > SHOWN:
            table.add_row(escape(c.name), "", f"and {len(mine) - SHOWN} more", "", "")
    return table


def _names(dataset: Dataset) -> dict[tuple[str, str], str]:
    """How people find each picture: the file in a folder of their own, else what its file's name begins with."""

    def name(a: Attempt) -> str:
        return str(dataset.image_path(a).relative_to(dataset.folder)) if dataset.folder else a.sha256[:12]

    return {(a.class_slug, a.sha256): name(a) for a in dataset.manifest.attempts() if a.status != Status.REJECTED}
