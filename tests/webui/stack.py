"""The web page and the worker as processes."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import psutil

from tests.ports import free_port

LONG = 300  # seconds, on a machine that is busy with other things
_ROOT = Path(__file__).resolve().parents[2]


class Stack:
    """Processes of the page, which can be killed and started again; of the settings they know those given alone."""

    def __init__(self, **settings: object) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        known = {k: v for k, v in os.environ.items() if not k.startswith(("TELLAPART_", "BENTOML_"))}
        told = {key: str(value) for key, value in settings.items()}
        self._environment = known | {"BENTOML_DO_NOT_TRACK": "True", "TELLAPART_WEB_PORT": str(port)} | told
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *modules: str) -> None:
        """Start these, and wait until the page answers."""
        for module in modules:
            command = [sys.executable, "-m", module]
            self._running[module] = subprocess.Popen(command, cwd=_ROOT, env=self._environment)
        transport = httpx.HTTPTransport(retries=9)  # waits longer from try to try, about two minutes in all
        with httpx.Client(transport=transport, timeout=LONG) as http:
            assert http.get(f"{self.url}/livez").status_code == 200

    def kill(self, module: str) -> list[psutil.Process]:
        """End it outright; gives what it had started, which ends by itself."""
        process = self._running.pop(module)
        below = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        return below

    def stop(self) -> None:
        """Tell all to end, which they do in order."""
        for process in self._running.values():
            process.terminate()
        assert [process.wait(LONG) for process in self._running.values()] == [0] * len(self._running)
