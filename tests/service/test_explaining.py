"""`/explain` and `/nearest` of a real server process."""

import base64
import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

pytestmark = pytest.mark.service

MakePicture = Callable[..., bytes]
Server = Any


def test_an_explanation_has_the_answer_a_sentence_and_a_heat_map(server: Server, make_photo: MakePicture) -> None:
    picture = make_photo(3, (120, 90))
    form = [("image", ("x.png", picture)), ("model", (None, "photos"))]
    answer = server.client.post("/classify", files=form).json()
    found = server.client.post("/explain", files=form).json()
    assert sorted(found) == ["class", "confidence", "heat_map", "model", "sentence"]
    assert (found["model"], found["class"]) == (answer["model"], answer["top"])
    assert found["confidence"] == pytest.approx(answer["confidence"], abs=1e-3)
    assert answer["top"] in found["sentence"]
    data = base64.b64decode(found["heat_map"])
    heat = Image.open(io.BytesIO(data))
    assert (heat.format, heat.size) == ("PNG", (448, 336))
    plain = server.client.post("/explain", files=form, headers={"Accept": "image/png"})
    assert (plain.headers["content-type"], plain.content) == ("image/png", data)


def test_any_class_can_be_explained_and_no_other(server: Server, make_photo: MakePicture) -> None:
    form = [("image", ("x.png", make_photo(3))), ("model", (None, "photos"))]
    by_class = {
        name: server.client.post("/explain", files=[*form, ("class", (None, name))]).json()
        for name in ("cat", "dog", "bird")
    }
    assert [by_class[name]["class"] for name in by_class] == list(by_class)
    assert sum(found["confidence"] for found in by_class.values()) == pytest.approx(1, abs=1e-4)
    assert len({found["heat_map"] for found in by_class.values()}) == 3
    for name, value, expected in (("class", "fox", (404, "unknown_class")), ("top_k", "3", (422, "wrong_field"))):
        refused = server.client.post("/explain", files=[*form, (name, (None, value))])
        assert (refused.status_code, refused.json()["error"]["code"]) == expected


def test_the_nearest_pictures_it_learned_from(server: Server, make_photo: MakePicture) -> None:
    def ask(seed: int, **options: str) -> Any:
        form = [("image", ("x.png", make_photo(seed))), ("model", (None, "photos"))]
        return server.client.post("/nearest", files=[*form, *((k, (None, v)) for k, v in options.items())])

    for seed in (0, 7):
        found = ask(seed).json()
        assert found["model"] == server.tags["photos"].tag
        assert len(found["neighbours"]) == 6
        first = found["neighbours"][0]
        assert first["sha256"] == f"{seed:064x}"
        assert first["class"] == ("cat", "dog", "bird")[seed % 3]
        assert first["similarity"] == pytest.approx(1, abs=5e-3)
        similarities = [n["similarity"] for n in found["neighbours"]]
        assert similarities == sorted(similarities, reverse=True)
    assert len(ask(0, count="2").json()["neighbours"]) == 2
    assert ask(0, count="0").json()["error"]["code"] == "wrong_field"


def test_a_classifier_that_keeps_no_record_says_so(server: Server, make_photo: MakePicture) -> None:
    response = server.client.post("/nearest", files=[("image", ("x.png", make_photo(1))), ("model", (None, "pets"))])
    assert (response.status_code, response.json()["error"]["code"]) == (404, "no_neighbours")


@pytest.mark.parametrize("path", ["/explain", "/nearest"])
def test_bad_pictures_and_unknown_models_are_answered_as_the_table_says(
    server: Server, make_photo: MakePicture, path: str
) -> None:
    good = ("image", ("x.png", make_photo(1)))
    for form, expected in (
        ([("image", ("x.png", b"no picture"))], (400, "not_an_image")),
        ([("image", ("x.png", b""))], (400, "empty")),
        ([good, ("model", (None, "nope"))], (404, "unknown_model")),
        ([good, good], (422, "wrong_field")),
    ):
        response = server.client.post(path, files=form)
        assert (response.status_code, response.json()["error"]["code"]) == expected
    assert server.client.get(path).status_code == 405


def test_they_are_described(server: Server) -> None:
    paths = server.client.get("/docs.json").json()["paths"]
    assert {p["name"] for p in paths["/explain"]["post"]["parameters"]} == {"model", "class"}
    assert set(paths["/explain"]["post"]["responses"]["200"]["content"]) == {"application/json", "image/png"}
    assert {p["name"] for p in paths["/nearest"]["post"]["parameters"]} == {"model", "count"}
