from collections import Counter

import pytest

from curation import curate
from curation.confident import confident_actions
from tellapart.actions import apply, carry_out, history, kept_by_hand, undo
from tellapart.dataset import Role
from tellapart.decisions import Action
from tellapart.errors import DataError, UsageError
from tellapart.flags import Suspect
from tellapart.folders import open_folder
from tellapart.manifest import Attempt
from tellapart.pictures import Reason, Status


@pytest.fixture
def pets(make_dataset, make_photo):
    """Six cats u/0 to u/5 and six dogs u/6 to u/11, curated, with provenance."""
    dataset = make_dataset([("cat" if i < 6 else "dog", make_photo(i)) for i in range(12)])
    rows = dataset.manifest.kept()
    dataset.manifest.add(
        Attempt(**vars(a) | {"license": "cc0", "author": "Ann", "page_url": f"page/{a.url}"}) for a in rows
    )
    curate(dataset)
    return dataset


@pytest.fixture
def digest(pets):
    """The digest of a picture by its URL."""
    digests = {a.url: a.sha256 for a in pets.manifest.attempts()}
    return lambda url: digests[url]


def state(dataset):
    return {(a.class_slug, a.url): (a.status, a.reason) for a in dataset.manifest.attempts()}


def files(dataset):
    return sorted(p.name for p in (dataset.root / "images").rglob("*.*"))


def test_a_removed_picture_is_out_and_comes_back(pets, digest):
    before, there = pets.manifest.attempts(), files(pets)
    apply(pets, [Action("remove", "cat", digest("u/0"))])
    assert state(pets)["cat", "u/0"] == (Status.QUARANTINED, Reason.REMOVED)
    assert digest("u/0") not in [s.sha256 for s in pets.samples()]
    assert files(pets) == there
    undo(pets)
    assert pets.manifest.attempts() == before


def test_a_moved_picture_keeps_its_provenance_and_comes_back(pets, digest):
    before = pets.manifest.attempts()
    apply(pets, [Action("move", "cat", digest("u/0"), "dog")])
    moved = next(a for a in pets.manifest.kept("dog") if a.url == "u/0")
    assert (moved.license, moved.author, moved.page_url, moved.detail) == ("cc0", "Ann", "page/u/0", "moved from cat")
    assert state(pets)["cat", "u/0"] == (Status.QUARANTINED, Reason.MOVED)
    sample = next(s for s in pets.samples() if s.sha256 == digest("u/0"))
    assert (sample.class_index, sample.path.exists()) == (1, True)
    undo(pets)
    assert pets.manifest.attempts() == before


def test_curating_again_keeps_what_was_decided(pets, digest):
    apply(pets, [Action("remove", "cat", digest("u/0")), Action("move", "cat", digest("u/1"), "dog")])
    curate(pets)
    decided = pets.manifest.attempts()
    assert curate(pets).splits == {"train": 11, "val": 0, "test": 0}
    assert pets.manifest.attempts() == decided
    assert {a.url for a in pets.manifest.kept("dog")} >= {"u/1"}


def test_what_is_suspected_of_a_moved_picture_stays_with_it(pets, digest):
    apply(pets, [Action("move", "cat", digest("u/1"), "dog")])
    pets.manifest.assign("flags", {digest("u/1"): "{}"})
    carry_out(pets)
    assert [a.flags for a in pets.manifest.kept("dog") if a.url == "u/1"] == ["{}"]


def test_a_copy_that_collecting_turned_away_stays_turned_away(pets, digest):
    copy = Attempt("u/copy", "cat", Status.REJECTED, Reason.DUPLICATE, sha256=digest("u/0"))
    pets.manifest.add([copy])
    apply(pets, [Action("remove", "cat", digest("u/0"))])
    assert copy in pets.manifest.attempts()
    undo(pets)
    assert copy in pets.manifest.attempts()


def test_another_copy_of_a_removed_picture_does_not_take_its_place(pets, digest, add, make_photo):
    add(pets, [("cat", make_photo(0))], start=50)
    curate(pets)
    apply(pets, [Action("remove", "cat", digest("u/0"))])
    add(pets, [("cat", make_photo(0))], start=60)
    curate(pets)
    assert {state(pets)["cat", url] for url in ("u/0", "u/50", "u/60")} == {(Status.QUARANTINED, Reason.REMOVED)}


def test_a_conflict_is_settled_by_removing_it_from_one_class(pets, add, make_photo, digest):
    add(pets, [("dog", make_photo(0))], start=50)
    curate(pets)
    assert state(pets)["cat", "u/0"] == state(pets)["dog", "u/50"] == (Status.QUARANTINED, Reason.CONFLICT)
    apply(pets, [Action("remove", "dog", digest("u/0"))])
    curate(pets)
    assert state(pets)["cat", "u/0"] == (Status.KEPT, Reason.OK)
    undo(pets)
    curate(pets)
    assert state(pets)["cat", "u/0"] == state(pets)["dog", "u/50"] == (Status.QUARANTINED, Reason.CONFLICT)


def test_moving_to_where_the_same_url_stands_already_leaves_that_row_alone(pets, digest, make_photo):
    twin = next(a for a in pets.manifest.kept("cat") if a.url == "u/0")
    pets.manifest.add([Attempt(**vars(twin) | {"class_slug": "dog"})])
    before = pets.manifest.attempts()
    apply(pets, [Action("move", "cat", digest("u/0"), "dog")])
    assert [a.detail for a in pets.manifest.attempts("dog") if a.url == "u/0"] == [""]
    undo(pets)
    assert pets.manifest.attempts() == before


def test_the_last_word_counts(pets, digest):
    apply(pets, [Action("remove", "cat", digest("u/0"))])
    apply(pets, [Action("keep", "cat", digest("u/0"))])
    assert state(pets)["cat", "u/0"] == (Status.KEPT, Reason.OK)
    assert kept_by_hand(pets) == {("cat", digest("u/0"))}
    undo(pets)
    assert state(pets)["cat", "u/0"] == (Status.QUARANTINED, Reason.REMOVED)
    assert kept_by_hand(pets) == set()


def test_several_batches_are_undone_last_first(pets, digest):
    before = state(pets)
    for url in ("u/0", "u/1", "u/2"):
        apply(pets, [Action("remove", "cat", digest(url))])
    assert [a.sha256 for a in undo(pets, 2)] == [digest("u/1"), digest("u/2")]
    assert state(pets)["cat", "u/0"][0] == Status.QUARANTINED
    assert [a.undone for a in history(pets)] == [False, True, True]
    assert len(undo(pets, 5)) == 1
    assert undo(pets) == []
    assert state(pets) == before


def test_undoing_what_curate_did_leaves_a_persons_decisions(pets, digest):
    apply(pets, [Action("remove", "cat", digest("u/0"), by="curate")])
    apply(pets, [Action("remove", "cat", digest("u/1"))])
    assert [a.sha256 for a in undo(pets, by="curate")] == [digest("u/0")]
    assert state(pets)["cat", "u/1"] == (Status.QUARANTINED, Reason.REMOVED)


def test_a_picture_moved_on_is_moved_back_step_by_step(make_dataset, make_photo):
    dataset = make_dataset([("cat", make_photo(0))], classes=("cat", "dog", "bird"))
    digest = dataset.manifest.kept()[0].sha256
    apply(dataset, [Action("move", "cat", digest, "dog")])
    apply(dataset, [Action("move", "dog", digest, "bird")])
    assert [(a.class_slug, a.sha256) for a in dataset.manifest.kept()] == [("bird", digest)]
    assert all(s.path.exists() for s in dataset.samples())
    undo(dataset)
    assert [a.class_slug for a in dataset.manifest.kept()] == ["dog"]


def test_a_plain_folder_is_not_written_into_and_decisions_outlive_reading_it_again(tmp_path, make_photo):
    folder = tmp_path / "photos"
    for i in range(8):
        (folder / ("cat" if i < 4 else "dog")).mkdir(parents=True, exist_ok=True)
        (folder / ("cat" if i < 4 else "dog") / f"{i}.png").write_bytes(make_photo(i))
    listing = sorted(folder.rglob("*"))
    dataset = open_folder(folder, tmp_path / "cache")
    cats = [a.sha256 for a in dataset.manifest.kept("cat")]
    apply(dataset, [Action("remove", "cat", cats[0]), Action("move", "cat", cats[1], "dog")])
    again = open_folder(folder, tmp_path / "cache")
    curate(again)
    assert [s.class_index for s in again.samples() if s.sha256 in cats] == [0, 0, 1]
    assert all(s.path.exists() for s in again.samples())
    assert sorted(folder.rglob("*")) == listing


def test_what_collecting_turned_away_cannot_be_brought_in(pets):
    pets.manifest.add([Attempt("u/bad", "cat", Status.REJECTED, Reason.TRUNCATED, sha256="f" * 64)])
    with pytest.raises(DataError, match="has no picture ffffffffffff"):
        apply(pets, [Action("keep", "cat", "f" * 64)])
    carry_out(pets)
    assert state(pets)["cat", "u/bad"] == (Status.REJECTED, Reason.TRUNCATED)


@pytest.mark.parametrize(
    ("action", "error"),
    [
        (("delete", "cat", ""), "unknown action 'delete'"),
        (("move", "cat", "bird"), "cannot be moved to 'bird'"),
        (("move", "cat", "cat"), "cannot be moved to 'cat'"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_recorded(pets, digest, action, error):
    kind, slug, to_slug = action
    with pytest.raises(UsageError, match=error):
        apply(pets, [Action("remove", "cat", digest("u/1")), Action(kind, slug, digest("u/0"), to_slug)])
    assert history(pets) == []


def suspect(sha256, score=0.95, slug="cat", confident=True, action="remove", to_slug=""):
    return Suspect(sha256, slug, "label_error", score, "looks wrong", action, to_slug, confident)


def test_only_confident_suspects_are_acted_upon(pets, digest):
    suspects = [
        suspect(digest("u/6"), slug="dog", confident=False, action="look"),
        suspect(digest("u/0"), action="move", to_slug="dog"),
    ]
    (action,) = confident_actions(pets, suspects)
    assert (action.action, action.sha256, action.to_slug, action.by) == ("move", digest("u/0"), "dog", "curate")


def test_a_class_is_not_emptied_without_looking(pets, digest):
    suspects = [suspect(digest(f"u/{i}"), score=0.9 + i / 100) for i in range(6)]
    assert [a.sha256 for a in confident_actions(pets, suspects)] == [digest("u/5")]


def test_pictures_that_judge_are_left_to_a_person(pets, digest):
    suspects = [suspect(digest("u/0")), suspect(digest("u/1"))]
    pets.manifest.assign("split", {digest("u/0"): "val"})
    assert [a.sha256 for a in confident_actions(pets, suspects)] == [digest("u/1")]
    pets.manifest.assign("split", {digest("u/1"): "test"})
    assert [a.sha256 for a in confident_actions(pets, suspects)] == [digest("u/0")]


def by_machine(kind, slug, sha256, to_slug=""):
    return Action(kind, slug, sha256, to_slug, by="curate")


def roles(dataset):
    """(URL's class index, role) of the pictures of a training that do not do both."""
    return sorted((s.sha256, s.class_index, s.role) for s in dataset.training_samples() if s.role is not Role.BOTH)


def test_what_a_machine_took_out_judges_as_it_was_collected_until_a_person_decides(pets, digest):
    before = pets.digest()
    apply(pets, [by_machine("remove", "cat", digest("u/0")), by_machine("move", "cat", digest("u/1"), "dog")])
    removed, moved = (digest("u/0"), 0, Role.JUDGE), (digest("u/1"), 0, Role.JUDGE)
    assert roles(pets) == sorted([removed, moved, (digest("u/1"), 1, Role.LEARN)], key=lambda r: (r[0], r[1]))
    assert pets.digest() != before
    apply(pets, [Action("remove", "cat", digest("u/0")), Action("keep", "cat", digest("u/1"))])
    assert roles(pets) == []
    assert len(pets.training_samples()) == 11


def test_what_a_machine_took_out_keeps_its_place_in_groups_and_splits(make_dataset, make_photo):
    """Of 400 pictures a machine takes out 20: no other picture changes its split, and 15 % judge as before."""
    rows = [
        Attempt(f"u/{i}", ("cat", "dog")[i % 2], Status.KEPT, Reason.OK, sha256=f"{i:016x}" * 4) for i in range(400)
    ]
    dataset = make_dataset([])
    dataset.manifest.add(rows)
    curate(dataset)
    splits = {a.sha256: a.split for a in dataset.manifest.kept()}
    assert Counter(splits.values())["test"] == 60
    out = [a for a in dataset.manifest.kept() if a.split != "test"][:20]
    apply(dataset, [by_machine("remove", a.class_slug, a.sha256) for a in out])
    curate(dataset)
    assert {s.sha256: s.split for s in dataset.training_samples()} == splits
    assert {s.sha256 for s in dataset.training_samples() if s.role is Role.JUDGE} == {a.sha256 for a in out}


def test_a_near_copy_of_what_a_machine_took_out_stays_in_its_group(make_dataset, make_photo, add):
    dataset = make_dataset([("cat" if i < 3 else "dog", make_photo(i)) for i in range(6)])
    curate(dataset)
    apply(dataset, [by_machine("remove", "cat", next(a.sha256 for a in dataset.manifest.kept() if a.url == "u/0"))])
    add(dataset, [("cat", make_photo(0, format="JPEG", quality=60))], start=50)
    curate(dataset)
    groups = {a.url: a.group_id for a in dataset.manifest.attempts()}
    assert groups["u/0"] == groups["u/50"] != groups["u/1"]
