"""Generated pictures of coloured shapes, data sets of them, and a classifier trained on them once."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load

from tellapart.bundle import BundleInfo
from tellapart.classifier import Classifier, Loader
from tellapart.dataset import Dataset, Sample
from tellapart.head import Head
from tellapart.images import sha256
from tellapart.manifest import Attempt
from tellapart.names import parse_class_names
from tellapart.network import serialize
from tellapart.pictures import Reason, Status, inspect
from tellapart.progress import Progress, silent
from tellapart.store import StoredModel
from tellapart.weights import load_weights
from tests.training.exporting import stored
from tests.training.finetuning import RECIPE, SMALL
from training.export_data import check_pictures
from training.finetune import Job
from training.options import TrainingOptions
from training.train import train

CLASSES = ("red disc", "green box", "blue cross")
OPTIONS = TrainingOptions(backbone="efficientnet_lite0")
MakeShape = Callable[[int, int], bytes]
MakeDataset = Callable[..., Dataset]


def shape(kind: int, seed: int) -> bytes:
    """A PNG of one of three coloured shapes on a noisy ground, somewhere else for each seed."""
    rng = np.random.default_rng([kind, seed])
    image = Image.fromarray(rng.integers(90, 255, (64, 64, 3), dtype=np.uint8))
    draw, (x, y) = ImageDraw.Draw(image), rng.integers(4, 24, 2).tolist()
    color = ("#d01515", "#18a018", "#2030d0")[kind]
    if kind == 0:
        draw.ellipse((x, y, x + 34, y + 34), fill=color)
    elif kind == 1:
        draw.rectangle((x, y, x + 32, y + 32), fill=color)
    else:
        draw.line((x, y, x + 34, y + 34), fill=color, width=9)
        draw.line((x + 34, y, x, y + 34), fill=color, width=9)
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


@pytest.fixture(scope="session")
def make_shape() -> MakeShape:
    """`make_shape(class index, seed)` as PNG bytes."""
    return shape


@pytest.fixture(scope="session")
def make_dataset() -> MakeDataset:
    """`make_dataset(root, splits=("train",) * 6, classes=CLASSES, draw=shape)`: one picture of each class a split."""

    def make(
        root: Path,
        splits: tuple[str, ...] = ("train",) * 6,
        classes: tuple[str, ...] = CLASSES,
        draw: MakeShape = shape,
    ) -> Dataset:
        dataset = Dataset.create(root, "shapes", parse_class_names(classes), ["folder"])
        for index, c in enumerate(dataset.classes):
            for seed, split in enumerate(splits):
                data = draw(index % 3, seed + 1000 * (index // 3))
                picture = inspect(data)
                dataset.store(c.slug, picture, data)
                attempt = Attempt(f"file:///{index}/{seed}", c.slug, Status.KEPT, Reason.OK, source="folder", rank=seed)
                dataset.manifest.add([replace(attempt.with_picture(picture), split=split, license="CC0")])
        return dataset

    return make


@dataclass(frozen=True)
class Trained:
    """A trained bundle with what it was made of."""

    dataset: Dataset
    folder: Path
    info: BundleInfo
    progress: list[Progress]
    classifier: Classifier


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, make_dataset: MakeDataset) -> Trained:
    """Six train and three test pictures of each class, trained on the embedded backbone."""
    root = tmp_path_factory.mktemp("trained")
    dataset = make_dataset(root / "shapes", ("train",) * 6 + ("test",) * 3)
    seen: list[Progress] = []
    info = train(dataset, OPTIONS, root / "bundle", seen.append)
    return Trained(dataset, root / "bundle", info, seen, Loader().load(root / "bundle"))


@pytest.fixture(scope="session")
def retrain() -> Callable[[Dataset, Path], BundleInfo]:
    """`retrain(dataset, folder)` with the options of `trained`."""
    return lambda dataset, folder: train(dataset, OPTIONS, folder, silent)


@pytest.fixture(scope="module")
def one_core() -> Iterator[None]:
    """Cores that wait for one another inside small operations are most of a small network's time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def start() -> dict[str, torch.Tensor]:
    """The weights that a `job` begins with."""
    return load(serialize(load_weights("efficientnet_lite0", "auto").module))


@pytest.fixture
def job(tmp_path: Path, start: dict[str, torch.Tensor], make_shape: Callable[[int, int], bytes]) -> Job:
    """Four pictures of each of three classes to learn from, two to choose by, at 32 pixels; the head knows nothing."""

    def sample(kind: int, seed: int) -> Sample:
        data = make_shape(kind, seed)
        path = tmp_path / f"{kind}-{seed}.png"
        path.write_bytes(data)
        return Sample(path, kind, sha256(data), "", "")

    train = [sample(kind, seed) for seed in range(4) for kind in range(3)]
    val = [sample(kind, seed) for seed in range(4, 6) for kind in range(3)]
    head = Head(np.zeros((3, 2240), np.float32), np.zeros(3, np.float32))
    return Job("efficientnet_lite0", start, head, train, val, SMALL, RECIPE, 0, True, tmp_path / "cache")


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Callable[..., BundleInfo]) -> StoredModel:
    """ResNet18 with random weights and a head that looks at the features; names that need quoting."""
    folder = tmp_path_factory.mktemp("pets")
    rng = np.random.default_rng(1)
    head = Head(rng.normal(0, 0.02, (3, 512)).astype(np.float32), np.array([0.3, 0, -0.2], np.float32), 1.7)
    tiny_bundle(folder, ("cat", "dog's & ear", "ワニ"), head=head, temperature=1.7)
    return stored(folder)


@pytest.fixture(scope="module")
def shapes(trained: Trained) -> StoredModel:
    """The embedded backbone, trained."""
    return stored(trained.folder, "shapes")


@pytest.fixture
def few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pictures are compared in place of 32, where the comparison is not what is tested."""
    monkeypatch.setattr("training.export.check_pictures", lambda dataset: check_pictures(dataset, 2))
