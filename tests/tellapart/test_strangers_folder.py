"""The folder `none`: pictures of none of the classes."""

from pathlib import Path

import pytest

from tellapart.folders import open_folder


@pytest.mark.parametrize("above", ["", "train/"])
def test_the_folder_none_is_strangers_and_never_a_class(tmp_path: Path, make_photo, above: str) -> None:
    for seed, name in enumerate((f"{above}cat", f"{above}dog", "none")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        (tmp_path / "pets" / name / "1.png").write_bytes(make_photo(seed))
    (tmp_path / "pets" / "none" / ".hidden").write_bytes(b"x")
    (tmp_path / "pets" / "none" / "link.png").symlink_to(tmp_path / "pets" / "none" / "1.png")
    dataset = open_folder(tmp_path / "pets", tmp_path / "cache")
    assert [c.name for c in dataset.classes] == ["cat", "dog"]
    assert [a.given_split for a in dataset.manifest.kept()] == [above.strip("/")] * 2
    (stranger,) = dataset.strangers()
    assert (stranger.path.name, stranger.class_index) == ("1.png", -1)
    before = dataset.digest()
    stranger.path.unlink()
    assert dataset.strangers() == []
    assert dataset.digest() != before
