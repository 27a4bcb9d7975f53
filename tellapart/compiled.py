"""Backbones as machine code for this processor: compiled once in a process of its own, kept in the cache.

    python -m tellapart.compiled BUNDLE_FOLDER PACKAGE FORM

Compiling takes a C++ compiler and about a minute of one core, so it pays for a server that answers thousands of
pictures; without a compiler nothing changes. A package is torch's archive unpacked, as it would be unpacked anew at
every start, into a temporary folder that outlives a process which does not end in order. Needs torch.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from safetensors.torch import load_file

from tellapart.bundle import BundleInfo, open_bundle
from tellapart.hardware import processor
from tellapart.network import CPU_BATCH, FeatureExtractor, load_module
from tellapart.streams import Forward

_ROOT = Path(__file__).resolve().parent.parent
_MOST_AT_ONCE = 64
_WAITING = "half-"
_POLITE = 15  # what serves comes first


def can_compile() -> bool:
    """Whether there is a C++ compiler."""
    return any(shutil.which(name) for name in (os.environ.get("CXX") or "g++", "g++", "clang++"))


def package_path(info: BundleInfo, form: str, cache: Path) -> Path:
    """Where the compiled backbone of a bundle is kept: named by all that it depends on."""
    depends = (info.backbone_sha256, str(info.preprocessing), form, CPU_BATCH, torch.__version__, processor())
    return cache / "compiled" / f"{hashlib.sha256(repr(depends).encode()).hexdigest()[:32]}.pt2"


def start_compiling(folder: Path, package: Path, form: str) -> "subprocess.Popen[bytes]":
    """Compile a bundle's backbone in a process of its own, which makes way for others and ends with this thread.

    Raises:
        OSError: the cache cannot be written.
    """
    package.parent.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "tellapart.stopping", str(os.getpid()), "nice", "-n", str(_POLITE)),
            *(sys.executable, "-m", "tellapart.compiled", str(folder), str(package), form),
        ],
        cwd=_ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TORCHINDUCTOR_COMPILE_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def load_package(package: Path) -> Forward:
    """The compiled forward pass: pictures (N, H, W, 3) uint8 to features (N, D) float32.

    Raises:
        RuntimeError: the package is damaged or of another machine.
    """
    forward: Forward = torch._inductor.aoti_load_package(str(package))
    return forward


def compile_bundle(folder: Path, package: Path, form: str) -> None:
    """Compile a bundle's backbone into a package; where another process is at it, wait for that one.

    Args:
        form: "bfloat16" or "float32", see `FeatureExtractor`.
    """
    with FileLock(_lock(package)):
        if package.exists():
            return
        _sweep(package.parent)
        bundle = open_bundle(folder)
        side = bundle.info.preprocessing.crop
        module = load_module(bundle.backbone, load_file(bundle.backbone_file), not bundle.is_earlier)
        dtype = getattr(torch, form)
        compile_network(FeatureExtractor(module, bundle.info.preprocessing, dtype=dtype, fused=False), side, package)


def compile_network(extractor: FeatureExtractor, side: int, package: Path) -> None:
    """Compile a network, not fused, for pictures of that many pixels a side; the package is there whole or not."""
    example = torch.zeros(CPU_BATCH, side, side, 3, dtype=torch.uint8)
    count = torch.export.Dim("count", min=1, max=_MOST_AT_ONCE)
    waiting = package.with_name(f"{_WAITING}{package.name}")
    shutil.rmtree(waiting, ignore_errors=True)  # of one that was killed over this package
    waiting.mkdir()
    archive, unpacked = waiting / "network.pt2", waiting / "unpacked"
    with torch.no_grad():
        exported = torch.export.export(extractor.whole_pass(), (example,), dynamic_shapes=({0: count},))
        torch._inductor.aoti_compile_and_package(
            exported, package_path=str(archive), inductor_configs={"freezing": True}
        )
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(unpacked)
    unpacked.replace(package)
    shutil.rmtree(waiting)


def _sweep(folder: Path) -> None:
    """Take away what processes that were killed over it left half-made."""
    for waiting in folder.glob(f"{_WAITING}*"):
        with contextlib.suppress(Timeout), FileLock(_lock(folder / waiting.name.removeprefix(_WAITING)), timeout=0):
            shutil.rmtree(waiting, ignore_errors=True)


def _lock(package: Path) -> Path:
    return package.with_suffix(".lock")


if __name__ == "__main__":
    torch.set_num_threads(1)
    compile_bundle(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
