"""A classifier's head: what is computed from features, and its file.

head.safetensors    weight (C, D), bias (C,), float32; where it can say "none of these" also
                    exemplars (E, D) float16 and spacing (E,), and where strangers were given
                    versus_weight (C + 1, D), versus_bias (C + 1,); earlier ones have
                    centre (D,), scale (D,), means (C, D), raw_means (C, D) instead of exemplars
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from tellapart.errors import BundleError
from tellapart.rejection import Rejection
from tellapart.rejection_by_means import MeansRejection

FILE = "head.safetensors"
_VERSUS_TENSORS = ("versus_weight", "versus_bias")
_DTYPES = {"exemplars": np.float16}  # of tensors that are not float32
AnyRejection = Rejection | MeansRejection


@dataclass(frozen=True)
class Head:
    """The linear layer from features to logits, and its calibration.

    probabilities = softmax((features @ weight.T + bias) / temperature)

    Attributes:
        weight: (C, D) float32.
        bias: (C,) float32.
        temperature: above 0 (Guo et al. 2017, "On Calibration of Modern Neural Networks").
        rejection: the rule for "none of these"; None for never.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    temperature: float = 1.0
    rejection: AnyRejection | None = None

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        parts = [*vars(self).values(), *(vars(self.rejection).values() if self.rejection else ())]
        return sum(part.nbytes for part in parts if isinstance(part, np.ndarray))

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Calibrated class probabilities (N, C) of features (N, D): the one softmax there is."""
        logits = (features @ self.weight.T + self.bias) / self.temperature
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        result: NDArray[np.float32] = exponentials / exponentials.sum(axis=1, keepdims=True)
        return result

    def none_of_these(self, features: NDArray[np.float32], probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which pictures (N,) show none of the classes, by their features (N, D) and `probabilities` (N, C)."""
        if self.rejection is None:
            return np.zeros(len(features), dtype=np.bool_)
        return self.rejection.none_of_these(features, probabilities)

    @property
    def rejection_numbers(self) -> dict[str, float] | None:
        """The weights and thresholds of the rule for "none of these", by name, which model.json keeps."""
        return {name: getattr(self.rejection, name) for name in self.rejection.NUMBERS} if self.rejection else None

    def to_bytes(self) -> bytes:
        """The content of the file."""
        tensors = {"weight": self.weight, "bias": self.bias}
        if self.rejection is not None:
            found = {name: getattr(self.rejection, name) for name in (*self.rejection.TENSORS, *_VERSUS_TENSORS)}
            tensors |= {name: tensor for name, tensor in found.items() if tensor is not None}
        return save({n: np.ascontiguousarray(t, dtype=_DTYPES.get(n, np.float32)) for n, t in tensors.items()})


def read_head(folder: Path, temperature: float, rejection: Mapping[str, float] | None) -> Head:
    """Read a bundle's head, whatever shapes it has.

    Args:
        rejection: what `Head.rejection_numbers` gave.

    Raises:
        BundleError: what was expected and what was found.
    """
    try:
        tensors = load_file(folder / FILE)
        rule = None if rejection is None else _rejection(tensors, rejection)
        return Head(tensors["weight"], tensors["bias"], temperature, rule)
    except (SafetensorError, KeyError, TypeError) as error:
        raise BundleError(f"{folder}/{FILE} cannot be read: {error}", "Train it again") from error


def check_rejection(head: Head, folder: Path) -> None:
    """Check that the rule for "none of these" fits the weight (C, D), whose own shape was checked before.

    Raises:
        BundleError: what was expected and what was found.
    """
    if head.rejection is None:
        return
    for name, shape in head.rejection.shapes(*head.weight.shape).items():
        found = np.shape(getattr(head.rejection, name))
        if found != shape or not all(shape):
            raise BundleError(f"{name} of {FILE} in {folder} has shape {found}, expected {shape}", "Train it again")


def _rejection(tensors: Mapping[str, NDArray[Any]], numbers: Mapping[str, float]) -> AnyRejection:
    kind: type[AnyRejection] = MeansRejection if "means" in tensors else Rejection
    values: dict[str, Any] = {name: tensors[name].astype(np.float32) for name in kind.TENSORS}
    values |= {name: tensors[name] for name in _VERSUS_TENSORS if name in tensors}
    values |= {name: numbers[name] for name in kind.NUMBERS if name in numbers}
    return kind(**values)
