"""The key that signs sessions, and what else has to be kept from strangers: made on the first start, the same for all
workers, readable by its owner only."""

import hmac
import os
import secrets
import tempfile
from pathlib import Path

from tellapart.errors import TellapartError
from tellapart.files import readable_disk_errors

_LENGTH = 64


def secret_key(home: Path) -> str:
    """The key in `home`/web/secret, made if there is none.

    Raises:
        TellapartError: it cannot be read or written, or is no key.
    """
    path = home / "web" / "secret"
    with readable_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _make(path)
        key = path.read_text(errors="replace")
    if len(key) != _LENGTH:
        raise TellapartError(f"{path} is not a key of {_LENGTH} characters", "Delete it; a new one is made")
    return key


def pseudonym(home: Path, person: str) -> str:
    """What stands for a person in what might be given on: always the same, and without the key nobody knows whose.

    Raises:
        TellapartError: as `secret_key`.
    """
    return hmac.digest(secret_key(home).encode(), f"person {person}".encode(), "sha256").hex()[:16]


def _make(path: Path) -> None:
    """Write a key whole; where another worker was first, its key stays."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".secret-")  # made with mode 600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(_LENGTH // 2))
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(name)
    except FileExistsError:
        return
    finally:
        Path(name).unlink(missing_ok=True)
