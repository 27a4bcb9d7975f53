"""Many pictures in one go: archives and folders, part by part."""

import csv
import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.webui.zipped import archive

MakePicture = Callable[..., bytes]
NASTY = [
    '=HYPERLINK("http://x")',
    "+1+1.png",
    "-2.png",
    "@SUM(A1).png",
    "<script>alert(1)<.png",
    "a,b\"c'.png",
    "a\u202egnp.exe",
]


def test_an_archive_is_answered_part_by_part(
    upload: Any, web: FlaskClient, service: Any, pictures: Callable[[int], dict[str, bytes]]
) -> None:
    where = upload((archive(pictures(40)), "holiday.zip")).location
    assert service.pictures == 0  # nothing is asked before somebody looks
    page = web.get(where).text
    assert "<h1>holiday.zip</h1>" in page
    assert "Pictures 1 to 32 of 40." in page
    assert "The next 8" in page
    assert service.pictures == 32
    assert "Pictures 33 to 40 of 40." in web.get(f"{where}?start=32").text
    results = web.get(f"{where}/part?start=32").json["results"]
    assert [r["name"] for r in results] == [f"{i:03d}.png" for i in range(32, 40)]
    assert service.pictures == 40  # a part that was answered is not asked about again
    assert "<h1>red</h1>" in web.get(results[0]["url"]).text


def test_programs_are_told_where_the_batch_is(upload: Any, pictures: Callable[[int], dict[str, bytes]]) -> None:
    answer = upload((archive(pictures(1)), "x.zip"), json=True)
    assert set(answer.json) == {"batch"}
    assert answer.json["batch"].startswith("/batches/")


def test_what_is_wrong_in_an_archive_is_said_of_each_file(
    upload: Any, web: FlaskClient, make_picture: MakePicture
) -> None:
    members = {
        "good.png": make_picture("blue"),
        "../evil.png": make_picture("red"),
        "inner.zip": archive({"a.png": make_picture("red")}),
        "words.png": b"hello",
        "bomb.bmp": bytes(30_000_000),
    }
    where = upload((archive(members, link="/etc/passwd"), "x.zip")).location
    results = web.get(f"{where}/part").json["results"]
    said = {r["name"]: r.get("error", {}).get("message", "") for r in results}
    assert said == {
        "good.png": "",
        "evil.png": "its name leads out of the archive",
        "inner.zip": said["inner.zip"],
        "words.png": said["words.png"],
        "bomb.bmp": "it unpacks to more than 200 times its size",
        "link.png": "it is a link",
    }
    assert "not supported" in said["inner.zip"]
    assert "not a picture" in said["words.png"]


def test_what_is_plainly_no_picture_is_left_out_and_counted(
    upload: Any, web: FlaskClient, service: Any, pictures: Callable[[int], dict[str, bytes]]
) -> None:
    members = {"README": b"hello", "a/Thumbs.db": b"\xd0\xcf\x11\xe0"} | pictures(33) | {"a/words.txt": b"hello"}
    where = upload((archive(members), "x.zip")).location
    page = web.get(where).text
    assert "Pictures 1 to 32 of 33." in page
    assert "3 other files in it are no pictures and were left out." in page
    assert [r["name"] for r in web.get(f"{where}/part?start=32").json["results"]] == ["032.png"]
    assert service.pictures == 33
    assert "left out" not in web.get(upload((archive(pictures(1)), "y.zip")).location).text


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (b"PK\x03\x04 and then nothing", 400, "The archive cannot be read: it is damaged, cut off or no"),
        (b"words", 400, "The archive cannot be read: it is damaged, cut off or no"),
        (archive({".hidden": b"x"}), 400, "The archive holds no pictures"),
        (archive({"readme.txt": b"x"}), 400, "The archive holds no pictures"),
        (archive({f"{i}": b"" for i in range(10_001)}), 413, "The archive has 10001 files, at most 10000"),
    ],
)
def test_a_bad_archive_is_one_clear_line(upload: Any, data: bytes, status: int, message: str) -> None:
    page = upload((data, "x.zip"))
    assert page.status_code == status
    assert f"<strong>That could not be classified.</strong> {message}" in page.text


def test_what_is_named_as_an_archive_is_a_picture_all_the_same(upload: Any, make_picture: Any) -> None:
    assert upload((make_picture("red"), "x.zip")).location.startswith("/results/")


def test_an_archive_that_claims_to_unpack_to_too_much_is_refused(upload: Any) -> None:
    data = bytearray(archive({f"{i}.png": b"x" for i in range(200)}))
    place = -1
    while (place := data.find(b"PK\x01\x02", place + 1)) >= 0:
        data[place + 24 : place + 28] = (20 * 2**20).to_bytes(4, "little")  # the size a directory entry claims
    page = upload((bytes(data), "x.zip"))
    assert page.status_code == 413
    assert "unpacks to more than 2 GB" in page.text


def test_a_folder_is_sent_in_parts_and_kept_together(
    web: FlaskClient, send: Any, make_picture: MakePicture, service: Any
) -> None:
    batch = web.post("/batches", data={"total": "3", "title": "my/photos", "model": "colours"}).json["batch"]
    second = send(batch, 2, (make_picture("blue"), "c.png"))
    first = send(batch, 0, (make_picture("red"), "a.png"), (b"no picture", "b.png"))
    assert [r["name"] for r in first.json["results"]] == ["a.png", "b.png"]
    assert second.json["results"][0]["result"]["top"] == "blue"
    page = web.get(batch).text
    assert "<h1>photos</h1>" in page
    assert page.index("a.png") < page.index("b.png") < page.index("c.png")
    rows = list(csv.DictReader(io.StringIO(web.get(f"{batch}/csv").text)))
    assert [(r["picture"], r["answer"]) for r in rows] == [("a.png", "red"), ("b.png", ""), ("c.png", "blue")]
    assert "not a picture" in rows[1]["error"]
    entries = json.loads(web.get(f"{batch}/json").data)["entries"]
    assert [e["result"]["top"] for e in entries if e["result"]] == ["red", "blue"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"total": "0"}, 422),
        ({"total": "10001"}, 422),
        ({"total": "x"}, 422),
        ({"total": "9" * 5000}, 422),
        ({"total": "000000001" + "9" * 5000}, 422),
        ({"total": "3", "model": "cars"}, 404),
        ({"total": "3", "top_k": "-1"}, 422),
    ],
)
def test_a_batch_that_cannot_be_is_refused(web: FlaskClient, fields: dict[str, str], status: int) -> None:
    assert web.post("/batches", data=fields).status_code == status


def test_parts_beyond_the_batch_are_refused(web: FlaskClient, send: Any, make_picture: MakePicture) -> None:
    batch = web.post("/batches", data={"total": "1"}).json["batch"]
    picture = (make_picture(), "a.png")
    assert send(batch, 1, picture).status_code == 422
    assert send(batch, 0, picture, picture).status_code == 422
    assert send(batch, 0, picture).status_code == 200


def test_parts_that_overlap_are_refused_and_one_that_comes_again_is_not(
    web: FlaskClient, send: Any, make_picture: MakePicture
) -> None:
    batch = web.post("/batches", data={"total": "6"}).json["batch"]
    a, b, c = ((make_picture((n, 0, 0)), f"{n}.png") for n in range(3))
    assert send(batch, 2, a, b).status_code == 200
    assert [send(batch, start, a, b).status_code for start in (1, 3)] == [422, 422]
    assert send(batch, 0, a, b, c).status_code == 422
    assert [send(batch, start, c, a).status_code for start in (0, 4, 4)] == [200, 200, 200]
    names = [e["name"][0] for e in web.get(f"{batch}/json").json["entries"]]
    assert "".join(names) == "200120"


def test_a_large_folder_is_turned_over_page_by_page(
    web: FlaskClient, send: Any, make_picture: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webui.batch_pages.PAGE", 32)
    batch, data = web.post("/batches", data={"total": "40"}).json["batch"], make_picture()
    send(batch, 0, *((data, f"{n:02d}.png") for n in range(20)))
    send(batch, 20, *((data, f"{n:02d}.png") for n in range(20, 38)))
    first, second = web.get(batch).text, web.get(f"{batch}?start=32").text
    assert "Pictures 1 to 32 of 40." in first
    assert "were sent" not in first
    assert "Pictures 33 to 40 of 40. 6 of 8 were sent." in second
    assert re.findall(r"(\d\d).png", first) == [f"{n:02d}" for n in range(32)]
    assert re.findall(r"(\d\d).png", second) == [f"{n:02d}" for n in range(32, 38)]
    assert [f"{batch}?start={n}" in page for n, page in ((32, first), (0, second))] == [True, True]
    assert len(web.get(f"{batch}/json").json["entries"]) == 38


@pytest.mark.parametrize(
    "path", ["/batches/x", "/batches/" + "A" * 22, "/batches/..%2F..%2Fsecret", "/batches/" + "A" * 22 + "/csv"]
)
def test_batches_that_are_not_there_are_all_the_same(web: FlaskClient, path: str) -> None:
    page = web.get(path)
    assert page.status_code == 404
    assert "expired" in page.text


@pytest.mark.parametrize("start", ["1", "-32", "64", "x", "9" * 50, "٣٢"])
def test_a_part_that_is_not_there_is_not_found(
    upload: Any, web: FlaskClient, start: str, pictures: Callable[[int], dict[str, bytes]]
) -> None:
    where = upload((archive(pictures(40)), "x.zip")).location
    assert web.get(f"{where}/part", query_string={"start": start}).status_code == 404


def test_the_service_may_be_away_for_a_while(
    upload: Any, web: FlaskClient, service: Any, pictures: Callable[[int], dict[str, bytes]]
) -> None:
    where = upload((archive(pictures(3)), "x.zip")).location
    service.refuse_pictures(503)
    assert web.get(f"{where}/part").status_code == 503
    service.broken = None
    assert len(web.get(f"{where}/part").json["results"]) == 3


@pytest.mark.parametrize("name", NASTY)
def test_no_name_becomes_a_formula_or_a_tag(
    upload: Any, web: FlaskClient, make_picture: MakePicture, name: str
) -> None:
    where = upload((archive({name: make_picture("red")}), name + ".zip")).location
    page = web.get(where).text
    assert "<script>alert" not in page
    assert "\u202e" not in page
    (row,) = csv.DictReader(io.StringIO(web.get(f"{where}/csv").text))
    assert row["picture"][0] not in "=+-@"
    answer = web.get(f"{where}/csv")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="results-')
    assert answer.mimetype == "text/csv"
