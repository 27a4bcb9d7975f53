"""Uploading pictures: what comes back, as a page without JavaScript and as JSON."""

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from tellapart.metadata import preview
from webui.previews import LONGEST_SIDE

MakePicture = Callable[..., bytes]


def test_one_picture_leads_to_its_result(upload: Any, web: FlaskClient, make_picture: MakePicture) -> None:
    answer = upload((make_picture("lime", (40, 30)), "leaf.png"))
    assert answer.status_code == 303
    assert answer.location.startswith("/results/")  # relative: it cannot lead elsewhere
    page = web.get(answer.location).text
    # 256 of 258 shares are green's
    assert "<h1>green</h1>" in page
    assert 'value="0.992248"' in page
    assert "99.2\xa0%" in page
    assert "leaf.png · 40 × 30 pixels" in page
    assert "colours:v1" in page
    assert "41 ms" in page
    assert "nswered from the cache" not in page


def test_several_pictures_lead_to_one_page(
    upload: Any, web: FlaskClient, make_picture: MakePicture, service: Any
) -> None:
    answer = upload((make_picture("red"), "a.png"), (b"no picture", "b.png"), (make_picture("blue"), "c.png"))
    page = web.get(answer.location).text
    assert "2 of 3 pictures classified" in page
    assert page.index("a.png") < page.index("b.png") < page.index("c.png")
    assert "the file is not a picture" in page
    assert service.asked("/classify_batch") == 1
    assert service.asked("/classify") == 0


def test_what_systems_put_beside_a_picture_is_passed_over(upload: Any, make_picture: MakePicture) -> None:
    beside = [(b"\0\5\x16\7", "._a.png"), (b"x", "Thumbs.db")]
    answer = upload(*beside, (make_picture("red"), "a.png"), json=True).json
    assert [result["name"] for result in answer["results"]] == ["a.png"]
    assert len(upload(*beside, json=True).json["results"]) == 2, "they were meant"


def test_many_pictures_are_asked_about_in_parts(upload: Any, make_picture: MakePicture, service: Any) -> None:
    files = [(make_picture((i, 0, 0)), f"{i}.png") for i in range(64)]
    results = upload(*files, json=True).json["results"]
    assert [r["name"] for r in results] == [f"{i}.png" for i in range(64)]
    assert service.asked("/classify_batch") == 2
    assert service.pictures == 64


def test_the_same_picture_twice_in_one_upload_is_asked_about_once(
    upload: Any, make_picture: MakePicture, service: Any
) -> None:
    results = upload((make_picture("red"), "a.png"), (make_picture("red"), "b.png"), json=True).json["results"]
    assert [r["result"]["top"] for r in results] == ["red", "red"]
    assert service.pictures == 1


def test_json_has_what_the_page_shows(upload: Any, web: FlaskClient, make_picture: MakePicture) -> None:
    (result,) = upload((make_picture("red"), "a.png"), json=True, model="colours:v1", top_k="2").json["results"]
    assert result["result"]["predictions"] == [
        {"class": "red", "confidence": 0.992248},
        {"class": "green", "confidence": 0.003876},
    ]
    assert "<h1>red</h1>" in web.get(result["url"]).text
    download = web.get(result["url"] + "/json")
    assert download.headers["Content-Disposition"].startswith("attachment")
    assert json.loads(download.data)["entries"][0]["result"] == result["result"]


@pytest.mark.parametrize(
    ("data", "fields", "status", "message"),
    [
        (b"", {}, 400, "the file is empty"),
        (b"hello", {}, 400, "the file is not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", {}, 415, "this kind of file is not supported"),
        (b"\xff" * (20 * 2**20 + 1), {}, 413, "the picture has 20.0 MB; at most 20 MB are taken"),
        (b"x", {"model": "cars"}, 404, "here is no classifier"),
        (b"x", {"model": "colours:v9"}, 404, "here is no classifier"),
        (b"x", {"top_k": "0"}, 422, "a number from 1 to 100 is expected"),
        (b"x", {"top_k": "9" * 5000}, 422, "a number from 1 to 100 is expected"),
        (b"x", {"top_k": "٣"}, 422, "a number from 1 to 100 is expected"),
        (b"x", {"top_k": "two"}, 422, "a number from 1 to 100 is expected"),
    ],
)
def test_bad_input_is_one_clear_line(
    upload: Any, data: bytes, fields: dict[str, str], status: int, message: str
) -> None:
    page = upload((data, "a.png"), **fields)
    assert page.status_code == status
    assert message in page.text
    answer = upload((data, "a.png"), json=True, **fields)
    assert answer.status_code == status
    assert message in answer.json["error"]["message"]


def test_nothing_chosen_is_said_so(upload: Any) -> None:
    for answer in (upload((b"", "")), upload()):
        assert answer.status_code == 400
        assert "Choose at least one picture" in answer.text


def test_more_than_64_pictures_are_refused_whole(upload: Any, service: Any) -> None:
    answer = upload(*[(b"x", f"{i}.png") for i in range(65)])
    assert answer.status_code == 413
    assert "65 pictures were sent; up to 64 are taken at once" in answer.text
    assert service.pictures == 0


def test_an_upload_beyond_the_limit_is_a_friendly_page(app: Flask, upload: Any) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 1000
    answer = upload((b"x" * 2000, "a.png"))
    assert answer.status_code == 413
    assert "Choose fewer pictures" in answer.text
    assert upload((b"x" * 2000, "a.png"), json=True).json["error"]["code"] == "too_large"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<script>alert(1)</script>.png", "script&gt;.png"),
        ("a/<img src=x onerror=alert(1)>.png", "&lt;img src=x onerror=alert(1)&gt;.png"),
        ("<b>bold.png", "&lt;b&gt;bold.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\pictures\\cat.png", "cat.png"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("x" * 500, "x" * 120 + " ·"),
        ("\u0001", "picture"),
        ("Кот 猫.png", "Кот 猫.png"),
    ],
)
def test_hostile_file_names_are_only_text(
    upload: Any, web: FlaskClient, make_picture: MakePicture, name: str, shown: str
) -> None:
    page = web.get(upload((make_picture(), name)).location).text
    assert shown in page
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "<b>" not in page
    assert "etc/" not in page


def test_hostile_class_names_are_only_text(
    upload: Any, web: FlaskClient, make_picture: MakePicture, service: Any
) -> None:
    nasty = ['<img src=x onerror="alert(1)">', "'\"><b>", "{{7*7}}"]
    service.models = [service.models[0].model_copy(update={"classes": nasty})]
    pages = [web.get(upload((make_picture(), "a.png")).location).text]
    pages += [web.get(path).text for path in ("/", "/classify", "/classifiers/colours")]
    for page in pages:
        assert "<img src=x" not in page
        assert "<b>" not in page
        assert "{{7*7}}" in page
        assert "&lt;img src=x onerror=&#34;alert(1)&#34;&gt;" in page


def test_pictures_of_every_mode_are_shown(upload: Any, web: FlaskClient, to_bytes: MakePicture) -> None:
    for mode, kind in (("L", "PNG"), ("P", "GIF"), ("RGBA", "PNG"), ("CMYK", "JPEG"), ("I;16", "PNG"), ("1", "TIFF")):
        data = to_bytes(Image.new(mode, (50, 40)), kind)
        (result,) = upload((data, f"{mode}.bin"), json=True).json["results"]
        with web.get(result["picture"]) as answer:
            assert answer.mimetype == "image/jpeg"
            assert Image.open(io.BytesIO(answer.data)).size == (50, 40)


def test_previews_hold_nothing_but_pixels(to_bytes: MakePicture) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    exif[0x010E] = "my address"
    data = to_bytes(Image.new("RGB", (2000, 1000)), "JPEG", exif=exif, comment=b"secret note")
    made = preview(data, LONGEST_SIDE)
    shown = Image.open(io.BytesIO(made))
    assert shown.size == (480, 960)
    assert not shown.getexif()
    assert b"my address" in data
    assert b"my address" not in made
    assert b"secret note" not in made


def test_the_copy_of_a_small_picture_is_nearly_exact(make_photo: MakePicture) -> None:
    data = make_photo(3, (60, 116))
    kept = np.asarray(Image.open(io.BytesIO(preview(data, LONGEST_SIDE))), np.int16)
    assert np.abs(kept - np.asarray(Image.open(io.BytesIO(data)))).mean() < 1


def test_unsure_answers_say_none_of_these(
    upload: Any, web: FlaskClient, make_picture: MakePicture, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sure = service._answer
    monkeypatch.setattr(type(service), "_answer", lambda _, data: sure(data) | {"none_of_these": True})
    page = web.get(upload((make_picture("red"), "a.png")).location).text
    assert "<h1>None of these</h1>" in page
    assert "names none of its classes" in page
    assert "not how likely they are" in page
    assert "99.2\xa0%</strong> confident" not in page
