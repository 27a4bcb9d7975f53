"""From class names to the first served prediction: what `make run` does, with a clock beside it.

    python -m benchmarks.demo

Everything is installed already, nothing is collected or trained: a home of its own is used and thrown away.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks.machine import machine
from tellapart.settings import load_settings

ROOT = Path(__file__).resolve().parent.parent
CLASSES = ("mammals", "birds", "fruit", "flowers")


def main() -> None:
    """Run create, up and one prediction; print what each took."""
    with tempfile.TemporaryDirectory() as home:
        environment = _environment(Path(home))
        started = time.monotonic()
        _tellapart(environment, "create", "demo", *CLASSES, "--source", "gallery", "--yes")
        created = time.monotonic()
        answer = _first_prediction(environment)
        ended = time.monotonic()
        listed = subprocess.run(
            [sys.executable, "-m", "cli", "models", "list", "--json", "-"],
            cwd=ROOT, env=environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
    metrics = json.loads(listed.stdout)[0]["metrics"]
    print(machine())
    print(f"{'collect, curate, train, publish':<40} {created - started:6.1f} s")
    print(f"{'start the servers, first prediction':<40} {ended - created:6.1f} s")
    print(f"{'in all':<40} {ended - started:6.1f} s")
    print(f"{'accuracy, ' + metrics['protocol']:<40} {metrics['accuracy']:6.3f}   on {metrics['n']} pictures")
    print(f"{'first prediction':<40} {answer['top']}, {answer['confidence']:.3f}")


def _environment(home: Path) -> dict[str, str]:
    return {
        **os.environ,
        "TELLAPART_HOME": str(home / "home"),
        "BENTOML_HOME": str(home / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "TELLAPART_WEB_PORT": str(_free_port()),
        "TELLAPART_SERVICE_PORT": str(_free_port()),
    }


def _tellapart(environment: dict[str, str], *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "cli", *arguments], cwd=ROOT, env=environment, check=True)


def _first_prediction(environment: dict[str, str]) -> dict[str, object]:
    """Start both servers, ask once a picture can be answered, stop them."""
    picture = next((load_settings().gallery_folder / "animals" / "birds").glob("*.png")).read_bytes()
    up = subprocess.Popen([sys.executable, "-m", "cli", "up", "--no-open"], cwd=ROOT, env=environment)
    url = f"http://127.0.0.1:{environment['TELLAPART_SERVICE_PORT']}/classify"
    try:
        while up.poll() is None:
            try:
                response = httpx.post(url, files={"image": picture}, timeout=30, trust_env=False)
                if response.status_code == 200:
                    return dict(response.json())
            except httpx.HTTPError:
                time.sleep(0.1)
        raise SystemExit("the servers ended before they answered")
    finally:
        up.send_signal(signal.SIGINT)
        up.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
