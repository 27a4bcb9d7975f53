"""Rows are written down together where they come together, and each is there when its writer goes on."""

import asyncio
import sqlite3
from threading import Event

import pytest

from scraping.recorder import Recorder
from tellapart.errors import TellapartError
from tellapart.manifest import Attempt, Manifest
from tellapart.pictures import Reason, Status


@pytest.fixture
def manifest(tmp_path):
    return Manifest(tmp_path / "manifest.sqlite")


def kept(number: int, digest: str = "") -> Attempt:
    return Attempt(f"http://a.example/{number:03}", "cat", Status.KEPT, Reason.OK, sha256=digest or f"{number:064}")


def write_all(manifest, attempts):
    async def run():
        with Recorder(manifest) as recorder:
            return await asyncio.gather(*(recorder.write(a) for a in attempts), return_exceptions=True)

    return asyncio.run(run())


def test_rows_that_come_together_take_few_transactions(manifest, monkeypatch):
    batches, add, all_wait = [], Manifest.add, Event()

    def count(self, attempts):
        assert all_wait.wait(90)
        batches.append(len(attempts := list(attempts)))
        add(self, attempts)

    async def run():
        with Recorder(manifest) as recorder:
            writes = asyncio.gather(*(recorder.write(a) for a in attempts))
            await asyncio.sleep(0)
            all_wait.set()
            return await writes

    monkeypatch.setattr(Manifest, "add", count)
    attempts = [kept(n) for n in range(200)]
    assert asyncio.run(run()) == [[]] * 200
    assert manifest.attempts() == attempts
    assert sum(batches) == 200
    assert len(batches) <= 2


def test_a_row_is_there_when_its_writer_goes_on(manifest):
    async def run():
        with Recorder(manifest) as recorder:
            for n in range(5):
                await recorder.write(kept(n))
                assert len(manifest.attempts()) == n + 1

    asyncio.run(run())


def test_a_placeholder_within_one_batch_is_reported_once_for_each_row(manifest):
    attempts = [kept(n, digest="5" * 64) for n in range(4)] + [kept(9)]
    changes = [change for mine in write_all(manifest, attempts) for change in mine]
    assert sorted(before.url for before, _ in changes) == [a.url for a in attempts[:4]]
    assert [a.reason for a in manifest.attempts()] == [Reason.PLACEHOLDER] * 4 + [Reason.OK]


def test_everyone_in_a_batch_that_cannot_be_written_is_told(manifest, monkeypatch):
    def fail(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("tellapart.manifest.insert", fail)
    found = write_all(manifest, [kept(n) for n in range(20)])
    assert all(isinstance(error, TellapartError) and "Make room" in str(error) for error in found)
    assert not manifest.attempts()
