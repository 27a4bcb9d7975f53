import numpy as np
import pytest
from PIL import Image

from tellapart.errors import BundleError
from tellapart.images import ImageError, decode
from tellapart.preprocess import Preprocessing

MEAN, STD = (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)


def preprocessing(resize=232, crop=224, interpolation="bilinear"):
    return Preprocessing(resize, crop, interpolation, MEAN, STD)


def numbered(width, height):
    """A picture whose pixel at (x, y) is (x, y, 7)."""
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([x, y, np.full_like(x, 7)], axis=2).astype(np.uint8))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_crop_is_the_middle_of_the_resized_picture(interpolation):
    pixels = preprocessing(100, 50, interpolation).pixels(numbered(200, 100))
    assert pixels.shape == (50, 50, 3)
    assert pixels.dtype == np.uint8
    assert pixels[0, 0].tolist() == [75, 25, 7]
    assert pixels[49, 49].tolist() == [124, 74, 7]
    assert pixels[0, 49].tolist() == [124, 25, 7]


def test_the_shorter_side_gives_the_scale():
    tall = preprocessing(100, 50).pixels(numbered(100, 200))
    assert tall[0, 0].tolist() == [25, 75, 7]
    halved = preprocessing(50, 50).pixels(numbered(100, 100))
    assert halved[25, 25, 0] == pytest.approx(50.5, abs=0.6)


def test_small_pictures_are_enlarged():
    assert preprocessing().pixels(Image.new("RGB", (1, 1), (3, 4, 5))).reshape(-1, 3).tolist() == [[3, 4, 5]] * 224**2


def test_the_one_step_equals_resize_then_crop(make_photo):
    image = decode(make_photo(4, size=(300, 260)))
    resized = image.resize((round(300 * 232 / 260), 232), Image.Resampling.BILINEAR)
    left = (resized.width - 224) // 2
    two_steps = np.asarray(resized.crop((left, 4, left + 224, 228)), dtype=float)
    assert np.abs(preprocessing().pixels(image) - two_steps).mean() < 1.5


def test_a_jpeg_decoded_in_part_gives_nearly_the_pixels_of_the_whole(make_photo):
    data = make_photo(5, size=(1600, 1200), format="JPEG", quality=95)
    whole = preprocessing().pixels(decode(data)).astype(float)
    drafted = preprocessing().from_bytes(data).astype(float)
    assert decode(data, shorter_side=232).size != (1600, 1200)
    assert np.abs(whole - drafted).mean() < 1.5


def test_bytes_that_are_no_picture():
    with pytest.raises(ImageError, match="not a picture"):
        preprocessing().from_bytes(b"text")


def test_json_there_and_back():
    value = preprocessing().to_json()
    assert value == {"resize": 232, "crop": 224, "interpolation": "bilinear", "mean": MEAN, "std": STD, "fit": "crop"}
    assert Preprocessing.from_json(value | {"mean": list(MEAN)}) == preprocessing()
    whole = preprocessing().whole(320)
    assert Preprocessing.from_json(whole.to_json()) == whole


def test_json_of_before_there_was_a_choice_is_a_crop():
    value = preprocessing().to_json()
    del value["fit"]
    assert Preprocessing.from_json(value) == preprocessing()


@pytest.mark.parametrize(("size", "box"), [((80, 40), (0, 10, 40, 30)), ((20, 40), (10, 0, 30, 40))])
def test_the_whole_picture_lies_in_a_square_of_the_mean_colour(size, box):
    how = Preprocessing(232, 224, "bicubic", (10.4, 20.6, 30.0), STD).whole(40)
    expected = np.full((40, 40, 3), (10, 21, 30), np.uint8)
    left, top, right, bottom = box
    expected[top:bottom, left:right] = (200, 100, 50)
    np.testing.assert_array_equal(how.pixels(Image.new("RGB", size, (200, 100, 50))), expected)


def test_the_box_of_the_whole_picture_reaches_beyond_it():
    assert preprocessing().whole(320).box((400, 300)) == (0, -50, 400, 350)
    assert preprocessing(100, 50).box((400, 300)) == (125, 75, 275, 225)


def test_nothing_of_the_whole_picture_is_cut_off_or_turned():
    pixels = preprocessing().whole(200).pixels(numbered(200, 100))
    assert pixels[50, 0].tolist() == [0, 0, 7]
    assert pixels[149, 199].tolist() == [199, 99, 7]


def test_the_whole_picture_is_resized_as_well_in_less_time():
    bicubic = preprocessing(interpolation="bicubic").whole(50)
    assert (bicubic.interpolation, preprocessing().whole(50).interpolation) == ("hamming", "bilinear")
    image = numbered(200, 200)
    expected = np.asarray(image.resize((50, 50), Image.Resampling.HAMMING))
    np.testing.assert_array_equal(bicubic.pixels(image), expected)


def test_a_line_of_pixels_is_still_there():
    assert (preprocessing().whole(100).pixels(Image.new("RGB", (5000, 1))) == 0).all(axis=2).sum() == 100


@pytest.mark.parametrize(
    "change",
    [
        {"crop": 300},
        {"crop": 0},
        {"resize": 4096},
        {"resize": "232"},
        {"interpolation": "nearest"},
        {"interpolation": ["bilinear"]},
        {"mean": [1, 2]},
        {"mean": 5},
        {"mean": ["a", "b", "c"]},
        {"mean": [float("nan"), 1, 1]},
        {"std": [1, 0, 1]},
        {"std": [1, -1, 1]},
        {"std": [1, float("nan"), 1]},
        {"std": None},
        {"flavour": "sweet"},
        {"fit": "stretch"},
        {"fit": "whole"},
        {"fit": None},
    ],
)
def test_json_that_does_not_fit_is_a_one_line_error(change):
    with pytest.raises(BundleError) as caught:
        Preprocessing.from_json(preprocessing().to_json() | change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [{}, [], None, "text"])
def test_json_that_is_no_preprocessing(value):
    with pytest.raises(BundleError):
        Preprocessing.from_json(value)
