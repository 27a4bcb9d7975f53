"""The record of what a classifier learned from, with directions that are known by hand."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from tellapart.errors import BundleError, MissingError
from tellapart.neighbours import FILE, MAX_ROWS, Neighbours, read_neighbours

DIGESTS = [hashlib.sha256(bytes([i])).hexdigest() for i in range(3)]


def three() -> Neighbours:
    features = np.array([[2.0, 0.0], [0.0, 5.0], [3.0, 3.0]], np.float32)
    return Neighbours.of(features, DIGESTS, np.array([0, 1, 1]))


def test_the_nearest_come_first_by_the_cosine() -> None:
    found = three().nearest(np.array([10.0, 1.0], np.float32), 2)
    assert [(n.sha256, n.class_index) for n in found] == [(DIGESTS[0], 0), (DIGESTS[2], 1)]
    assert [n.similarity for n in found] == pytest.approx([10 / 101**0.5, 11 / (2 * 101) ** 0.5], abs=1e-3)
    assert len(three().nearest(np.ones(2, np.float32), 50)) == 3


def test_what_was_written_is_read(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(three().to_bytes())
    found = read_neighbours(tmp_path, 2, 2)
    np.testing.assert_array_equal(found.features, three().features)
    np.testing.assert_array_equal(found.sha256, three().sha256)


def test_of_very_many_evenly_spread_ones_are_kept() -> None:
    n = MAX_ROWS + 500
    found = Neighbours.of(np.ones((n, 1), np.float32), ["00" * 32] * n, np.arange(n))
    assert len(found.class_index) == MAX_ROWS
    assert (found.class_index[0], found.class_index[-1]) == (0, n - 1)
    assert np.diff(found.class_index).max() == 2


def test_a_bundle_without_them_and_one_with_damaged_ones_are_errors(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        read_neighbours(tmp_path, 2, 2)
    (tmp_path / FILE).write_bytes(three().to_bytes()[:-3])
    with pytest.raises(BundleError):
        read_neighbours(tmp_path, 2, 2)
    (tmp_path / FILE).write_bytes(three().to_bytes())
    with pytest.raises(BundleError, match="shapes"):
        read_neighbours(tmp_path, 3, 2)
    with pytest.raises(BundleError, match="class 1"):
        read_neighbours(tmp_path, 2, 1)
    tensors = {"features": three().features, "sha256": three().sha256}
    (tmp_path / FILE).write_bytes(save(tensors))
    with pytest.raises(BundleError, match="class_index"):
        read_neighbours(tmp_path, 2, 2)
