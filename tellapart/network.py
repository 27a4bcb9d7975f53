"""Backbones as torch modules, and the one forward pass that training and serving share. Needs torch."""

import hashlib
from collections.abc import Mapping
from itertools import pairwise, takewhile

import numpy as np
import timm
import torch
import torchvision
from numpy.typing import NDArray
from safetensors.torch import save
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tellapart.backbones import Backbone
from tellapart.errors import UsageError
from tellapart.fused import FusedConv, can_fuse, fuse
from tellapart.preprocess import Preprocessing
from tellapart.streams import Forward, rounded, streams_of
from tellapart.thirds import Thirds

Module = torch.nn.Module
CPU_BATCH = 4  # activations of more leave a core's cache: at 320 pixels 149 pictures/s at 4, 97 at 8 on two cores
_GPU_BATCH = 256
_POOLS = ("avgpool", "global_pool")  # torchvision's name for the layer that averages over the picture, and timm's


def build_module(backbone: Backbone, thirds: bool = True) -> Module:
    """The backbone without its classification layer, random weights, evaluation mode: (N, 3, H, W) -> (N, D).

    Args:
        thirds: False for the features that EfficientNet-Lite0 had before, see `thirds`.
    """
    if backbone.name == "efficientnet_lite0":
        module: Module = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0)
        module = Thirds(module) if thirds else module
    else:
        module = torchvision.models.get_model(backbone.name, weights=None)
        module.fc = torch.nn.Identity()
    return module.eval()


def serialize(module: Module) -> bytes:
    """A module's state dict as safetensors; equal weights give equal bytes."""
    return save({k: v.contiguous() for k, v in module.state_dict().items()})


def digest(data: bytes) -> str:
    """Hexadecimal sha256 of serialized weights."""
    return hashlib.sha256(data).hexdigest()


def pick_device(device: str) -> torch.device:
    """The device for "auto", "cpu" or "cuda".

    Raises:
        UsageError: unknown, or a GPU was asked for and there is none.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"unknown device {device!r}", "Use auto, cpu or cuda")
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise UsageError("no GPU that this PyTorch can use", "Use --device cpu")
    return torch.device("cuda" if available and device != "cpu" else "cpu")


def pick_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the processor computes in it, else float32."""
    if device.type == "cuda":  # what is older than Ampere only plays at it, slower than float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    return torch.bfloat16 if _cpu_has_bfloat16() else torch.float32


class FeatureExtractor:
    """The forward pass of a backbone, the same for training, evaluation and serving.

    Convolutions, with the normalisation after them folded in, run in bfloat16 where the processor has
    it, channels last. A picture's features do not depend on the batch it is in.
    The module is taken over and changes its form: serialize it before. `dtype` says which numeric
    form the convolutions take, where it is not to be the processor's best; `fused` False leaves
    them torch's own, for a compiler to read.

    Attributes:
        form: names what the numbers depend on ("bfloat16", "float32"), for cache keys.
    """

    def __init__(
        self,
        module: Module,
        preprocessing: Preprocessing,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
        fused: bool = True,
    ) -> None:
        self.device = device or torch.device("cpu")
        self.dtype = dtype or pick_dtype(self.device)
        self.form = str(self.dtype).removeprefix("torch.")
        self._module = _prepared(module, self.device, self.dtype)
        if fused and self.device.type == "cpu" and can_fuse():
            fuse(self._module)
        self._pass = _WholePass(self._module, preprocessing, self.dtype).to(self.device).eval()
        # other streams do not wait for what makes the weights
        torch.get_device_module(self.device).synchronize(self.device)
        self._streams = streams_of(self.device) if self.device.type == "cuda" else None
        self._compiled: dict[int, Forward] = {}
        self.at_once = CPU_BATCH if self.device.type == "cpu" else _GPU_BATCH

    @property
    def nbytes(self) -> int:
        """Memory its weights take, packed ones included."""
        weights: int = sum(value.nbytes for value in self._module.state_dict().values())
        return weights * max((part.copies for part in self._convolutions()), default=1)

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features (N, D) float32 of preprocessed pictures (N, H, W, 3) uint8 in [0, 255]."""
        with torch.inference_mode():
            parts = (pixels[at : at + self.at_once] for at in range(0, max(1, len(pixels)), self.at_once))
            return np.concatenate([self._features(part) for part in parts])

    def warm_up(self, side: int, most: int) -> None:
        """Compute a batch of every size up to `most`, so that no request waits for what is prepared the first time.

        Args:
            side: pixels of the network's input.
            most: pictures in the largest batch.
        """
        for count in sorted({min(most, rounded(count)) for count in range(1, most + 1)}):
            pixels = np.zeros((count, side, side, 3), np.uint8)
            if self._streams:
                self._streams.warm_up(self._form(side), pixels)
            else:
                self(pixels)

    def use(self, side: int, forward: Forward | None) -> None:
        """Take another form of the same forward pass for pictures of that many pixels a side, None for its own."""
        self._compiled[side] = forward or self._pass
        for part in self._convolutions():
            part.forget()

    def _convolutions(self) -> list[FusedConv]:
        return [part for part in self._module.modules() if isinstance(part, FusedConv)]

    def is_compiled(self, side: int) -> bool:
        """Whether another form was taken for pictures of that many pixels a side."""
        return self._form(side) is not self._pass

    def whole_pass(self) -> Module:
        """Pictures (N, H, W, 3) uint8 to features (N, D) float32, as one module."""
        return self._pass

    def feature_maps(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What each place adds to each feature, (N, D, h, w); their mean over places is `__call__`."""
        with torch.inference_mode():
            return self._pass.maps(torch.from_numpy(pixels).to(self.device)).float().cpu().numpy()

    def _features(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        forward = self._form(pixels.shape[1])
        if self._streams:
            return self._streams.run(forward, pixels)
        return forward(torch.from_numpy(pixels)).numpy()

    def _form(self, side: int) -> Forward:
        return self._compiled.get(side, self._pass)


class _WholePass(torch.nn.Module):
    """Normalisation of the pixels, and the backbone."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, module: Module, preprocessing: Preprocessing, dtype: torch.dtype) -> None:
        super().__init__()
        self.module, self.dtype = module, dtype
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(1, 3, 1, 1))
        self.register_buffer("scale", 1 / torch.tensor(preprocessing.std).view(1, 3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.module(self._normalised(pixels))
        return features.float()

    def maps(self, pixels: torch.Tensor) -> torch.Tensor:
        """What the backbone averages; the layers run one by one, as a hook would see what other threads compute."""
        found = self._normalised(pixels)
        if isinstance(self.module, Thirds):
            return self.module.maps(found)
        for part in takewhile(lambda part: part[0] not in _POOLS, self.module.named_children()):
            found = part[1](found)
        return found

    def _normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        """Row by row in place: broadcasting three channels over a picture takes five times as long."""
        width = pixels.shape[2]
        rows = pixels.flatten(2).float()
        rows = rows.sub_(self.mean.view(-1).repeat(width)).mul_(self.scale.view(-1).repeat(width))
        return rows.to(self.dtype).view(pixels.shape).permute(0, 3, 1, 2)


def _prepared(module: Module, device: torch.device, dtype: torch.dtype) -> Module:
    module = module.eval()
    _fold_normalisation(module)
    module = module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    for part in module.modules():
        if isinstance(part, torch.nn.Conv2d | torch.nn.Linear):
            part.to(dtype)
    return module


def _fold_normalisation(module: Module) -> None:
    """Put each normalisation into the convolution before it: the same function, one pass over memory less.

    In float32, before weights become bfloat16 (Jacob et al. 2018, section 3.2), which loses less.
    """
    children = list(module.named_children())
    for (name, first), (next_name, second) in pairwise(children):
        if isinstance(first, torch.nn.Conv2d) and isinstance(second, torch.nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(first, second))
            setattr(module, next_name, getattr(second, "act", torch.nn.Identity()))
    for _, child in children:
        _fold_normalisation(child)


def _cpu_has_bfloat16() -> bool:
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and "avx512_bf16" in _cpu_flags()
    except (AttributeError, RuntimeError):
        return False


def _cpu_flags() -> str:
    try:
        with open("/proc/cpuinfo") as info:
            return next((line for line in info if line.startswith("flags")), "")
    except OSError:
        return ""


def load_module(backbone: Backbone, state: Mapping[str, torch.Tensor], thirds: bool = True) -> Module:
    """A backbone with the weights of a bundle; `thirds` as in `build_module`.

    Raises:
        RuntimeError: the state dict does not fit.
    """
    module = build_module(backbone, thirds)
    module.load_state_dict(dict(state))
    return module
