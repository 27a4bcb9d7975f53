"""EfficientNet-Lite0 with features that keep what an average over the picture throws away. Needs torch.

Its own features are the averages of 1,280 maps: how much of everything there is, wherever it is. Here they are

    strong   the cube root of the mean cube of each of those maps (generalised mean, Radenovic et al. 2018), which
             counts what is strongly there in few places more than what is faintly there in many
    thirds   the averages of the 320 maps before the last convolution over the upper, middle and lower third

of the same pass, in the same time. docs/training-measured.md says what that is worth.
"""

import torch

Module = torch.nn.Module
MARK = "thirds"  # in the state dict; what was trained before has none, and keeps its averages
_BANDS = 3
_SCALE = 0.5  # of the thirds, so that they differ as much from picture to picture as the others: likeness goes by it
_LEAST = 1e-6  # added to a mean cube, whose root would have no gradient at 0


class Thirds(Module):
    """The layers of timm's network, under the names they have there: pictures (N, 3, H, W) -> features (N, 2240)."""

    conv_stem: Module
    bn1: Module
    blocks: Module
    conv_head: Module
    bn2: Module

    def __init__(self, network: Module) -> None:
        super().__init__()
        for name in Thirds.__annotations__:
            self.add_module(name, network.get_submodule(name))
        self.register_buffer(MARK, torch.tensor(_BANDS))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """See the class."""
        before, last = self._both(pictures)
        cube = (last * last * last).mean((2, 3))
        strong = cube * _steepness(cube)
        return torch.cat([strong, _thirds(before.mean(3)).flatten(1)], dim=1)

    def maps(self, pictures: torch.Tensor) -> torch.Tensor:
        """What each place adds to each feature (N, 2240, h, w); the mean over places is `forward`."""
        before, last = self._both(pictures)
        cubes = last * last * last
        strong = cubes * _steepness(cubes.mean((2, 3)))[:, :, None, None]
        rows = before.shape[2]
        share = _thirds(torch.eye(rows, device=before.device)).T * rows
        thirds = before[:, :, None] * share[:, :, None]
        return torch.cat([strong, thirds.flatten(1, 2)], dim=1)

    def _both(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The maps before the last convolution and after it, (N, 320, h, w) and (N, 1280, h, w) float32."""
        before = self.blocks(self.bn1(self.conv_stem(pictures)))
        return before.float(), self.bn2(self.conv_head(before)).float()


def _steepness(cube: torch.Tensor) -> torch.Tensor:
    """The cube root of a mean cube by the mean cube."""
    return (cube + _LEAST).pow(-2 / 3)


def _thirds(rows: torch.Tensor) -> torch.Tensor:
    """Means (..., 3) over thirds of rows (..., h); a row across a border counts in both by its share."""
    bands = rows.repeat_interleave(_BANDS, -1).chunk(_BANDS, -1)
    return torch.stack([band.mean(-1) for band in bands], -1) * _SCALE
