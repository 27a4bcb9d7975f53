import re

import pytest

from tellapart.errors import UsageError
from tellapart.names import check_name, parse_class_name, parse_class_names, slugify


def test_names_keep_their_order_and_get_slugs():
    classes = parse_class_names(["Sea  lions ", "t-shirt"])
    assert [(c.name, c.slug) for c in classes] == [("Sea lions", "sea-lions"), ("t-shirt", "t-shirt")]


def test_a_comma_separates_names():
    assert [c.name for c in parse_class_names(["cat,dog,", "bird"])] == ["cat", "dog", "bird"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("cat", "Cat"),
        ("sea lion", "sea-lion"),
        ("cat!", "cat"),
        ("café", "cafe\u0301"),
        ("Müller", "Muller"),
        ("fin", "\ufb01n"),
    ],
)
def test_two_names_with_the_same_slug_are_refused(first, second):
    with pytest.raises(UsageError, match="are the same once written as a folder name"):
        parse_class_names([first, second])


@pytest.mark.parametrize("pair", [("кот", "кит"), ("猫", "犬"), ("🐱", "🐶"), ("قط", "كلب")])
def test_every_script_gets_slugs_of_its_own(pair):
    classes = parse_class_names(pair)
    assert [c.name for c in classes] == list(pair)
    assert classes[0].slug != classes[1].slug
    assert all(c.slug.isascii() and c.slug.replace("-", "").isalnum() for c in classes)


def test_a_slug_without_letters_does_not_depend_on_the_run():
    assert slugify("猫") == "class-a810bf845a"
    assert slugify("猫") == parse_class_name("  猫 ").slug


@pytest.mark.parametrize("name", ["CON", "nul", "Lpt1", "none"])
def test_folders_that_mean_something_else_are_not_taken(name):
    assert re.fullmatch(f"{name.lower()}-[0-9a-f]{{10}}", slugify(name))
    assert slugify(name) == slugify(name.upper())


def test_half_a_character_has_a_slug_of_its_own():
    assert len({slugify("\udcfe"), slugify("\udcff"), slugify("?")}) == 3
    assert slugify("cat\udcff") == "cat"


HOSTILE = [
    "../etc",
    "a/b",
    "a\\b",
    "<script>",
    'say "x"',
    "what?",
    "a*b",
    "c:",
    "a|b",
    "`id`",
    "nul\0",
    "line\u0007",
    "\u202eexe",
    "zero\u200bwidth",
    "bad\udcff",
    ".hidden",
    "..",
    "x" * 81,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused_in_one_printable_line(name):
    with pytest.raises(UsageError) as caught:
        parse_class_names([name, "dog"])
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 300


def test_all_names_that_cannot_be_used_are_said_at_once():
    with pytest.raises(UsageError) as caught:
        parse_class_names(["a/b, dog", ".cat, it's, <i>, <i>", "a\\b", "c:?", "x" * 81, "say *", "|"])
    assert caught.value.what == (
        'class name "a/b" contains /; ".cat" starts with a dot; "<i>" contains < >; "a\\b" contains \\; '
        '"c:?" contains : ?; and 3 more'
    )


def test_all_names_that_are_the_same_are_said_at_once():
    with pytest.raises(UsageError) as caught:
        parse_class_names(["Cat", "cat", "sea lion", "dog", "sea-lion", "CAT"])
    assert caught.value.what.endswith(': "Cat" and "cat" and "CAT" (cat); "sea lion" and "sea-lion" (sea-lion)')


@pytest.mark.parametrize("name", ["", "   ", "\t\n"])
def test_an_empty_name_is_refused(name):
    with pytest.raises(UsageError, match="empty"):
        parse_class_name(name)


def test_from_2_to_1000_classes():
    assert len(parse_class_names(f"class {i}" for i in range(1000))) == 1000
    with pytest.raises(UsageError, match="1001 class names given, expected 2 to 1000"):
        parse_class_names(f"class {i}" for i in range(1001))
    with pytest.raises(UsageError, match="1 class name given"):
        parse_class_names(["cat"])
    with pytest.raises(UsageError, match="0 class names given"):
        parse_class_names([",", " "])


@pytest.mark.parametrize("name", ["demo", "a", "pets-2", "my_model", "x" * 63])
def test_names_of_classifiers(name):
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "Demo", "-a", "a-", "a b", "a/b", "../a", "a:b", "x" * 64, "кот", "a\n"])
def test_names_of_classifiers_that_cannot_be_used(name):
    with pytest.raises(UsageError, match="data set name") as caught:
        check_name(name, "data set")
    assert str(caught.value).isprintable()
