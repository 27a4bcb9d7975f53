"""What the command line says of suspects: how many, what may be done, and what was."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from curation.telling import NONE, advice, applied_outcome, outcome, suspects_tables
from tellapart.actions import apply, undo
from tellapart.dataset import Dataset
from tellapart.decisions import Action
from tellapart.flags import Suspect


@pytest.fixture
def dataset(make_dataset: Callable[..., Dataset], make_photo: Callable[[int], bytes]) -> Dataset:
    """Seven cats and dogs; two of a class may be taken out without looking."""
    return make_dataset([(("cat", "dog")[i % 2], make_photo(i)) for i in range(14)])


@pytest.fixture
def suspects(dataset: Dataset) -> list[Suspect]:
    """Four cats, three of them confident."""
    digests = [a.sha256 for a in dataset.manifest.kept("cat")]
    return [Suspect(digests[i], "cat", "off_topic", 0.9, "odd", "remove", confident=i < 3) for i in range(4)]


def test_what_may_be_wrong_and_what_to_type(dataset: Dataset, suspects: list[Suspect]) -> None:
    assert advice("x", dataset, []) == outcome("x", dataset, []) == NONE
    assert outcome("x y", dataset, suspects) == (
        "4 suspects, 3 almost certainly wrong. To take 2 of those out: tellapart curate 'x y' --apply. "
        "The other 1 is among the last of a class and is left for a person"
    )
    assert outcome("x", dataset, suspects[1:]).endswith("To take those out: tellapart curate x --apply")
    assert outcome("x", dataset, suspects[3:]) == "1 suspect, none almost certainly wrong"
    assert advice("x", dataset, suspects) == (
        "4 pictures may be wrong, 3 of them almost certainly; to see them: tellapart curate x; "
        "to take 2 out: tellapart curate x --apply; the other 1 is among the last of a class and is left for a person"
    )
    assert advice("x", dataset, suspects[3:]) == (
        "1 picture may be wrong, none of them almost certainly; to see them: tellapart curate x"
    )


def test_why_pictures_that_judge_are_not_taken_out(dataset: Dataset, suspects: list[Suspect]) -> None:
    dataset.manifest.assign("split", {s.sha256: "test" for s in suspects[1:]})
    assert outcome("x", dataset, suspects) == (
        "4 suspects, 3 almost certainly wrong. To take 1 of those out: tellapart curate x --apply. "
        "The other 2 judge the classifier and are left for a person"
    )
    assert outcome("x", dataset, suspects[1:]) == (
        "3 suspects, 2 almost certainly wrong. The 2 judge the classifier and are left for a person"
    )


def test_a_search_after_some_were_taken_out_says_that_it_compares_anew(
    dataset: Dataset, suspects: list[Suspect]
) -> None:
    def action(suspect: Suspect, by: str) -> Action:
        return Action("remove", "cat", suspect.sha256, "", by=by)

    apply(dataset, [action(suspects[0], "person")])
    assert "compared" not in outcome("x", dataset, suspects[3:])
    apply(dataset, [action(suspects[1], "curate")])
    assert outcome("x", dataset, suspects[3:]) == (
        "1 suspect, none almost certainly wrong. Pictures are compared with those that are left, so after an --apply "
        "others may be named than before"
    )
    undo(dataset, by="curate")
    assert "compared" not in outcome("x", dataset, suspects[3:])


def test_what_was_taken_out_and_what_is_left(suspects: list[Suspect]) -> None:
    def done(*actions: str) -> str:
        taken = [Action(a, s.class_slug, s.sha256, by="curate") for a, s in zip(actions, suspects, strict=False)]
        return applied_outcome("x", suspects, taken)

    assert done("remove", "move").startswith(
        "2 suspects taken out, 1 of them to the class it belongs to; 2 suspects left for a person to look at. "
    )
    assert done("remove").endswith("To take it back: tellapart curate x --undo")
    assert "taken out; none left to look at. " in done(*["remove"] * 4)
    assert done() == ("nothing taken out: none may be without looking; 4 suspects left for a person to look at")
    assert applied_outcome("x", [], []) == f"nothing taken out: {NONE}"


def test_a_class_to_move_to_is_called_by_its_name(dataset: Dataset, suspects: list[Suspect]) -> None:
    named = replace(dataset, classes=(dataset.classes[0], replace(dataset.classes[1], name="Köter")))
    moved = replace(suspects[0], action="move", suggested_slug="dog")
    (table,) = suspects_tables(named, [moved])
    assert list(table.columns[4].cells) == ["move to Köter"]
