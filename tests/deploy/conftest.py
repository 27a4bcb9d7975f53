"""What the project has that deployments name: settings, commands, routes."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tellapart.settings import load_settings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


class _Recording(dict[str, str]):
    """An empty environment that remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return default


@pytest.fixture(scope="session")
def settings_names() -> set[str]:
    """Every environment variable that `load_settings` reads."""
    environment = _Recording()
    load_settings(environment)
    return environment.asked


@pytest.fixture(scope="session")
def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


@pytest.fixture(scope="session")
def stages() -> Mapping[str, list[str]]:
    """The lines of each stage of the Dockerfile."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "Dockerfile").read_text().splitlines():
        if match := re.fullmatch(r"FROM (\S+) AS (\S+)", line):
            found[match[2]] = [*found.get(match[1], [])]
        if found:
            found[list(found)[-1]].append(line)
    return found


@pytest.fixture(scope="session")
def manifests() -> list[Any]:
    """Every object of the Kubernetes base."""
    return list(_objects(DEPLOY / "kubernetes" / "base"))


def _objects(folder: Path) -> Iterator[Any]:
    for path in sorted(folder.glob("*.yaml")):
        if path.name != "kustomization.yaml":
            yield from yaml.safe_load_all(path.read_text())
