"""Says what pictures show: python run.py PICTURE...

Needs torch, torchvision, Pillow and, for EfficientNet-Lite0, timm; and the files it was exported with. What cannot be
classified is a line on the standard error, and the exit status is 3.
"""

import json
import math
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
import torchvision
from PIL import Image, ImageOps
from torchvision.transforms.functional import pil_to_tensor


class Thirds(torch.nn.Module):
    """EfficientNet-Lite0 that goes by what is strong anywhere and by what is in the upper, middle and lower third."""

    conv_stem: torch.nn.Module
    bn1: torch.nn.Module
    blocks: torch.nn.Module
    conv_head: torch.nn.Module
    bn2: torch.nn.Module

    def __init__(self, network: torch.nn.Module, n_classes: int) -> None:
        super().__init__()
        for name in Thirds.__annotations__:
            self.add_module(name, network.get_submodule(name))
        self.register_buffer("thirds", torch.tensor(3))
        self.classifier = torch.nn.Linear(1280 + 3 * 320, n_classes)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pictures (N, 3, H, W) to logits (N, C)."""
        before = self.blocks(self.bn1(self.conv_stem(pictures)))
        cube = (self.bn2(self.conv_head(before)) ** 3).mean((2, 3))
        strong = cube * (cube + 1e-6) ** (-2 / 3)
        bands = before.mean(3).repeat_interleave(3, 2).chunk(3, 2)
        thirds = torch.stack([band.mean(2) for band in bands], 2) / 2
        logits: torch.Tensor = self.classifier(torch.cat([strong, thirds.flatten(1)], dim=1))
        return logits


def load(folder: Path) -> tuple[torch.nn.Module, dict[str, Any]]:
    """The network with its weights, and what model.json says."""
    info = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    state = torch.load(folder / info["weights_file"], map_location="cpu", weights_only=True)
    if info["backbone"] == "efficientnet_lite0":
        import timm

        network = timm.create_model("tf_efficientnet_lite0", num_classes=len(info["classes"]))
        network = Thirds(network, len(info["classes"])) if "thirds" in state else network
    else:
        network = torchvision.models.get_model(info["backbone"], num_classes=len(info["classes"]))
    network.load_state_dict(state)
    return network.eval(), info


def prepare(image: Image.Image, how: dict[str, Any]) -> Image.Image:
    """Upright RGB, transparency on white, and the square that the network sees: see `fit`."""
    resize = how["resize"]
    if image.mode[0] in "IF":
        raise ValueError("more than 8 bits a channel; use tellapart predict")
    scale = resize / min(image.size)
    if image.format in ("JPEG", "MPO") and scale < 1 and image.mode in ("L", "RGB"):
        image.draft(image.mode, (math.ceil(image.width * scale), math.ceil(image.height * scale)))
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return fit(image.convert("RGB"), how)


def fit(image: Image.Image, how: dict[str, Any]) -> Image.Image:
    """The central square, from a shorter side of `resize` pixels; or the whole picture, centred on the mean colour."""
    crop, interpolation = how["crop"], Image.Resampling[how["interpolation"].upper()]
    if how.get("fit") == "whole":
        width, height = (max(1, round(length * (crop / max(image.size)))) for length in image.size)
        square = Image.new("RGB", (crop, crop), tuple(map(round, how["mean"])))
        square.paste(image.resize((width, height), interpolation), ((crop - width) // 2, (crop - height) // 2))
        return square
    side = min(image.size) * crop / how["resize"]
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize((crop, crop), interpolation, (left, top, left + side, top + side))


def probabilities(network: torch.nn.Module, info: dict[str, Any], image: Image.Image) -> list[float]:
    """The calibrated probability of each class, in the order of `info["classes"]`."""
    how = info["preprocessing"]
    pixels = pil_to_tensor(prepare(image, how)).float()
    mean, std = (torch.tensor(how[name]).view(3, 1, 1) for name in ("mean", "std"))
    with torch.inference_mode():
        logits = network(((pixels - mean) / std).unsqueeze(0))[0]
    return torch.softmax(logits / info["temperature"], dim=0).tolist()


def main(paths: list[str]) -> int:
    """One line a picture: its path, the class, and the probability of every class as JSON; returns the exit status."""
    if not paths:
        return _say("which pictures? python run.py PICTURE...", 2)
    try:
        network, info = load(Path(__file__).resolve().parent)
    except (OSError, ImportError, ValueError, KeyError, RuntimeError) as error:
        return _say(f"the files beside run.py cannot be used: {_one_line(error)}", 1)
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    names, status = [c["name"] for c in info["classes"]], 0
    for path in paths:
        shown = "".join(c if c.isprintable() else "?" for c in path)
        try:
            with Image.open(path) as image:
                found = dict(zip(names, probabilities(network, info, image), strict=True))
        except Exception as error:  # what a broken picture may raise is not one kind
            status = _say(f"{shown}: {_one_line(error)}", 3)
        else:
            print(shown, max(found, key=found.__getitem__), json.dumps(found, ensure_ascii=False), sep="\t", flush=True)
    return status


def _say(text: str, status: int) -> int:
    print(f"error: {text}", file=sys.stderr)
    return status


def _one_line(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error or type(error).__name__).split())


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        sys.exit(main(sys.argv[1:]))
    except BrokenPipeError:  # nobody reads any more
        os._exit(1)
