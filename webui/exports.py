"""Classifiers as files for other programs. Making them needs torch, so a process of its own does it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from tellapart.errors import TellapartError
from tellapart.settings import Settings
from webui.client import Unavailable

KINDS = {"onnx": "ONNX", "torchscript": "TorchScript", "pt": "PyTorch"}
SECONDS = 100.0
WAIT = 3.0  # for another export
UNFINISHED = ".part"  # what the folder of an export ends in until it is whole
_ROOT = Path(__file__).resolve().parent.parent


class AnotherIsMade(Unavailable):
    """Another export is being made; this one can be asked for again."""


class Exports:
    """Exports that were made, kept with the derived data. One is made at a time."""

    def __init__(self, settings: Settings, seconds: float = SECONDS) -> None:
        self._settings, self._seconds = settings, seconds
        self._folder = settings.cache / "exports"

    def folder(self, tag: str, kind: str) -> Path:
        """The folder with the files of an export, made now where it is not there.

        Raises:
            AnotherIsMade: and it took longer than `WAIT`.
            Unavailable: it takes too long.
            TellapartError: it failed; it says why.
        """
        made = self._place(tag, kind)
        if made.is_dir():
            return made
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self._folder / "lock", timeout=WAIT):  # no longer: it would hold the page's threads
                return made if made.is_dir() else self._make(tag, kind, made)
        except Timeout:
            raise AnotherIsMade("another export is still being made", retry_after=5) from None

    def made(self, tag: str, kind: str) -> Path | None:
        """The folder with the files of an export, None where it was not made yet."""
        place = self._place(tag, kind)
        return place if place.is_dir() else None

    def forget(self, tag: str) -> None:
        """Delete the exports of a version."""
        for kind in KINDS:
            shutil.rmtree(self._place(tag, kind), ignore_errors=True)

    def _make(self, tag: str, kind: str, made: Path) -> Path:
        part = made.with_suffix(UNFINISHED)
        shutil.rmtree(part, ignore_errors=True)
        export = [sys.executable, "-m", "cli", "export", tag, "--format", kind, "--out", str(part)]
        command = [sys.executable, "-m", "tellapart.stopping", str(os.getpid()), *export]  # else it outlives the lock
        environment = {**os.environ, "TELLAPART_HOME": str(self._settings.home)}
        try:
            done = subprocess.run(
                command, cwd=_ROOT, env=environment, timeout=self._seconds, capture_output=True, text=True, check=False
            )
        except subprocess.TimeoutExpired:
            raise Unavailable("the export takes too long here", retry_after=60) from None
        if done.returncode:
            raise TellapartError(f"the export failed: {_last_line(done.stderr)}")
        part.rename(made)  # nothing is there: whoever makes one holds the lock
        return made

    def _place(self, tag: str, kind: str) -> Path:
        return self._folder / f"{tag.replace(':', '-')}-{kind}"


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("error: ") if lines else "it said nothing"
