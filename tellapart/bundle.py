"""A trained classifier as files: what is in them, writing them, and checking them on the way in.

    model.json              BundleInfo
    backbone.safetensors    the backbone's state dict
    head.safetensors        see `head`
    labels.csv              index, class, slug; a name that a spreadsheet would work out has an apostrophe before it
    neighbours.safetensors  what it learned from, see `neighbours`; may be left out
    report/                 index.html and metrics.json

Nothing here is pickled, and nothing here needs torch.
"""

import hashlib
import json
import math
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tellapart.backbones import BACKBONES, Backbone
from tellapart.csvs import table
from tellapart.errors import BundleError
from tellapart.files import write_bytes, write_json
from tellapart.head import FILE as HEAD_FILE
from tellapart.head import Head, check_rejection, read_head
from tellapart.names import ClassName
from tellapart.neighbours import FILE as NEIGHBOURS_FILE
from tellapart.neighbours import Neighbours
from tellapart.preprocess import Preprocessing
from tellapart.public import public_path, public_source

FORMAT = 1


@dataclass(frozen=True)
class BundleInfo:
    """What model.json says.

    Attributes:
        classes: in class index order.
        preprocessing: how a picture becomes the backbone's input.
        backbone: its name, see `backbones`.
        backbone_sha256: of backbone.safetensors; classifiers with the same one share a backbone.
        head_sha256: of head.safetensors.
        weights: where the backbone's weights came from.
        temperature: see `Head`.
        reject_threshold: top confidence below which the answer is "none of these"; None for never.
        metrics: what the report says, by name.
        dataset: name, digest and counts of what it was trained on.
        training: the configuration, with the seed.
        packages: versions of what computed it.
        created: ISO 8601 in UTC.
        sizes: bytes of each file beside model.json; a copy that was cut off is told by them.
        rejection: the weights and the threshold of `Rejection`, by name; None for never.
        golden: probabilities (C,) of the picture in `golden`, in float32; None where they were not kept.
        golden_bfloat16: the same in bfloat16.
    """

    classes: tuple[ClassName, ...]
    preprocessing: Preprocessing
    backbone: str
    backbone_sha256: str
    head_sha256: str
    weights: str
    temperature: float
    reject_threshold: float | None
    metrics: Mapping[str, Any]
    dataset: Mapping[str, Any]
    training: Mapping[str, Any]
    packages: Mapping[str, str]
    created: str
    sizes: Mapping[str, int] = field(default_factory=dict)
    rejection: Mapping[str, float] | None = None
    golden: tuple[float, ...] | None = None
    golden_bfloat16: tuple[float, ...] | None = None
    format: int = field(default=FORMAT)

    @property
    def class_names(self) -> list[str]:
        """Class names in class index order."""
        return [c.name for c in self.classes]

    @property
    def says_none(self) -> bool:
        """Whether it can answer "none of these"; with too few pictures it never learned when."""
        return self.rejection is not None or self.reject_threshold is not None

    def to_json(self) -> dict[str, Any]:
        """The content of model.json."""
        return asdict(self)

    @staticmethod
    def from_json(value: Any) -> "BundleInfo":
        """Check and read the content of model.json.

        Raises:
            BundleError: it says what was expected and what was found.
        """
        found = value.get("format") if isinstance(value, Mapping) else None
        if found != FORMAT:
            raise BundleError(f"model.json has format {found!r}, expected {FORMAT}", "Train it again or update")
        preprocessing = Preprocessing.from_json(value.get("preprocessing"))
        try:
            info = _adapter().validate_python({**value, "preprocessing": preprocessing})
        except ValidationError as error:
            first = error.errors()[0]
            field_name = ".".join(str(part) for part in first["loc"])
            raise BundleError(f"model.json is not readable: {field_name}: {first['msg']}", "Train it again") from error
        if info.backbone not in BACKBONES:
            raise BundleError(f"backbone {info.backbone!r} is unknown, expected one of {', '.join(BACKBONES)}")
        if not 0 < info.temperature < math.inf:
            raise BundleError(f"temperature is {info.temperature}, expected above 0")
        return info


@cache
def _adapter() -> TypeAdapter[BundleInfo]:
    return TypeAdapter(BundleInfo)


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: its folder, what it says, and its head. The backbone's file is checked, not read."""

    path: Path
    info: BundleInfo
    head: Head

    @property
    def backbone(self) -> Backbone:
        """The backbone it was trained on."""
        return BACKBONES[self.info.backbone]

    @property
    def is_earlier(self) -> bool:
        """Whether it goes by the features that its backbone had before."""
        return self.head.weight.shape[1:] == (self.backbone.earlier_dim,)

    @property
    def backbone_file(self) -> Path:
        """The backbone's state dict."""
        return self.path / "backbone.safetensors"

    @property
    def report(self) -> Path:
        """The report for people."""
        return self.path / "report" / "index.html"


def write_bundle(
    folder: Path, info: BundleInfo, backbone: bytes, head: Head, neighbours: Neighbours | None = None
) -> BundleInfo:
    """Write all of a bundle but its report, and return `info` as it was written: with digests, without folders.

    Args:
        backbone: the serialized state dict (`network.serialize`).
        neighbours: the pictures it learned from.
    """
    files = {
        "backbone.safetensors": backbone,
        HEAD_FILE: head.to_bytes(),
        "labels.csv": _labels(info).encode(),
    }
    if neighbours is not None:
        files[NEIGHBOURS_FILE] = neighbours.to_bytes()
    values = _without_folders(info.to_json()) | {
        "backbone_sha256": hashlib.sha256(backbone).hexdigest(),
        "head_sha256": hashlib.sha256(files[HEAD_FILE]).hexdigest(),
        "temperature": head.temperature,
        "rejection": head.rejection_numbers,
        "sizes": {name: len(data) for name, data in files.items()},
    }
    checked = BundleInfo.from_json(json.loads(json.dumps(values)))
    for name, data in files.items():
        write_bytes(folder / name, data)
    write_json(folder / "model.json", checked.to_json())
    return checked


def read_info(folder: Path) -> BundleInfo:
    """Read model.json and check that the files it speaks of are there, whole by their size.

    Raises:
        BundleError: it is missing, unreadable, of another format, or a file is cut off.
    """
    path = folder / "model.json"
    try:
        info = BundleInfo.from_json(json.loads(path.read_text()))
        found = {name: (folder / name).stat().st_size for name in info.sizes}
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} cannot be read: {error}", "Train it again") from error
    for name, expected in info.sizes.items():
        if found[name] != expected:
            raise BundleError(f"{folder / name} has {found[name]} bytes, expected {expected}", "Train it again")
    return info


def open_bundle(folder: Path, known: Container[str] = ()) -> Bundle:
    """Open a bundle and check digests, shapes and that the classes match the head.

    Args:
        known: digests of backbones that are in memory, so that no file of them need be read.

    Raises:
        BundleError: what was expected and what was found.
    """
    info = read_info(folder)
    for name, expected in (("backbone", info.backbone_sha256), ("head", info.head_sha256)):
        if expected not in known:
            _check_file(folder / f"{name}.safetensors", expected)
    head = read_head(folder, info.temperature, info.rejection)
    bundle = Bundle(folder, info, head)
    expected_dim = bundle.backbone.earlier_dim if bundle.is_earlier else bundle.backbone.feature_dim
    expected_shape = (len(info.classes), expected_dim)
    if head.weight.shape != expected_shape or head.bias.shape != expected_shape[:1]:
        raise BundleError(
            f"{HEAD_FILE} in {folder} has shape {head.weight.shape}, "
            f"expected {expected_shape} for {len(info.classes)} classes and {info.backbone}",
            "Train it again",
        )
    check_rejection(head, folder)
    return bundle


def _without_folders(values: dict[str, Any]) -> dict[str, Any]:
    """The content of model.json without folders of this machine: a bundle is passed on."""
    dataset, training = dict(values["dataset"]), dict(values["training"])
    if "sources" in dataset:
        dataset["sources"] = [public_source(spec) for spec in dataset["sources"]]
    if "weights" in training:
        training["weights"] = public_path(training["weights"])
    return values | {"dataset": dataset, "training": training}


def _check_file(path: Path, expected: str) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}", "Train it again") from error
    if found != expected:
        raise BundleError(f"{path} has sha256 {found[:12]}, expected {expected[:12]}", "Train it again")


def _labels(info: BundleInfo) -> str:
    return table(["index", "class", "slug"], ([i, c.name, c.slug] for i, c in enumerate(info.classes)))
