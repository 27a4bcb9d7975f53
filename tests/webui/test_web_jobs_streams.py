"""What a job's page asks for again: its changing part, and the stream of events."""

from types import SimpleNamespace
from typing import Any

import pytest
from flask.testing import FlaskClient

from webui import events
from webui.events import Now, open_stream
from webui.jobs import Jobs, Kind, State, utc_now

OPTIONS = {"classes": ["cat", "dog"], "sources": ["openverse"], "license": "any", "per_class": 20}


def test_the_part_that_changes_is_asked_for_again_only_when_it_has(web: FlaskClient, jobs: Jobs, change: Any) -> None:
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    first = web.get(f"/jobs/{job.id}/live")
    assert first.headers["X-Job-Active"] == "yes"
    assert "<html" not in first.text
    known = {"If-None-Match": first.headers["ETag"]}
    assert web.get(f"/jobs/{job.id}/live", headers=known).status_code == 304
    change(job, state=State.DONE, finished=utc_now())
    again = web.get(f"/jobs/{job.id}/live", headers=known)
    assert (again.status_code, again.headers["X-Job-Active"]) == (200, "no")


def test_a_stream_tells_every_change_and_ends_with_the_job(
    web: FlaskClient, jobs: Jobs, change: Any, monkeypatch: pytest.MonkeyPatch, stage: Any
) -> None:
    monkeypatch.setattr(events, "_LOOK_SECONDS", 0.01)
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    answer = web.get(f"/jobs/{job.id}/events")
    assert answer.mimetype == "text/event-stream"
    told = answer.iter_encoded()
    assert next(told) == b"retry: 2000\n\n"
    assert next(told).startswith(b"event: state\nid: 0.0.0\ndata: ")
    change(job, state=State.RUNNING, stages=[stage("collect cat", 7)])
    second = next(told).decode()
    assert second.startswith("event: state\nid: 1.0.0\n")
    assert "7 of up to 40 pictures" in second
    assert all(line.startswith(("event: ", "id: ", "data: ")) for line in second.rstrip().split("\n"))
    change(job, state=State.DONE, finished=utc_now())
    assert next(told).startswith(b"event: state\nid: 2.0.1\n")
    assert list(told) == [b"event: end\nid: 2.0.1\ndata: \n\n"]


def test_a_stream_goes_on_after_the_last_event_that_came(web: FlaskClient, jobs: Jobs, change: Any) -> None:
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    done = change(job, state=State.DONE, finished=utc_now())
    path, seen = f"/jobs/{job.id}/events", f"{done.revision}.0.1"
    assert "event: state" not in web.get(path, headers={"Last-Event-ID": seen}).text
    assert "event: state" not in web.get(f"{path}?seen={seen}").text
    assert "event: state" in web.get(path, headers={"Last-Event-ID": "0"}).text


def test_streams_are_bounded_and_make_room_when_they_end(web: FlaskClient, jobs: Jobs) -> None:
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    streams = [open_stream(lambda: None, "") for _ in range(events.MOST_STREAMS)]
    assert all(streams)
    assert web.get(f"/jobs/{job.id}/events").status_code == 503
    assert web.get(f"/jobs/{job.id}/live").status_code == 200
    read, *others = streams
    assert list(read) == ["retry: 2000\n\n", "event: end\nid: \ndata: \n\n"]  # type: ignore[arg-type]
    for stream in (read, *others):
        stream.close()  # type: ignore[union-attr]
    streams = [open_stream(lambda: None, "") for _ in range(events.MOST_STREAMS)]
    assert all(streams)
    assert open_stream(lambda: None, "") is None
    for stream in streams:
        stream.close()  # type: ignore[union-attr]


def test_a_stream_ends_with_the_server_that_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = open_stream(lambda: Now("1", str, False), "")
    assert stream
    events_of = iter(stream)
    assert next(events_of).startswith("retry:")
    assert "id: 1" in next(events_of)
    monkeypatch.setattr("os.getppid", lambda: 1)
    assert list(events_of) == []


def test_a_quiet_stream_says_that_it_is_still_there_and_ends_in_time(
    monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    monkeypatch.setattr(events, "time", SimpleNamespace(monotonic=clock, sleep=clock.sleep))
    stream = open_stream(lambda: Now("1", str, False), "1")
    assert stream
    assert list(stream) == ["retry: 2000\n\n", *[": still here\n\n"] * 43]  # every 5.5 s, for 240 s
    assert clock.now == 240
