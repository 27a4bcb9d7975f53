"""Pictures of one's own join a class: files, an archive, the same again, and what cannot be taken."""

from collections.abc import Callable
from pathlib import Path
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
from tests.webui.zipped import archive
from webui import own_pictures
from webui.jobs import Kind

JSON = {"Accept": "application/json"}
MakePicture = Callable[..., bytes]


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
