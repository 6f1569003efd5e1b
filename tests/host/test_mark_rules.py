"""Rules that write connection marks are found wherever they are, with the bits that they write."""

from __future__ import annotations

import itertools
import json
import shutil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.errors import KernelError
from outgate.host import process
from outgate.host.mark_rules import MarkRule, mark_rules, read_saved, written_bits
from tests.lab.alone import alone

WORD = st.integers(0, 0xFFFF_FFFF)
LEAVES = st.one_of(WORD, st.just({"ct": {"key": "mark"}}), st.just({"meta": {"key": "mark"}}))


def steps(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One operation more, as nft's JSON has it."""
    return st.builds(lambda sign, left, right: {sign: [left, right]}, st.sampled_from("&|^"), inner, WORD)


def computed(value: Any, mark: int, packet: int) -> int:
    """What the kernel would write."""
    match value:
        case int():
            return value
        case {"ct": _}:
            return mark
        case {"meta": _}:
            return packet
    ((sign, (left, right)),) = value.items()
    a, b = computed(left, mark, packet), right
    return int(a & b if sign == "&" else a | b if sign == "|" else a ^ b)


@given(st.recursive(LEAVES, steps, max_leaves=4), WORD, WORD)
def test_no_bit_is_written_that_was_not_said(value: Any, mark: int, packet: int) -> None:
    """A bit that is missing here is one that is found to be free and is not."""
    assert (computed(value, mark, packet) ^ mark) & ~written_bits(value) == 0


RULES = """
table inet outgate {
    chain stamp {
        ct mark set ct mark & 0x0000ffff | 0x00010000 accept
    }
}
table inet somebody {
    chain c_1 {
        ct mark set ct mark & 0xff00ffff | 0x00010000
        tcp dport 5 ct mark set meta mark comment "no ct mark set here"
        ct mark set ct mark | 0x80
        ct mark 5 accept comment "ct mark set 7"
        meta mark set ct mark
    }
}
table ip outgate {
    chain c_2 {
        ct mark set 5
    }
}
"""


@pytest.mark.kernel
def test_rules_of_nftables_are_found_and_ours_are_left_out() -> None:
    """Reading a mark is no offence, and a comment is no rule."""

    def inside() -> list[tuple[str, str, int]]:
        assert mark_rules() == ()
        process.run(("nft", "-f", "-"), input=RULES)
        return [(one.place, one.words, one.bits) for one in mark_rules()]

    assert alone(inside) == [
        ("nftables inet somebody c_1", "ct mark set ct mark & 0xff01ffff | 0x00010000", 0x00FF_0000),
        ("nftables inet somebody c_1", "ct mark set meta mark", 0xFFFF_FFFF),
        ("nftables inet somebody c_1", "ct mark set ct mark | 0x00000080", 0x80),
        ("nftables ip outgate c_2", "ct mark set 0x00000005", 0xFFFF_FFFF),
    ]


@pytest.mark.kernel
def test_tables_with_flags_hide_no_rule() -> None:
    """That of firewalld has an owner. nft 1.0.6 cannot print such a table as JSON, and whoever reads it fails."""

    def inside() -> list[tuple[str, int]]:
        process.run(("nft", "-f", "-"), input=RULES)
        for table in ("inet somebody", "ip outgate"):
            process.run(("nft", f"add table {table} {{ flags dormant; }}"))
        process.run(("nft", "add table inet first { flags dormant; }"))
        return [(one.place, one.bits) for one in mark_rules()]

    assert alone(inside) == [
        ("nftables inet somebody c_1", 0x00FF_0000),
        ("nftables inet somebody c_1", 0xFFFF_FFFF),
        ("nftables inet somebody c_1", 0x80),
        ("nftables ip outgate c_2", 0xFFFF_FFFF),
    ]


@pytest.mark.parametrize("whole", ["", '{"nftables": [{"table": {"flags": '])
def test_where_nft_stops_in_the_middle_each_chain_is_asked(monkeypatch: pytest.MonkeyPatch, whole: str) -> None:
    """Whatever stands in the memory that it prints; and a chain that goes meanwhile is no fault."""
    mangle = {"mangle": {"key": {"ct": {"key": "mark"}}, "value": 7}}
    rule = {"rule": {"family": "inet", "table": "t", "chain": "a", "expr": [mangle]}}
    chains = [{"metainfo": {}}, *({"chain": {"family": "inet", "table": "t", "name": name}} for name in "ab")]

    def run(argv: tuple[str, ...]) -> process.Completed:
        text = whole if argv[-1] == "ruleset" else json.dumps({"nftables": chains})
        return process.Completed(argv, 0, text, "")

    def read(argv: tuple[str, ...]) -> process.Output:
        gone = argv[-1] == "b"
        return process.Output(argv, int(gone), b"" if gone else json.dumps({"nftables": [rule]}).encode(), b"")

    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr(process, "read", read)
    found = [one.place for one in mark_rules()]
    assert found == ([] if not whole else ["nftables inet t a"])


SAVED = """
*mangle
:PREROUTING ACCEPT [0:0]
-A PREROUTING -j CONNMARK --save-mark --nfmask 0xff --ctmask 0xff00
-A PREROUTING -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80
-A POSTROUTING -m comment --comment "-j CONNMARK --set-mark 9" -j ACCEPT
-A POSTROUTING -m comment --comment "a \\" -j" -j CONNMARK --set-xmark 0x80/0x81
-A POSTROUTING -j MARK --set-xmark 0x5/0xffffffff
COMMIT
*nat
-A OUTPUT -j CONNMARK --set-mark 5
-A OUTPUT -j CONNMARK --save-mark
COMMIT
"""


def test_what_iptables_saves_is_read() -> None:
    """As iptables 1.8.9 writes it, and in the older spellings."""
    found = [(one.place, one.bits) for one in read_saved(SAVED, "iptables")]
    assert found == [
        ("iptables mangle", 0xFF00),
        ("iptables mangle", 0x81),
        ("iptables nat", 0xFFFF_FFFF),
        ("iptables nat", 0xFFFF_FFFF),
    ]


def test_a_rule_is_told_in_one_line() -> None:
    """For a report."""
    assert str(MarkRule("iptables mangle", "-A X -j CONNMARK", 0xFF00)) == (
        "iptables mangle: -A X -j CONNMARK (bits 0x0000ff00)"
    )


@pytest.mark.kernel
@pytest.mark.parametrize("kind", ["nft", "legacy"])
@pytest.mark.parametrize("family", ["", "6"])
def test_rules_of_iptables_are_found(kind: str, family: str) -> None:
    """Both kinds, where the machine has them."""
    command = f"ip{family}tables-{kind}"
    if shutil.which(command) is None:
        pytest.skip(f"needs {command}")

    def inside() -> list[MarkRule]:
        target = ("-j", "CONNMARK", "--set-xmark", "0x80/0x80")
        process.run((command, "-t", "mangle", "-A", "PREROUTING", *target))
        return list(mark_rules())

    (found,) = alone(inside)
    assert found.place == f"{command} mangle"
    assert found.bits == 0x80


@pytest.mark.kernel
def test_what_iptables_left_is_told_without_iptables(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container of ours has nft alone; then the bits are not known, and that is said."""
    listing = (
        '{"nftables": [{"rule": {"family": "ip", "table": "mangle", "chain": "PREROUTING", '
        '"expr": [{"xt": {"type": "target", "name": "CONNMARK"}}]}}]}'
    )
    answers = itertools.chain([process.Completed((), 0, listing, "")])

    def run(argv: tuple[str, ...]) -> process.Completed:
        if argv[0] == "nft":
            return next(answers)
        raise KernelError("not installed")

    monkeypatch.setattr(process, "run", run)
    (found,) = alone(mark_rules)
    assert found == MarkRule(
        "nftables ip mangle", "1 CONNMARK target of iptables, whose bits nft does not show", 0xFFFF_FFFF
    )
