"""Which version answers while versions are promoted, without a server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tellapart import store, versions
from tellapart.catalogue import Catalogue
from tellapart.store import StoredModel
from tellapart.versions import Versions
from tellapart.wire import ServiceError

AddModel = Callable[..., StoredModel]


class Loading:
    """Loads what is asked for, but refuses what is broken and waits for `gate` over what is slow."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.slow: set[str] = set()
        self.begun, self.gate = asyncio.Event(), asyncio.Event()

    async def __call__(self, model: StoredModel) -> None:
        if model.tag in self.broken:
            raise ServiceError("unusable_model", f"{model.tag} cannot be loaded")
        if model.tag in self.slow:
            self.begun.set()
            await self.gate.wait()


@pytest.fixture
def loading(monkeypatch: pytest.MonkeyPatch) -> Loading:
    monkeypatch.setattr(versions, "FOLLOW_S", 0.01)
    return Loading()


@contextlib.asynccontextmanager
async def following(loading: Loading) -> AsyncIterator[Versions]:
    found = Versions(Catalogue(), loading)
    task = asyncio.create_task(found.follow())
    yield found
    task.cancel()


async def until(found: Versions, wanted: str, tag: str) -> None:
    """Wait until that version answers."""
    async with asyncio.timeout(60):
        while (await found.find(wanted)).tag != tag:
            await asyncio.sleep(0.01)


def test_a_promotion_and_a_rollback_are_followed(isolated_home: Path, add_model: AddModel, loading: Loading) -> None:
    first, second = add_model("pets"), add_model("pets")
    store.promote(first.tag)

    async def body() -> None:
        async with following(loading) as found:
            assert (await found.find("pets")).tag == (await found.find("")).tag == first.tag
            store.promote(second.tag)
            await until(found, "pets", second.tag)
            await until(found, "", second.tag)
            store.rollback("pets")
            await until(found, "pets", first.tag)
            assert (await found.find(second.tag)).tag == second.tag

    asyncio.run(body())


def test_the_old_version_answers_while_the_new_one_is_loaded(
    isolated_home: Path, add_model: AddModel, loading: Loading
) -> None:
    first, second = add_model("pets"), add_model("pets")
    store.promote(first.tag)
    loading.slow.add(second.tag)

    async def body() -> None:
        async with following(loading) as found:
            await found.find("pets")
            store.promote(second.tag)
            await asyncio.wait_for(loading.begun.wait(), 60)
            assert (await asyncio.wait_for(found.find("pets"), 60)).tag == first.tag
            loading.gate.set()
            await until(found, "pets", second.tag)

    asyncio.run(body())


def test_no_name_waits_for_what_is_loaded_for_another(
    isolated_home: Path, add_model: AddModel, loading: Loading
) -> None:
    slow, pets, second = add_model("birds"), add_model("pets"), add_model("pets")
    loading.slow.add(add_model("birds").tag)
    for tag in (slow.tag, pets.tag):
        store.promote(tag)

    async def body() -> None:
        async with following(loading) as found:
            await found.find("birds")
            await found.find("pets")
            store.promote(next(iter(loading.slow)))
            await asyncio.wait_for(loading.begun.wait(), 60)
            store.promote(second.tag)
            await until(found, "pets", second.tag)

    asyncio.run(body())


def test_what_was_asked_for_before_a_promotion_does_not_answer_after_it(
    isolated_home: Path, add_model: AddModel, loading: Loading
) -> None:
    first, second = add_model("pets"), add_model("pets")
    store.promote(first.tag)
    loading.slow.add(first.tag)

    async def body() -> None:
        found = Versions(Catalogue(), loading)
        early = asyncio.create_task(found.find("pets"))
        await asyncio.wait_for(loading.begun.wait(), 60)
        store.promote(second.tag)
        await until(found, "pets", second.tag)
        loading.gate.set()
        assert (await early).tag == first.tag
        assert (await found.find("pets")).tag == second.tag

    asyncio.run(body())


def test_a_promoted_version_that_cannot_be_loaded_is_refused_and_the_old_one_goes_on(
    isolated_home: Path, add_model: AddModel, loading: Loading, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = add_model("pets"), add_model("pets")
    store.promote(first.tag)
    loading.broken.add(second.tag)

    async def body() -> None:
        async with following(loading) as found:
            await found.find("pets")
            store.promote(second.tag)
            async with asyncio.timeout(60):
                while "answers on" not in caplog.text:
                    await asyncio.sleep(0.01)
            assert (await found.find("pets")).tag == first.tag
            with pytest.raises(ServiceError) as refusal:
                await found.find(second.tag)
            assert refusal.value.code == "unusable_model"
            loading.broken.clear()
            await until(found, "pets", second.tag)

    asyncio.run(body())
    assert caplog.text.count("answers on") == 1


def test_a_version_that_was_deleted_answers_no_more(isolated_home: Path, add_model: AddModel, loading: Loading) -> None:
    pets = add_model("pets")

    async def body() -> None:
        async with following(loading) as found:
            await found.find("pets")
            store.delete(pets.tag)
            with pytest.raises(ServiceError, match="no classifier"):
                await until(found, "pets", "another")

    asyncio.run(body())


def test_where_none_answered_before_the_reason_is_given(
    isolated_home: Path, add_model: AddModel, loading: Loading
) -> None:
    pets = add_model("pets")
    loading.broken.add(pets.tag)
    with pytest.raises(ServiceError, match="cannot be loaded"):
        asyncio.run(Versions(Catalogue(), loading).find("pets"))
