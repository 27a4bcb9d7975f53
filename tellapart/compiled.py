"""Backbones as machine code for this processor: compiled once in a process of its own, kept in the cache.

    python -m tellapart.compiled BUNDLE_FOLDER FILE FORM

Compiling takes a C++ compiler and about a minute of one core, so it pays for a server that answers thousands of
pictures; without a compiler nothing changes. Needs torch.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
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


def package_file(info: BundleInfo, form: str, cache: Path) -> Path:
    """Where the compiled backbone of a bundle is kept: named by all that it depends on."""
    depends = (info.backbone_sha256, str(info.preprocessing), form, CPU_BATCH, torch.__version__, processor())
    return cache / "compiled" / f"{hashlib.sha256(repr(depends).encode()).hexdigest()[:32]}.pt2"


def start_compiling(folder: Path, file: Path, form: str) -> "subprocess.Popen[bytes]":
    """Compile a bundle's backbone in a process of its own, which makes way for others and ends with this thread.

    Raises:
        OSError: the cache cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "tellapart.stopping", str(os.getpid()), "nice", "-n", str(_POLITE)),
            *(sys.executable, "-m", "tellapart.compiled", str(folder), str(file), form),
        ],
        cwd=_ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TORCHINDUCTOR_COMPILE_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def load_package(file: Path) -> Forward:
    """The compiled forward pass: pictures (N, H, W, 3) uint8 to features (N, D) float32.

    Raises:
        RuntimeError: the file is damaged or of another machine.
    """
    forward: Forward = torch._inductor.aoti_load_package(str(file))
    return forward


def compile_bundle(folder: Path, file: Path, form: str) -> None:
    """Compile a bundle's backbone into a file; where another process is at it, wait for that one.

    Args:
        form: "bfloat16" or "float32", see `FeatureExtractor`.
    """
    with FileLock(_lock(file)):
        if file.exists():
            return
        _sweep(file.parent)
        bundle = open_bundle(folder)
        side = bundle.info.preprocessing.crop
        module = load_module(bundle.backbone, load_file(bundle.backbone_file))
        dtype = getattr(torch, form)
        compile_network(FeatureExtractor(module, bundle.info.preprocessing, dtype=dtype, fused=False), side, file)


def compile_network(extractor: FeatureExtractor, side: int, file: Path) -> None:
    """Compile a network, not fused, for pictures of that many pixels a side; the file is there whole or not at all."""
    example = torch.zeros(CPU_BATCH, side, side, 3, dtype=torch.uint8)
    count = torch.export.Dim("count", min=1, max=_MOST_AT_ONCE)
    waiting = file.with_name(f"{_WAITING}{file.name}")
    with torch.no_grad():
        exported = torch.export.export(extractor.whole_pass(), (example,), dynamic_shapes=({0: count},))
        torch._inductor.aoti_compile_and_package(
            exported, package_path=str(waiting), inductor_configs={"freezing": True}
        )
    waiting.replace(file)


def _sweep(folder: Path) -> None:
    """Take away what processes that were killed over it left half-written."""
    for waiting in folder.glob(f"{_WAITING}*"):
        with contextlib.suppress(Timeout), FileLock(_lock(folder / waiting.name.removeprefix(_WAITING)), timeout=0):
            waiting.unlink(missing_ok=True)


def _lock(file: Path) -> Path:
    return file.with_suffix(".lock")


if __name__ == "__main__":
    torch.set_num_threads(1)
    compile_bundle(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
