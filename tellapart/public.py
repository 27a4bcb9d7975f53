"""What may leave this machine: names of files, never the folders they lie in, nor who put pictures in."""

from pathlib import PurePath
from urllib.parse import unquote

UPLOAD = "upload"  # the source of pictures that people put in on the web page
_LOCAL = ("file:", "folder:", "site:", "urls:")


def public_source(text: str) -> str:
    """A source as it was asked for, or a picture's address, without folders of this machine.

    Of a path only its last part stays: "folder:/home/ann/pets" is "folder:pets"; anything else is as it was.
    """
    scheme = next((s for s in _LOCAL if text.startswith(s)), "")
    return f"{scheme}{unquote(text).rstrip('/').rpartition('/')[2].removeprefix(scheme)}" if scheme else text


def public_path(text: str) -> str:
    """The name of a file; words such as "auto" are as they were."""
    return PurePath(text).name


def public_author(source: str, author: str) -> str:
    """Whom to name for a picture from this source; never who put it in on the web page."""
    return "" if source == UPLOAD else author
