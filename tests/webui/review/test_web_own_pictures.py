"""Pictures of one's own join a class: files, an archive, the same again, and what cannot be taken."""

import io
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tellapart.crashes import Apart
from tellapart.dataset import Dataset
from tellapart.folders import open_folder
from tellapart.images import sha256
from tellapart.names import parse_class_names
from tellapart.pictures import Reason, Status, inspect
from tellapart.settings import Settings
from tellapart.store import new_model, promote
from tests.webui.review.helpers import kept, keys, sha
from webui import decoding, own_pictures, staging
from webui.jobs import AlreadyThere, Kind

JSON = {"Accept": "application/json"}
MakePicture = Callable[..., bytes]


@pytest.fixture
def send(web: FlaskClient) -> Callable[..., Any]:
    """Send files to a class: `send(("a.png", bytes), to="cat", json=True)`."""

    def post(*files: tuple[str, bytes], to: str = "cat", json: bool = True, name: str = "pets") -> Any:
        data = {"class": to, "images": [(io.BytesIO(data), name) for name, data in files]}
        return web.post(f"/datasets/{name}/uploads", data=data, headers=JSON if json else {})

    return post


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


def test_files_join_their_class_with_a_row_that_says_who(
    web: FlaskClient, app: Flask, dataset: Dataset, send: Callable[..., Any], make_photo: MakePicture
) -> None:
    users = app.extensions["tellapart"].users
    users.add("ann", "a long enough one")
    users._seen = None
    web.post("/login", data={"name": "ann", "password": "a long enough one"})
    photos = [make_photo(90), make_photo(91)]
    answer = send(("a.png", photos[0]), ("b.png", photos[1]), json=False)
    assert (answer.status_code, answer.location) == (303, "/datasets/pets?order=newest&class=cat")
    page = web.get(answer.location).text
    assert "2 pictures added to cat. Train again to let the classifier know." in page
    assert all(sha256(photo) in page for photo in photos)
    assert kept(dataset) == {"cat": 5, "dog": 3}
    (row,) = dataset.manifest.with_digest(sha256(photos[0]))
    assert (row.source, row.status, row.mime) == ("upload", Status.KEPT, "image/png")
    assert "ann" not in row.author
    assert len(row.author) == 16
    assert row.fetched_at
    assert dataset.image_path(row).read_bytes() == photos[0]
    details = web.get(f"/datasets/pets/pictures/cat/{row.sha256}").text
    assert "<dt>Source</dt><dd>upload</dd>" in details
    assert "<dt>Uploaded by</dt><dd>ann</dd>" in details
    assert "<dt>Author</dt>" not in details
    users.remove("ann")
    users.add("bob", "a long enough one")
    web.post("/login", data={"name": "bob", "password": "a long enough one"})
    send(("c.png", make_photo(92)))
    assert len({a.author for a in dataset.manifest.attempts() if a.source == "upload"}) == 2
    assert "Uploaded by" not in web.get(f"/datasets/pets/pictures/cat/{row.sha256}").text


def test_an_archive_joins_and_each_file_that_cannot_is_named(
    web: FlaskClient, dataset: Dataset, send: Callable[..., Any], make_photo: MakePicture, make_picture: MakePicture
) -> None:
    members = {"x/1.png": make_photo(90), "x/2.png": b"no picture", "../3.png": make_photo(91), "4.png": make_photo(92)}
    tiny = make_picture("red", size=(8, 8))
    answer = send(("pictures.zip", archive(members | {"5.png": tiny}))).json
    assert {key: answer[key] for key in ("added", "there", "left")} == {"added": 2, "there": 0, "left": 0}
    said = {refused["name"]: refused["message"] for refused in answer["refused"]}
    assert set(said) == {"2.png", "3.png", "5.png"}
    assert said["3.png"] == "its name leads out of the archive"
    assert "the least is 32 a side" in said["5.png"]
    reasons = {a.reason for a in dataset.manifest.attempts(status=Status.REJECTED) if a.source == "upload"}
    assert reasons == {Reason.NOT_AN_IMAGE, Reason.TOO_SMALL}
    page = web.get(send(("<b>.txt", b"x"), json=False).location).text
    assert "No picture was added. 1 file could not be taken: 1 × the file is not a picture (&lt;b&gt;.txt)." in page


def test_what_a_class_has_or_had_is_not_added_again(
    web: FlaskClient, dataset: Dataset, send: Callable[..., Any], stage: Callable[..., Any], make_photo: MakePicture
) -> None:
    mine = make_photo(90)
    assert send(("a.png", mine), ("again.png", mine)).json["added"] == 1
    stage("remove", [f"cat/{sha256(mine)}", *keys(dataset, 1)])
    web.post("/datasets/pets/apply")
    answer = send(("a.png", mine), ("collected.png", make_photo(0)), ("removed.png", make_photo(1))).json
    assert (answer["added"], answer["there"]) == (0, 3)
    assert kept(dataset) == {"cat": 2, "dog": 3}, "what was removed stays so"
    rows = dataset.manifest.with_digest(sha(dataset, 0))
    assert {(a.source, a.reason) for a in rows} == {("folder", Reason.OK), ("upload", Reason.DUPLICATE)}
    assert send(("in another class.png", mine), to="dog").json["added"] == 1
    web.post("/datasets/pets/undo")
    assert kept(dataset) == {"cat": 4, "dog": 4}


def test_a_large_archive_that_takes_long_goes_on_when_it_is_sent_again(
    web: FlaskClient,
    dataset: Dataset,
    send: Callable[..., Any],
    make_photo: MakePicture,
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def slowly(_: Apart, data: bytes) -> Any:
        clock.sleep(20)
        return inspect(data)

    monkeypatch.setattr(Apart, "inspect", slowly)
    monkeypatch.setattr(own_pictures.time, "monotonic", clock)
    sent = ("x.zip", archive({f"{number}.png": make_photo(90 + number) for number in range(5)}))
    assert send(sent).json == {"added": 2, "there": 0, "refused": [], "left": 3}
    page = web.get(send(sent, json=False).location).text
    assert "2 pictures it has or had already. 1 picture left: there was no time for more. Send the same" in page
    assert kept(dataset)["cat"] == 7
    assert send(sent).json == {"added": 1, "there": 4, "refused": [], "left": 0}


def test_what_came_before_is_neither_decoded_again_nor_waits_for_a_turn(
    dataset: Dataset, send: Callable[..., Any], make_photo: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or an archive whose first part is known, or cannot be taken, would never be taken to its end."""

    def refuse(*_: Any) -> None:
        raise AssertionError("it took its time")

    members = {"new.png": make_photo(90), "collected.png": make_photo(0), "words.png": b"words"}
    sent = ("x.zip", archive(members))
    first = send(sent).json
    assert [first[key] for key in ("added", "there", "left")] == [1, 1, 0]
    rows = dataset.manifest.attempts()
    monkeypatch.setattr(Apart, "inspect", refuse)
    monkeypatch.setattr(own_pictures, "changing", refuse)
    again = send(sent).json
    assert [again[key] for key in ("added", "there", "left")] == [0, 2, 0]
    assert again["refused"] == first["refused"] == [{"name": "words.png", "message": "the file is not a picture"}]
    assert dataset.manifest.attempts() == rows


def test_only_so_many_uploads_decode_at_once(
    dataset: Dataset, send: Callable[..., Any], make_photo: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def while_another_comes(_: Apart, data: bytes) -> Any:
        answers.append(send(("other.png", make_photo(91))))
        return inspect(data)

    answers: list[Any] = []
    monkeypatch.setattr(decoding, "_places", BoundedSemaphore(1))
    monkeypatch.setattr(decoding, "_WAIT", 0.05)
    monkeypatch.setattr(Apart, "inspect", while_another_comes)
    assert send(("a.png", make_photo(90))).json["added"] == 1
    assert [answer.status_code for answer in answers] == [409]
    assert "Pictures of others are being taken in" in answers[0].json["error"]["message"]
    monkeypatch.setattr(Apart, "inspect", lambda _, data: inspect(data))
    assert send(("other.png", make_photo(91))).json["added"] == 1


def test_others_decide_about_the_data_set_while_a_picture_is_decoded(
    app: Flask,
    dataset: Dataset,
    send: Callable[..., Any],
    make_photo: MakePicture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def while_others_have_their_turn(_: Apart, data: bytes) -> Any:
        with app.extensions["tellapart"].staging.turn(dataset):
            return inspect(data)

    monkeypatch.setattr(Apart, "inspect", while_others_have_their_turn)
    monkeypatch.setattr(staging, "_TURN_SECONDS", 0.2)
    assert send(("a.png", make_photo(90))).json["added"] == 1


def test_a_job_that_begins_meanwhile_stops_what_is_left(
    web: FlaskClient,
    app: Flask,
    dataset: Dataset,
    send: Callable[..., Any],
    make_photo: MakePicture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What comes between its stages has no split: a copy of what it measures on could be learned from."""

    def while_a_job_begins(_: Apart, data: bytes) -> Any:
        with suppress(AlreadyThere):
            app.extensions["tellapart"].jobs.enqueue(Kind.TRAIN, "pets", {})
        return inspect(data)

    monkeypatch.setattr(Apart, "inspect", while_a_job_begins)
    page = web.get(send(*((f"{n}.png", make_photo(90 + n)) for n in range(3)), json=False).location).text
    assert "1 picture added to cat. 2 pictures left: a job is working on pets. Wait for it, " in page
    assert kept(dataset)["cat"] == 4


def test_of_two_uploads_of_the_same_picture_at_once_one_adds_it(
    dataset: Dataset, send: Callable[..., Any], make_photo: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def after_another(_: Apart, data: bytes) -> Any:
        monkeypatch.setattr(Apart, "inspect", lambda _, data: inspect(data))
        assert send(("a.png", data)).json["added"] == 1
        return inspect(data)

    monkeypatch.setattr(Apart, "inspect", after_another)
    assert send(("b.png", make_photo(90))).json["there"] == 1
    assert kept(dataset)["cat"] == 4


def test_a_message_with_long_reasons_fits_into_its_cookie(web: FlaskClient, dataset: Dataset, send: Any) -> None:
    """zipfile's own words repeat the name that a damaged archive has for a file, of up to 64 KB."""
    letters = "".join(f"{number:x}" for number in range(6_000))
    damaged = bytearray(archive({f"{number}{letters}.png": b"x" for number in range(3)}))
    for place in range(3):
        damaged[damaged.index(f"{place}{letters}".encode())] = ord("x")
    answer = send(("x.zip", bytes(damaged)), json=False)
    assert len(answer.headers["Set-Cookie"]) < 4000
    assert "3 files could not be taken: " in web.get(answer.location).text


@pytest.mark.parametrize(
    ("files", "to", "status", "message"),
    [
        ([], "cat", 400, "Choose at least one picture"),
        ([("a.png", b"x")], "bird", 422, "Choose the class"),
        ([("a.png", b"x")] * 65, "cat", 413, "65 pictures were sent"),
        ([("a.zip", b"PK\x03\x04 and nothing")], "cat", 400, "The archive cannot be read"),
    ],
)
def test_what_cannot_be_sent(
    dataset: Dataset, send: Callable[..., Any], files: Any, to: str, status: int, message: str
) -> None:
    answer = send(*files, to=to)
    assert answer.status_code == status
    assert message in answer.json["error"]["message"]
    assert kept(dataset) == {"cat": 3, "dog": 3}


def test_nothing_is_added_while_a_job_works_or_where_it_was_deleted(
    web: FlaskClient,
    app: Flask,
    dataset: Dataset,
    send: Callable[..., Any],
    make_photo: MakePicture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def deleted_meanwhile(*_: Any) -> None:
        web.post("/datasets/pets/delete")

    jobs = app.extensions["tellapart"].jobs
    job = jobs.enqueue(Kind.TRAIN, "pets", {})
    answer = send(("a.png", make_photo(90)))
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "refused")
    assert "Add pictures of your own" not in web.get("/datasets/pets").text
    jobs.stop(job.id)
    assert "Add pictures of your own" in web.get("/datasets/pets").text
    monkeypatch.setattr(own_pictures, "refuse_at_work", deleted_meanwhile)
    assert send(("a.png", make_photo(90))).status_code == 404
    assert not dataset.root.exists()


def test_a_folder_of_ones_own_is_left_alone(
    web: FlaskClient,
    settings: Settings,
    isolated_home: Path,
    send: Callable[..., Any],
    make_photo: MakePicture,
    tiny_bundle: Callable[..., Any],
) -> None:
    for number in range(4):
        folder = isolated_home / "mine" / ("cat", "dog")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.png").write_bytes(make_photo(number))
    dataset = open_folder(isolated_home / "mine", settings.home)
    with new_model("pets") as (folder, version):
        tiny_bundle(folder, ("cat", "dog"), file=b"x", dataset={"name": "mine", "digest": dataset.digest()})
    promote(f"pets:{version}")
    page = web.get("/datasets/pets").text
    assert "Add pictures of your own" not in page
    assert "Delete all" not in page
    assert "Put more into mine/ yourself" in send(("a.png", make_photo(9))).json["error"]["message"]
    assert [web.get("/datasets/pets/delete").status_code, web.post("/datasets/pets/delete").status_code] == [404, 404]
    assert len(list((isolated_home / "mine").rglob("*.png"))) == 4


def test_a_full_data_set_takes_no_more(
    web: FlaskClient,
    dataset: Dataset,
    send: Callable[..., Any],
    make_photo: MakePicture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(own_pictures, "MOST_PICTURES", 8)
    known = ("known.png", make_photo(0))
    page = web.get(send(*((f"{n}.png", make_photo(90 + n)) for n in range(4)), known, json=False).location).text
    assert "2 pictures added to cat. 3 pictures left: the data set has 8 pictures. Take some out first." in page
    assert kept(dataset) == {"cat": 5, "dog": 3}
    assert "The data set has 8 pictures" in send(("a.png", make_photo(90))).json["error"]["message"]
    where = send(("a.png", make_photo(90)), json=False).location
    assert "No picture was added: the data set has 8 pictures. Take some out first." in web.get(where).text


def test_what_others_add_meanwhile_counts_too(
    dataset: Dataset, send: Callable[..., Any], make_photo: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def while_another_adds(_: Apart, data: bytes) -> Any:
        if len(others) < 2:
            others.append(make_photo(80 + len(others)))
            assert send(("other.png", others[-1])).json["added"] == 1
        return inspect(data)

    others: list[bytes] = []
    monkeypatch.setattr(Apart, "inspect", while_another_adds)
    monkeypatch.setattr(own_pictures, "MOST_PICTURES", 10)
    monkeypatch.setattr(own_pictures, "_RECOUNT", 1)
    answer = send(*((f"{n}.png", make_photo(90 + n)) for n in range(4))).json
    assert (answer["added"], answer["left"], sum(kept(dataset).values())) == (2, 2, 10)


def test_what_systems_put_beside_pictures_is_not_counted(
    web: FlaskClient, dataset: Dataset, send: Callable[..., Any], make_photo: MakePicture
) -> None:
    """Who chooses all of a folder, or packs it, sends it along."""
    beside = {"Thumbs.db": b"x" * 99, ".DS_Store": b"y", "desktop.ini": b"z", "._1.png": b"\0\5\x16\7"}
    assert send(("1.png", make_photo(90)), *beside.items()).json == {"added": 1, "there": 0, "refused": [], "left": 0}
    packed = archive({f"all/{name}": data for name, data in ({"2.png": make_photo(91)} | beside).items()})
    assert send(("all.zip", packed)).json == {"added": 1, "there": 0, "refused": [], "left": 0}
    assert "Thumbs.db" in send(("Thumbs.db", b"x")).json["refused"][0]["name"], "it was meant"


def test_reasons_are_told_with_their_number(
    web: FlaskClient, dataset: Dataset, send: Callable[..., Any], make_photo: MakePicture, make_picture: MakePicture
) -> None:
    files = [(f"{n}.txt", b"%d" % n) for n in range(3)] + [("cut.png", make_photo(90)[:99]), ("empty.png", b"")]
    page = web.get(send(*files, ("tiny.png", make_picture("red", size=(8, 8))), json=False).location).text
    assert "6 files could not be taken: 3 × the file is not a picture (0.txt, 1.txt and 1 more); 1 × " in page
    assert "; 1 for other reasons." in page


def test_a_picture_that_crashes_its_decoder_ends_no_process_of_the_page(
    dataset: Dataset, send: Callable[..., Any], make_photo: MakePicture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = "signal.raise_signal(signal.SIGSEGV)"
    (tmp_path / "sitecustomize.py").write_text(
        "import signal\nfrom PIL import ImageFile\nload = ImageFile.ImageFile.load\n"
        f"ImageFile.ImageFile.load = lambda image: {crash} if image.size == (97, 97) else load(image)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    bad = make_photo(91, size=(97, 97))
    answer = send(("1.png", make_photo(90)), ("bad.png", bad), ("2.png", make_photo(92))).json
    assert answer["added"] == 2
    assert answer["refused"] == [{"name": "bad.png", "message": "decoding the picture ends the program (SIGSEGV)"}]


def test_training_again_uses_them(
    settings: Settings, dataset: Dataset, send: Callable[..., Any], make_photo: MakePicture
) -> None:
    before = dataset.digest()
    send(("a.png", make_photo(90)))
    assert {s.sha256 for s in dataset.training_samples()} >= {sha256(make_photo(90))}
    assert dataset.digest() != before
    assert [c.name for c in parse_class_names(["cat", "dog"])] == [c.name for c in dataset.classes]
