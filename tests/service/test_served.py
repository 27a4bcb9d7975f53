"""A real server process, asked over HTTP."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tellapart import store
from tellapart.backbones import BACKBONES
from tellapart.head import Head
from tests.service.asked import file, problem, text

pytestmark = pytest.mark.service

MakePicture = Callable[..., bytes]
Server = Any


def test_one_picture_is_answered_as_the_wire_schema_says(server: Server, make_photo: MakePicture) -> None:
    response = server.client.post("/classify", files=[file(make_photo(1, (120, 90)))])
    assert response.status_code == 200
    answer = response.json()
    assert answer.pop("time_ms") > 0
    assert answer == {
        "model": server.tags["pets"].tag,
        "top": "cat",
        "confidence": pytest.approx(0.731059, abs=1e-6),
        "none_of_these": False,
        "predictions": [
            {"class": "cat", "confidence": pytest.approx(0.731059, abs=1e-6)},
            {"class": "dog", "confidence": pytest.approx(0.268941, abs=1e-6)},
        ],
        "image": {"width": 120, "height": 90},
    }


def test_model_and_top_k_are_fields_or_query_parameters(server: Server, make_photo: MakePicture) -> None:
    picture = make_photo(1)
    tag = server.tags["photos"].tag
    form = server.client.post("/classify", files=[file(picture), text("model", "photos"), text("top_k", "2")]).json()
    raw = server.client.post(
        "/classify", params={"model": tag, "top_k": 2}, content=picture, headers={"Content-Type": "image/jpg"}
    ).json()
    assert form["model"] == raw["model"] == tag
    assert form["predictions"] == raw["predictions"]
    assert len(raw["predictions"]) == 2


@pytest.fixture(scope="session")
def modes(to_bytes: MakePicture) -> dict[str, bytes]:
    """One picture with structure in every mode a file may have."""
    blobs = np.random.default_rng(7).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    photo = Image.fromarray(blobs).resize((160, 100), Image.Resampling.BICUBIC)
    half = Image.linear_gradient("L").resize(photo.size)
    wide = (np.asarray(photo.convert("L")).astype(np.uint16)) * 257
    turned = Image.Exif()
    turned[0x0112] = 6
    return {
        "rgb": to_bytes(photo, "PNG"),
        "jpeg": to_bytes(photo, "JPEG", quality=95),
        "gray": to_bytes(photo.convert("L"), "PNG"),
        "palette": to_bytes(photo.convert("P"), "GIF"),
        "alpha": to_bytes(Image.merge("RGBA", (*photo.split(), half)), "PNG"),
        "cmyk": to_bytes(photo.convert("CMYK"), "JPEG"),
        "16-bit": to_bytes(Image.fromarray(wide), "PNG"),
        "exif-rotated": to_bytes(photo, "JPEG", exif=turned),
        "webp": to_bytes(photo, "WEBP"),
    }


def test_every_mode_gives_the_same_probabilities_as_in_process(server: Server, modes: dict[str, bytes]) -> None:
    from tellapart.classifier import Loader

    classifier = Loader().load(server.tags["photos"].path)
    names = classifier.info.class_names
    seen = []
    for mode, data in modes.items():
        answer = server.client.post("/classify", files=[file(data), text("model", "photos")]).json()
        expected = classifier.probabilities(classifier.info.preprocessing.from_bytes(data)[None])[0]
        found = {p["class"]: p["confidence"] for p in answer["predictions"]}
        assert np.abs(np.array([found[n] for n in names]) - expected).max() <= 1e-3, mode
        seen.append(tuple(expected.round(3)))
    assert len(set(seen)) >= 4  # the classifier does look
    rotated = server.client.post("/classify", files=[file(modes["exif-rotated"])]).json()
    assert rotated["image"] == {"width": 100, "height": 160}


def test_none_of_these_is_answered_as_in_process(server: Server, make_photo: MakePicture) -> None:
    from tellapart.classifier import Loader

    classifier = Loader().load(server.tags["photos"].path)
    pictures = [make_photo(seed) for seed in range(12)]
    pixels = np.stack([classifier.info.preprocessing.from_bytes(data) for data in pictures])
    expected = classifier.answers(pixels)[1].tolist()
    form = [file(data, "images") for data in pictures] + [text("model", "photos")]
    answer = server.client.post("/classify_batch", files=form).json()
    assert [result["none_of_these"] for result in answer["results"]] == expected
    assert set(expected) == {True, False}


def test_a_classifier_of_whole_pictures_is_the_same_in_evaluation_prediction_and_service(
    server: Server,
    store_at: Callable[[Path], AbstractContextManager[None]],
    add_model: Callable[..., store.StoredModel],
    seeing_head: Head,
    modes: dict[str, bytes],
    tmp_path: Path,
) -> None:
    """Asked together with one that sees the middle only, so that batches of both kinds cross."""
    from tellapart.classifier import Loader
    from tellapart.dataset import Sample
    from tellapart.images import sha256
    from tellapart.progress import silent
    from training.features import FeatureSource, extract
    from training.predict import predict

    how = BACKBONES["resnet18"].preprocessing.whole(160)
    with store_at(server.home):
        model = add_model("wide", ("cat", "dog", "bird"), seeing_head, preprocessing=how)
    paths = [tmp_path / f"{i}.png" for i in range(len(modes))]
    for path, data in zip(paths, modes.values(), strict=True):
        path.write_bytes(data)
    classifier = Loader().load(model.path)
    samples = [Sample(path, 0, sha256(path.read_bytes()), "test", "") for path in paths]
    features = extract(samples, FeatureSource.of_classifier(classifier), tmp_path / "cache", silent)
    by_evaluation = classifier.bundle.head.probabilities(features.values)

    def ask(place: tuple[str, Path]) -> dict[str, float]:
        name, path = place
        answer = server.client.post("/classify", files=[file(path.read_bytes()), text("model", name)]).json()
        return {p["class"]: p["confidence"] for p in answer["predictions"]}

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(ask, [(name, path) for path in paths for name in (model.tag, "photos")]))
    predicted = [row.result for row in predict(classifier, model.tag, paths, silent)]
    for path, expected, served, row in zip(paths, by_evaluation, found[::2], predicted, strict=True):
        assert row is not None, path
        said = {p.class_name: p.confidence for p in row.predictions}
        for i, name in enumerate(classifier.info.class_names):
            assert abs(served[name] - expected[i]) <= 1e-3, path
            assert abs(said[name] - expected[i]) <= 1e-3, path
    cut = [abs(a["cat"] - b["cat"]) for a, b in zip(found[::2], found[1::2], strict=True)]
    assert max(cut) > 0.05  # the middle alone would be answered otherwise


def test_one_bad_picture_of_a_batch_fails_alone(server: Server, make_photo: MakePicture) -> None:
    good = [make_photo(i) for i in range(3)]
    pictures = [good[0], b"no picture", good[1], b"", good[2][: len(good[2]) // 2], good[2]]
    files = [file(data, "images") for data in pictures] + [text("model", "photos")]
    answer = server.client.post("/classify_batch", files=files).json()
    assert answer["model"] == server.tags["photos"].tag
    codes = [r.get("error", {}).get("code") for r in answer["results"]]
    assert codes == [None, "not_an_image", None, "empty", "truncated", None]
    for data, index in ((good[0], 0), (good[1], 2), (good[2], 5)):
        alone = server.client.post("/classify", files=[file(data), text("model", "photos")]).json()
        assert answer["results"][index]["confidence"] == pytest.approx(alone["confidence"], abs=1e-3)


def test_what_else_there_is_to_read(server: Server) -> None:
    models = server.client.get("/models").json()
    assert models["default"] == server.tags["pets"].tag
    assert {m["model"]: m["classes"] for m in models["models"]}[server.tags["photos"].tag] == ["cat", "dog", "bird"]
    report = server.client.get(f"/reports/{server.tags['pets'].tag}")
    assert (report.text, report.headers["content-type"]) == ("<h1>Report</h1>", "text/html; charset=utf-8")
    assert problem(server.client.get("/reports/nope")) == (404, "unknown_model")
    assert server.client.get("/livez").status_code == server.client.get("/readyz").status_code == 200
    docs = server.client.get("/docs.json").json()
    assert {"/classify", "/classify_batch", "/models", "/reports/{tag}"} <= set(docs["paths"])
    assert "ErrorBody" in docs["components"]["schemas"]
    assert "multipart/form-data" in docs["paths"]["/classify"]["post"]["requestBody"]["content"]


def test_the_counters_never_see_a_path_that_was_made_up(server: Server) -> None:
    for path in ("/made-up", "/reports/made-up", "/static_content/made-up", "/classify/made-up"):
        assert server.client.get(path, headers={"X-Request-Id": "mine"}).headers["x-request-id"] == "mine"
    counters = server.client.get("/metrics").text
    assert "made-up" not in counters
    assert 'endpoint="/unknown"' in counters
    assert 'endpoint="/classify"' in counters


def test_many_clients_at_once_all_get_their_own_answer(server: Server, make_photo: MakePicture) -> None:
    pictures = [make_photo(i) for i in range(6)]
    request = [[file(data), text("model", "photos")] for data in pictures]
    expected = [server.client.post("/classify", files=r).json()["predictions"] for r in request]

    def ask(number: int) -> tuple[int, int, Any]:
        response = server.client.post("/classify", files=request[number % 6])
        return number % 6, response.status_code, response.json().get("predictions")

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(300)))
    assert {status for _, status, _ in answers} == {200}
    for which, _, predictions in answers:
        assert [p["class"] for p in predictions] == [p["class"] for p in expected[which]]
        assert predictions[0]["confidence"] == pytest.approx(expected[which][0]["confidence"], abs=1e-3)
    batches, pictures = (metric(server, f"tellapart_batch_size_{part}") for part in ("count", "sum"))
    assert 0 < batches < pictures  # they shared batches


def metric(server: Server, name: str) -> float:
    lines = server.client.get("/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split(" ")[0].split("{")[0] == name)
