"""How surely a share is known. Plain arithmetic."""

import math

_Z95 = 1.959963984540054


def wilson(correct: float, n: float) -> tuple[float, float]:
    """95 % interval of a proportion, `correct` of `n` (Wilson 1927); (0, 1) where nothing was measured."""
    if n == 0:
        return 0.0, 1.0
    share, z2 = correct / n, _Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)
