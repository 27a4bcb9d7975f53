"""What a fresh machine gets is what the project's own files say, and they name no host."""

import json
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def tracked_files() -> list[Path]:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def test_the_lock_names_no_index() -> None:
    lock = json.loads((ROOT / "Pipfile.lock").read_text())
    assert lock["_meta"]["sources"] == []
    packages = lock["default"] | lock["develop"]
    assert [name for name, package in packages.items() if "index" in package] == []


def test_the_lock_has_every_package_of_the_pipfile_with_hashes() -> None:
    pipfile = tomllib.loads((ROOT / "Pipfile").read_text())
    lock = json.loads((ROOT / "Pipfile.lock").read_text())
    for wanted, locked in (("packages", "default"), ("dev-packages", "develop")):
        missing = [name for name in pipfile[wanted] if not lock[locked].get(name, {}).get("hashes")]
        assert missing == []


def test_no_file_names_a_package_registry() -> None:
    hosts = [f"{name}.{end}" for name in ("pypi", "pythonhosted", "npmjs") for end in ("org", "com")]
    found = [
        f"{path.relative_to(ROOT)}: {host}"
        for path in tracked_files()
        for host in hosts
        if host.encode() in path.read_bytes()
    ]
    assert found == []


def test_no_file_is_large_or_a_model() -> None:
    refused = {".pth", ".pt", ".safetensors", ".pkl", ".onnx", ".sqlite"}
    found = [str(p) for p in tracked_files() if p.suffix in refused or p.stat().st_size > 2**20]
    assert found == []
