"""Findings: their order, their witness in words, and fingerprints that outlive an edit above."""

from __future__ import annotations

import ipaddress

from outgate.checks.finding import Severity, Witness
from outgate.checks.fingerprint import fingerprints
from outgate.packets import Packet
from outgate.testing import Manifest, namespace
from tests.checks.asking import ask, block, egress, to

EMPTY = to(block("10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9"))
OTHER = to(block("11.0.0.0/8", "11.0.0.0/9", "11.128.0.0/9"))
GOOD = to(block("12.0.0.0/8"))


def prints(*cluster: Manifest) -> tuple[str, ...]:
    """The fingerprints of what one check finds."""
    return fingerprints(tuple(ask("empty-block", *cluster)))


def test_severities_are_ordered() -> None:
    """What fails on a warning fails on an error."""
    assert Severity.INFO < Severity.WARNING < Severity.ERROR
    assert str(Severity.WARNING) == "warning"


def test_a_witness_in_words() -> None:
    """The port only where the protocol has any."""
    one, other = ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("10.0.0.2")
    assert str(Witness(Packet(one, other, 17, 53), "a/b", "c/d", passes=False)) == "a/b -> c/d:53/UDP is dropped"
    assert str(Witness(Packet(one, other, 47), "a/b", "c/d", passes=True)) == "a/b -> c/d passes"


def test_a_rule_put_in_front_changes_no_fingerprint() -> None:
    """Nor does another document, another file, or an object that nobody asked about."""
    (mine,) = prints(egress("shop/p", EMPTY))
    assert prints(egress("shop/p", GOOD, EMPTY)) == (mine,)
    assert prints(namespace("a"), egress("a/p"), egress("shop/p", EMPTY)) == (mine,)


def test_what_is_another_finding_has_another_fingerprint() -> None:
    """Another value, another object; and two that are alike are counted."""
    both = prints(egress("shop/p", EMPTY, OTHER))
    assert len(set(both)) == 2
    assert prints(egress("shop/p", EMPTY))[0] in both
    assert prints(egress("shop/q", EMPTY)) != prints(egress("shop/p", EMPTY))
    twins = prints(egress("shop/p", EMPTY, EMPTY))
    assert len(set(twins)) == 2
    assert twins[0] == prints(egress("shop/p", EMPTY))[0]
