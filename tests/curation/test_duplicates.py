import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from curation.duplicates import NEAR, components, find_pairs, near_pairs, thumbnail
from tellapart.images import decode
from tellapart.pictures import inspect


def all_pairs(hashes, max_distance):
    """Every pair, the slow and plain way."""
    distance = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    first, second = np.nonzero(np.triu(distance <= max_distance, 1))
    return list(zip(first.tolist(), second.tolist(), strict=True))


def flipped(random, value, bits):
    return np.uint64(int(value) ^ sum(1 << int(b) for b in random.choice(64, bits, replace=False)))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("max_distance", [0, 2, 6, 7])
def test_the_search_finds_every_pair_that_all_pairs_finds(seed, max_distance):
    random = np.random.default_rng(seed)
    plain = random.integers(0, 2**64, 300, dtype=np.uint64)
    near = [flipped(random, plain[i % 300], i % 9) for i in range(300)]
    hashes = random.permutation(np.concatenate([plain, np.array(near, dtype=np.uint64)]))
    expected = all_pairs(hashes, max_distance)
    assert len(expected) >= 30
    assert [tuple(p) for p in near_pairs(hashes, max_distance).tolist()] == expected


def test_many_hashes_are_searched_in_parts_and_no_pair_is_lost():
    random = np.random.default_rng(7)
    plain = random.integers(0, 2**64, 30_000, dtype=np.uint64)
    near = np.array([flipped(random, value, 1 + i % NEAR.bits) for i, value in enumerate(plain[:300])])
    expected = [(i, 30_000 + i) for i in range(300)]  # unlike random hashes are never that near
    assert [tuple(p) for p in near_pairs(np.concatenate([plain, near]), NEAR.bits).tolist()] == expected


@pytest.mark.parametrize("hashes", [[], [5]])
def test_fewer_than_two_hashes_have_no_pairs(hashes):
    assert near_pairs(np.array(hashes, dtype=np.uint64), NEAR.bits).shape == (0, 2)


def test_pictures_joined_through_others_share_a_cluster(pair):
    labels = components(5, [pair(0, 1), pair(1, 2)])
    assert len({labels[0], labels[1], labels[2]}) == 1
    assert len(set(labels.tolist())) == 3
    assert len(set(components(3, []).tolist())) == 3


def search(pictures):
    asked = []

    def look(i):
        asked.append(i)
        return thumbnail(decode(pictures[i]))

    pairs = find_pairs([inspect(data).phash for data in pictures], look)
    return [(p.first, p.second, p.same) for p in pairs], sorted(asked)


def test_a_picture_saved_again_is_the_same_and_a_trimmed_one_is_near(make_photo, to_bytes):
    image = decode(make_photo(1, size=(400, 300)))
    smaller = to_bytes(image.resize((200, 150)), "JPEG", quality=40)
    trimmed = to_bytes(image.crop((8, 6, 392, 294)), "PNG")
    pairs, asked = search([make_photo(1, size=(400, 300)), smaller, make_photo(2), trimmed])
    assert (0, 1, True) in pairs
    assert (0, 3, False) in pairs
    assert {i for pair in pairs for i in pair[:2]} == {0, 1, 3}
    assert asked == [0, 1, 3]


@pytest.mark.parametrize("enhance", [ImageEnhance.Brightness, ImageEnhance.Contrast])
@pytest.mark.parametrize("factor", [0.75, 1.1])
def test_a_picture_in_another_light_is_near_and_not_the_same(make_photo, to_bytes, enhance, factor):
    image = decode(make_photo(1))
    lit = to_bytes(enhance(image).enhance(factor).resize((90, 70)), "JPEG", quality=70)
    assert search([make_photo(1), make_photo(2), lit])[0] == [(0, 2, False)]


@pytest.mark.parametrize("mirrored_first", [False, True])
def test_a_mirrored_copy_is_near_and_never_the_same(make_photo, to_bytes, mirrored_first):
    image = decode(make_photo(1, size=(400, 300)))
    mirrored = to_bytes(ImageOps.mirror(image).resize((200, 150)), "JPEG", quality=70)
    pictures = [make_photo(1, size=(400, 300)), mirrored]
    assert search([make_photo(2), *(pictures[::-1] if mirrored_first else pictures)])[0] == [(1, 2, False)]


def test_a_mirrored_shape_of_another_size_is_another_picture(to_bytes):
    """Crosses of 36 and 28 pixels an arm: mirrored, the hashes differ by 4 bits and the thumbnails by 6.1 levels."""

    def cross(x, arm):
        image = Image.fromarray(np.random.default_rng(arm).integers(170, 255, (128, 128, 3), dtype=np.uint8))
        image.paste("navy", (x - arm, 61, x + arm, 75))
        image.paste("navy", (x - 7, 68 - arm, x + 7, 68 + arm))
        return to_bytes(image, "PNG")

    assert search([cross(56, 36), cross(72, 36)])[0] == [(0, 1, False)]
    assert search([cross(56, 36), cross(72, 28)])[0] == []


def test_a_symmetrical_picture_is_its_own_mirror_image_and_stays_as_it_is(make_photo, to_bytes):
    def symmetrical(seed):
        image = decode(make_photo(seed))
        mirrored = image.copy()
        mirrored.paste(ImageOps.mirror(image.crop((0, 0, 48, 96))), (48, 0))
        return Image.blend(mirrored, image, 0.1)  # but for what no photograph is without

    saved_again = to_bytes(symmetrical(1), "JPEG", quality=60)
    pictures = [to_bytes(symmetrical(1), "PNG"), to_bytes(symmetrical(2), "PNG"), saved_again]
    assert search(pictures)[0] == [(0, 2, True)]


@pytest.mark.parametrize(
    ("hexadecimal", "near"), [("a5" * 8, True), ("9a" + "a5" * 7, True), ("9aa4" + "a5" * 6, False)]
)
def test_mirroring_flips_the_bits_of_odd_horizontal_frequencies(hexadecimal, near):
    """f0 flipped by 55 is a5; 9a is 6 bits from that, as many as may differ, and 9aa4 is 7."""
    found = find_pairs(["f0" * 8, hexadecimal], dict.fromkeys(range(2)).get)
    assert [(p.first, p.second, p.same, p.mirrored) for p in found] == [(0, 1, False, True)] * near


def test_the_same_shape_in_another_colour_is_another_picture(make_photo, to_bytes):
    red, green, blue = decode(make_photo(1)).split()
    pictures = [to_bytes(Image.merge("RGB", bands), "PNG") for bands in ((red, green, blue), (blue, green, red))]
    gray = [
        to_bytes(Image.merge("RGB", [green if c == i else Image.new("L", green.size) for i in range(3)]), "PNG")
        for c in (0, 1)
    ]
    assert search(gray)[0] == []
    assert search(pictures)[0] == []


def test_flat_pictures_and_gradients_are_not_near_each_other(make_picture, to_bytes):
    ramp = np.tile(np.arange(64, dtype=np.uint8) * 2, (64, 1))
    pictures = [make_picture(c) for c in ("white", "gray", "black", "#f0f0f0")]
    pictures += [to_bytes(Image.fromarray(ramp), "PNG"), to_bytes(Image.fromarray(ramp + 1), "PNG")]
    assert search(pictures) == ([], [])


def test_where_a_picture_cannot_be_looked_at_the_hash_decides(make_photo):
    phash = inspect(make_photo(1)).phash
    assert [(p.first, p.second) for p in find_pairs([phash, "", phash], dict.fromkeys(range(3)).get)] == [(0, 2)]
