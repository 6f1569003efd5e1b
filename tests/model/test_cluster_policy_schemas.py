"""The definitions say what their source says, and CIDRs are those of CEL."""

from __future__ import annotations

import pytest

from outgate.model.cluster_policy_schemas import DEFINITIONS, V1ALPHA1, is_cidr
from outgate.model.structural import Schema


@pytest.mark.parametrize(
    "text",
    ["10.0.0.0/8", "10.0.0.5/24", "0.0.0.0/0", "::/0", "fd00::/8", "FD00::1/64", "10.1.2.3/32", "::1/128",
     "::10.0.0.1/128", "64:ff9b::10.0.0.1/96"],
)  # fmt: skip
def test_what_cel_takes_for_a_cidr(text: str) -> None:
    """Bits beyond the prefix are no fault."""
    assert is_cidr(text)


@pytest.mark.parametrize(
    "text",
    ["", "/", "/8", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/+8", "10.0.0.0/ 8", "10.0.0.0/-1",
     "010.0.0.0/8", "10.0.0/8", "10.0.0.0/8/8", "::/129", "::ffff:10.0.0.0/104", "::ffff:a00:0/104", "fe80::1%eth0/64",
     "::/", "a.b/8", "10.0.0.0/255.0.0.0", " 10.0.0.0/8", "10.0.0.0/8\n", "1.2.3.4/٣"],
)  # fmt: skip
def test_what_cel_takes_for_none(text: str) -> None:
    """``netip.ParsePrefix``, and no IPv4 within IPv6."""
    assert not is_cidr(text)


def fields(schema: Schema, at: str = "") -> set[str]:
    """Every field, with the selectors cut off."""
    found = set()
    for name, one in schema.properties.items():
        path = f"{at}.{name}" if at else name
        found.add(path)
        if "matchLabels" not in one.properties:
            found |= fields(one, path)
    return found | (fields(schema.items, at + "[]") if schema.items is not None else set())


def test_the_old_kinds_differ_as_they_do() -> None:
    """The baseline has no priority, no Pass and no names; both have ports where the new kind has protocols."""
    admin, baseline = (DEFINITIONS[V1ALPHA1, kind] for kind in ("AdminNetworkPolicy", "BaselineAdminNetworkPolicy"))
    assert fields(admin) - fields(baseline) == {"spec.priority", "spec.egress[].to[].domainNames"}
    assert fields(baseline) <= fields(admin)
    assert "spec.egress[].ports[].portNumber.protocol" in fields(admin)
    assert not any("protocols" in one or "tier" in one for one in fields(admin))


def test_ingress_knows_pods_alone() -> None:
    """Of every kind."""
    for definition in DEFINITIONS.values():
        inside = {one.rpartition(".")[2] for one in fields(definition) if one.startswith("spec.ingress[].from[].")}
        assert inside == {"namespaces", "pods", "namespaceSelector", "podSelector"}
