"""What `tellapart doctor` finds."""

import shutil
import socket
from pathlib import Path

import pytest

from tests.cli.helpers import Tell


def test_doctor_says_what_is_missing_and_how_to_get_it(tell: Tell) -> None:
    told = tell("doctor")
    lines = dict(line.split(": ", 1) for line in told.out.splitlines())
    assert lines["optional  browser"].startswith("missing, there is no /nonexistent; gallery")
    assert lines["optional  browser"].endswith("Get it with: apt-get install chromium")
    assert lines["ok        Redis"] == "not asked for, files and SQLite are used"
    assert lines["ok        PostgreSQL"] == "not asked for, SQLite is used"
    assert "put resnet50-" in lines["optional  ResNet50 weights"]
    assert told.code == 0


@pytest.mark.parametrize("variable", ["TELLAPART_HOME", "BENTOML_HOME"])
@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nowhere"])
def test_doctor_fails_where_nothing_could_be_kept(
    tell: Tell, isolated_home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, place: str
) -> None:
    (isolated_home / "file").touch()
    monkeypatch.setenv(variable, str(isolated_home / place))
    told = tell("doctor")
    (line,) = [line for line in told.out.splitlines() if line.startswith("wrong ")]
    assert str(isolated_home / place) in line
    assert f"set {variable}" in line
    assert (told.code, len(told.errors)) == (1, 1)


def test_doctor_fails_on_a_full_disk(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    told = tell("doctor")
    assert told.code == 1
    assert [line.split(":")[0] for line in told.out.splitlines() if "wrong" in line[:5]] == [
        "wrong     data folder",
        "wrong     model store",
    ]


def test_doctor_sees_taken_ports_unreadable_classifiers_and_a_silent_redis(
    tell: Tell, classifier: str, isolated_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (isolated_home / "bentoml" / "models" / "old" / "v1").mkdir(parents=True)
    (isolated_home / "bentoml" / "models" / "old" / "v1" / "model.yaml").write_text("version: 0.13")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("TELLAPART_WEB_PORT", str(port))
        monkeypatch.setenv("TELLAPART_QUEUE_URL", "redis://127.0.0.1:9/0")
        told = tell("doctor")
    assert "optional  unreadable classifiers: old:v1" in told.out
    assert "ok        classifiers: 1" in told.out
    assert f"optional  web page: port {port} for the web page cannot be used" in told.out
    assert "wrong     Redis: asked for by TELLAPART_QUEUE_URL, does not answer" in told.out
    assert told.code == 1


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "postgresql://ann:secret@127.0.0.1:9/x",
            "asked for by TELLAPART_DATABASE_URL, cannot be used: connection failed",
        ),
        ("mysql://ann:secret@127.0.0.1:9/x", "TELLAPART_DATABASE_URL is not the address of a PostgreSQL database"),
        ("postgresql://ann:an@secret@127.0.0.1:9/x", "TELLAPART_DATABASE_URL is not the address of a PostgreSQL"),
        (
            "postgresql://ann:secret@127.0.0.1:9/x?plugin=none",
            "asked for by TELLAPART_DATABASE_URL, cannot be used: Can't load plugin",
        ),
    ],
)
def test_doctor_sees_a_database_that_cannot_be_used(
    tell: Tell, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    monkeypatch.setenv("TELLAPART_DATABASE_URL", url)
    told = tell("doctor")
    (line,) = [line for line in told.out.splitlines() if line.startswith("wrong ")]
    assert line.startswith(f"wrong     PostgreSQL: {said}")
    assert "secret" not in told.out + told.err
    assert (told.code, len(told.errors)) == (1, 1)


@pytest.mark.parametrize("words", [("doctor",), ("users", "list")])
def test_a_database_client_that_cannot_be_loaded_is_one_line(
    tell: Tell, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ImportError("no pq wrapper available.\nAttempts made:\n- couldn't import psycopg 'c'")

    monkeypatch.setenv("TELLAPART_DATABASE_URL", "postgresql://ann:secret@127.0.0.1:9/x")
    monkeypatch.setattr("tellapart.postgres.create_engine", fail)
    told = tell(*words)
    assert (told.code != 0, len(told.errors)) == (True, 1)
    (line,) = [line for line in (told.out + told.err).splitlines() if "asks for PostgreSQL" in line]
    assert "whose client cannot be loaded: no pq wrapper available" in line
    assert line.endswith("Get it with: pip install 'psycopg[binary]'")


@pytest.mark.postgres
def test_doctor_asks_the_database_that_is_there(tell: Tell, monkeypatch: pytest.MonkeyPatch, postgres_url: str) -> None:
    monkeypatch.setenv("TELLAPART_DATABASE_URL", postgres_url)
    told = tell("doctor")
    assert "ok        PostgreSQL: asked for by TELLAPART_DATABASE_URL, answers" in told.out
    assert told.code == 0


@pytest.mark.redis
def test_doctor_asks_the_redis_that_is_there(tell: Tell, monkeypatch: pytest.MonkeyPatch, redis_url: str) -> None:
    monkeypatch.setenv("TELLAPART_CACHE_URL", redis_url)
    assert "ok        Redis: asked for by TELLAPART_CACHE_URL, answers" in tell("doctor").out
