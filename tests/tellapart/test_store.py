import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tellapart import promotions, store
from tellapart.bundle import open_bundle
from tellapart.errors import BundleError, DataError, MissingError, UsageError


@pytest.fixture
def save(isolated_home, tiny_bundle):
    """Puts a classifier into an empty store and returns its tag."""

    def make(name, **changes):
        with store.new_model(name) as (folder, version):
            tiny_bundle(folder, file=b"weights", **changes)
        return f"{name}:{version}"

    return make


def test_an_empty_store(isolated_home):
    assert store.list_models() == []
    assert store.list_models("pets") == []
    assert store.default_model() is None
    with pytest.raises(MissingError, match=r"no classifier 'pets'. There are: none yet"):
        store.resolve("pets")


def test_who_asks_for_what_is_not_there_is_told_of_five_and_how_many_more(save):
    tags = [save(f"pets{i}") for i in range(7)][::-1]
    with pytest.raises(MissingError, match=rf"There are: {', '.join(tags[:5])}, and 2 more"):
        store.resolve("dogs")


def test_models_are_listed_newest_first(save):
    tags = [save("pets"), save("cars"), save("pets")]
    assert [m.tag for m in store.list_models()] == tags[::-1]
    assert [m.tag for m in store.list_models("pets")] == [tags[2], tags[0]]
    assert store.list_models()[0].info.class_names == ["cat", "dog"]


def test_the_newest_answers_until_one_is_promoted(save):
    old, new = save("pets"), save("pets")
    assert store.resolve("pets").tag == new
    assert [m.promoted for m in store.list_models()] == [True, False]
    store.promote(old)
    assert store.resolve("pets").tag == old
    assert store.resolve("pets:latest").tag == new
    assert store.resolve(new).tag == new
    assert [m.promoted for m in store.list_models()] == [False, True]


def test_the_default_is_the_name_promoted_last(save):
    pets, cars = save("pets"), save("cars")
    assert store.default_model().tag == cars
    store.promote(pets)
    assert store.default_model().tag == pets
    newer = save("pets")
    assert store.default_model().tag == pets
    store.promote(newer)
    assert store.default_model().tag == newer


@pytest.mark.parametrize("tag", ["pets:nothing", "dogs", "", ":", "pets:", "../x", "x" * 500, "a b"])
def test_a_model_that_is_not_there_says_what_is(save, tag):
    there = save("pets")
    if tag == "pets:":
        assert store.resolve(tag).tag == there
        return
    with pytest.raises(MissingError) as caught:
        store.resolve(tag)
    assert caught.value.exit_code == 5
    assert there in str(caught.value)


def test_rollback_goes_back_to_what_was_promoted_before(save):
    first, second = save("pets"), save("pets")
    store.promote(first)
    store.promote(second)
    store.promote(second)
    assert store.rollback("pets").tag == first
    assert store.resolve("pets").tag == first
    with pytest.raises(DataError, match="no earlier version of pets was promoted"):
        store.rollback("pets")


def test_rollback_passes_over_deleted_versions(save):
    first, second, third = save("pets"), save("pets"), save("pets")
    for tag in (first, second, third):
        store.promote(tag)
    store.delete(second)
    assert store.rollback("pets").tag == first


def test_what_a_killed_process_left_of_a_version_is_in_nobodys_way(save, isolated_home):
    versions = isolated_home / "bentoml" / "models" / "pets"
    first = save("pets")
    (versions / "begun").mkdir()
    (versions / "begun" / "head.safetensors").write_bytes(b"half")
    store.delete(first)
    (versions / "empty").mkdir(parents=True)
    (versions / "latest").write_text("deleted")
    (versions / "empty" / "model.yaml").touch()
    second = save("pets")
    assert [m.tag for m in store.list_models()] == [second]
    assert {path.name for path in versions.iterdir()} == {second.partition(":")[2], "latest"}


def test_nothing_is_deleted_while_a_version_is_copied_into_the_store(save, monkeypatch):
    first, copytree = save("pets"), shutil.copytree
    begun, gate = threading.Event(), threading.Event()

    def slow(*given, **options):
        begun.set()
        assert gate.wait(90)
        return copytree(*given, **options)

    monkeypatch.setattr(shutil, "copytree", slow)
    with ThreadPoolExecutor(2) as others:
        second = others.submit(save, "pets")
        assert begun.wait(90)
        deleted = others.submit(store.delete, first)
        with pytest.raises(TimeoutError):
            deleted.result(0.3)
        gate.set()
        assert deleted.result(90).tag == first
        assert [m.tag for m in store.list_models()] == [second.result(90)]


def test_what_was_promoted_just_before_a_rollback_is_what_it_takes_back(save, monkeypatch):
    first, second = save("pets"), save("pets")
    store.promote(first)
    store.promote(second)
    changing, third = promotions.changing_pointer, []

    @contextmanager
    def late():
        if not third:
            third.append(save("pets"))
            store.promote(third[0])
        with changing() as pointer:
            yield pointer

    monkeypatch.setattr(promotions, "changing_pointer", late)
    assert store.rollback("pets").tag == second


@pytest.mark.parametrize("name", ["dogs", "", "No Such!", "../x"])
def test_rollback_of_a_name_that_is_not_there(save, name):
    save("pets")
    with pytest.raises(MissingError):
        store.rollback(name)


def test_delete_takes_exactly_one_version(save):
    first, second = save("pets"), save("pets")
    store.promote(first)
    with pytest.raises(UsageError, match="names no version"):
        store.delete("pets")
    assert store.delete(first).tag == first
    assert [m.tag for m in store.list_models()] == [second]
    assert store.resolve("pets").tag == second
    with pytest.raises(MissingError):
        store.delete(first)


def test_an_unreadable_bundle_is_passed_over(save):
    good, bad = save("pets"), save("pets")
    (store.resolve(bad).path / "head.safetensors").write_bytes(b"")
    assert [m.tag for m in store.list_models()] == [good]
    assert store.resolve("pets").tag == good


def test_a_folder_in_the_store_that_is_no_model_is_passed_over(save, isolated_home):
    good, *damaged = [save("pets") for _ in range(5)]
    for tag, content in zip(damaged, (b"", b"{", b"[]", b"\xff"), strict=True):
        (store.resolve(tag).path / "model.yaml").write_bytes(content)
    (isolated_home / "bentoml" / "models" / "pets" / "half").mkdir()
    (isolated_home / "bentoml" / "models" / "stray").mkdir()
    assert [m.tag for m in store.list_models()] == [good]


def test_models_of_others_are_passed_over(save):
    import bentoml

    ours = save("pets")
    with bentoml.models.create("theirs"):
        pass
    assert [m.tag for m in store.list_models()] == [ours]


def test_a_bundle_that_could_not_be_written_does_not_enter_the_store(isolated_home):
    with pytest.raises(BundleError), store.new_model("pets") as (folder, _):
        open_bundle(folder)
    assert store.list_models() == []


def test_a_bad_name_is_refused_before_anything_is_made(isolated_home):
    with pytest.raises(UsageError), store.new_model("Bad Name"):
        pass


def test_the_pointer_is_in_the_store_and_readable(save, isolated_home):
    tag = save("pets")
    store.promote(tag)
    assert promotions.pointer_file() == isolated_home / "bentoml" / "tellapart.json"
    value = json.loads(promotions.pointer_file().read_text())
    assert value == {"promoted": {"pets": [tag.split(":")[1]]}, "default": "pets"}


@pytest.mark.parametrize("content", ["{", "[]", "5"])
def test_a_damaged_pointer_is_one_line(save, content):
    save("pets")
    Path(promotions.pointer_file()).write_text(content)
    with pytest.raises(DataError, match="is not readable") as caught:
        store.list_models()
    assert "\n" not in str(caught.value)
