"""A plugin that enforces nothing: only where nothing else does, and never as a certainty."""

from __future__ import annotations

import pytest

from outgate.testing import Manifest
from tests.checks.asking import ask, deny, one
from tests.checks.needs import running, template

RULE = "cni-not-enforcing"
FLANNEL = template("DaemonSet", "kube-flannel/kube-flannel-ds")


def of(path: str, *containers: str) -> Manifest:
    """A pod of a DaemonSet that is not in the input."""
    made = running(f"{path}-x", also=containers)
    name = path.rpartition("/")[2]
    made["metadata"]["ownerReferences"] = [
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": name, "controller": True, "uid": "u"}
    ]
    return made


def test_it_says_what_is_likely_and_what_is_sure() -> None:
    """By the name of the DaemonSet, which is its place."""
    finding = one(RULE, FLANNEL, deny(), deny("other/deny"))
    assert "the network plugin is Flannel, as it seems" in finding.message
    assert "2 policies may have no effect; only a probe is sure" in finding.message
    assert str(finding.subject) == "DaemonSet kube-flannel/kube-flannel-ds"


@pytest.mark.parametrize("name", ["kube-flannel", "kube-flannel-ds-amd64", "flannel"])
def test_its_pods_tell_as_well(name: str) -> None:
    """Where nobody may list DaemonSets, and by older names."""
    assert one(RULE, of(f"kube-system/{name}"), deny()).place.document.value is None
    assert len(ask(RULE, of("kube-flannel/kube-flannel-ds"), FLANNEL, deny())) == 1


@pytest.mark.parametrize("name", ["calico-node", "canal", "cilium", "kube-router", "kube-network-policies", "aws-node"])
def test_another_that_enforces_is_enough(name: str) -> None:
    """Beside Flannel, as in Canal; one that may enforce counts, for nobody can tell."""
    assert not ask(RULE, FLANNEL, template("DaemonSet", f"kube-system/{name}"), deny())
    assert not ask(RULE, FLANNEL, of(f"kube-system/{name}"), deny())


def test_flannel_may_have_brought_an_enforcer() -> None:
    """In the same pods."""
    with_it = template("DaemonSet", "kube-flannel/kube-flannel-ds")
    with_it["spec"]["template"]["spec"]["containers"].append({"name": "kube-network-policies"})
    assert not ask(RULE, with_it, deny())


def test_where_nothing_is_known() -> None:
    """No policies, no plugin in the input, a Deployment of that name."""
    assert not ask(RULE, FLANNEL)
    assert not ask(RULE, deny())
    assert not ask(RULE, template("DaemonSet", "kube-system/kindnet"), deny())
    assert not ask(RULE, template("Deployment", "kube-flannel/kube-flannel-ds"), deny())
    assert len(ask(RULE, FLANNEL, template("Deployment", "kube-system/calico-node"), deny())) == 1
