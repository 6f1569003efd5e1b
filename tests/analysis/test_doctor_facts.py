"""What is known beside the snapshot."""

from __future__ import annotations

import pytest

from outgate.analysis.doctor_facts import Facts, Served, few, many, plain
from outgate.model import Snapshot
from tests.analysis.clinic import config, facts_of

ABSENT = Served(absent=frozenset({("kube-system", "cilium-config")}))


def test_settings() -> None:
    """What a ConfigMap says, that it says nothing, and that nobody knows are three things."""
    facts = facts_of([config("cilium-config", {"enable-policy": "never"})])
    assert facts.setting("kube-system", "cilium-config", "enable-policy") == "never"
    assert facts.setting("kube-system", "cilium-config", "kube-proxy-replacement") == ""
    assert facts.setting("kube-system", "eni-config", "disable_network_policy") is None
    # Where it is not beside its plugin, it is the same one elsewhere.
    assert facts.setting("cilium", "cilium-config", "enable-policy") == "never"
    assert Facts(Snapshot(), ABSENT).setting("kube-system", "cilium-config", "enable-policy") == ""
    assert Facts(Snapshot(), Served()).setting("kube-system", "cilium-config", "enable-policy") is None
    empty = facts_of([config("cilium-config", {})])
    assert empty.setting("kube-system", "cilium-config", "enable-policy") == ""


def test_commands() -> None:
    """About the same input."""
    facts = Facts(Snapshot(), asked="-f 'a b.yaml'")
    assert facts.outgate("lint --select x") == "outgate lint -f 'a b.yaml' --select x"
    assert facts.outgate("doctor") == "outgate doctor -f 'a b.yaml'"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("kube-system", "kube-system"),
        ("a.b", "a.b"),
        ("x; reboot", "NAME"),
        ("", "NAME"),
        ("-x", "NAME"),
        ("$(x)", "NAME"),
    ],
)
def test_names_in_commands(name: str, shown: str) -> None:
    """What a server would not take as a name is none that anybody should type."""
    assert plain(name) == shown


def test_counting() -> None:
    """In words."""
    assert [many(0, "pod"), many(1, "pod"), many(2, "policy", "policies")] == ["0 pods", "1 pod", "2 policies"]
    assert few(["a", "b"]) == "a, b"
    assert few("abcdef", 2) == "a, b and 4 more"
