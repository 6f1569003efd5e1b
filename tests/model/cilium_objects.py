"""Objects of Cilium for the tests of the model, and what the parser makes of them."""

from __future__ import annotations

from typing import Any

from outgate.model.cilium import CiliumPolicy, CiliumRule
from tests.model.documents import parsed, refusals

__all__ = ["ANYBODY", "cnp", "http", "only", "policy_of", "rule_of", "said"]

Object = dict[str, Any]

ANYBODY: Object = {"toEntities": ["all"]}
"""A rule without any fault."""


def cnp(*egress: object, kind: Any = "CiliumNetworkPolicy", **spec: Any) -> Object:
    """A policy called p with these rules for egress, in `shop` where it has a namespace; more of the spec as given."""
    metadata = {"name": "p"} | ({"namespace": "shop"} if kind == "CiliumNetworkPolicy" else {})
    given = {"egress": list(egress)} if egress else {}
    fields = {"endpointSelector": {}, **given, **spec}
    return {
        "apiVersion": "cilium.io/v2",
        "kind": kind,
        "metadata": metadata,
        "spec": {name: one for name, one in fields.items() if one is not None},
    }


def http(*requests: object, **port: object) -> Object:
    """An egress rule with HTTP rules on port 80, or another."""
    return {"toPorts": [{"ports": [{"port": "80", "protocol": "TCP", **port}], "rules": {"http": list(requests)}}]}


def policy_of(value: Object) -> CiliumPolicy:
    """The one policy of an object that is accepted."""
    found = parsed(value)
    assert not found.errors, [str(one) for one in found.errors]
    (policy,) = found.snapshot.cilium_policies
    return policy


def rule_of(rule: object, *, kind: str = "CiliumNetworkPolicy", section: str = "egress") -> CiliumRule:
    """What an object with this rule alone makes of it."""
    policy = policy_of(cnp(kind=kind, **{section: [rule]}))
    made: dict[str, tuple[CiliumRule, ...]] = {
        "egress": policy.egress,
        "egressDeny": policy.egress_deny,
        "ingress": policy.ingress,
        "ingressDeny": policy.ingress_deny,
    }
    (one,) = made[section]
    return one


def only(value: CiliumRule) -> Any:
    """The one peer of a rule."""
    assert value.peers is not None
    (peer,) = value.peers
    return peer


def said(value: Object, **options: Any) -> list[str]:
    """What Cilium's agent says of an object, `path: words`, without the words that all of it begins with."""
    prefixes = [f"Invalid {value['kind']} {what}: " for what in ("spec", "specs", "spec(s)")]
    found = []
    for line in refusals(value, **options):
        path, _, words = line.partition(": ")
        found += [f"{path}: {words.removeprefix(prefix)}" for prefix in prefixes if words.startswith(prefix)]
    return found
