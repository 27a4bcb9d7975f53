"""compose.yaml and the Dockerfile: what they name exists, and nothing is more open than it must be."""

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.commands import cli
from tellapart.openapi import describe
from tellapart.settings import Settings
from webui import worker
from webui.app import create_app

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("service", "web", "worker", "redis", "database")
OURS = SERVICES[:3]
_REFERENCE = re.compile(r"(?<!\$)\$\{(\w+)(:[?-])?[^}]*\}")


def strings(value: Any) -> Iterator[str]:
    """Every text in a piece of YAML."""
    if isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)
    elif isinstance(value, str):
        yield value


def test_the_services_are_these(compose: Any) -> None:
    assert tuple(compose["services"]) == SERVICES


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_no_rights_it_does_not_need(compose: Any, name: str) -> None:
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["user"].split(":")[0]) > 0
    assert not {"privileged", "cap_add", "devices", "pid", "network_mode"} & set(service)
    assert not any("docker.sock" in volume for volume in service["volumes"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_limited_and_started_again(compose: Any, name: str) -> None:
    service = compose["services"][name]
    assert service["restart"] == "unless-stopped"
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert service["logging"]["options"]["max-size"]
    assert {"test", "interval", "timeout", "retries"} <= set(service["healthcheck"])


def test_only_loopback_is_published_and_data_is_on_an_internal_network(compose: Any) -> None:
    ports = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert ports == {"service": ["127.0.0.1:3000:3000"], "web": ["127.0.0.1:5000:5000"]}
    assert compose["networks"]["back"] == {"internal": True}
    assert all(compose["services"][name]["networks"] == ["back"] for name in ("redis", "database"))


@pytest.mark.parametrize("name", OURS)
def test_what_our_containers_run_and_are_told_exists(
    compose: Any, settings_names: set[str], stages: Mapping[str, list[str]], name: str
) -> None:
    service = compose["services"][name]
    assert service["build"]["target"] in stages
    assert service["command"][0] in cli.commands
    assert set(service["environment"]) <= settings_names


def test_a_healthcheck_asks_a_route_that_there_is(compose: Any, tmp_path: Path) -> None:
    pages = {rule.rule for rule in create_app(Settings(home=tmp_path)).url_map.iter_rules()}
    assert _probed(compose, "service", 3000) in describe()["paths"]
    assert _probed(compose, "web", 5000) in pages


def test_a_worker_is_healthy_as_long_as_it_looks_for_jobs(
    compose: Any, manifests: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how, command = compose["services"]["worker"]["healthcheck"]["test"]
    assert how == "CMD-SHELL"
    command = command.replace("$$", "$")  # as Compose does
    (pod,) = (one for one in manifests if (one["kind"], one["metadata"]["name"]) == ("Deployment", "worker"))
    (container,) = pod["spec"]["template"]["spec"]["containers"]
    assert container["livenessProbe"]["exec"]["command"] == ["sh", "-c", command]
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def healthy() -> bool:
        done = subprocess.run(["sh", "-c", command.replace("/tmp", str(tmp_path))], check=False, timeout=60)
        return done.returncode == 0

    assert not healthy()
    worker.beat()
    assert healthy()
    (file,) = tmp_path.iterdir()
    os.utime(file, (time.time() - 600,) * 2)
    assert not healthy()


def _probed(compose: Any, name: str, port: int) -> str:
    (path,) = re.findall(
        rf"http://127\.0\.0\.1:{port}(/\w+)", " ".join(compose["services"][name]["healthcheck"]["test"])
    )
    return str(path)


def test_every_volume_and_network_that_is_used_is_declared_and_the_other_way_round(compose: Any) -> None:
    services = compose["services"].values()
    assert {volume.split(":")[0] for s in services for volume in s["volumes"]} == set(compose["volumes"])
    assert {network for s in services for network in s["networks"]} == set(compose["networks"])
    assert {on for s in services for on in s.get("depends_on", {})} <= set(SERVICES)


def test_a_service_that_answers_cannot_write_models(compose: Any) -> None:
    assert compose["services"]["service"]["volumes"] == ["models:/data/bentoml:ro", "compiled:/data/home"]


def test_no_secret_has_a_value_and_none_is_started_without_one(compose: Any) -> None:
    example = (ROOT / "deploy" / "secrets.env.example").read_text()
    assert re.findall(r"^\w+=.+$", example, re.MULTILINE) == []
    secrets = set(re.findall(r"^(\w+)=$", example, re.MULTILINE))
    references = {m[1]: m[2] for text in strings(compose["services"]) for m in _REFERENCE.finditer(text)}
    assert {name for name, how in references.items() if how == ":?"} == secrets
    assert {name for name, how in references.items() if how != ":?"} == {
        "TELLAPART_WEB_URL",
        "TELLAPART_PUBLIC_SERVICE_URL",
        "TELLAPART_PROXIES",
        "TELLAPART_CONTACT",
    }
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search("TOKEN|PASSWORD|SECRET|KEY", name):
                assert _REFERENCE.fullmatch(value), name
            assert not re.search(r"://[^/$]*:[^/$]+@", value), name
    for ignore in (".gitignore", ".dockerignore"):
        assert "deploy/secrets.env" in (ROOT / ignore).read_text().splitlines()


def test_the_images_are_this_python_from_this_lock_and_not_root(stages: Mapping[str, list[str]]) -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"python:3.11-slim", "server"}
    pinned = re.findall(r"pipenv==[0-9.]+", text)
    assert pinned == re.findall(r"pipenv==[0-9.]+", (ROOT / "deploy" / "setup.sh").read_text())
    assert any("--require-hashes" in line for line in stages["build"])
    for stage in ("server", "worker"):
        assert [line for line in stages[stage] if line.startswith("USER")][-1] == "USER 10001:10001"
        assert 'ENTRYPOINT ["tellapart"]' in stages[stage]
        assert any("BENTOML_DO_NOT_TRACK=True" in line for line in stages[stage])
    assert re.findall(r'^CMD \["(\w+)"\]', text, re.MULTILINE) == ["serve", "worker"]
    assert not re.search(r"https?://|ADD |TOKEN|PASSWORD", text)


def test_the_user_of_the_images_owns_what_compose_mounts(compose: Any, stages: Mapping[str, list[str]]) -> None:
    for name in OURS:
        assert compose["services"][name]["user"] == "10001:10001"
        mounted = {volume.split(":")[1] for volume in compose["services"][name]["volumes"]}
        assert all(any(folder in line for line in stages["server"]) for folder in mounted)


def test_the_build_leaves_out_what_no_image_needs() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {".git", ".venv", "tests", "deploy/secrets.env"} <= set(ignored)
    assert not {"webui", "templates", "tellapart", "service.py", "Pipfile.lock"} & set(ignored)


def test_yaml_has_no_key_twice() -> None:
    for path in [ROOT / "bentofile.yaml", *sorted((ROOT / "deploy").rglob("*.yaml"))]:
        for document in yaml.compose_all(path.read_text()):
            _no_key_twice(document, path)


def _no_key_twice(node: Any, path: Path) -> None:
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value if key.value != "<<"]
        assert len(keys) == len(set(keys)), f"{path}: {keys}"
        for _, value in node.value:
            _no_key_twice(value, path)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _no_key_twice(value, path)
