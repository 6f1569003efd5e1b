"""Names that rules open, in each verb that lists connections: `list`, `diff`, `exposure`, `graph`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from outgate.cli.main import main
from tests.report.schema import complaints

POLICY = """
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: p, namespace: shop}
spec:
  endpointSelector: {}
  egress:
    - toFQDNs: [{matchName: api.example.com}]
      toPorts: [{ports: [{port: "443", protocol: TCP}]}]
    - toFQDNs: [{matchPattern: "*.example.org"}]
      toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: [{method: GET}]}}]
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
status: {podIP: 10.0.0.1}
"""
DENIAL = """
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: q, namespace: shop}
spec:
  endpointSelector: {}
  egressDeny: [{toCIDR: [192.168.0.0/16]}]
"""


@pytest.fixture
def before(tmp_path: Path) -> str:
    """A pod that may reach two names, one of them on a condition."""
    file = tmp_path / "before.yaml"
    file.write_text(POLICY)
    return str(file)


@pytest.fixture
def after(tmp_path: Path) -> str:
    """The same, without private addresses."""
    file = tmp_path / "after.yaml"
    file.write_text(f"{POLICY}---{DENIAL}")
    return str(file)


def out(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """What a verb says."""
    assert main([*arguments, "-q"]) == code
    return capsys.readouterr().out


def document(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    """The same as data, which keeps to its schema."""
    found: dict[str, Any] = json.loads(out(capsys, *arguments, "-o", "json", code=code))
    assert complaints(found) == []
    return found


def test_the_list(before: str, after: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each name with its ports and what is asked; what a denial of addresses leaves of it."""
    assert out(capsys, "list", "-f", before, "--direction", "egress").splitlines() == [
        "shop/web",
        "  → api.example.com   TCP 443",
        "  → *.example.org     TCP 80 (only for requests of HTTP GET *)",
    ]
    assert "→ api.example.com outside of 192.168.0.0/16" in out(capsys, "list", "-f", after)
    assert "api.example.com" not in out(capsys, "list", "-f", before, "--port", "80")


def test_the_list_as_data(before: str, after: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A name is an end of a kind of its own, so that nobody takes it for every address."""
    first, second = document(capsys, "list", "-f", before, "--direction", "egress")["connections"]
    assert first["destination"] == {"kind": "Name", "name": "api.example.com"}
    assert first["allowed"] == [{"protocol": "TCP", "ports": [[443, 443]], "names": ["api.example.com"]}]
    assert second["onlyIf"][0]["conditions"][0]["http"] == [{"method": "GET"}]
    limited, *_ = document(capsys, "list", "-f", after, "--direction", "egress")["connections"]
    assert "192.168.0.0/16" not in limited["destination"]["cidrs"]


@pytest.mark.parametrize("output", ["csv", "markdown", "mermaid", "dot", "html"])
def test_every_format_has_them(output: str, before: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And none of them fails for it."""
    assert "api.example.com" in out(capsys, "list", "-f", before, "-o", output)


def test_the_difference(before: str, after: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A denial of addresses closes them for names, and says who did it."""
    text = out(capsys, "diff", before, after, code=1)
    assert "shop/web → api.example.com within 192.168.0.0/16  TCP 443" in text
    assert "denied by shop/q egressDeny[0]" in text
    changes = document(capsys, "diff", before, after, code=1)["changes"]
    assert [one["destination"] for one in changes] == [
        {"kind": "Name", "name": name, "cidrs": ["192.168.0.0/16"]} for name in ("api.example.com", "*.example.org")
    ]
    assert {one["change"] for one in changes} == {"closed"}
    for output in ("csv", "markdown", "mermaid", "dot", "html"):
        assert "api.example.com" in out(capsys, "diff", before, after, "-o", output, code=1)


def test_a_name_that_is_taken_away(before: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It closes, with the rule that had it."""
    less = tmp_path / "less.yaml"
    less.write_text(POLICY.replace("api.example.com", "api.example.net"))
    text = out(capsys, "diff", before, str(less), code=1)
    assert "opened   shop/web → api.example.net  TCP 443" in text
    assert "closed   shop/web → api.example.com  TCP 443" in text


def test_the_exposure(before: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Not "no address of it" of a pod that may send to whoever owns a name."""
    text = out(capsys, "exposure", "-f", before)
    asked = "TCP 80 (only for requests of HTTP GET *)"
    assert f"names       api.example.com: TCP 443, *.example.org: {asked}, wherever they lead" in text
    found = document(capsys, "exposure", "-f", before)
    (workload,) = found["workloads"]
    assert [one["name"] for one in workload["names"]] == ["api.example.com", "*.example.org"]
    plain, other = workload["names"]
    assert "onlyIf" not in plain
    assert other["onlyIf"][0]["conditions"][0]["http"] == [{"method": "GET"}]
    table = out(capsys, "exposure", "-f", before, "-o", "csv")
    assert ",names,*.example.org,,TCP 80,,only for requests of HTTP GET *" in table
