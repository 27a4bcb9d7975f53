"""Answers are kept under the picture's bytes, the exact version and the options; failures never."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from cachelib.serializers import BaseSerializer

from tellapart.errors import UsageError
from tellapart.settings import Settings
from tellapart.wire import ModelSummary
from webui.cache import JsonFileCache, JsonRedisCache, cache_config
from webui.catalog import Catalog
from webui.client import Unavailable
from webui.previews import Previews

MakePicture = Callable[..., bytes]
WEEK = 7 * 24 * 3600


def ask(upload: Any, data: bytes, name: str = "a.png", **fields: str) -> dict[str, Any]:
    (result,) = upload((data, name), json=True, **fields).json["results"]
    return dict(result)


def test_the_same_bytes_under_another_name_are_answered_from_the_cache(
    upload: Any, web: Any, make_picture: MakePicture, service: Any
) -> None:
    first = ask(upload, make_picture("red"), "a.png")
    again = ask(upload, make_picture("red"), "renamed.png")
    assert [first["from_cache"], again["from_cache"]] == [False, True]
    assert again["result"] == first["result"]
    assert service.asked("/classify") == 1
    page = web.get(again["url"]).text
    assert "Answered from the cache" in page
    assert "renamed.png" in page


def test_other_bytes_under_the_same_name_are_asked_about(upload: Any, make_picture: MakePicture, service: Any) -> None:
    assert ask(upload, make_picture("red"))["result"]["top"] == "red"
    changed = ask(upload, make_picture("blue"))
    assert changed["result"]["top"] == "blue"
    assert changed["from_cache"] is False


def test_options_and_version_are_part_of_the_question(
    upload: Any, app: Any, make_picture: MakePicture, service: Any, new_version: Callable[[], ModelSummary]
) -> None:
    ask(upload, make_picture("red"))
    assert ask(upload, make_picture("red"), top_k="2")["from_cache"] is False
    service.models.insert(0, new_version())
    app.extensions["tellapart"].catalog._seen = None
    answer = ask(upload, make_picture("red"), model="colours")
    assert answer["result"]["model"] == "colours:v2"
    assert answer["from_cache"] is False
    assert ask(upload, make_picture("red"), model="colours:v1")["from_cache"] is True


@pytest.fixture
def new_version(service: Any) -> Callable[[], ModelSummary]:
    """Train a second version: it answers from now on."""

    def make() -> ModelSummary:
        old = service.models[0]
        service.models[0] = old.model_copy(update={"promoted": False})
        changes = {"model": "colours:v2", "version": "v2", "promoted": True}
        newer: ModelSummary = old.model_copy(update=changes)
        return newer

    return make


@pytest.fixture
def new_catalog(service_client: Any, clock: Any, tmp_path: Path) -> Callable[[], Catalog]:
    """The list of models as each process of the page has it."""
    return lambda: Catalog(service_client, tmp_path / "web" / "changes", clock)


def test_the_list_of_models_is_remembered_for_a_moment_only(service: Any, new_catalog: Any, clock: Any) -> None:
    catalog = new_catalog()
    for moment, asked in ((0.0, 1), (1.4, 1), (1.5, 2), (2.0, 2)):
        clock.now = moment
        catalog.models()
        assert service.asked("/models") == asked


def test_what_one_process_changed_every_other_sees_at_once(
    service: Any, new_catalog: Any, new_version: Callable[[], ModelSummary]
) -> None:
    here, there = new_catalog(), new_catalog()
    assert [c.resolve("colours").version for c in (here, there)] == ["v1", "v1"]
    service.models.insert(0, new_version())
    assert there.resolve("colours").version == "v1"
    here.forget()
    assert [c.resolve("colours").version for c in (here, there)] == ["v2", "v2"]
    assert service.asked("/models") == 4
    here.forget()
    there.models()
    assert service.asked("/models") == 5


def test_that_the_service_is_away_is_remembered_for_a_moment_only(service: Any, new_catalog: Any, clock: Any) -> None:
    catalog = new_catalog()
    service.broken = lambda: ("", 503)
    for moment, asked in ((0.0, 1), (1.4, 1), (1.5, 2)):
        clock.now = moment
        with pytest.raises(Unavailable, match="busy or not ready yet"):
            catalog.models()
        assert service.asked("/models") == asked
    service.broken, clock.now = None, 3.0
    assert catalog.models().default == "colours:v1"


def test_who_asks_after_a_failure_waits_for_the_answer(
    service: Any, new_catalog: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webui.catalog.PATIENCE", 0.0)
    catalog = new_catalog()
    service.broken = lambda: ("", 503)
    depths = set()
    for _ in range(3):
        with pytest.raises(Unavailable) as raised:
            catalog.models()
        depths.add(len(raised.traceback))
    assert len(depths) == 1  # it is the same error, which keeps nothing of those who were told
    service.broken, clock.now = lambda: Event().wait(0.3) or None, 30.0  # it answers, after a while
    assert catalog.models().default == "colours:v1"


def test_a_machine_without_threads_left_is_not_waited_for(new_catalog: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = new_catalog()

    def refuse(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            catalog.models()
    assert catalog.models().default == "colours:v1"


def test_who_asks_while_the_service_hangs_is_told_what_was_known_last(
    service: Any, new_catalog: Any, clock: Any
) -> None:
    catalog, asked, answer = new_catalog(), Event(), Event()
    known = catalog.models()

    def hang() -> Any:
        asked.set()
        assert answer.wait(60)
        return "", 503

    service.broken, clock.now = hang, 10.0
    for _ in range(3):
        assert catalog.models() is known
    assert asked.is_set()
    assert service.asked("/models") == 2
    answer.set()
    clock.now = 80.0  # what was known is too old by now, and is not told any more
    with pytest.raises(Unavailable):
        catalog.models()


def test_a_failure_is_never_kept(upload: Any, make_picture: MakePicture, service: Any, settings: Settings) -> None:
    ask(upload, make_picture("blue"))
    before = entries(settings.home / "web" / "cache")
    for _ in range(2):
        assert upload((b"no picture", "a.png"), json=True).status_code == 400
    assert service.asked("/classify") == 3
    assert entries(settings.home / "web" / "cache") == before
    service.refuse_pictures(503)
    assert upload((make_picture("red"), "a.png"), json=True).status_code == 503
    service.broken = None
    assert ask(upload, make_picture("red"))["from_cache"] is False
    assert ask(upload, make_picture("red"))["from_cache"] is True


def test_of_a_mixed_upload_only_the_results_are_kept(upload: Any, make_picture: MakePicture, service: Any) -> None:
    files = ((make_picture("red"), "a.png"), (b"no picture", "b.png"))
    for _ in range(2):
        results = upload(*files, json=True).json["results"]
    assert results[0]["from_cache"] is True
    assert results[1]["error"]["code"] == "not_an_image"


@pytest.mark.parametrize("rubbish", [b"", b"{", b"null", b"[" * 100_000, b'{"model": 1}', b"\x80\x04N.", b"\xff\xfe"])
def test_a_corrupt_entry_is_a_miss(upload: Any, make_picture: MakePicture, settings: Settings, rubbish: bytes) -> None:
    ask(upload, make_picture("red"))
    for path in entries(settings.home / "web" / "cache"):
        path.write_bytes(path.read_bytes()[:4] + rubbish)
    assert ask(upload, make_picture("red"))["from_cache"] is False
    assert ask(upload, make_picture("red"))["from_cache"] is True


def test_a_cut_off_entry_is_a_miss(upload: Any, make_picture: MakePicture, settings: Settings) -> None:
    ask(upload, make_picture("red"))
    for path in entries(settings.home / "web" / "cache"):
        path.write_bytes(b"\x00")
    assert ask(upload, make_picture("red"))["from_cache"] is False


def test_a_full_cache_is_thinned_oldest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JsonFileCache, "_until_prune", 6)
    cache = JsonFileCache(str(tmp_path), threshold=3)
    for age in range(5):
        cache.set(str(age), age)
        os.utime(cache._get_filename(str(age)), (age, age))
    assert len(entries(tmp_path)) == 5  # it is looked through once in a while only
    cache.set("new", 9)
    assert [cache.get(str(age)) for age in range(5)] == [None, None, 2, 3, 4]
    assert cache.get("new") == 9


def entries(folder: Path) -> list[Path]:
    found = [path for path in folder.iterdir() if path.is_file()]
    assert found
    return found


class Bomb:
    """Unpickling one is seen."""

    exploded = False

    def __reduce__(self) -> Any:
        return (setattr, (Bomb, "exploded", True))


class FakeRedis:
    """The part of a Redis client that the cache uses; `down` makes it fail as a lost server does."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.down = False

    def get(self, name: str) -> bytes | None:
        if self.down:
            raise RuntimeError("connection refused")
        return self.values.get(name)

    def set(self, name: str, value: bytes, ex: int) -> bool:
        if self.down:
            raise RuntimeError("connection refused")
        assert ex == WEEK
        self.values[name] = value
        return True


def test_no_pickle_is_ever_read_or_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = pickle.dumps(Bomb())

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("pickled")

    for method in ("dump", "dumps", "load", "loads"):
        monkeypatch.setattr(BaseSerializer, method, refuse)
        monkeypatch.setattr(pickle, method, refuse)
    files, redis = JsonFileCache(str(tmp_path)), FakeRedis()
    files.set("key", {"a": 1})
    assert files.get("key") == {"a": 1}
    path = Path(files._get_filename("key"))
    path.write_bytes(path.read_bytes()[:4] + bomb)
    assert files.get("key") is None
    remote = JsonRedisCache(host=redis)
    redis.values["key"] = b"!" + bomb
    assert remote.get("key") is None
    assert Bomb.exploded is False


def test_redis_keeps_json_and_may_be_down() -> None:
    redis = FakeRedis()
    cache = JsonRedisCache(host=redis, key_prefix="tellapart:", default_timeout=WEEK)
    assert cache.get("key") is None
    assert cache.set("key", {"a": [1]})
    assert redis.values == {"tellapart:key": b'{"a": [1]}'}
    assert cache.get("key") == {"a": [1]}
    redis.down = True
    assert cache.get("key") is None
    assert cache.set("key", 1) is False


def test_the_cache_is_files_unless_redis_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_config(Settings(home=tmp_path))["CACHE_DIR"] == str(tmp_path / "web" / "cache")
    redis = Settings(home=tmp_path, cache_url="redis://127.0.0.1:6379/1")
    monkeypatch.setattr("webui.cache.find_spec", lambda _: object())
    assert cache_config(redis)["CACHE_REDIS_URL"] == "redis://127.0.0.1:6379/1"
    monkeypatch.setattr("webui.cache.find_spec", lambda _: None)
    with pytest.raises(UsageError, match="client is not installed"):
        cache_config(redis)


def test_previews_go_with_age_and_number(tmp_path: Path, make_picture: MakePicture, clock: Any) -> None:
    names = [f"{i:064x}" for i in range(3)]
    previews = Previews(tmp_path, limit=2, clock=clock)
    for age, name in enumerate(reversed(names)):
        previews.save(name, make_picture("red"))
        path = previews.find(name)
        assert path is not None
        clock.now = path.stat().st_mtime + age
    assert len(list(tmp_path.iterdir())) == 2
    clock.now += WEEK + 10
    Previews(tmp_path, clock=clock).sweep()
    assert list(tmp_path.iterdir()) == []
