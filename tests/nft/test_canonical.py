"""Rules that are the same to the kernel have one spelling. What nft really lists is held by tests/lab."""

from __future__ import annotations

import pytest
from hypothesis import given

from outgate.nft.canonical import canonical, canonical_rule
from outgate.nft.objects import ChainRule, Ruleset
from outgate.nft.parse import parse_ruleset
from tests.nft.rulesets import rulesets


def rule(text: str) -> ChainRule:
    """The one rule of a table with this line."""
    (found,) = parse_ruleset(f"table inet t {{\nchain c {{\n{text}\n}}\n}}\n").chains["c"].rules
    return found


@pytest.mark.parametrize(
    ("written", "listed"),
    [
        ("meta l4proto tcp th dport 80", "tcp dport 80"),
        ("meta l4proto udp ip daddr @a udp dport 5", "ip daddr @a udp dport 5"),
        ("meta l4proto sctp ip saddr . th dport vmap @m", "ip saddr . sctp dport vmap @m"),
        ("tcp dport 80 th sport 5", "tcp sport 5 tcp dport 80"),
        ("meta nfproto ipv4 ip saddr 1.2.3.4", "ip saddr 1.2.3.4"),
        ("meta nfproto ipv4 iifname . ip saddr != @if4 drop", "iifname . ip saddr != @if4 drop"),
        ("meta nfproto ipv4 tcp dport 80 ip saddr vmap @m", "tcp dport 80 ip saddr vmap @m"),
        ("meta nfproto ipv6 ct state related meta l4proto 58", "ct state related meta l4proto 58"),
        ("meta l4proto 58 icmpv6 type 5", "icmpv6 type 5"),
        ("ct mark & 0xffffffff == 6", "ct mark 6"),
    ],
)
def test_what_nft_leaves_out_when_it_lists(written: str, listed: str) -> None:
    """Each pair was loaded and listed by nft 1.0.6; told apart, it would be repaired for ever."""
    assert canonical_rule(rule(written)) == canonical_rule(rule(listed))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("meta l4proto tcp counter tcp dport 80", "counter tcp dport 80"),
        ("meta l4proto tcp limit rate 5/second burst 5 packets tcp dport 7", "tcp dport 7"),
        ("meta nfproto ipv4 tcp dport 80", "tcp dport 80"),
        ("meta nfproto ipv4 meta l4proto 58", "meta l4proto 58"),
        ("meta nfproto != ipv4 ip6 saddr ::1", "ip6 saddr ::1"),
        ("meta l4proto 6-17 tcp dport 80", "tcp dport 80"),
        ("tcp dport 80 meta l4proto tcp", "tcp dport 80"),
        ("th dport 80 meta l4proto tcp", "tcp dport 80"),
        ("meta l4proto tcp accept", "accept"),
        ("ip saddr 1.1.1.1 ip daddr 2.2.2.2", "ip daddr 2.2.2.2 ip saddr 1.1.1.1"),
        ("counter accept", "accept counter"),
        ('accept comment "a"', 'accept comment "b"'),
    ],
)
def test_what_differs_stays_different(one: str, other: str) -> None:
    """Taken for equal, a change of the rule would never reach the kernel."""
    assert canonical_rule(rule(one)) != canonical_rule(rule(other))


def test_counters_are_equal_whatever_they_have_counted() -> None:
    """Traffic is not drift."""
    assert rule("counter packets 7 bytes 9 drop") == rule("counter drop")


@given(rulesets())
def test_canonical_once_is_canonical(ruleset: Ruleset) -> None:
    """A form that changes again is no form to compare by."""
    once = canonical(ruleset)

    assert canonical(once) == once
