import hashlib

import pytest
from PIL import Image

from tellapart.images import Limits, decode
from tellapart.pictures import REASON_TEXT, Reason, Rejected, inspect


def bits_apart(a, b):
    return (int(a.phash, 16) ^ int(b.phash, 16)).bit_count()


def test_what_is_known_of_a_picture(make_photo):
    data = make_photo(1, size=(80, 60), format="WEBP")
    picture = inspect(data)
    assert picture.sha256 == hashlib.sha256(data).hexdigest()
    assert (picture.mime, picture.extension) == ("image/webp", "webp")
    assert (picture.width, picture.height, picture.bytes) == (80, 60, len(data))
    assert len(picture.phash) == 16


def test_the_hash_survives_saving_again_and_tells_others_apart(make_photo, to_bytes):
    data = make_photo(1, size=(400, 300))
    first = inspect(data)
    again = inspect(to_bytes(decode(data).resize((200, 150)), "JPEG", quality=40))
    assert again.sha256 != first.sha256
    assert bits_apart(first, again) <= 2
    assert bits_apart(first, inspect(make_photo(2))) > 10


@pytest.mark.parametrize(("size", "kept"), [((32, 32), True), ((31, 500), False), ((500, 31), False), ((1, 1), False)])
def test_tiny_pictures_are_turned_away(make_picture, size, kept):
    data = make_picture(size=size)
    if kept:
        assert inspect(data).width == size[0]
    else:
        with pytest.raises(Rejected, match="the least is 32 a side") as caught:
            inspect(data)
        assert caught.value.reason == Reason.TOO_SMALL


def test_each_fault_has_its_reason(make_photo):
    data = make_photo(1)
    cases = {
        b"": Reason.EMPTY,
        b"text": Reason.NOT_AN_IMAGE,
        b"<svg/>": Reason.UNSUPPORTED_TYPE,
        data[: len(data) // 2]: Reason.TRUNCATED,
    }
    for bad, reason in cases.items():
        with pytest.raises(Rejected) as caught:
            inspect(bad)
        assert caught.value.reason == reason
    with pytest.raises(Rejected) as caught:
        inspect(data, Limits(max_bytes=10))
    assert caught.value.reason == Reason.TOO_LARGE


def test_sizes_are_those_of_the_upright_picture(to_bytes):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = inspect(to_bytes(Image.new("RGB", (80, 40)), "JPEG", exif=exif))
    assert (picture.width, picture.height) == (40, 80)


def test_every_reason_has_words():
    assert set(REASON_TEXT) == set(Reason)
