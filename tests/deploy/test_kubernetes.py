"""The Kubernetes manifests: objects refer to each other and to what the project has."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.commands import cli
from tellapart.openapi import describe
from tellapart.settings import Settings
from webui.app import create_app
from webui.security import trusted_hosts

KUBERNETES = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"
API_VERSIONS = {
    "ConfigMap": "v1",
    "Deployment": "apps/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "Namespace": "v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "PersistentVolumeClaim": "v1",
    "PodDisruptionBudget": "policy/v1",
    "Service": "v1",
}
PODS = ("service", "web", "worker")


@pytest.fixture(scope="module")
def by_kind(manifests: list[Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for one in manifests:
        found.setdefault(one["kind"], {})[one["metadata"]["name"]] = one
    return found


def pod_of(by_kind: dict[str, dict[str, Any]], name: str) -> Any:
    return by_kind["Deployment"][name]["spec"]["template"]["spec"]


def test_every_object_is_of_the_version_its_kind_has(manifests: list[Any]) -> None:
    assert {one["kind"]: one["apiVersion"] for one in manifests} == API_VERSIONS
    names = [(one["kind"], one["metadata"]["name"]) for one in manifests]
    assert len(names) == len(set(names))


def test_every_file_is_listed_once() -> None:
    listed = yaml.safe_load((KUBERNETES / "base" / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == sorted(p.name for p in (KUBERNETES / "base").glob("*.yaml") if p.stem != "kustomization")


@pytest.mark.parametrize("name", PODS)
def test_a_pod_keeps_to_the_restricted_standard(by_kind: dict[str, Any], name: str) -> None:
    pod = pod_of(by_kind, name)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        rights = container["securityContext"]
        assert (rights["allowPrivilegeEscalation"], rights["readOnlyRootFilesystem"]) == (False, True)
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("name", PODS)
def test_what_a_container_runs_and_is_told_exists(by_kind: dict[str, Any], settings_names: set[str], name: str) -> None:
    (container,) = pod_of(by_kind, name)["containers"]
    assert container["args"][0] in cli.commands
    assert {one["name"] for one in container["env"]} <= settings_names
    assert set(by_kind["ConfigMap"]["tellapart"]["data"]) <= settings_names
    assert all(one["configMapRef"]["name"] == "tellapart" for one in container.get("envFrom", []))
    images = yaml.safe_load((KUBERNETES / "base" / "kustomization.yaml").read_text())["images"]
    assert container["image"] in {image["name"] for image in images}


@pytest.mark.parametrize("name", PODS)
def test_secrets_come_by_reference_to_one_documented_secret(by_kind: dict[str, Any], name: str) -> None:
    (container,) = pod_of(by_kind, name)["containers"]
    references = [one["valueFrom"]["secretKeyRef"] for one in container["env"]]
    assert {reference["name"] for reference in references} == {"tellapart"}
    documented = (KUBERNETES.parents[1] / "docs" / "deploying.md").read_text()
    assert all(f"--from-literal={reference['key']}=" in documented for reference in references)
    assert "Secret" not in by_kind


@pytest.mark.parametrize("name", PODS)
def test_volumes_are_claimed_and_mounted(by_kind: dict[str, Any], name: str) -> None:
    pod = pod_of(by_kind, name)
    (container,) = pod["containers"]
    assert {v["name"] for v in pod["volumes"]} == {m["name"] for m in container["volumeMounts"]}
    claims = {v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"] if "persistentVolumeClaim" in v}
    assert claims <= set(by_kind["PersistentVolumeClaim"])
    assert "/tmp" in {m["mountPath"] for m in container["volumeMounts"]}


def test_what_reads_the_models_finds_the_folders_that_bentoml_wants(by_kind: dict[str, Any], tmp_path: Path) -> None:
    """BentoML makes them in its home when it starts, which fails in a new volume that is mounted read-only."""
    script = "from tellapart import store; store.list_models()"
    environ = os.environ | {"BENTOML_HOME": str(tmp_path), "BENTOML_DO_NOT_TRACK": "True"}
    subprocess.run([sys.executable, "-c", script], env=environ, cwd=KUBERNETES.parents[1], check=True, timeout=120)
    wanted = {f"/data/bentoml/{path.name}" for path in tmp_path.iterdir()}
    pod = pod_of(by_kind, "service")
    (first,) = pod["initContainers"]
    assert set(first["command"][2:]) == wanted
    assert wanted <= set((KUBERNETES.parent / "Dockerfile").read_text().split())
    mounts = [{m["name"]: m.get("readOnly", False) for m in c["volumeMounts"]} for c in (first, pod["containers"][0])]
    assert [mount["models"] for mount in mounts] == [False, True]


def test_probes_ask_routes_that_there_are(by_kind: dict[str, Any], tmp_path: Path) -> None:
    pages = {rule.rule for rule in create_app(Settings(home=tmp_path)).url_map.iter_rules()}
    for name, routes in (("service", set(describe()["paths"])), ("web", pages)):
        (container,) = pod_of(by_kind, name)["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert ports == {"http": {"service": 3000, "web": 5000}[name]}
        probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")}
        assert {probe["path"] for probe in probes.values()} <= routes
        assert probes["liveness"]["path"] == "/livez"
        names = {header["value"] for probe in probes.values() for header in probe.get("httpHeaders", [])}
        assert names == ({"localhost"} if name == "web" else set())
        assert names <= set(trusted_hosts(Settings(home=tmp_path, host="0.0.0.0")))
    (service,) = pod_of(by_kind, "service")["containers"]
    assert service["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_services_budgets_and_policies_select_pods_that_there_are(by_kind: dict[str, Any]) -> None:
    labels = {name: one["spec"]["template"]["metadata"]["labels"] for name, one in by_kind["Deployment"].items()}
    assert {name: one["spec"]["selector"] for name, one in by_kind["Service"].items()}.items() <= labels.items()
    for kind in ("Deployment", "PodDisruptionBudget"):
        for name, one in by_kind[kind].items():
            assert one["spec"]["selector"]["matchLabels"] == labels[name]
    for name in PODS:
        assert by_kind["NetworkPolicy"][name]["spec"]["podSelector"]["matchLabels"] == labels[name]
    assert by_kind["NetworkPolicy"]["closed"]["spec"]["podSelector"] == {}
    url = by_kind["ConfigMap"]["tellapart"]["data"]["TELLAPART_SERVICE_URL"]
    assert url == f"http://service:{by_kind['Service']['service']['spec']['ports'][0]['port']}"


def test_scaling_is_by_a_metric_that_the_adapter_makes_of_ours(by_kind: dict[str, Any]) -> None:
    scaler = by_kind["HorizontalPodAutoscaler"]["service"]["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "service"}
    assert "replicas" not in by_kind["Deployment"]["service"]["spec"]  # the scaler's to decide
    (rule,) = yaml.safe_load((KUBERNETES / "prometheus-adapter.yaml").read_text())["rules"]
    series = re.match(r"\w+", rule["seriesQuery"])
    assert series is not None
    made = re.sub(rule["name"]["matches"], rule["name"]["as"].replace("${1}", r"\1"), series[0])
    assert {metric["pods"]["metric"]["name"] for metric in scaler["metrics"]} == {made}
    assert series[0].removesuffix("_sum") in (KUBERNETES.parents[1] / "tellapart" / "meters.py").read_text()


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is missing")
@pytest.mark.parametrize("folder", ["base", "gpu"])
def test_kustomize_builds_it(folder: str) -> None:
    done = subprocess.run(
        ["kubectl", "kustomize", str(KUBERNETES / folder)], capture_output=True, text=True, check=True, timeout=60
    )
    built = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(done.stdout)}
    pod = built["Deployment", "service"]["spec"]["template"]["spec"]
    assert ("nvidia.com/gpu" in pod["containers"][0]["resources"]["limits"]) == (folder == "gpu")
    assert pod["containers"][0]["image"] == "tellapart-server:0.1.0"
    assert all(one["metadata"].get("namespace", "tellapart") == "tellapart" for one in built.values())
