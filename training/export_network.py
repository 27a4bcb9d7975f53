"""A classifier as one network, and its files in each format. Needs torch."""

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import torch
from safetensors.torch import load_file

from tellapart.bundle import Bundle
from tellapart.network import Module, load_module

INPUT, OUTPUT = "pixels", "probabilities"
_LAST_LAYER = {"resnet50": "fc", "resnet18": "fc", "efficientnet_lite0": "classifier"}
_EXAMPLES = 2  # pictures traced with; one would be taken for a fixed batch


class ExportedNetwork(Module):
    """Everything from pixels to probabilities: normalisation, backbone, head, temperature, softmax.

    pixels (N, crop, crop, 3) uint8 in [0, 255] -> probabilities (N, C) float32
    """

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        self.backbone = load_module(bundle.backbone, load_file(bundle.backbone_file), not bundle.is_earlier)
        self.weight = torch.nn.Parameter(torch.from_numpy(bundle.head.weight), requires_grad=False)
        self.bias = torch.nn.Parameter(torch.from_numpy(bundle.head.bias), requires_grad=False)
        self.temperature = bundle.head.temperature
        how = bundle.info.preprocessing
        self.mean = torch.nn.Buffer(torch.tensor(how.mean).view(1, 3, 1, 1))
        self.std = torch.nn.Buffer(torch.tensor(how.std).view(1, 3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """See the class."""
        features = self.backbone((pixels.permute(0, 3, 1, 2).float() - self.mean) / self.std)
        logits = torch.nn.functional.linear(features, self.weight, self.bias)
        return torch.softmax(logits / self.temperature, dim=1)


def write_state_dict(bundle: Bundle, path: Path) -> None:
    """A .pt file with the weights of the whole network as torchvision or timm name them; tensors only.

    `run.py` beside it has the layers of EfficientNet-Lite0 that timm does not have.
    """
    last = _LAST_LAYER[bundle.info.backbone]
    head = {f"{last}.weight": torch.from_numpy(bundle.head.weight), f"{last}.bias": torch.from_numpy(bundle.head.bias)}
    buffer = io.BytesIO()  # torch's own writing to a full disk is no OSError
    torch.save(load_file(bundle.backbone_file) | head, buffer)
    path.write_bytes(buffer.getvalue())


def write_torchscript(bundle: Bundle, path: Path) -> None:
    """A .ts file of `ExportedNetwork`, the labels inside as the extra file labels.json."""
    network = ExportedNetwork(bundle).eval()
    with _quiet(), torch.inference_mode():
        traced = torch.jit.trace(network, _example(bundle), check_trace=False)  # type: ignore[no-untyped-call]
        buffer = io.BytesIO()
        torch.jit.save(traced, buffer, _extra_files=facts(bundle))
    path.write_bytes(buffer.getvalue())


def write_onnx(bundle: Bundle, path: Path) -> None:
    """A self-contained .onnx file of `ExportedNetwork` for any batch size, the labels in its metadata."""
    network = ExportedNetwork(bundle).eval()
    with _quiet():
        program = torch.onnx.export(
            network,
            (_example(bundle),),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={INPUT: {0: torch.export.Dim("batch")}},
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        program.model.metadata_props.update(facts(bundle))
        data = program.model_proto.SerializeToString()
    path.write_bytes(data)


def facts(bundle: Bundle) -> Mapping[str, str]:
    """What goes along inside a file: texts by name, those of several values as JSON."""
    info = bundle.info
    return {
        "labels": json.dumps(info.class_names, ensure_ascii=False),
        "preprocessing": json.dumps(info.preprocessing.to_json()),
    }


def _example(bundle: Bundle) -> torch.Tensor:
    crop = bundle.info.preprocessing.crop
    return torch.zeros((_EXAMPLES, crop, crop, 3), dtype=torch.uint8)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporters print and warn of; a failure is still raised."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


WRITERS: Mapping[str, Callable[[Bundle, Path], None]] = {
    "pt": write_state_dict,
    "torchscript": write_torchscript,
    "onnx": write_onnx,
}
