"""The page of a classifier over a real model store: versions, downloads, card, feedback."""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from tellapart import store
from tellapart.catalogue import Catalogue
from tellapart.dataset import Dataset
from tellapart.settings import Settings
from tellapart.wire import NeighbourPicture
from webui.app import create_app
from webui.limits import LIMITS
from webui.model_card import plain
from webui.streams import streamed

MakePicture = Callable[..., bytes]
NAMES = ("red", "green (dark)", "O'Hare & blue")


def test_versions_stand_side_by_side(web: FlaskClient, save: Callable[[], str]) -> None:
    old, new = save(), save()
    page = web.get("/classifiers/colours").text
    for shown in ("93.0\xa0%", "88.0\xa0% to 96.0\xa0%", "on 150", "4.2\xa0%", "ResNet18", "last layer trained"):
        assert page.count(shown) >= 2
    assert page.count(">answers<") == 1
    assert f"/classifiers/colours/promote?version={version(new)}" not in page
    assert f"/classifiers/colours/promote?version={version(old)}" in page
    assert f"/classifiers/colours/delete?version={version(old)}" in page
    assert f"/classifiers/colours/delete?version={version(new)}" not in page
    assert "/classifiers/colours/rollback" in page


def version(tag: str) -> str:
    return tag.partition(":")[2]


def test_promoting_asks_first_and_is_seen_by_a_running_service_at_once(
    web: FlaskClient, save: Callable[[], str]
) -> None:
    old, new = save(), save()
    running = Catalogue()
    assert running.find("colours").tag == new
    asked = web.get(f"/classifiers/colours/promote?version={version(old)}").text
    assert f"Let {old} answer?" in asked
    assert running.find("colours").tag == new  # asking changes nothing
    answer = web.post("/classifiers/colours/promote", data={"version": version(old)})
    assert answer.location == "/classifiers/colours"
    assert running.find("colours").tag == old
    assert f"{old} answers now." in web.get(answer.location).text


def test_rolling_back_lets_the_one_before_answer_again(web: FlaskClient, save: Callable[[], str]) -> None:
    old, new = save(), save()
    assert f"Go back to {old}?" in web.get("/classifiers/colours/rollback").text
    answer = web.post("/classifiers/colours/rollback")
    assert f"{old} answers again." in web.get(answer.location).text
    assert store.resolve("colours").tag == old
    assert web.get("/classifiers/colours/rollback").status_code == 404
    assert web.post("/classifiers/colours/rollback").status_code == 409
    assert new in {m.tag for m in store.list_models("colours")}


def test_the_version_that_answers_is_not_deleted_while_there_are_others(
    app: Flask, web: FlaskClient, save: Callable[[], str], upload: Any, make_picture: MakePicture, settings: Settings
) -> None:
    old, new = save(), save()
    result = upload((make_picture("red"), "a.png")).location
    web.post(f"{result}/feedback", data={"right": "no", "class": "red", "keep": "yes"})
    kept = settings.home / "web" / "feedback"
    refused = web.post("/classifiers/colours/delete", data={"version": version(new)})
    assert refused.status_code == 409
    assert "Let another one answer first" in refused.text
    answer = web.post("/classifiers/colours/delete", data={"version": version(old)})
    assert f"{old} is deleted." in web.get(answer.location).text
    assert len(list(kept.iterdir())) == 1
    assert "colours will be gone" in web.get("/classifiers/colours/delete").text
    assert web.post("/classifiers/colours/delete").location == "/"
    assert store.list_models("colours") == []
    assert list(kept.iterdir()) == []
    assert app.extensions["tellapart"].feedback.wrong("colours") == []


@pytest.mark.parametrize("action", ["promote", "delete"])
def test_a_version_that_is_not_there_is_not_found(web: FlaskClient, save: Callable[[], str], action: str) -> None:
    save()
    for method in ("GET", "POST"):
        answer = web.open(f"/classifiers/colours/{action}", method=method, query_string={"version": "nothing"})
        assert answer.status_code == 404
    assert web.post("/classifiers/colours/explode").status_code == 404


def test_the_model_is_a_zip_of_its_own_files(web: FlaskClient, save: Callable[[], str]) -> None:
    tag = save()
    answer = web.get("/classifiers/colours/model.zip")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="colours-{version(tag)}.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        assert {"model.json", "head.safetensors", "backbone.safetensors", "labels.csv", "report/index.html"} <= names
        assert [c["name"] for c in json.loads(archive.read("model.json"))["classes"]] == list(NAMES)


def test_the_pictures_are_a_zip_with_their_authors(
    web: FlaskClient, save: Callable[[], str], dataset: Dataset, make_picture: MakePicture
) -> None:
    save()
    assert "The pictures" in web.get("/classifiers/colours").text
    answer = web.get("/classifiers/colours/dataset.zip")
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        (picture,) = [name for name in archive.namelist() if name.startswith("images/")]
        assert archive.read(picture) == make_picture("red")
        assert "'=Ann" in archive.read("ATTRIBUTION.csv").decode()


def test_without_its_pictures_here_there_is_nothing_to_download(web: FlaskClient, save: Callable[[], str]) -> None:
    save()
    assert "dataset.zip" not in web.get("/classifiers/colours").text
    assert web.get("/classifiers/colours/dataset.zip").status_code == 404


def test_a_download_that_nobody_reads_on_ends() -> None:
    written = []

    def write(file: Any) -> None:
        for _ in range(1000):
            file.write(bytes(2**20))
            written.append(1)

    blocks = streamed(write)
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]
    assert len(written) < 1000


def test_a_download_that_fails_is_cut_off_and_not_called_whole() -> None:
    def write(file: Any) -> None:
        file.write(b"beginning")
        raise ZeroDivisionError

    blocks = streamed(write)
    assert next(blocks) == b"beginning"
    with pytest.raises(ZeroDivisionError):
        next(blocks)


def test_the_card_says_what_it_is_for_and_where_it_fails(
    web: FlaskClient, save: Callable[[], str], dataset: Dataset
) -> None:
    tag = save()
    page = web.get("/classifiers/colours/card").text
    for shown in (
        tag,
        "93.0\xa0%",
        "on 150 pictures",
        "CC BY &lt;4.0&gt;",
        "openverse",
        "87.5\xa0%",
        "always answers one",
    ):
        assert shown in page
    assert "O&#39;Hare &amp; blue" in page
    answer = web.get("/classifiers/colours/card.md")
    assert answer.mimetype == "text/markdown"
    text = answer.text
    for shown in ("# Model card", "| red | 2 | 0.875 |", "CC BY &lt;4.0&gt;", "interval 0.880 to 0.960", "## Limits"):
        assert shown in text
    assert "green \\(dark\\)" in text


def test_the_card_counts_what_it_was_trained_on_and_not_what_the_data_set_is_today(
    web: FlaskClient, save: Callable[..., str], dataset: Dataset
) -> None:
    save(licenses={"CC0": 2, "not stated": 1}, origins={"flickr": 3})
    for path in ("card", "card.md"):
        card = web.get(f"/classifiers/colours/{path}").text
        assert all(shown in card for shown in ("CC0", "not stated", "flickr"))
        assert not any(shown in card for shown in ("CC BY", "openverse"))


def test_the_card_names_no_folder_of_this_machine(web: FlaskClient, save: Callable[[], str], dataset: Dataset) -> None:
    save()
    row = dataset.manifest.kept()[0]
    dataset.manifest.add([replace(row, source="folder:/home/ann/my pictures")])
    for path in ("card", "card.md"):
        text = web.get(f"/classifiers/colours/{path}").text
        assert "folder:my pictures" in text
        assert "/home/ann" not in text


def test_no_name_is_markup_in_the_card() -> None:
    assert plain("<b>*x*|`y`_z_\n# [a](http://b)") == r"&lt;b&gt;\*x\*\|\`y\`\_z\_ \# \[a\]\(http://b\)"


def test_nearest_pictures_are_shown_with_whom_to_name(
    web: FlaskClient, save: Callable[[], str], dataset: Dataset, service: Any, upload: Any, make_picture: MakePicture
) -> None:
    tag = save()
    digest = dataset.manifest.kept()[0].sha256
    service.neighbours = [NeighbourPicture(sha256=digest, class_name="red", similarity=0.9)]
    piece = web.get(upload((make_picture("red"), "a.png")).location + "/nearest").text
    assert f"/classifiers/colours/learned/{version(tag)}/{digest}.jpg" in piece
    assert 'href="https://x.example/p"' in piece
    assert "Red by Ann" in piece
    assert "CC BY &lt;4.0&gt;" in piece
    with web.get(f"/classifiers/colours/learned/{version(tag)}/{digest}.jpg") as picture:
        assert Image.open(io.BytesIO(picture.data)).size == (64, 64)
    row = dataset.manifest.kept()[0]
    dataset.manifest.add([replace(row, source="upload", author="ann.login", attribution="")])
    assert "ann.login" not in web.get(upload((make_picture("red"), "a.png")).location + "/nearest").text
    for path in (f"learned/{version(tag)}/{'0' * 64}.jpg", f"learned/other/{digest}.jpg", "learned/x/..%2F..jpg"):
        assert web.get(f"/classifiers/colours/{path}").status_code == 404


def test_an_export_is_made_once_and_sent(
    web: FlaskClient, save: Callable[[], str], exporter: Callable[[str], None]
) -> None:
    tag = save()
    exporter("out.mkdir(); (out / 'model.onnx').write_text(' '.join(sys.argv[1:5]))")
    for _ in range(2):
        answer = web.post("/classifiers/colours/export", data={"kind": "onnx"})
        assert answer.headers["Content-Disposition"] == f'attachment; filename="colours-{version(tag)}-onnx.zip"'
        with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
            assert archive.read("model.onnx").decode() == f"export {tag} --format onnx"
        exporter("sys.exit('it is made again')")
    asked = web.post("/classifiers/colours/export", data={"kind": "onnx"}, headers={"Accept": "application/json"})
    assert asked.json == {"made": f"/classifiers/colours/export/onnx.zip?version={version(tag)}"}
    again = web.get(asked.json["made"])
    assert again.headers["Content-Disposition"] == answer.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(again.data)) as archive:
        assert archive.namelist() == ["model.onnx"]
    for kind in ("pt", "x", ".."):
        assert web.get(asked.json["made"].replace("onnx", kind)).status_code == 404


def test_an_export_that_fails_or_takes_too_long_says_so(
    app: Flask, web: FlaskClient, save: Callable[[], str], exporter: Callable[[str], None]
) -> None:
    save()
    exporter("sys.exit('error: the weights are gone')")
    failed = web.post("/classifiers/colours/export", data={"kind": "pt"})
    assert failed.status_code == 500
    assert "The export failed: the weights are gone" in failed.text
    exporter("time.sleep(60)")
    app.extensions["tellapart"].exports._seconds = 0.5
    slow = web.post("/classifiers/colours/export", data={"kind": "pt"})
    assert slow.status_code == 503
    assert "takes too long" in slow.text
    assert web.post("/classifiers/colours/export", data={"kind": "../x"}).status_code == 404
    assert web.get("/classifiers/colours/export").location == "/classifiers/colours"


def test_an_export_does_not_wait_long_for_another(
    web: FlaskClient, settings: Settings, save: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save()
    monkeypatch.setattr("webui.exports.WAIT", 0.05)
    folder = settings.cache / "exports"
    folder.mkdir(parents=True)
    with FileLock(folder / "lock"):
        answer = web.post("/classifiers/colours/export", data={"kind": "pt"})
        asked = web.post("/classifiers/colours/export", data={"kind": "pt"}, headers={"Accept": "application/json"})
    assert answer.status_code == 503
    assert "nother export is still being made" in answer.text
    assert (asked.status_code, asked.json) == (202, {"again": 5})  # for the script, which waits for its turn


def test_waiting_for_another_export_uses_up_nothing(
    settings: Settings, service_client: Any, save: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save()
    monkeypatch.setattr("webui.exports.WAIT", 0.01)
    monkeypatch.setitem(LIMITS, "classifiers.export", "2 per hour")
    app = create_app(settings, client=service_client, WTF_CSRF_ENABLED=False)
    users, web = app.extensions["tellapart"].users, app.test_client()
    users.add("ann", "a long enough one")
    users._seen = None
    web.post("/login", data={"name": "ann", "password": "a long enough one"})

    def ask(kind: str) -> int:
        headers = {"Accept": "application/json"}
        return web.post("/classifiers/colours/export", data={"kind": kind}, headers=headers).status_code

    (settings.cache / "exports").mkdir(parents=True)
    with FileLock(settings.cache / "exports" / "lock"):
        assert [ask("pt") for _ in range(4)] == [202] * 4
    assert [ask("none such") for _ in range(3)] == [404, 404, 429]


def test_a_classifier_of_another_machine_offers_what_the_service_has(web: FlaskClient, isolated_home: Path) -> None:
    page = web.get("/classifiers/colours").text
    assert "93.0\xa0%" in page
    assert "Take it with you" not in page
    for path in ("card", "card.md", "model.zip", "dataset.zip"):
        assert web.get(f"/classifiers/colours/{path}").status_code == 404
