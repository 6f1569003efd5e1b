"""Findings: their order, and their witness in words."""

from __future__ import annotations

import ipaddress

from outgate.checks.finding import Severity, Witness
from outgate.packets import Packet


def test_severities_are_ordered() -> None:
    """What fails on a warning fails on an error."""
    assert Severity.INFO < Severity.WARNING < Severity.ERROR
    assert str(Severity.WARNING) == "warning"


def test_a_witness_in_words() -> None:
    """The port only where the protocol has any."""
    one, other = ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("10.0.0.2")
    assert str(Witness(Packet(one, other, 17, 53), "a/b", "c/d", passes=False)) == "a/b -> c/d:53/UDP is dropped"
    assert str(Witness(Packet(one, other, 47), "a/b", "c/d", passes=True)) == "a/b -> c/d passes"
