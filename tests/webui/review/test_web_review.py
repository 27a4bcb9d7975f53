"""Looking through a data set on the page: what is shown, in which order, and what never is."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tellapart.dataset import Dataset
from tellapart.manifest import Attempt
from tellapart.names import parse_class_names
from tellapart.pictures import Reason, Status, inspect
from tellapart.predictions import Judged, write_predictions
from tellapart.settings import Settings
from tellapart.store import new_model, promote
from tests.webui.review.helpers import keys, sha

MakePicture = Callable[..., bytes]


def test_the_most_suspect_picture_comes_first_with_its_reason(web: FlaskClient, dataset: Dataset) -> None:
    items = web.get("/datasets/pets/pictures.json").json["items"]  # type: ignore[index]
    assert [i["sha256"] for i in items] == [sha(dataset, n) for n in (4, 0, 1, 2, 3, 5)]
    assert (items[0]["why"], items[0]["to"], items[1]["why"]) == ("looks like a cat", "cat", "")
    page = web.get("/datasets/pets").text
    assert page.index(sha(dataset, 4)) < page.index(sha(dataset, 0))
    assert "looks like a cat" in page


@pytest.mark.parametrize(
    ("query", "offered"), [("", ["", "cat", "dog"]), ("?class=cat", ["dog"]), ("?show=suspects", ["", "cat", "dog"])]
)
def test_no_class_is_offered_that_the_pictures_stand_in(
    web: FlaskClient, dataset: Dataset, query: str, offered: list[str]
) -> None:
    page = web.get(f"/datasets/pets{query}").text
    assert re.findall('<option value="(.*?)">', page[page.index('name="to"') :].partition("</select>")[0]) == offered


def test_filters_and_pages(web: FlaskClient, dataset: Dataset) -> None:
    def shown(query: str) -> list[str]:
        answer = web.get(f"/datasets/pets/pictures.json?{query}").json
        return [i["sha256"] for i in answer["items"]]  # type: ignore[index]

    assert shown("class=cat") == [sha(dataset, n) for n in (0, 1, 2)]
    assert shown("show=suspects") == [sha(dataset, 4)]
    assert shown("order=class&offset=2&limit=2") == [sha(dataset, n) for n in (2, 3)]
    assert shown("offset=999999999") == []
    assert shown("offset=-1&limit=x") == shown("")


@pytest.mark.parametrize(
    "path",
    [
        "/datasets/none-such",
        "/datasets/..%2f..%2fetc",
        "/datasets/pets?class=bird",
        "/datasets/pets?order=random",
        "/datasets/pets?show=everything",
        "/datasets/pets/thumbnails/cat/" + "0" * 64 + ".jpg",
        "/datasets/pets/pictures/cat/" + "0" * 64,
        "/datasets/pets/audit?class=bird",
        "/datasets/none-such/audit",
    ],
)
def test_nothing_there(web: FlaskClient, dataset: Dataset, path: str) -> None:
    assert web.get(path).status_code == 404


def test_a_picture_that_crashes_its_decoder_in_colour_ends_no_process_of_the_page(
    web: FlaskClient, dataset: Dataset, make_photo: MakePicture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import signal\nfrom PIL import ImageFile\nload = ImageFile.ImageFile.load\n"
        "def load_or_crash(image):\n"
        "    if image.info.get('comment') == b'bad' and image.mode == 'RGB':\n"
        "        signal.raise_signal(signal.SIGSEGV)\n"
        "    return load(image)\n"
        "ImageFile.ImageFile.load = load_or_crash\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    data = make_photo(90, format="JPEG", comment=b"bad")
    bad = Attempt("bad", "cat", Status.KEPT, Reason.OK).with_picture(inspect(data))
    dataset.store("cat", inspect(data), data)
    dataset.manifest.add([bad])
    for sha256, status in ((sha(dataset, 0), 200), (bad.sha256, 404), (bad.sha256, 404), (sha(dataset, 1), 200)):
        with web.get(f"/datasets/pets/thumbnails/cat/{sha256}.jpg") as answer:
            assert answer.status_code == status


def test_thumbnails_are_small_and_show_only_pixels(web: FlaskClient, dataset: Dataset) -> None:
    with web.get(f"/datasets/pets/thumbnails/cat/{sha(dataset, 0)}.jpg") as answer:
        assert (answer.status_code, answer.mimetype) == (200, "image/jpeg")
    assert web.get(f"/datasets/pets/thumbnails/cat/{sha(dataset, 0)}.jpg?size=huge").status_code == 404
    assert web.get(f"/datasets/pets/thumbnails/dog/{sha(dataset, 0)}.jpg").status_code == 404


def test_details_say_where_a_picture_is_from_and_what_was_decided(
    web: FlaskClient, dataset: Dataset, stage: Callable[..., Any]
) -> None:
    address = f"/datasets/pets/pictures/dog/{sha(dataset, 4)}"
    assert "looks like a cat" in web.get(address).text
    stage("remove", keys(dataset, 4))
    assert "will be removed" in web.get(address).text
    web.post("/datasets/pets/apply")
    assert re.search(r"Decided by you</dt><dd>remove", web.get(address).text)


def test_nasty_class_names_are_only_text(
    web: FlaskClient, settings: Settings, isolated_home: Path, make_photo: MakePicture
) -> None:
    nasty = parse_class_names(["a&b 'c' {{7-7}}", "=cmd()"])
    dataset = Dataset.create(settings.datasets / "nasty", "nasty", nasty, [])
    for number, c in enumerate(nasty):
        data = make_photo(number)
        picture = inspect(data)
        dataset.store(c.slug, picture, data)
        dataset.manifest.add([Attempt(c.slug, c.slug, Status.KEPT, Reason.OK).with_picture(picture)])
    for path in ("/datasets/nasty", "/datasets/nasty/audit"):
        text = web.get(path).text
        assert "{{7-7}}" in text
        assert "a&b 'c'" not in text


def test_the_first_page_of_a_large_data_set_is_small(web: FlaskClient, dataset: Dataset) -> None:
    many = [
        Attempt(f"m{n}", "cat", Status.KEPT, Reason.OK, sha256=f"{n:064x}", extension="jpg", flags=flag(n))
        for n in range(10_000)
    ]
    dataset.manifest.add(many)
    assert len(web.get("/datasets/pets").data) < 200_000
    assert len(web.get("/datasets/pets/pictures.json?limit=100000").data) < 200_000


def flag(number: int) -> str:
    if number % 3:
        return ""
    value = {
        "kind": "off_topic",
        "score": number / 10_000,
        "reason": "looks like none of the other cats",
        "action": "look",
    }
    return json.dumps(value | {"to": "", "confident": False})


def test_a_cell_of_the_confusion_matrix_opens_its_pictures(
    web: FlaskClient, dataset: Dataset, tiny_bundle: Callable[..., Any]
) -> None:
    with new_model("pets") as (folder, version):
        tiny_bundle(folder, ("cat", "dog"), file=b"x" * 100)
        (folder / "report").mkdir()
        said = [("cat", "cat"), ("cat", "dog"), ("cat", "dog"), ("dog", "dog")]
        write_predictions(folder, [Judged(sha(dataset, n), *pair, 0.9) for n, pair in enumerate(said)])
    promote(f"pets:{version}")
    assert "cat taken for dog: 2" in web.get("/datasets/pets").text
    items = web.get("/datasets/pets/pictures.json?show=cell&true=cat&predicted=dog").json["items"]  # type: ignore[index]
    assert [i["sha256"] for i in items] == [sha(dataset, n) for n in (1, 2)]
