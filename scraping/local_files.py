"""Files on this machine as addresses, for the sources that show one's own pictures."""

import os
import stat
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from scraping.failures import FetchFailed
from tellapart.pictures import Reason


def read_file(url: str, max_bytes: int) -> bytes:
    """The bytes of the regular file a file:// address names.

    Raises:
        FetchFailed: it is missing, unreadable, no regular file, or longer than `max_bytes`.
    """
    path = Path(os.fsdecode(unquote_to_bytes(urlsplit(url).path)))
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise FetchFailed(Reason.UNREADABLE, "not a regular file")
        if about.st_size > max_bytes:
            raise FetchFailed(Reason.TOO_LARGE, f"{about.st_size} bytes, at most {max_bytes} are taken")
        return path.read_bytes()
    except FileNotFoundError:
        raise FetchFailed(Reason.NOT_FOUND) from None
    except (OSError, ValueError) as error:
        raise FetchFailed(Reason.UNREADABLE, getattr(error, "strerror", None) or str(error)) from error
