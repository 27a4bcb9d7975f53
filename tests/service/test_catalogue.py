"""Which classifier answers, with a fake clock."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tellapart import promotions, store, stored
from tellapart.catalogue import MAX_AGE_S, Catalogue
from tellapart.store import StoredModel
from tellapart.wire import ServiceError

AddModel = Callable[..., StoredModel]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_empty_store_is_an_error_that_says_what_to_do(isolated_home: Path) -> None:
    with pytest.raises(ServiceError, match="tellapart create") as error:
        Catalogue().find("")
    assert error.value.code == "unknown_model"
    assert Catalogue().list().model_dump() == {"default": None, "models": []}


def test_the_promoted_version_answers_for_its_name_and_by_default(isolated_home: Path, add_model: AddModel) -> None:
    first, second = add_model("pets"), add_model("pets")
    store.promote(first.tag)
    seen = Catalogue()
    assert seen.find("").tag == seen.find("pets").tag == first.tag
    assert seen.find(second.tag).tag == second.tag
    assert [m.promoted for m in seen.list().models] == [False, True]


def test_whether_it_can_say_none_is_listed(isolated_home: Path, add_model: AddModel) -> None:
    store.promote(add_model("pets").tag)
    assert [m.says_none for m in Catalogue().list().models] == [False]


def test_a_promotion_is_seen_by_the_next_request(isolated_home: Path, add_model: AddModel) -> None:
    first, second = add_model("pets"), add_model("pets")
    store.promote(first.tag)
    seen = Catalogue(Clock())
    assert seen.find("pets").tag == first.tag
    store.promote(second.tag)
    assert seen.find("pets").tag == second.tag


def test_the_store_is_not_listed_again_without_a_reason(
    isolated_home: Path, add_model: AddModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.promote(add_model("pets").tag)
    clock = Clock()
    seen = Catalogue(clock)
    seen.find("pets")
    listed = []
    real = store.list_models
    monkeypatch.setattr(store, "list_models", lambda: listed.append(1) or real())
    seen.find("pets")
    assert listed == []
    clock.now = MAX_AGE_S
    seen.find("pets")
    assert listed == [1]


def test_a_version_is_read_once_until_its_files_change(
    isolated_home: Path, add_model: AddModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    pets, read = add_model("pets"), []
    store.list_models()
    real = stored.read_info
    monkeypatch.setattr(stored, "read_info", lambda folder: read.append(folder) or real(folder))
    again = add_model("pets")
    assert {m.tag for m in store.list_models()} == {pets.tag, again.tag}
    assert set(read) == {again.path}
    read.clear()
    (pets.path / "model.json").touch()
    assert len(store.list_models()) == 2
    assert read == [pets.path]


def test_what_is_not_on_the_list_is_looked_for_at_most_once_a_second(isolated_home: Path, add_model: AddModel) -> None:
    clock = Clock()
    seen = Catalogue(clock)
    seen.list()
    pets = add_model("pets")
    with pytest.raises(ServiceError, match="no classifier 'pets'"):
        seen.find("pets")
    clock.now = 1.0
    assert seen.find("pets").tag == pets.tag


def test_a_damaged_pointer_file_is_an_error_until_it_is_mended(isolated_home: Path, add_model: AddModel) -> None:
    pets = add_model("pets")
    promotions.pointer_file().write_text("{")
    seen = Catalogue()
    with pytest.raises(ServiceError) as error:
        seen.find("pets")
    assert error.value.code == "unusable_model"
    promotions.pointer_file().unlink()
    assert seen.find("pets").tag == pets.tag
