"""Exported files read back, each the way its user would, to compare what they answer. Needs torch."""

import runpy
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from tellapart.bundle import BundleInfo
from tellapart.classifier import Loader
from training.export_archive import MODEL_FOLDER
from training.export_network import INPUT

Probabilities = NDArray[np.float32]


def pixels_of(pictures: Sequence[bytes], info: BundleInfo) -> NDArray[np.uint8]:
    """The files' bytes as a batch (N, crop, crop, 3) uint8, preprocessed as everywhere."""
    return np.stack([info.preprocessing.from_bytes(data) for data in pictures])


def read_script(path: Path, info: BundleInfo, pictures: Sequence[bytes]) -> Probabilities:  # noqa: ARG001
    """What run.py beside a .pt file answers, by its own preprocessing."""
    script = runpy.run_path(str(path.parent / "run.py"), run_name="exported")
    network, said = script["load"](path.parent)
    answers = []
    for data in pictures:
        with Image.open(BytesIO(data)) as image:
            answers.append(script["probabilities"](network, said, image))
    return np.array(answers, dtype=np.float32)


def read_torchscript(path: Path, info: BundleInfo, pictures: Sequence[bytes]) -> Probabilities:
    """What a .ts file answers."""
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        network = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
        answer: Probabilities = network(torch.from_numpy(pixels_of(pictures, info))).numpy()
    return answer


def read_onnx(path: Path, info: BundleInfo, pictures: Sequence[bytes]) -> Probabilities:
    """What an .onnx file answers in ONNX Runtime."""
    import onnxruntime  # type: ignore[import-untyped]

    onnxruntime.set_default_logger_severity(3)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    answer: Probabilities = session.run(None, {INPUT: pixels_of(pictures, info)})[0]
    return answer


def read_archive(path: Path, info: BundleInfo, pictures: Sequence[bytes]) -> Probabilities:
    """What the bundle inside an archive answers."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".part-") as folder, zipfile.ZipFile(path) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith(MODEL_FOLDER)])
        classifier = Loader(torch.device("cpu"), torch.float32).load(Path(folder) / MODEL_FOLDER)
        return classifier.probabilities(pixels_of(pictures, info))


READERS: Mapping[str, Callable[[Path, BundleInfo, Sequence[bytes]], Probabilities]] = {
    "pt": read_script,
    "torchscript": read_torchscript,
    "onnx": read_onnx,
    "zip": read_archive,
}
