"""Which version answers while versions are promoted, without a server."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tellapart import store
from tellapart.catalogue import Catalogue
from tellapart.store import StoredModel
from tellapart.versions import Versions
from tellapart.wire import ServiceError

AddModel = Callable[..., StoredModel]


def find(versions: Versions, wanted: str) -> str:
    return asyncio.run(versions.find(wanted)).tag


class Loading:
    """Loads what is asked for, but refuses what is broken."""

    def __init__(self) -> None:
        self.broken: set[str] = set()

    async def __call__(self, model: StoredModel) -> None:
        if model.tag in self.broken:
            raise ServiceError("unusable_model", f"{model.tag} cannot be loaded")


def test_a_promotion_and_a_rollback_are_followed_by_the_next_request(isolated_home: Path, add_model: AddModel) -> None:
    first, second = add_model("pets"), add_model("pets")
    versions = Versions(Catalogue(), Loading())
    store.promote(first.tag)
    assert find(versions, "pets") == find(versions, "") == first.tag
    store.promote(second.tag)
    assert find(versions, "pets") == find(versions, "") == second.tag
    store.rollback("pets")
    assert find(versions, "pets") == first.tag
    assert find(versions, second.tag) == second.tag


def test_a_promoted_version_that_cannot_be_loaded_is_refused_and_the_old_one_goes_on(
    isolated_home: Path, add_model: AddModel
) -> None:
    first, second = add_model("pets"), add_model("pets")
    loading = Loading()
    versions = Versions(Catalogue(), loading)
    store.promote(first.tag)
    find(versions, "")
    loading.broken.add(second.tag)
    store.promote(second.tag)
    assert find(versions, "pets") == find(versions, "") == first.tag
    with pytest.raises(ServiceError) as refusal:
        find(versions, second.tag)
    assert refusal.value.code == "unusable_model"
    loading.broken.clear()
    assert find(versions, "pets") == second.tag


def test_where_none_answered_before_the_reason_is_given(isolated_home: Path, add_model: AddModel) -> None:
    pets = add_model("pets")
    loading = Loading()
    loading.broken.add(pets.tag)
    with pytest.raises(ServiceError, match="cannot be loaded"):
        find(Versions(Catalogue(), loading), "pets")
