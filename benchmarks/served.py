"""The servers that `benchmarks.serve` measures: ours, and others around the same classifier."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.machine import ROOT, free_port

RIVALS = Path(__file__).parent / "rivals"


@dataclass(frozen=True)
class Served:
    """A running server: its address, its process, and seconds to its first readiness."""

    name: str
    url: str
    process: psutil.Process
    started: float

    def family(self) -> list[psutil.Process]:
        """It and all below it."""
        return [self.process, *self.process.children(recursive=True)]

    def processor_seconds(self) -> float:
        """Processor time of all of it."""
        return sum(sum(p.cpu_times()[:2]) for p in self.family())


@contextmanager
def server(name: str, command: list[str], port: int, folder: Path = ROOT, path: str = "/readyz") -> Iterator[Served]:
    """A server process, ready; stopped at the end."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = psutil.Popen(command, cwd=folder, stdout=log, stderr=log)
        served = Served(name, f"http://127.0.0.1:{port}", process, 0.0)
        try:
            _wait(f"{served.url}{path}", process)
            yield Served(name, served.url, process, time.perf_counter() - start)
        finally:
            if process.is_running():
                _stop(served)


def _stop(served: Served) -> None:
    family = served.family()
    for part in family:
        part.resume()
    served.process.terminate()
    for part in psutil.wait_procs(family, 20)[1]:  # LitServe leaves its workers
        part.kill()


def ours(stack: ExitStack) -> Served:
    """The service as `tellapart serve` starts it."""
    port = free_port()
    command = [sys.executable, "-m", "bentoml", "serve", "service:Classifier", "--host", "127.0.0.1"]
    return stack.enter_context(server("tellapart", [*command, "--port", str(port), "--timeout-keep-alive", "75"], port))


def rivals(stack: ExitStack, environment: Path) -> list[Served]:
    """Other servers around the same classifier, in an environment that also has the project's packages."""
    python = str(install_rivals(environment))
    one, two, three = (free_port() for _ in range(3))
    uvicorn = [python, "-m", "uvicorn", "fastapi_app:app", "--port", str(two), "--log-level", "warning"]
    stock = [python, "-m", "bentoml", "serve", "stock_bentoml:Stock", "--host", "127.0.0.1", "--port", str(three)]
    return [
        stack.enter_context(server("LitServe", [python, "litserve_app.py", str(one)], one, RIVALS, "/health")),
        stack.enter_context(server("FastAPI", uvicorn, two, RIVALS)),
        stack.enter_context(server("BentoML, stock batching", stock, three, RIVALS)),
    ]


def install_rivals(folder: Path) -> Path:
    """A Python that has the rivals' packages, our own and the project's."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    site = next((folder / "lib").glob("python*/site-packages"))
    own = next(Path(p) for p in sys.path if p.endswith("site-packages"))
    (site / "project.pth").write_text(f"{own}\n{ROOT}\n")
    packages = ["litserve", "fastapi", "python-multipart"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


@contextmanager
def alone(served: Served | None, everyone: list[Served]) -> Iterator[None]:
    """Let only one of the servers run, or none."""
    for other in everyone:
        for process in other.family():
            (process.resume if other is served else process.suspend)()
    yield


def memory_mb(served: Served) -> str:
    """Resident memory of the server's processes."""
    kinds = {"tellapart.runner": "Runner", "_bentoml_impl.worker.service": "front", "serve": "supervisor"}
    found = []
    for process in served.family():
        words = process.cmdline()
        kind = next((kinds[word] for word in kinds if word in words), "")
        if kind:
            found.append(f"{kind} {process.memory_info().rss / 1e6:.0f}")
    return ", ".join(found)


def _wait(url: str, process: psutil.Popen) -> None:
    while process.poll() is None:
        try:
            if httpx.get(url, timeout=5, trust_env=False).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    sys.exit(f"a server stopped while starting: {url}")
