"""The words of one rule."""

from __future__ import annotations

import pytest

from outgate.nft.objects import (
    ACCEPT,
    Compare,
    Counter,
    CtState,
    Field,
    Limit,
    Log,
    Lookup,
    Reject,
    StampMark,
    Statement,
    VerdictMap,
    jump,
)
from outgate.nft.parse_rule import Word, rule_of, stamped, verdict_of


def words(text: str) -> list[Word]:
    """Words as the reader of a table cuts them."""
    return [Word(word.strip('"'), word.startswith('"')) for word in text.replace(",", " , ").split()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ct mark 0x00010000/16", Compare(Field.CT_MARK, 0x10000, 0x10000, mask=0xFFFF0000)),
        ("ct mark != 0x00000000/1", Compare(Field.CT_MARK, 0, 0, mask=0x80000000, negated=True)),
        ("ct mark & 0xff == 0x1", Compare(Field.CT_MARK, 1, 1, mask=0xFF)),
        ("ct mark 5-9", Compare(Field.CT_MARK, 5, 9)),
        ("ct state 0x2,0x4", Compare(Field.CT_STATE, mask=CtState.ESTABLISHED | CtState.RELATED)),
        ("ct state != related", Compare(Field.CT_STATE, mask=CtState.RELATED, negated=True)),
        ("ct state & (new|related) == 0", Compare(Field.CT_STATE, mask=12, negated=True)),
        ("ct state & new != 0", Compare(Field.CT_STATE, mask=8)),
        ('meta iifname "eth0"', Compare(Field.IIFNAME, text="eth0")),
        ("ip saddr . meta l4proto . th dport @q", Lookup((Field.IP_SADDR, Field.L4PROTO, Field.TH_DPORT), "q")),
        ("ip saddr != @q", Lookup((Field.IP_SADDR,), "q", negated=True)),
        ("tcp dport vmap @m", VerdictMap((Field.TCP_DPORT,), "m")),
        ("counter packets 5 bytes 7", Counter()),
        ('log prefix "x" group 5', Log("x", 5, 0)),
        ("limit rate 10/second", Limit(10, 5)),
        ("reject", Reject("icmpx port-unreachable")),
        ("reject with icmpx type 3", Reject("icmpx admin-prohibited")),
        ("reject with tcp reset", Reject("tcp reset")),
        ("ct mark set ct mark & 0x0001ffff | 0x00010000", StampMark(0xFFFF0000, 0x10000)),
        ("ct mark set ct mark & 0x0000ffff", StampMark(0xFFFF0000, 0)),
        ("ct mark set ct mark | 0xf0000000", StampMark(0xF0000000, 0xF0000000)),
        ("ct mark set 7", StampMark(0xFFFFFFFF, 7)),
        ("jump c", jump("c")),
    ],
)
def test_each_statement_is_read(text: str, expected: Statement) -> None:
    """Each of these is how some nft lists it."""
    assert rule_of(words(text)).statements == (expected,)


def test_a_string_is_never_a_keyword() -> None:
    """A quoted ``accept`` read as a verdict would turn a comment into a rule."""
    with pytest.raises(ValueError, match="no field"):
        rule_of([Word("accept", quoted=True)])


def test_counter_keeps_its_numbers() -> None:
    """They are what `outgate` reports as the packets a policy let pass."""
    (statement, _) = rule_of(words("counter packets 5 bytes 700 accept")).statements

    assert isinstance(statement, Counter)
    assert (statement.packets, statement.bytes) == (5, 700)


@pytest.mark.parametrize(
    "text", ["", "counter packets", "log prefix", "ct mark set", "tcp dport !=", "jump", "limit rate x"]
)
def test_half_a_statement_is_refused(text: str) -> None:
    """A rule cut short must not be read as a shorter rule."""
    with pytest.raises(ValueError, match=r"."):
        rule_of(words(text))


def test_verdicts_of_elements() -> None:
    """The value of a map's element is a verdict and nothing else."""
    assert verdict_of(["accept"]) == ACCEPT
    for wrong in (["queue"], ["goto"], ["goto", "a;b"], []):
        with pytest.raises(ValueError, match=r"."):
            verdict_of(wrong)


def test_a_mark_left_alone_is_no_stamp() -> None:
    """Keeping every bit and writing none means nothing, so nobody of ours wrote it."""
    with pytest.raises(ValueError, match="left as it is"):
        stamped(0xFFFFFFFF, 0)
