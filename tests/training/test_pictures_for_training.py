"""Decoding once, augmentation, and which pictures make a batch."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tellapart.backbones import BACKBONES
from tellapart.dataset import Sample
from tellapart.errors import DataError
from tellapart.images import sha256
from tellapart.progress import Progress, silent
from training.augment import Augmentation
from training.decoded import PictureCache
from training.distributed import World
from training.loading import Augmented, EpochBatches, Plain, epoch_order, plain_loader, training_loader

MakePicture = Callable[..., bytes]


@pytest.fixture
def sample(tmp_path: Path, make_photo: MakePicture) -> Callable[..., Sample]:
    """A file and its sample."""

    def make(seed: int = 0, size: tuple[int, int] = (96, 64), class_index: int = 0, data: bytes = b"") -> Sample:
        data = data or make_photo(seed, size)
        path = tmp_path / f"{seed}.png"
        path.write_bytes(data)
        return Sample(path, class_index, sha256(data), "", "")

    return make


def test_a_picture_is_decoded_once(sample: Callable[..., Sample], tmp_path: Path) -> None:
    one, cache = sample(), PictureCache.for_training(tmp_path / "cache", side=32)
    cache.fill([one], silent, "decode")
    one.path.unlink()
    pixels = cache.get(one)
    assert (pixels.shape, pixels.dtype) == ((32, 48, 3), np.uint8)
    assert PictureCache.for_training(tmp_path / "cache", side=32).get(one).tolist() == pixels.tolist()


def test_a_small_picture_is_enlarged_and_a_long_one_cut(sample: Callable[..., Sample], tmp_path: Path) -> None:
    cache = PictureCache.for_training(tmp_path / "cache", side=32)
    assert cache.get(sample(size=(8, 16))).shape == (64, 32, 3)
    assert cache.get(sample(size=(1000, 10))).shape == (32, 96, 3)


@pytest.mark.parametrize("broken", [b"", b"not an array", b"\x93NUMPY\x01\x00"])
def test_a_damaged_file_of_the_cache_is_made_again(
    sample: Callable[..., Sample], tmp_path: Path, broken: bytes
) -> None:
    one, cache = sample(), PictureCache.for_training(tmp_path / "cache", side=32)
    cache.fill([one], silent, "decode")
    before = cache.get(one).tolist()
    next(cache.folder.rglob("*.npy")).write_bytes(broken)
    assert cache.get(one).tolist() == before


def test_what_has_no_room_is_decoded_each_time_and_said(sample: Callable[..., Sample], tmp_path: Path) -> None:
    samples = [sample(seed) for seed in range(66)]
    seen: list[Progress] = []
    full = PictureCache(tmp_path / "cache", PictureCache.for_training(tmp_path, 16).make, room=100)
    full.fill(samples, seen.append, "decode")
    assert len(list(full.folder.rglob("*.npy"))) == 64
    assert seen[-1].note == "2 pictures have no room in the cache, so it takes longer"
    assert full.get(samples[-1]).shape == (16, 24, 3)


def test_the_network_s_own_view_is_that_of_service(sample: Callable[..., Sample], tmp_path: Path) -> None:
    one, how = sample(size=(300, 260)), BACKBONES["efficientnet_lite0"].preprocessing
    cache = PictureCache.for_network(tmp_path / "cache", how)
    cache.fill([one], silent, "decode")
    np.testing.assert_array_equal(cache.get(one), how.from_bytes(one.path.read_bytes()))


def test_what_is_no_picture_is_named(sample: Callable[..., Sample], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"0\.png: .*Train again"):
        PictureCache.for_training(tmp_path / "cache").fill([sample(data=b"no picture")], silent, "decode")


def test_a_draw_depends_on_seed_epoch_and_place_alone(make_photo: MakePicture) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    augment = Augmentation(24, 0.5, seed=3)
    torch.manual_seed(5)
    first = augment(pixels, 2, 7)
    torch.manual_seed(6)
    assert torch.equal(augment(pixels, 2, 7), first)
    assert (first.shape, first.dtype) == ((24, 24, 3), torch.uint8)
    for other in (augment(pixels, 2, 8), augment(pixels, 3, 7), Augmentation(24, 0.5, seed=4)(pixels, 2, 7)):
        assert not torch.equal(other, first)


def test_no_picture_is_turned_on_its_side() -> None:
    """Dark above, bright below: after any draw the lower half is the brighter one, and left is like right."""
    pixels = np.full((64, 64, 3), 60, np.uint8)
    pixels[32:] = 200
    for place in range(60):
        drawn = Augmentation(32, 0.3, 0)(pixels, 0, place).double().mean(dim=2)
        below, above = drawn[24:].mean(), drawn[:8].mean()
        assert below >= above - 1
        assert abs(drawn[:, :16].mean() - drawn[:, 16:].mean()) < max(10, 0.5 * (below - above))


def test_without_strength_only_the_crop_and_the_side_may_change() -> None:
    pixels = np.full((50, 50, 3), (10, 200, 90), np.uint8)
    assert (Augmentation(20, 0.0, 0)(pixels, 0, 0) == torch.tensor([10, 200, 90])).all()


def test_small_classes_come_up_more_often_and_every_picture_before_one_comes_again() -> None:
    targets = np.array([0] * 81 + [1] * 9 + [3] * 10)
    order = epoch_order(targets, epoch=0, seed=0)
    drawn = Counter(targets[order].tolist())
    assert drawn == {0: 59, 1: 20, 3: 21}  # in proportion to 9, 3 and the root of 10
    assert len(order) == 100
    assert max(Counter(order[targets[order] == 0].tolist()).values()) == 1
    assert set(Counter(order[targets[order] == 1].tolist()).values()) == {2, 3}
    assert Counter(targets[epoch_order(targets, 0, 0, balance=0)].tolist()) == {0: 81, 1: 9, 3: 10}
    assert set(Counter(targets[epoch_order(targets, 0, 0, balance=1)].tolist()).values()) == {33, 34}
    assert epoch_order(targets, 1, 0).tolist() != order.tolist() != epoch_order(targets, 0, 1).tolist()


def test_processes_share_the_batches_of_one() -> None:
    targets = np.arange(22) % 3
    whole = list(EpochBatches(targets, 6, 0, World()))
    halves = [list(EpochBatches(targets, 3, 0, World(rank, 2))) for rank in (0, 1)]
    assert [a + b for a, b in zip(*halves, strict=True)] == whole
    assert [len(batch) for batch in whole] == [6] * 4
    assert len({index for batch in whole for index, _, _ in batch}) == 22


def test_a_batch_is_never_larger_than_the_pictures_there_are() -> None:
    assert [len(b) for b in EpochBatches(np.array([0, 1, 1]), 64, 0, World())] == [3]
    assert [len(b) for b in EpochBatches(np.array([0, 1, 1]), 64, 0, World(1, 2))] == [1, 1]


def test_worker_processes_change_no_picture(
    sample: Callable[..., Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import training.loading

    samples = [sample(seed, class_index=seed % 2) for seed in range(5)]
    targets = np.array([s.class_index for s in samples])
    cache = PictureCache.for_training(tmp_path / "cache", 32)

    def epoch() -> list[tuple[list[int], list[int]]]:
        batches = EpochBatches(targets, 2, 0, World())
        loader = training_loader(Augmented(samples, cache, Augmentation(24, 0.5, 0)), batches, World())
        plain = plain_loader(
            Plain(samples[:2], PictureCache(tmp_path, lambda _: np.zeros((4, 4, 3), np.uint8))), 2, World()
        )
        assert [p.shape for p, _ in plain] == [(2, 4, 4, 3)]
        return [(p.flatten().tolist(), t.tolist()) for p, t in loader]

    alone = epoch()
    monkeypatch.setattr(training.loading, "_ahead", lambda _: {"num_workers": 2, "persistent_workers": True})
    assert epoch() == alone
