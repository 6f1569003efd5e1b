"""The chart as the tests see it: rendered by Helm's own engine, read as objects.

Where the engine is not installed (it has no wheel for some machines) a test that needs it is skipped; on a machine that
has one, under CI, that is a failure, because a chart that nobody rendered proves nothing.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import pytest
import yaml

from tests.house.sources import ROOT

__all__ = ["CASES", "CHART", "Refused", "Release", "containers", "lint_chart", "render", "rendered"]

CHART = ROOT / "deploy" / "helm" / "outgate"

Values = Mapping[str, Any]

# Values that between them reach every branch of the templates.
CASES: dict[str, Values] = {
    "default": {},
    "enforce": {"mode": "enforce"},
    "remove": {"mode": "remove"},
    "remove with all": {
        "mode": "remove",
        "bootUnit": {"install": True},
        "cni": {"install": True},
        "names": {"mode": "closed"},
        "http": {"enabled": True},
    },
    "no events": {"events": {"enabled": False}},
    "boot unit": {"bootUnit": {"install": True}, "podAnnotations": {"team": "platform"}},
    "cni plugin": {"cni": {"install": True, "binDir": "/var/lib/rancher/k3s/data/cni"}},
    "names": {"names": {"mode": "closed", "clusterCIDRs": ["10.244.0.0/16", "10.96.0.0/12"]}},
    "names forwarded": {"names": {"mode": "forward", "clusterCIDRs": ["fd00:10::/64"], "resources": None}},
    "http": {"http": {"enabled": True}},
    "names and http": {
        "names": {"mode": "closed"},
        "http": {
            "enabled": True,
            "image": {"registry": "registry.example", "digest": "sha256:" + "1" * 64, "pullPolicy": "Always"},
            "resources": None,
        },
    },
    "monitored": {
        "listen": "[::]:9999",
        "serviceMonitor": {"enabled": True, "interval": "30s", "labels": {"release": "prometheus"}},
        "dashboards": {"enabled": True, "annotations": {"folder": "Network"}},
    },
    "not listening": {"listen": ""},
    "own names": {
        "fullnameOverride": "egress",
        "nameOverride": "gate",
        "commonLabels": {"team": "platform"},
        "podLabels": {"tier": "node"},
        "image": {"registry": "registry.example", "digest": "sha256:" + "0" * 64},
        "imagePullSecrets": [{"name": "pull"}],
        "serviceAccount": {"name": "gate", "annotations": {"a": "b"}},
    },
    "own identity": {"serviceAccount": {"create": False, "name": "mine"}, "rbac": {"create": False}},
    "own API server": {
        "kubernetes": {"serviceHost": "192.0.2.1", "servicePort": 6443},
        "extraEnv": [{"name": "HTTPS_PROXY", "value": ""}],
        "affinity": {"nodeAffinity": {}},
        "updateStrategy": {"type": "OnDelete", "rollingUpdate": None},
    },
}


class Refused(Exception):
    """Helm would not render this; its words."""


class Release(NamedTuple):
    """A rendered chart."""

    files: Mapping[str, str]
    """Each template's text, by its path below `templates/`."""

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Every object, in the order of the templates."""
        manifests = [text for name, text in sorted(self.files.items()) if name.endswith(".yaml")]
        return [item for text in manifests for item in yaml.load_all(text, yaml.CSafeLoader) if item]

    def of(self, kind: str) -> dict[str, Any]:
        """The one object of this kind."""
        (found,) = [item for item in self.objects if item["kind"] == kind]
        return found

    def daemonset(self) -> dict[str, Any]:
        """What the pods of the DaemonSet are made from: its `spec.template.spec`."""
        spec: dict[str, Any] = self.of("DaemonSet")["spec"]["template"]["spec"]
        return spec

    def pods(self) -> list[dict[str, Any]]:
        """The spec of every pod of the release."""
        return [
            item["spec"] if item["kind"] == "Pod" else item["spec"]["template"]["spec"]
            for item in self.objects
            if item["kind"] in {"Pod", "DaemonSet"}
        ]


def containers(pod: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every container of a pod, those that run first, too."""
    yield from pod.get("initContainers", [])
    yield from pod["containers"]


def render(values: Values, *, name: str = "outgate", namespace: str = "outgate-system") -> Release:
    """The chart with these values, as `helm template` prints it, hooks and notes included.

    Raises `Refused` where Helm refuses.
    """
    answer = _ask({"chart": str(CHART), "values": values, "name": name, "namespace": namespace})
    if "error" in answer:
        raise Refused(answer["error"])
    return Release({path.partition("/templates/")[2]: text for path, text in answer["files"].items()})


@cache
def rendered(case: str) -> Release:
    """One of CASES, rendered once."""
    return render(CASES[case])


def lint_chart() -> dict[str, Any]:
    """The report of `helm lint --strict`."""
    report: dict[str, Any] = _ask({"chart": str(CHART), "values": {}, "lint": True})["report"]
    return report


def _ask(question: Values) -> dict[str, Any]:
    engine = _engine()
    assert engine.stdin
    assert engine.stdout
    engine.stdin.write(json.dumps(question) + "\n")
    engine.stdin.flush()
    line = engine.stdout.readline()
    assert line, "Helm's engine ended"
    answer: dict[str, Any] = json.loads(line)
    return answer


def _engine() -> subprocess.Popen[str]:
    if importlib.util.find_spec("helm_python") is None:
        reason = "needs helm-python-sdk, Helm's engine as a library"
        if os.environ.get("CI") and platform.machine() == "x86_64":
            pytest.fail(f"{reason}; under CI that is a failure", pytrace=False)
        pytest.skip(reason)
    return _start()


@cache
def _start() -> subprocess.Popen[str]:
    engine = subprocess.Popen(
        [sys.executable, "-m", "tests.deploy.helm_engine"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )

    def end() -> None:
        assert engine.stdin
        assert engine.stdout
        engine.stdin.close()
        engine.wait()
        engine.stdout.close()

    atexit.register(end)
    return engine
