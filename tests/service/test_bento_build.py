"""What `bentoml build` packs."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tellapart import store

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bento(
    tmp_path_factory: pytest.TempPathFactory,
    store_at: Callable[[Path], AbstractContextManager[None]],
    add_model: Callable[..., store.StoredModel],
) -> tuple[Path, dict[str, str]]:
    """A Bento built where `pets` has an older version promoted and `fruit` nothing; and the tags by what they are."""
    home = tmp_path_factory.mktemp("build")
    with store_at(home):
        old, new, fruit = add_model("pets"), add_model("pets"), add_model("fruit", ("apple", "pear"))
        store.promote(old.tag)
    environ = os.environ | {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    command = [sys.executable, "-m", "bentoml", "build", "--version", "test"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return home / "bentos" / "tellapart" / "test", {"old": old.tag, "new": new.tag, "fruit": fruit.tag}


def test_the_promoted_classifiers_are_packed_and_no_others(bento: tuple[Path, dict[str, str]]) -> None:
    folder, tags = bento
    services: Any = yaml.safe_load((folder / "bento.yaml").read_text())["services"]
    packed = {model["tag"] for service in services for model in service["models"]}
    assert packed == {tags["old"], tags["fruit"]}


def test_an_exported_bento_answers_with_what_is_packed_in_it(
    bento: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    """As in a container: the models are beside the code, and BENTOML_HOME is empty."""
    folder, tags = bento
    environ = os.environ | {"BENTOML_HOME": str(folder.parents[2]), "BENTOML_DO_NOT_TRACK": "True"}
    command = [sys.executable, "-m", "bentoml", "export", "tellapart:test", str(tmp_path / "out.tar")]
    subprocess.run(command, env=environ, capture_output=True, check=True, timeout=120)
    shutil.unpack_archive(tmp_path / "out.tar", tmp_path / "bento")
    script = (
        "import sys; from _bentoml_impl.loader import load; load(sys.argv[1], standalone_load=True);"
        "from tellapart import store; print(*sorted(m.tag for m in store.list_models()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "bento")],
        cwd=tmp_path,
        env=environ | {"BENTOML_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout.split() == sorted([tags["old"], tags["fruit"]]), done.stderr[-2000:]


def test_only_what_the_service_needs_is_packed(bento: tuple[Path, dict[str, str]]) -> None:
    folder, _ = bento
    files = {str(p.relative_to(folder / "src")) for p in (folder / "src").rglob("*") if p.is_file()}
    assert {"service.py", "tellapart/classifier.py", "tellapart/batcher.py"} <= files
    assert {f for f in files if not f.startswith("tellapart/")} == {"service.py", "bentofile.yaml"}
    assert all(f.endswith((".py", ".yaml")) for f in files)


def test_the_container_runs_our_python_as_nobody_special(bento: tuple[Path, dict[str, str]]) -> None:
    folder, _ = bento
    lines = (folder / "env" / "docker" / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("FROM")] == ["FROM python:3.11-slim AS base-container"]
    assert any("uv venv --python 3.11 /app/.venv" in line for line in lines)
    assert [line for line in lines if line.startswith("USER")] == ["USER bentoml"]
    assert lines.index("USER bentoml") > max(i for i, line in enumerate(lines) if line.startswith("RUN"))
    assert "COPY --chown=bentoml:bentoml . ./" in lines
    assert "EXPOSE 3000" in lines
    assert any(line.startswith("RUN") and "apt-get" in line and "g++" in line for line in lines)
    assert [line for line in lines if line.startswith("ENTRYPOINT")] == [
        'ENTRYPOINT [ "/home/bentoml/bento/env/docker/entrypoint.sh" ]'
    ]


def test_the_container_sends_no_statistics_and_has_no_secret_and_no_host(bento: tuple[Path, dict[str, str]]) -> None:
    folder, _ = bento
    dockerfile = (folder / "env" / "docker" / "Dockerfile").read_text()
    lines = dockerfile.splitlines()
    assert lines.index("ARG BENTOML_DO_NOT_TRACK=True") < lines.index("ENV BENTOML_DO_NOT_TRACK=$BENTOML_DO_NOT_TRACK")
    assert not re.search(r"token|secret|password|api_?key", dockerfile, re.IGNORECASE)
    assert not re.search(r"https?://|--(extra-)?index-url|--trusted-host", dockerfile)


@pytest.mark.parametrize(
    ("name", "added"),
    [
        ("cpu", {"UV_TORCH_BACKEND": "cpu"}),
        ("cuda", {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}),
    ],
)
def test_a_variant_differs_in_its_label_and_its_environment_only(name: str, added: dict[str, str]) -> None:
    plain = yaml.safe_load((ROOT / "bentofile.yaml").read_text())
    variant = yaml.safe_load((ROOT / "deploy" / f"bentofile.{name}.yaml").read_text())
    assert variant.pop("labels") == plain.pop("labels") | {"accelerator": name}
    envs = {e["name"]: e["value"] for e in variant.pop("envs")}
    assert envs == {e["name"]: e["value"] for e in plain.pop("envs")} | added
    assert variant == plain


def test_requirements_name_no_host_and_the_versions_of_the_lock_file(bento: tuple[Path, dict[str, str]]) -> None:
    folder, _ = bento
    requirements = (folder / "env" / "python" / "requirements.txt").read_text().split()
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+", r) for r in requirements), requirements
    locked = json.loads((ROOT / "Pipfile.lock").read_text())["default"]
    for name, version in (r.split("==") for r in requirements):
        assert locked[name]["version"] == f"=={version}"


def test_every_package_the_service_imports_is_in_the_bento() -> None:
    named = {
        "PIL": "pillow",
        "pillow_heif": "pillow-heif",
        "prometheus_client": "prometheus-client",
        "python_multipart": "python-multipart",
        "_bentoml_sdk": "bentoml",
    }
    processes = (ROOT / "service.py", ROOT / "tellapart" / "runner.py")
    found = set().union(*(_imports_of(path, set()) for path in processes))
    imported = {named.get(m, m) for m in found if m not in sys.stdlib_module_names}
    packages = (ROOT / "deploy" / "requirements.service.txt").read_text().split()
    used_by_others = {"httptools", "uvloop"}
    assert imported == {"bentoml"} | {p.split("==")[0] for p in packages} - used_by_others


def _imports_of(path: Path, seen: set[Path]) -> set[str]:
    """Top-level names of what a module imports, through our own modules."""
    seen.add(path)
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
        for name in names:
            ours = ROOT / f"{name.replace('.', '/')}.py"
            if name.split(".")[0] != "tellapart":
                found.add(name.split(".")[0])
            elif ours.exists() and ours not in seen:
                found |= _imports_of(ours, seen)
    return found
