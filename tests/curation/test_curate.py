import subprocess
import sys
from threading import Thread

import pytest
from PIL import Image, ImageOps

from curation import curate
from tellapart.errors import DataError, TellapartError
from tellapart.flags import Suspect, store_flags
from tellapart.images import decode
from tellapart.manifest import Attempt
from tellapart.pictures import Reason, Status


@pytest.fixture
def photos(make_photo):
    """Two different cats and two different dogs."""
    return [("cat", make_photo(1)), ("cat", make_photo(2)), ("dog", make_photo(3)), ("dog", make_photo(4))]


@pytest.fixture
def again(make_photo, to_bytes):
    """A photo of that seed, saved again smaller."""
    return lambda seed: to_bytes(decode(make_photo(seed)).resize((80, 80)), "JPEG", quality=60)


@pytest.fixture
def mirrored(make_photo, to_bytes):
    """A photo of that seed turned left to right."""
    return lambda seed: to_bytes(ImageOps.mirror(decode(make_photo(seed))), "JPEG", quality=70)


@pytest.fixture
def trimmed(make_photo, to_bytes):
    """A photo of that seed with 2 % cut off all around."""
    return lambda seed: to_bytes(decode(make_photo(seed)).crop((2, 2, 94, 94)), "PNG")


def reasons(dataset):
    return {a.url: a.reason for a in dataset.manifest.attempts()}


def test_a_clean_data_set_keeps_all_for_training(make_dataset, photos):
    dataset = make_dataset(photos)
    summary = curate(dataset)
    assert {a.split for a in dataset.manifest.kept()} == {"train"}
    assert len({a.group_id for a in dataset.manifest.kept()}) == 4
    assert summary.splits == {"train": 4, "val": 0, "test": 0}
    assert summary.text == "kept: 4 pictures in 2 classes; no near-copies among them"


def test_near_duplicates_share_a_group_named_after_the_smallest_digest(make_dataset, photos, again):
    dataset = make_dataset([*photos, ("cat", again(1))])
    summary = curate(dataset)
    rows = {a.url: a for a in dataset.manifest.kept()}
    assert rows["u/0"].group_id == rows["u/4"].group_id == min(rows["u/0"].sha256, rows["u/4"].sha256)[:16]
    assert (summary.duplicate_groups, summary.classes["cat"].duplicate_groups) == (1, 1)
    assert (summary.classes["cat"].kept, summary.classes["dog"].duplicate_groups) == (3, 0)


def test_an_exact_copy_in_one_class_is_taken_out(make_dataset, photos):
    dataset = make_dataset([*photos, photos[0]])
    curate(dataset)
    assert reasons(dataset)["u/0"] == Reason.OK
    assert reasons(dataset)["u/4"] == Reason.DUPLICATE


@pytest.mark.parametrize("how", ["exact", "saved again"])
def test_the_same_picture_in_two_classes_is_taken_out_of_both(make_dataset, photos, make_photo, again, how):
    copies = [("cat", make_photo(9)), ("dog", make_photo(9) if how == "exact" else again(9))]
    dataset = make_dataset([*photos, *copies])
    summary = curate(dataset)
    found = {a.url: (a.status, a.reason, a.split) for a in dataset.manifest.attempts()}
    assert found["u/4"] == found["u/5"] == (Status.QUARANTINED, Reason.CONFLICT, "")
    assert sum(status == Status.KEPT for status, _, _ in found.values()) == 4
    assert summary.quarantined == {Reason.CONFLICT: 2}
    assert (summary.classes["cat"].quarantined, summary.classes["dog"].kept) == (1, 2)
    assert summary.text.endswith("; 2 taken out because the same picture stands in two classes")


def test_a_trimmed_copy_in_another_class_is_grouped_and_not_taken_out(make_dataset, photos, trimmed):
    dataset = make_dataset([*photos, ("dog", trimmed(1))])
    curate(dataset)
    rows = {a.url: a for a in dataset.manifest.kept()}
    assert rows["u/0"].group_id == rows["u/4"].group_id


def test_a_mirrored_copy_is_grouped_in_its_class_alone_as_left_and_right_may_be_what_classes_are(
    make_dataset, photos, mirrored
):
    dataset = make_dataset([*photos, ("cat", mirrored(1)), ("dog", mirrored(2))])
    curate(dataset)
    rows = {a.url: a for a in dataset.manifest.kept()}
    assert rows["u/0"].group_id == rows["u/4"].group_id
    assert rows["u/1"].group_id != rows["u/5"].group_id


def test_the_same_shape_in_two_colours_may_be_two_classes(make_dataset, make_photo, to_bytes):
    def tinted(seed, band):
        shape = decode(make_photo(seed)).convert("L")
        bands = [shape if i == band else Image.new("L", shape.size) for i in range(3)]
        return to_bytes(Image.merge("RGB", bands), "PNG")

    dataset = make_dataset([(slug, tinted(seed, i)) for i, slug in enumerate(("cat", "dog")) for seed in (1, 2, 3)])
    assert curate(dataset).classes["cat"].kept == 3


def test_flat_pictures_are_no_conflict(make_dataset, make_picture):
    colors = {"cat": ("red", "blue", "white"), "dog": ("green", "black", "yellow")}
    dataset = make_dataset([(slug, make_picture(c)) for slug, several in colors.items() for c in several])
    assert curate(dataset).splits["train"] == 6


@pytest.mark.parametrize("how", ["exact", "saved again", "trimmed", "mirrored"])
@pytest.mark.parametrize("held_out", ["val", "test"])
def test_a_training_copy_of_a_held_out_picture_is_a_leak(
    make_dataset, photos, make_photo, again, trimmed, mirrored, how, held_out
):
    copy = {"exact": make_photo, "saved again": again, "trimmed": trimmed, "mirrored": mirrored}[how](1)
    given = [(slug, data, "train") for slug, data in photos]
    dataset = make_dataset([*given, ("cat", make_photo(8), "train"), ("cat", copy, held_out)])
    summary = curate(dataset)
    assert reasons(dataset)["u/0"] == Reason.LEAK
    assert [a.url for a in dataset.manifest.kept() if a.split == held_out] == ["u/5"]
    assert summary.quarantined == {Reason.LEAK: 1}
    assert summary.splits["train"] == 4


def test_between_val_and_test_the_test_copy_stays(make_dataset, photos, make_photo):
    given = [(slug, data, "train") for slug, data in photos]
    dataset = make_dataset([*given, ("cat", make_photo(9), "val"), ("cat", make_photo(9), "test")])
    curate(dataset)
    assert (reasons(dataset)["u/4"], reasons(dataset)["u/5"]) == (Reason.LEAK, Reason.OK)


def test_running_again_changes_nothing(make_dataset, photos, again, make_photo):
    dataset = make_dataset([*photos, ("cat", again(2)), ("cat", make_photo(9)), ("dog", make_photo(9)), photos[3]])
    first, before = curate(dataset), dataset.manifest.attempts()
    assert curate(dataset) == first
    assert dataset.manifest.attempts() == before


def test_insertion_order_does_not_matter(make_dataset, photos, again, make_photo, add):
    everything = [*photos, ("cat", again(2)), ("cat", make_photo(9)), ("dog", make_photo(9)), ("dog", again(4))]
    forwards, backwards = make_dataset([], name="a"), make_dataset([], name="b")
    numbered = list(enumerate(everything))
    for dataset, order in ((forwards, numbered), (backwards, numbered[::-1])):
        for i, picture in order:
            add(dataset, [picture], start=i)
    assert curate(forwards) == curate(backwards)
    assert forwards.manifest.attempts() == backwards.manifest.attempts()
    assert forwards.digest() == backwards.digest()


def test_a_conflict_that_was_resolved_comes_back(make_dataset, photos, make_photo):
    dataset = make_dataset([*photos, ("cat", make_photo(9)), ("dog", make_photo(9))])
    curate(dataset)
    wrong = next(a for a in dataset.manifest.attempts() if a.url == "u/5")
    dataset.manifest.set_status([wrong], Status.REJECTED, Reason.CONFLICT)
    curate(dataset)
    assert [a.url for a in dataset.manifest.kept("cat")] == ["u/0", "u/1", "u/4"]
    assert reasons(dataset)["u/5"] == Reason.CONFLICT


def test_pictures_that_come_later_are_decided_with_the_others(make_dataset, photos, add):
    dataset = make_dataset([*photos, ("dog", photos[2][1])])
    curate(dataset)
    assert reasons(dataset)["u/4"] == Reason.DUPLICATE
    add(dataset, [("cat", photos[2][1])], start=5)
    with pytest.raises(DataError, match="class 'dog' has 1 usable"):
        curate(dataset)
    assert [reasons(dataset)[f"u/{i}"] for i in (2, 4, 5)] == [Reason.CONFLICT] * 3


def test_what_collecting_turned_away_stays_away(make_dataset, photos):
    dataset = make_dataset(photos)
    turned_away = Attempt("u/bad", "cat", Status.REJECTED, Reason.TRUNCATED)
    dataset.manifest.add([turned_away])
    curate(dataset)
    assert turned_away in dataset.manifest.attempts()


def test_many_pictures_are_split_by_group(make_dataset, make_photo, again):
    pictures = [(slug, make_photo(1000 * i + seed)) for i, slug in enumerate(("cat", "dog")) for seed in range(210)]
    pictures += [("cat", again(seed)) for seed in range(20)]
    dataset = make_dataset(pictures)
    summary = curate(dataset, seed=3)
    assert summary.splits == pytest.approx({"train": 308, "val": 66, "test": 66}, abs=2)
    assert summary.duplicate_groups == 20
    by_group = {}
    for a in dataset.manifest.kept():
        by_group.setdefault(a.group_id, set()).add(a.split)
    assert all(len(splits) == 1 for splits in by_group.values())
    before = dataset.digest()
    curate(dataset, seed=4)
    assert dataset.digest() != before


def test_a_class_with_too_few_pictures_is_named_with_the_reasons(make_dataset, photos):
    dataset = make_dataset(photos, classes=("cat", "dog", "bird"))
    dataset.manifest.add([Attempt(f"b/{i}", "bird", Status.REJECTED, Reason.NOT_AN_IMAGE) for i in range(3)])
    with pytest.raises(DataError) as caught:
        curate(dataset)
    assert str(caught.value) == (
        "class 'bird' has 0 usable pictures for training, at least 2 are needed (its pictures: 3 not a picture). "
        "Add pictures or collect more of it, or leave the class out"
    )
    assert {a.split for a in dataset.manifest.kept()} == {"train"}


def test_an_empty_data_set_says_so(make_dataset):
    with pytest.raises(DataError, match=r"class 'cat' has 0 usable .*none was found.*1 more class is short"):
        curate(make_dataset([]))


def test_curation_reports_its_progress(make_dataset, photos):
    reports = []
    summary = curate(make_dataset([*photos, photos[0]]), report=reports.append)
    assert (reports[-1].stage, reports[-1].done, reports[-1].total, reports[-1].finished) == ("curate", 5, 5, True)
    assert reports[-1].note == summary.text


def test_curation_does_not_load_torch():
    code = "import sys, curation; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_another_search_finds_meanwhile_is_not_written_over(make_dataset, photos):
    dataset = make_dataset(photos)
    odd = Suspect(dataset.manifest.kept()[0].sha256, "cat", "off_topic", 0.9, "odd", "look")
    other = Thread(target=store_flags, args=(dataset, [odd]))

    def begin_other(_):
        if other.ident is None:
            other.start()
            other.join(1)  # it waits until all is written

    curate(dataset, report=begin_other)
    other.join(90)
    assert [a.flags != "" for a in dataset.manifest.kept()] == [True, False, False, False]
    assert all(a.split for a in dataset.manifest.kept())


def test_who_waits_too_long_for_another_is_told(make_dataset, photos, monkeypatch):
    dataset = make_dataset(photos)
    monkeypatch.setattr("tellapart.dataset.PATIENCE", 0.1)
    with dataset.deciding(), pytest.raises(TellapartError, match="deciding about the pictures of pets"):
        curate(dataset)
    assert {a.split for a in dataset.manifest.kept()} == {""}


def test_a_picture_that_crashes_its_decoder_is_known_by_its_hash_alone(
    make_dataset, photos, make_photo, to_bytes, died_over
):
    without_colour = to_bytes(decode(make_photo(1)).convert("L"), "PNG")
    dataset = make_dataset([*photos, ("cat", without_colour)])
    assert curate(dataset).duplicate_groups == 0
    bad = next(a.sha256 for a in dataset.manifest.kept() if a.url == "u/4")
    marks = died_over(dataset, bad)
    assert curate(dataset).duplicate_groups == 1
    assert [mark.name for mark in marks.iterdir()] == [bad]
