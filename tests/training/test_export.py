"""What is exported answers like the classifier, in every format."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tellapart.backbones import BACKBONES
from tellapart.bundle import BundleInfo
from tellapart.classifier import Loader
from tellapart.dataset import Dataset
from tellapart.head import Head
from tellapart.network import build_module, serialize
from tellapart.progress import silent
from tellapart.store import StoredModel
from tests.training.exporting import stored
from training.export import export


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Callable[..., BundleInfo]) -> StoredModel:
    """As `pets`, but it looks at whole pictures."""
    folder = tmp_path_factory.mktemp("wide")
    head = Head(np.random.default_rng(2).normal(0, 0.02, (2, 512)).astype(np.float32), np.zeros(2, np.float32))
    tiny_bundle(folder, head=head, preprocessing=BACKBONES["resnet18"].preprocessing.whole(128))
    return stored(folder, "wide")


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Callable[..., BundleInfo]) -> StoredModel:
    """EfficientNet-Lite0 whose head goes by averages of its maps, as it did before it had thirds."""
    folder, backbone = tmp_path_factory.mktemp("before"), BACKBONES["efficientnet_lite0"]
    head = Head(np.random.default_rng(3).normal(0, 0.1, (2, 1280)).astype(np.float32), np.zeros(2, np.float32))
    file = serialize(build_module(backbone, thirds=False))
    tiny_bundle(folder, head=head, file=file, backbone=backbone.name, preprocessing=backbone.preprocessing)
    return stored(folder, "before")


def expected(model: StoredModel, data: bytes) -> np.ndarray:
    classifier = Loader(torch.device("cpu"), torch.float32).load(model.path)
    return classifier.probabilities(classifier.info.preprocessing.from_bytes(data)[None])[0]


def run_script(folder: Path, *pictures: Path) -> list[Mapping[str, float]]:
    """What run.py prints, from another folder, without our packages in reach."""
    done = subprocess.run(
        [sys.executable, "-I", str(folder / "run.py"), *map(str, pictures)],
        cwd=pictures[0].parent, capture_output=True, text=True, timeout=480, check=True,
    )  # fmt: skip
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == [str(p) for p in pictures]
    answers = [json.loads(row[2]) for row in rows]
    assert [row[1] for row in rows] == [max(a, key=a.__getitem__) for a in answers]
    return answers


def hard_pictures(folder: Path, make_photo: Callable[..., bytes]) -> list[Path]:
    """What preprocessing has to be careful with: a large JPEG, a turned one, transparency, gray, a palette."""
    rgba = Image.open(io.BytesIO(make_photo(3, (150, 90)))).convert("RGBA")
    rgba.putalpha(Image.linear_gradient("L").resize(rgba.size))
    turned = Image.Exif()
    turned[0x0112] = 6
    files = {
        "large.jpg": make_photo(1, (1900, 1300), "JPEG"),
        "turned.jpg": make_photo(2, (900, 600), "JPEG", exif=turned),
        "clear.png": _png(rgba),
        "gray.png": _png(rgba.convert("L")),
        "palette.gif": _png(rgba.convert("RGB").quantize(16), "GIF"),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in files]


def _png(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.usefixtures("few_pictures")
@pytest.mark.parametrize("model", ["pets", "wide", "shapes"])
def test_the_script_answers_like_the_classifier(
    model: str, request: pytest.FixtureRequest, tmp_path: Path, make_photo: Callable[..., bytes]
) -> None:
    chosen: StoredModel = request.getfixturevalue(model)
    made = export(chosen, "pt", tmp_path / "out", None, silent)
    assert [p.name for p in made.files] == [f"{model}-v1.pt", "labels.csv", "model.json", "run.py"]
    assert made.pictures == 2
    assert made.difference <= 1e-5
    pictures = hard_pictures(tmp_path, make_photo)
    for path, answer in zip(pictures, run_script(tmp_path / "out", *pictures), strict=True):
        assert list(answer) == chosen.info.class_names
        np.testing.assert_allclose(list(answer.values()), expected(chosen, path.read_bytes()), atol=1e-3)


@pytest.mark.usefixtures("few_pictures")
def test_the_state_dict_holds_tensors_only_and_fits_torchvision(pets: StoredModel, tmp_path: Path) -> None:
    import torchvision

    made = export(pets, "pt", tmp_path, None, silent)
    state = torch.load(made.files[0], weights_only=True)
    network = torchvision.models.resnet18(num_classes=3)
    network.load_state_dict(state)
    np.testing.assert_array_equal(state["fc.bias"].numpy(), np.array([0.3, 0, -0.2], np.float32))


@pytest.mark.usefixtures("few_pictures")
def test_torchscript_takes_any_number_of_pictures(pets: StoredModel, tmp_path: Path) -> None:
    made = export(pets, "torchscript", tmp_path, None, silent)
    assert [p.name for p in made.files] == ["pets-v1.ts", "README.txt", "labels.csv"]
    assert made.difference <= 1e-5
    texts = {"labels": "", "preprocessing": ""}
    with pytest.warns(FutureWarning):
        network = torch.jit.load(made.files[0], _extra_files=texts)
    assert json.loads(texts["labels"]) == pets.info.class_names
    assert json.loads(texts["preprocessing"])["crop"] == 224
    pixels = np.random.default_rng(0).integers(0, 256, (5, 224, 224, 3), dtype=np.uint8)
    for count in (1, 5):
        answer = network(torch.from_numpy(pixels[:count])).detach().numpy()
        assert answer.shape == (count, 3)
        np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-5)


@pytest.mark.usefixtures("few_pictures")
def test_onnx_takes_any_number_of_pictures_and_carries_its_labels(
    shapes: StoredModel, tmp_path: Path, make_shape: Callable[[int, int], bytes], capfd: pytest.CaptureFixture[str]
) -> None:
    import onnxruntime

    made = export(shapes, "onnx", tmp_path, None, silent)
    assert [p.name for p in made.files] == ["shapes-v1.onnx", "README.txt", "labels.csv"]
    assert made.difference <= 1e-4
    assert capfd.readouterr() == ("", "")
    session = onnxruntime.InferenceSession(made.files[0], providers=["CPUExecutionProvider"])
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    side = shapes.info.preprocessing.crop
    assert (taken.name, taken.type, taken.shape[1:]) == ("pixels", "tensor(uint8)", [side, side, 3])
    assert given.name == "probabilities"
    assert json.loads(session.get_modelmeta().custom_metadata_map["labels"]) == shapes.info.class_names
    files = [make_shape(kind, 500) for kind in range(3)]
    pixels = np.stack([shapes.info.preprocessing.from_bytes(data) for data in files])
    together = session.run(None, {"pixels": pixels})[0]
    for i, data in enumerate(files):
        np.testing.assert_allclose(together[i], expected(shapes, data), atol=1e-4)
        np.testing.assert_allclose(session.run(None, {"pixels": pixels[i : i + 1]})[0][0], together[i], atol=1e-5)
    status, out, said = refusal(example((tmp_path / "README.txt").read_text()), tmp_path, files[0])
    assert (status, out.partition(":")[0], said) == (0, shapes.info.class_names[together[0].argmax()], [])


@pytest.mark.usefixtures("few_pictures")
@pytest.mark.parametrize("kind", ["pt", "onnx", "torchscript", "zip"])
def test_whole_pictures_are_answered_alike_by_every_format(
    kind: str, wide: StoredModel, tmp_path: Path, make_dataset: Callable[..., Dataset]
) -> None:
    made = export(wide, kind, tmp_path / "out", make_dataset(tmp_path / "shapes") if kind == "zip" else None, silent)
    assert made.pictures == 2
    assert made.difference <= 1e-5


@pytest.mark.usefixtures("few_pictures")
@pytest.mark.parametrize("kind", ["pt", "torchscript"])
def test_a_classifier_of_before_is_exported_with_the_features_it_had(
    kind: str, before: StoredModel, tmp_path: Path
) -> None:
    assert export(before, kind, tmp_path, None, silent).difference <= 1e-5


def example(readme: str) -> str:
    return "\n".join(line[4:] for line in readme.splitlines() if line.startswith("    "))


def refusal(code: str, folder: Path, picture: bytes | None) -> tuple[int, str, list[str]]:
    """How the example ends where picture.jpg is this, or is missing."""
    if picture is not None:
        (folder / "picture.jpg").write_bytes(picture)
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=folder, capture_output=True, text=True, timeout=480, check=False
    )
    return done.returncode, done.stdout, done.stderr.splitlines()


@pytest.mark.usefixtures("few_pictures")
@pytest.mark.parametrize(("model", "side"), [("pets", 224), ("wide", 128)])
def test_the_readme_is_filled_in_and_its_example_runs(
    model: str, side: int, request: pytest.FixtureRequest, tmp_path: Path, make_photo: Callable[..., bytes]
) -> None:
    chosen: StoredModel = request.getfixturevalue(model)
    export(chosen, "torchscript", tmp_path, None, silent)
    text = (tmp_path / "README.txt").read_text()
    assert not re.search(r"\{[{%]|[%}]\}", text)
    assert f"uint8, N x {side} x {side} x 3" in text
    code = example(text)
    for broken in (None, b"no picture", b"GIF89a"):
        status, out, (line,) = refusal(code, tmp_path, broken)
        assert (status, out) == (1, "")
        assert line.startswith("error: picture.jpg: ")
    picture = Image.open(io.BytesIO(make_photo(8, (300, 200))))
    picture.putalpha(100)
    picture.save(tmp_path / "picture.jpg", "PNG")
    probabilities = expected(chosen, (tmp_path / "picture.jpg").read_bytes())
    answer = f"{chosen.info.class_names[probabilities.argmax()]}: {100 * probabilities.max():.1f} %\n"
    assert refusal(code, tmp_path, None) == (0, answer, [])  # and no warning
