"""The heat map as a picture, and the sentence, with heat that is known by hand."""

import io

import numpy as np
import pytest
from PIL import Image

from tellapart.explain import Seen, heat_png, sentence

WHOLE = (0.0, 0.0, 300.0, 300.0)


def heat_at(row: int, column: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    heat = np.full((6, 6), -1.0, np.float32)
    heat[row, column] = 2.0
    return heat


def seen(probabilities: list[float], asked: int = 0, none: bool = False, row: int = 0, column: int = 0) -> Seen:
    names = ["cat", "dog", "owl"]
    return Seen(names, np.array(probabilities, np.float32), none, asked, heat_at(row, column))


def test_the_heat_map_is_red_where_the_class_is_spoken_for_and_clear_elsewhere() -> None:
    picture = Image.open(io.BytesIO(heat_png(heat_at(0, 5), (300, 300), WHOLE)))
    assert (picture.mode, picture.size) == ("RGBA", (448, 448))
    red, green, _, opacity = picture.getpixel((440, 8))
    assert red > 200 > green
    assert opacity > 150
    assert picture.getpixel((100, 300))[3] == 0


def test_the_heat_map_has_the_pictures_proportions_and_is_clear_where_the_network_did_not_look() -> None:
    picture = Image.open(io.BytesIO(heat_png(np.ones((7, 7), np.float32), (800, 400), (200.0, 0.0, 600.0, 400.0))))
    assert picture.size == (448, 224)
    assert [picture.getpixel((x, 112))[3] > 0 for x in (50, 224, 400)] == [False, True, False]


@pytest.mark.parametrize(
    ("row", "column", "place"),
    [(0, 0, "the upper left"), (0, 3, "the upper part"), (2, 2, "the middle"), (5, 5, "the lower right")],
)
def test_the_sentence_says_where(row: int, column: int, place: str) -> None:
    found = sentence(seen([0.97, 0.02, 0.01], row=row, column=column), (300, 300), WHOLE)
    assert found == f"This looks like cat (97.0 %): what speaks most for cat is in {place} of the picture."


def test_what_speaks_for_a_class_beside_the_picture_is_at_its_edge() -> None:
    """A whole picture lies in a square that is larger than it."""
    box = (0.0, -350.0, 900.0, 550.0)
    assert "in the upper left of the picture" in sentence(seen([0.97, 0.02, 0.01]), (900, 200), box)
    assert "in the lower left of the picture" in sentence(seen([0.97, 0.02, 0.01], row=5), (900, 200), box)
    picture = Image.open(io.BytesIO(heat_png(np.ones((7, 7), np.float32), (900, 200), box)))
    assert picture.size == (448, 100)
    assert picture.getpixel((224, 50))[3] > 0


def test_the_sentence_says_how_sure_it_is() -> None:
    assert "(> 99.9 %)" in sentence(seen([0.9996, 0.0004, 0.0]), (300, 300), WHOLE)
    unsure = sentence(seen([0.45, 0.40, 0.15]), (300, 300), WHOLE)
    assert unsure.startswith("This may be cat (45.0 %), but dog (40.0 %) is nearly as likely; what speaks most for cat")
    none = sentence(seen([0.6, 0.2, 0.2], none=True), (300, 300), WHOLE)
    assert none.startswith("This is probably none of the classes: cat (60.0 %) comes nearest, and what speaks most")


def test_a_class_that_is_not_the_answer_is_not_made_to_look_like_one() -> None:
    found = sentence(seen([0.97, 0.02, 0.004], asked=2, row=5, column=0), (300, 300), WHOLE)
    assert found.startswith("The answer is cat (97.0 %) and not owl (0.4 %); what speaks most for owl is in")


def test_where_nothing_or_everything_speaks_for_it_no_place_is_named() -> None:
    names, probabilities = ["cat", "dog"], np.array([0.9, 0.1], np.float32)
    nothing = Seen(names, probabilities, False, 0, np.full((7, 7), -1.0, np.float32))
    assert (
        sentence(nothing, (300, 300), WHOLE) == "This looks like cat (90.0 %): no place in it speaks for cat by itself."
    )
    everything = Seen(names, probabilities, False, 0, np.ones((7, 7), np.float32))
    assert sentence(everything, (300, 300), WHOLE).endswith("in most of the picture.")


def test_the_place_is_one_of_the_whole_picture_not_of_the_part_looked_at() -> None:
    found = sentence(seen([0.9, 0.1, 0.0], row=3, column=0), (900, 300), (300.0, 0.0, 600.0, 300.0))
    assert "in the middle of the picture" in found
