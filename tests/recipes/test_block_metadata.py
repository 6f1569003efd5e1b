"""Metadata services closed and everything else open; and refused where that would open what was closed."""

from __future__ import annotations

import pytest

from outgate.analysis.exposure_metadata import CLOUD_ADDRESSES, CloudUse
from outgate.errors import UsageError
from outgate.packets import AddressSet
from outgate.recipes.metadata import BLOCKED, NEEDED
from tests.recipes.town import findings, made, objects, proved, survey

CLOSED = f"[{', '.join(str(one.address) for one in BLOCKED)}]"


def test_everything_but_the_metadata_services() -> None:
    """Exactly: both families, pods and nodes."""
    text = made("block-metadata")
    proved(text, f"{{from: shop/web, exactly: {{to: {{any: anywhere, except: {CLOSED}}}}}}}")
    assert findings(text) == []


def test_the_comment_can_be_uncommented() -> None:
    """Port 53 of what is a resolver, too, and nothing else of it."""
    text = made("block-metadata")
    lines = [line.removeprefix("# ").removeprefix("#") for line in text.splitlines() if line.startswith("#   ")]
    mended = text + "\n".join(line[2:] for line in lines) + "\n"
    assert len(objects(mended)[0]["spec"]["egress"]) == 2
    proved(
        mended,
        "{from: shop/web, allow: [{to: 169.254.169.254, port: [53/UDP, 53/TCP]}]}",
        "{from: shop/web, deny: [{to: 169.254.169.254, port: [80, 443]}]}",
    )
    # That a rule reaches into the exceptions is true, and may be said: what it reaches there is port 53.
    assert {one.rule for one in findings(mended)} <= {"union-widens"}


def test_refused_beside_a_default_deny() -> None:
    """Where it would open the internet instead of closing anything."""
    with pytest.raises(UsageError, match="would open everything else") as caught:
        made("block-metadata", survey=survey(made("default-deny-egress")))
    assert "closed to them already" in caught.value.hint


def test_refused_beside_a_wide_rule_and_the_line_is_named() -> None:
    """The exception belongs there."""
    wide = made("allow-cidr", to=("0.0.0.0/0",)).replace("except:", "except: [10.0.0.0/8]").split("              - ")[0]
    wide += "      ports:\n        - {protocol: TCP, port: 80}\n"
    with pytest.raises(UsageError) as caught:
        made("block-metadata", survey=survey(wide))
    assert "shop/allow-cidr egress[0] at 1.yaml:" in caught.value.hint


def test_written_for_those_that_nothing_limits() -> None:
    """And again, over itself."""
    deny = made("default-deny-egress", selector="app=db")
    text = made("block-metadata", selector="app=web", survey=survey(deny))
    assert findings(text, deny) == []
    assert made("block-metadata", selector="app=web", survey=survey(deny, text)) == text


def test_the_admin_tier() -> None:
    """Every metadata service is denied on TCP, and the resolvers among them keep port 53."""
    (policy,) = objects(made("block-metadata", admin_tier=True))
    rules = policy["spec"]["egress"]
    assert [one["action"] for one in rules] == ["Deny", "Deny"]
    named = [network for one in rules for peer in one["to"] for network in peer["networks"]]
    assert sorted(named) == sorted(f"{one.address}/{one.address.max_prefixlen}" for one in BLOCKED)
    assert len(named) <= 25
    assert "protocols" not in rules[0]
    spans = [one["tcp"]["destinationPort"]["range"] for one in rules[1]["protocols"]]
    open_ports = set(range(1, 65536)) - {port for one in spans for port in range(one["start"], one["end"] + 1)}
    assert open_ports == {53}
    assert policy["spec"]["subject"] == {
        "namespaces": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}},
    }


@pytest.mark.parametrize(
    ("namespace", "selector", "expected"),
    [
        (None, None, {"namespaces": {}}),
        (None, "a=b", {"pods": {"podSelector": {"matchLabels": {"a": "b"}}}}),
    ],
)
def test_subjects_of_the_admin_tier(namespace: str | None, selector: str | None, expected: object) -> None:
    """All namespaces where none is named."""
    (policy,) = objects(made("block-metadata", admin_tier=True, namespace=namespace, selector=selector, survey=None))
    assert policy["spec"]["subject"] == expected
    assert "namespace" not in policy["metadata"]


def test_every_metadata_service_is_decided_about() -> None:
    """A new one in the table is blocked, unless it is known to be needed."""
    every = {one.address for one in CLOUD_ADDRESSES if one.use is CloudUse.METADATA}
    assert {one.address for one in (*BLOCKED, *NEEDED)} == every
    assert AddressSet.of(one.address for one in BLOCKED).isdisjoint(AddressSet.of(one.address for one in NEEDED))
