"""Says what pictures show: python run.py PICTURE...

Needs torch, torchvision, Pillow and, for EfficientNet-Lite0, timm; and the files it was exported with.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import torch
import torchvision
from PIL import Image, ImageOps
from torchvision.transforms.functional import pil_to_tensor


def load(folder: Path) -> tuple[torch.nn.Module, dict[str, Any]]:
    """The network with its weights, and what model.json says."""
    info = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    if info["backbone"] == "efficientnet_lite0":
        import timm

        network = timm.create_model("tf_efficientnet_lite0", num_classes=len(info["classes"]))
    else:
        network = torchvision.models.get_model(info["backbone"], num_classes=len(info["classes"]))
    network.load_state_dict(torch.load(folder / info["weights_file"], map_location="cpu", weights_only=True))
    return network.eval(), info


def prepare(image: Image.Image, how: dict[str, Any]) -> Image.Image:
    """Upright RGB, transparency on white, and the square that the network sees: see `fit`."""
    resize = how["resize"]
    if image.mode[0] in "IF":
        raise SystemExit("pictures of more than 8 bits a channel: use tellapart predict")
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


def main() -> None:
    """One line a picture: its path, the class, and the probability of every class as JSON."""
    network, info = load(Path(__file__).resolve().parent)
    names = [c["name"] for c in info["classes"]]
    for path in sys.argv[1:]:
        with Image.open(path) as image:
            found = dict(zip(names, probabilities(network, info, image), strict=True))
        print(path, max(found, key=found.__getitem__), json.dumps(found, ensure_ascii=False), sep="\t")


if __name__ == "__main__":
    main()
