"""Augmentation: what a picture may look like and still be the same. Training only. Needs torch.

What a picture becomes depends on the seed, the epoch and its place in the epoch alone: worker
processes, a second GPU or a restart change nothing.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.transforms import InterpolationMode, v2

_LEAST_AREA = 0.25  # of the picture, at full strength
_RATIO = (3 / 4, 4 / 3)
_MAGNITUDE = 9  # of RandAugment's 31, at full strength
_COLOUR = 0.3  # share that brightness, contrast and saturation move, at full strength


@dataclass(frozen=True)
class Augmentation:
    """Random crop, flip, colour and RandAugment (Cubuk et al. 2020), none of which turns a picture on its side.

    Attributes:
        side: pixels of the square that comes out.
        strength: from 0 (crop slightly, flip) to 1.
        seed: of the training.
    """

    side: int
    strength: float
    seed: int

    def __call__(self, pixels: NDArray[np.uint8], epoch: int, place: int) -> torch.Tensor:
        """One picture (H, W, 3) uint8 as it looks at this place of this epoch: (side, side, 3) uint8."""
        picture = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(draw_seed(self.seed, epoch, place))
            changed: torch.Tensor = self._transform()(picture)
        return changed.permute(1, 2, 0).contiguous()

    def _transform(self) -> v2.Transform:
        area = (1 - self.strength * (1 - _LEAST_AREA), 1.0)
        bend: list[v2.Transform] = []
        if self.strength > 0:
            colour = _COLOUR * self.strength
            bend = [
                v2.ColorJitter(colour, colour, colour),
                v2.RandAugment(num_ops=1, magnitude=round(_MAGNITUDE * self.strength), fill=127),
            ]
        cut = v2.RandomResizedCrop(self.side, area, _RATIO, InterpolationMode.BILINEAR, antialias=True)
        return v2.Compose([cut, v2.RandomHorizontalFlip(), *bend])


def draw_seed(*parts: int) -> int:
    """A seed for one draw, from numbers that name it."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))
