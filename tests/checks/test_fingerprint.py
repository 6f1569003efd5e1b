"""Fingerprints outlive an edit above, and tell apart what is not the same."""

from __future__ import annotations

from outgate.checks.fingerprint import fingerprints
from outgate.testing import Manifest, namespace
from tests.checks.asking import ask, block, egress, to

EMPTY = to(block("10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9"))
OTHER = to(block("11.0.0.0/8", "11.0.0.0/9", "11.128.0.0/9"))
GOOD = to(block("12.0.0.0/8"))


def prints(*cluster: Manifest) -> tuple[str, ...]:
    """The fingerprints of what one check finds."""
    return fingerprints(tuple(ask("empty-block", *cluster)))


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
