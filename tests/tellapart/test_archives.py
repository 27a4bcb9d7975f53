"""Zip archives from outside: what is read, and what is refused with a reason."""

import io
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tellapart.archives import ArchiveError, ArchiveLimits, open_archive


def write(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def link(target: str) -> bytes:
    """An archive with a symbolic link in it."""
    info = zipfile.ZipInfo("link.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(info, target)
    return buffer.getvalue()


def read_all(path: Path, limits: ArchiveLimits | None = None) -> list[bytes | str]:
    found: list[bytes | str] = []
    with open_archive(path, limits or ArchiveLimits()) as archive:
        for member in archive.members:
            try:
                found.append(archive.read(member))
            except ArchiveError as error:
                found.append(str(error))
    return found


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    members = {"a/b.png": b"1", "a/.hidden": b"2", "__MACOSX/c.png": b"3", "d/": b""}
    assert read_all(write(tmp_path / "a.zip", members)) == [b"1"]


def test_backslashes_part_names_as_slashes_do(tmp_path: Path) -> None:
    members = {"a\\b.png": b"1", "a\\.hidden.png": b"2", "__MACOSX\\c.png": b"3", "d.png\\": b""}
    path = write(tmp_path / "a.zip", members)
    assert read_all(path) == [b"1"]
    with open_archive(path) as archive:
        assert [m.filename for m in archive.members] == ["a/b.png"]


def test_what_is_no_picture_by_name_and_content_is_left_out_and_counted(
    tmp_path: Path, make_picture: Callable[..., bytes]
) -> None:
    picture = make_picture()
    kept = {"text.jpg": b"words", "picture": picture, "picture.txt": picture, "cut": picture[:20], "empty.PNG": b""}
    kept |= {"drawing.svg": b"<svg/>", "photo.jxl": b"\xff\x0a", "inner.zip": b"PK\x03\x04"}
    others = {
        "readme.txt": b"words",
        "LICENSE": b"words",
        "empty": b"",
        "Thumbs.db": b"\xd0\xcf\x11\xe0",
        "a.pdf": b"%PDF",
    }
    with open_archive(write(tmp_path / "a.zip", others | kept)) as archive:
        assert ([m.filename for m in archive.members], archive.left_out) == (list(kept), len(others))


def test_a_file_that_cannot_be_looked_into_is_not_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", {"readme.txt": b"words" * 100})
    data = bytearray(path.read_bytes())
    data[40:44] = b"\xff" * 4
    path.write_bytes(data)
    (said,) = read_all(path)
    assert str(said).startswith("it cannot be unpacked")


@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "/etc/passwd.png", "a\\..\\evil.png"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    assert read_all(write(tmp_path / "a.zip", {name: b"x"})) == ["its name leads out of the archive"]


def test_links_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(link("/etc/passwd"))
    assert read_all(tmp_path / "a.zip") == ["it is a link"]


def test_a_bomb_is_cut_off_by_what_comes_out(tmp_path: Path) -> None:
    found = read_all(write(tmp_path / "a.zip", {"bomb.bmp": bytes(30_000_000), "fine.png": b"fine"}))
    assert found == ["it unpacks to more than 200 times its size", b"fine"]


def test_too_many_files_are_refused_before_they_are_listed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", {f"{i}.png": b"" for i in range(50)})
    for limits in (ArchiveLimits(entries=49), ArchiveLimits(directory_bytes=1000)):
        with pytest.raises(ArchiveError, match=r"more files than|has 50 files") as caught:
            read_all(path, limits)
        assert caught.value.code == "too_large"


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no archive", b"PK\x05\x06" + bytes(10)])
def test_what_is_no_archive_is_said_so(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(ArchiveError, match="the archive cannot be read"):
        read_all(tmp_path / "a.zip")
