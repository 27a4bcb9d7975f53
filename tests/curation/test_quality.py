import numpy as np
import pytest
from PIL import Image, ImageFilter

from curation.quality import Quality, find_fault, measure, measure_all
from tellapart.images import decode


@pytest.fixture
def sharp():
    """A checkerboard of 8-pixel squares, 256 pixels a side, on half of a flat picture."""
    board = (np.indices((256, 256)) // 8).sum(axis=0) % 2 * 200 + 20
    board[:, 128:] = 120
    return Image.fromarray(board.astype(np.uint8)).convert("RGB")


def test_a_sharp_picture_has_no_fault(sharp):
    quality = measure(sharp)
    assert quality.side == 256
    assert quality.contrast == 200
    assert find_fault(quality) is None


@pytest.mark.parametrize("color", ["white", "black", (120, 130, 125)])
def test_a_picture_of_one_colour_is_blank(color):
    fault = find_fault(measure(Image.new("RGB", (300, 200), color)))
    assert fault is not None
    assert fault.reason.startswith("blank")
    assert fault.certain


def test_the_laplacian_is_that_of_the_textbook():
    dot = np.zeros((10, 10), np.uint8)
    dot[5, 5] = 10
    tile = np.zeros((8, 8))
    tile[4, 4], tile[3, 4], tile[5, 4], tile[4, 3], tile[4, 5] = -40, 10, 10, 10, 10
    tiles = sorted(tile[i : i + 2, j : j + 2].var() for i in range(0, 8, 2) for j in range(0, 8, 2))
    assert measure(Image.fromarray(dot).convert("RGB")).sharpness == pytest.approx(tiles[-2])


def test_a_blurred_picture_is_told_from_the_sharp_one(sharp):
    fault = find_fault(measure(sharp.filter(ImageFilter.GaussianBlur(4))))
    assert fault is not None
    assert fault.reason.startswith("blurred")
    assert not fault.certain


def test_a_tiny_picture_is_tiny(sharp):
    fault = find_fault(measure(sharp.resize((90, 40))))
    assert fault is not None
    assert fault.reason == "tiny: 40 pixels on the shorter side"


def test_a_worse_picture_scores_higher():
    scores = [find_fault(Quality(100, sharpness, 256)).score for sharpness in (0, 5, 20)]
    assert scores == sorted(scores, reverse=True)
    assert (scores[0], scores[-1]) == (1.0, 0.6)


def test_pictures_are_measured_once_and_unreadable_ones_left_out(make_dataset, make_photo, tmp_path):
    dataset = make_dataset([("cat", make_photo(i)) for i in range(3)])
    samples = dataset.samples()
    samples[2].path.write_bytes(b"damaged")
    cache = tmp_path / "cache" / "quality.json"
    found = measure_all(samples, cache)
    assert set(found) == {s.sha256 for s in samples[:2]}
    assert found[samples[0].sha256] == measure(decode(samples[0].path.read_bytes(), shorter_side=256))
    samples[0].path.unlink()
    assert measure_all(samples, cache) == found
    cache.write_text("{damaged")
    assert set(measure_all(samples, cache)) == {samples[1].sha256}


def test_a_picture_that_crashes_its_decoder_is_left_out(make_dataset, make_photo, died_over, monkeypatch):
    dataset = make_dataset([("cat", make_photo(i)) for i in range(2)])
    bad, good = dataset.samples()
    marks = died_over(dataset, bad.sha256)
    marked = []

    def look(data, shorter_side):
        marked.extend(mark.name for mark in marks.iterdir())
        return decode(data, shorter_side)

    monkeypatch.setattr("curation.quality.decode", look)
    assert set(measure_all([bad, good], dataset.cache / "quality.json")) == {good.sha256}
    assert sorted(marked) == sorted([bad.sha256, good.sha256])
    assert [mark.name for mark in marks.iterdir()] == [bad.sha256]
