"""The network while it learns: one module from pixels to logits, its optimizer, its moving average. Needs torch."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import linear

from tellapart.head import Head
from tellapart.network import Module
from tellapart.preprocess import Preprocessing

_MOMENTUM = 0.9
_SLOWEST = 0.998  # of the moving average


@dataclass(frozen=True)
class Recipe:
    """The settings of fine-tuning.

    Attributes:
        epochs: passes over the pictures, at most.
        batch_size: pictures a step and process.
        optimizer: "adamw" or "sgd".
        learning_rate: of the last stage and the head, at its highest.
        stage_decay: what each stage further from the head learns at, as a share of the one after it.
        weight_decay: of weights; biases and normalisation have none.
        label_smoothing: share of the target spread over all classes.
        augmentation: strength, see `Augmentation`.
    """

    epochs: int
    batch_size: int
    optimizer: str = "adamw"
    learning_rate: float = 3e-4
    stage_decay: float = 0.75
    weight_decay: float = 0.02
    label_smoothing: float = 0.1
    augmentation: float = 0.5


class Network(Module):
    """Backbone and head as one module: pixels (N, H, W, 3) uint8 -> logits (N, C) float32.

    Args:
        fixed_norm: normalisation keeps the statistics it came with, as they were learned from far more pictures
            than a batch has; for random weights they are learned.
    """

    def __init__(self, backbone: Module, head: Head, preprocessing: Preprocessing, fixed_norm: bool) -> None:
        super().__init__()
        self.backbone = backbone
        self.weight = torch.nn.Parameter(torch.from_numpy(head.weight.copy()))
        self.bias = torch.nn.Parameter(torch.from_numpy(head.bias.copy()))
        self.mean = torch.nn.Buffer(torch.tensor(preprocessing.mean).view(1, 3, 1, 1), persistent=False)
        self.std = torch.nn.Buffer(torch.tensor(preprocessing.std).view(1, 3, 1, 1), persistent=False)
        self.fixed_norm = fixed_norm

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """See the class."""
        x = (pixels.permute(0, 3, 1, 2).float() - self.mean) / self.std
        features = self.backbone(x.contiguous(memory_format=torch.channels_last))
        with torch.autocast(pixels.device.type, enabled=False):
            return linear(features.float(), self.weight, self.bias)

    def train(self, mode: bool = True) -> "Network":
        """Switch to training, where normalisation is not fixed it too."""
        super().train(mode)
        if self.fixed_norm:
            for part in self.modules():
                if isinstance(part, torch.nn.BatchNorm2d):
                    part.eval()
        return self

    def head(self) -> Head:
        """The head as it is now."""
        weight, bias = (np.array(t.detach().cpu().numpy(), np.float32) for t in (self.weight, self.bias))
        return Head(weight, bias)


def stages(backbone: Module) -> list[list[torch.nn.Parameter]]:
    """The parameters of each stage from the picture on; normalisation belongs to the stage before it."""
    found: list[list[torch.nn.Parameter]] = []
    for part in _parts(backbone):
        parameters = list(part.parameters())
        if found and isinstance(part, torch.nn.BatchNorm2d):
            found[-1] += parameters
        elif parameters:
            found.append(parameters)
    return found


def _parts(backbone: Module) -> Iterator[Module]:
    for name, child in backbone.named_children():
        yield from child.children() if name == "blocks" else [child]


def make_optimizer(network: Network, recipe: Recipe) -> torch.optim.Optimizer:
    """An optimizer whose groups keep the full learning rate of their stage as "full_rate"."""
    parts = [*stages(network.backbone), [network.weight, network.bias]]
    groups = []
    for distance, parameters in enumerate(reversed(parts[:-1])):
        full_rate = recipe.learning_rate * recipe.stage_decay**distance
        groups += _groups(parameters, full_rate, recipe)
    groups += _groups(parts[-1], recipe.learning_rate, recipe)
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=_MOMENTUM, nesterov=True)
    return torch.optim.AdamW(groups, lr=0.0)


def _groups(parameters: list[torch.nn.Parameter], full_rate: float, recipe: Recipe) -> list[dict[str, object]]:
    weights = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim <= 1]
    return [
        {"params": some, "weight_decay": decay, "full_rate": full_rate}
        for some, decay in ((weights, recipe.weight_decay), (others, 0.0))
        if some
    ]


def set_rate(optimizer: torch.optim.Optimizer, share: float) -> None:
    """Let every group learn at this share of its full rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["full_rate"] * share


class Average:
    """The exponential moving average of a network's weights, which answers better than the last of them.

    Its memory grows with the steps, (1 + n) / (10 + n) up to 0.998, so that a short training is not held
    back by where it began.
    """

    def __init__(self, network: Network) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    def update(self, network: Network, step: int) -> None:
        """Take in the weights after a step, counted from 1."""
        memory = min(_SLOWEST, (1 + step) / (10 + step))
        ours, theirs = self.network.state_dict(), network.state_dict()
        floats = [name for name, tensor in ours.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([ours[n] for n in floats], [theirs[n] for n in floats], 1 - memory)
        for name in ours.keys() - set(floats):
            ours[name].copy_(theirs[name])
