"""Take the package index out of Pipfile.lock, so that it names no host.

`pipenv sync` then installs from wherever the user's own pip configuration points;
the hashes in the lock still decide which files are accepted.
"""

import json
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "Pipfile.lock"


def strip(lock: dict) -> dict:
    """The lock without `_meta.sources` and without any package's `index` key."""
    lock["_meta"]["sources"] = []
    for group in ("default", "develop"):
        for package in lock[group].values():
            package.pop("index", None)
    return lock


if __name__ == "__main__":
    stripped = strip(json.loads(LOCK.read_text()))
    LOCK.write_text(json.dumps(stripped, indent=4) + "\n")
