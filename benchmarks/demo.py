"""From class names to the first served prediction: what `make run` does, with a clock beside it.

    python -m benchmarks.demo

Everything is installed already, nothing is collected or trained: a home of its own is used and thrown away.
"""

import json
import subprocess
import sys
import time

import httpx

from benchmarks.machine import ROOT, home_of_its_own, machine
from benchmarks.stack import running
from tellapart.settings import load_settings

CLASSES = ("mammals", "birds", "fruit", "flowers")


def main() -> None:
    """Run create, up and one prediction; print what each took."""
    with home_of_its_own():
        picture = next((load_settings().gallery_folder / "animals" / "birds").glob("*.png")).read_bytes()
        started = time.monotonic()
        _tellapart("create", "demo", *CLASSES, "--source", "gallery", "--yes")
        created = time.monotonic()
        with running() as stack:
            answer = httpx.post(f"{stack.service}/classify", files={"image": picture}, timeout=60, trust_env=False)
            ended = time.monotonic()
        listed = _tellapart("models", "list", "--json", "-")
    metrics, said = json.loads(listed)[0]["metrics"], answer.raise_for_status().json()
    print(machine())
    print(f"{'collect, curate, train, publish':<40} {created - started:6.1f} s")
    print(f"{'start the servers, first prediction':<40} {ended - created:6.1f} s")
    print(f"{'in all':<40} {ended - started:6.1f} s")
    print(f"{'accuracy, ' + metrics['protocol']:<40} {metrics['accuracy']:6.3f}   on {metrics['n']} pictures")
    print(f"{'first prediction':<40} {said['top']}, {said['confidence']:.3f}")


def _tellapart(*arguments: str) -> str:
    """What a command printed; what it says while it works is shown."""
    command = [sys.executable, "-m", "cli", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
