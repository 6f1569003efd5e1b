"""The interpreter of rules, case by case. That the kernel does the same is held by tests/lab/test_nft_kernel.py."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest

from outgate.nft.evaluate import CtDirection, Evaluator, Fate, Header, Outcome, Step, evaluate
from outgate.nft.objects import Chain, ChainRule, CtState, Hook, Opaque, Ruleset, jump
from outgate.nft.parse import parse_ruleset
from outgate.packets import Packet, Protocol

V4 = Header(4, 0x0A00_0001, 0x0A00_0002, 6, sport=40000, dport=80, iifname="ogp1", oifname="eth0")
V6 = Header(6, 1, 2, 17, sport=40000, dport=53, iifname="ogp1", oifname="eth0")
ICMP = Header(4, 1, 2, 1, sport=8 << 8, dport=0xABCD, icmp_type=8)
ICMPV6 = Header(6, 1, 2, 58, sport=135 << 8, dport=0xABCD, icmp_type=135, hop_limit=255)
UNTRACKED = replace(V4, state=CtState.UNTRACKED)


def outcome(rules: str, header: Header, *, more: str = "", hook: str = "forward") -> Outcome:
    """What the rules of one base chain do to a packet."""
    chain = f"chain base {{\ntype filter hook {hook} priority 0; policy accept;\n{rules}\n}}"
    return evaluate(parse_ruleset(f"table inet t {{\n{more}\n{chain}\n}}\n"), hook, header)


@pytest.mark.parametrize(
    ("line", "header", "matches"),
    [
        ("tcp dport 80", V4, True),
        ("tcp dport 80", replace(V4, protocol=17), False),
        ("tcp dport != 80", replace(V4, protocol=17), False),
        ("th dport 80", replace(V4, protocol=17), True),
        ("th dport 0-65535", replace(V4, dport=None), False),
        ("th dport 43981", ICMP, True),
        ("ip daddr 10.0.0.0/8", V4, True),
        ("ip daddr 10.0.0.0/8", V6, False),
        ("ip6 daddr != ::5", V4, False),
        ("ip6 daddr != ::5", V6, True),
        ("meta nfproto ipv6", V6, True),
        ("meta l4proto 0-16", V4, True),
        ("icmpv6 type 133-136", ICMPV6, True),
        ("icmpv6 type 133-136", replace(ICMPV6, family=4), False),
        ("ip6 hoplimit 255", ICMPV6, True),
        ("ip6 hoplimit 64", V4, False),
        ('iifname "ogp*"', V4, True),
        ('iifname "ogp"', V4, False),
        ('oifname != "ogp*"', V4, True),
        ("ct state new,related", V4, True),
        ("ct state & (new|related) == 0", V4, False),
        ("ct state untracked", UNTRACKED, True),
        ("ct direction reply", replace(V4, direction=CtDirection.REPLY), True),
        ("ct direction original", UNTRACKED, False),
        ("ct direction != reply", UNTRACKED, False),
        ("ct mark & 0xff == 5", replace(V4, mark=0x105), True),
        ("ct mark & 0xff != 5", replace(V4, mark=0x105), False),
        ("ct mark != 5", UNTRACKED, False),
        ("ip saddr . tcp dport @pairs", V4, True),
        ("ip saddr . tcp dport @pairs", replace(V4, dport=91), False),
        ("ip saddr . tcp dport != @pairs", replace(V4, dport=91), True),
        ("ip saddr . tcp dport != @pairs", V6, False),
        ("iifname . ip saddr @links", V4, True),
        ("iifname . ip saddr @links", replace(V4, iifname="ogp2"), False),
    ],
)
def test_a_rule_holds_or_breaks(line: str, header: Header, matches: bool) -> None:
    """A field that the packet does not have ends the rule, whether the comparison is negated or not."""
    sets = """
        set pairs {
            type ipv4_addr . inet_service
            flags interval
            elements = { 10.0.0.0/24 . 80-90, 10.0.0.0/24 . 100 }
        }
        set links {
            type ifname . ipv4_addr
            elements = { "ogp1" . 10.0.0.1 }
        }"""

    assert (outcome(f"{line} drop", header, more=sets).fate is Fate.DROP) is matches


@pytest.mark.parametrize(
    ("rules", "fate"),
    [
        ("accept\ndrop", Fate.ACCEPT),
        ('counter\nlog prefix "x" group 5\nlimit rate 1/second drop', Fate.DROP),
        ("reject with icmpx admin-prohibited\naccept", Fate.REJECT),
        ("return\ndrop", Fate.ACCEPT),
        ("jump within\ndrop", Fate.DROP),
        ("goto within\ndrop", Fate.ACCEPT),
        ("jump outer\ndrop", Fate.DROP),
        ("tcp dport vmap @ways\ndrop", Fate.ACCEPT),
        ("udp dport vmap @ways\ndrop", Fate.DROP),
        ("tcp sport vmap @ways\ndrop", Fate.DROP),
    ],
)
def test_verdicts_end_what_they_end(rules: str, fate: Fate) -> None:
    """Jump comes back behind its rule, goto does not, and a map without the key goes on."""
    more = """
        chain within {
            return
            accept
        }
        chain outer {
            goto within
            accept
        }
        map ways {
            type inet_service : verdict
            elements = { 80 : accept }
        }"""

    assert outcome(rules, V4, more=more).fate is fate


def test_accept_ends_one_base_chain_and_drop_all() -> None:
    """Chains of one hook are asked in order of priority, whatever they are called."""
    text = """
        table inet t {
            chain z {
                type filter hook forward priority -5; policy accept;
                tcp dport 80 accept
                ct mark set 0x7
            }
            chain a {
                type filter hook forward priority 5; policy accept;
                tcp dport 80 drop
                ct mark 0x7 reject
            }
            chain other {
                type filter hook input priority 0; policy accept;
                drop
            }
        }"""
    run = Evaluator(parse_ruleset(text)).run

    assert run("forward", V4).fate is Fate.DROP
    assert run("forward", V6).fate is Fate.REJECT
    assert run("input", V4).fate is Fate.DROP
    assert run("output", V4).fate is Fate.ACCEPT


def test_devices_exist_where_the_hook_has_them() -> None:
    """Before routing nothing goes out anywhere yet: a comparison sees an empty name, not the later one."""
    assert outcome('oifname "eth0" drop', V4, hook="input").fate is Fate.ACCEPT
    assert outcome('oifname != "eth0" drop', V4, hook="prerouting").fate is Fate.DROP
    assert outcome('iifname "ogp1" drop', V4, hook="output").fate is Fate.ACCEPT


def test_the_mark_is_written_in_our_bits_alone() -> None:
    """Another table's bits of the connection mark are not ours."""
    line = "ct mark set ct mark & 0x0000ffff | 0x00030000"

    assert outcome(line, replace(V4, mark=0xABCD1234)).mark == 0x00031234
    assert outcome(f"{line} drop", UNTRACKED) == Outcome(Fate.ACCEPT, 0)
    assert outcome("ct mark set 0x5 drop", UNTRACKED).fate is Fate.DROP


def test_the_path_names_the_rules_that_decided() -> None:
    """A denial that cannot be laid to a rule cannot be laid to a policy."""
    within = 'chain within {\nudp dport 1 accept\ncounter drop comment "production/web"\n}'

    assert outcome("counter\njump within", V4, more=within).path == (
        Step("base", 1, "", "jump within"),
        Step("within", 1, "production/web", "drop"),
    )


@pytest.mark.parametrize(
    "rules", ["fib saddr oif 1 accept", "jump nowhere", "ip saddr @nothing accept", "ip saddr vmap @nothing"]
)
def test_what_cannot_be_known_is_not_guessed(rules: str) -> None:
    """A verdict about a rule that was not understood would be a false proof."""
    with pytest.raises(ValueError, match=r"."):
        outcome(rules, V4)


def test_jumps_end_somewhere() -> None:
    """The kernel refuses a loop when it is loaded; the interpreter must not hang on one."""
    loop = Chain("a", (ChainRule((jump("a"),)),))
    base = Chain("base", (ChainRule((jump("a"),)),), Hook("forward", 0))

    with pytest.raises(ValueError, match="deeper"):
        evaluate(Ruleset({"a": loop, "base": base}), "forward", V4)
    with pytest.raises(ValueError, match="cannot evaluate"):
        evaluate(Ruleset({"base": replace(base, rules=(ChainRule((Opaque("x"),)),))}), "forward", V4)


def test_headers_of_packets() -> None:
    """A protocol without ports has other bits where ports would be; the caller says which."""
    ends = (ipaddress.IPv4Address("10.0.0.1"), ipaddress.IPv4Address("10.0.0.2"))
    tcp = Header.of(Packet(*ends, Protocol.TCP, 443))
    icmp = Header.of(Packet(*ends, Protocol.ICMP, 8 * 256), noise=443)
    other = Header.of(Packet(*ends, 47))

    assert (tcp.sport, tcp.dport, tcp.icmp_type) == (40000, 443, None)
    assert (icmp.sport, icmp.dport, icmp.icmp_type) == (2048, 443, 8)
    assert (other.sport, other.dport, other.icmp_type) == (None, None, None)


def test_a_reply_comes_back_the_same_way() -> None:
    """The mirrored chains are proved with it."""
    reply = V4.reply()

    assert (reply.saddr, reply.daddr, reply.sport, reply.dport) == (V4.daddr, V4.saddr, 80, 40000)
    assert (reply.iifname, reply.oifname) == ("eth0", "ogp1")
    assert (reply.state, reply.direction) == (CtState.ESTABLISHED, CtDirection.REPLY)
