import pytest

from tellapart.public import public_path, public_source


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("folder:/home/ann/My cats/", "folder:My cats"),
        ("site:/home/ann/recipe.toml", "site:recipe.toml"),
        ("urls:list.txt", "urls:list.txt"),
        ("file:///home/ann/My%20cats/tom.png", "file:tom.png"),
        ("openverse", "openverse"),
        ("https://a.example/home/ann/1.png", "https://a.example/home/ann/1.png"),
        ("", ""),
    ],
)
def test_of_a_path_only_the_last_part_goes_along(text, shown):
    assert public_source(text) == shown


@pytest.mark.parametrize(("text", "shown"), [("auto", "auto"), ("none", "none"), ("../secret/r50.pth", "r50.pth")])
def test_of_a_weights_file_only_its_name_goes_along(text, shown):
    assert public_path(text) == shown
