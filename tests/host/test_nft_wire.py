"""Elements and epochs as bytes: what is read back is what was written, and what means nothing is not written."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.host.netlink_format import attributes, each_attribute
from outgate.host.nft_wire import GENMSG_LENGTH, Piece, blamed, can_carry, encode, read_elements
from outgate.nft.objects import (
    ACCEPT,
    DROP,
    RETURN,
    Chain,
    ChainRule,
    Compare,
    Counter,
    Field,
    Judgement,
    KeyPart,
    KeyType,
    NftSet,
    SetKey,
    StampMark,
    goto,
    jump,
)
from outgate.nft.transaction import (
    AddChain,
    AddElements,
    AddRules,
    AddTable,
    Command,
    DeleteElements,
    FlushChain,
    Transaction,
)

S4 = NftSet("s", (KeyType.IPV4_ADDR,))
BITS = {
    KeyType.IPV4_ADDR: 32,
    KeyType.IPV6_ADDR: 128,
    KeyType.INET_PROTO: 8,
    KeyType.INET_SERVICE: 16,
    KeyType.CLASSID: 32,
    KeyType.ETHER_ADDR: 48,
}
NAMES = st.from_regex(r"[A-Za-z0-9_.-]{1,15}", fullmatch=True)


def parts(kind: KeyType) -> st.SearchStrategy[KeyPart]:
    """Any single value of a type."""
    if kind is KeyType.IFNAME:
        return NAMES
    return st.integers(0, (1 << BITS[kind]) - 1).map(lambda one: (one, one))


@st.composite
def sets(draw: st.DrawFn) -> NftSet:
    """Any hash set or map."""
    kinds = tuple(draw(st.lists(st.sampled_from(KeyType), min_size=1, max_size=5)))
    is_map = draw(st.booleans())
    verdicts = st.sampled_from([ACCEPT, DROP, RETURN, goto("c_1"), jump("c_2")]) if is_map else st.none()
    elements = draw(st.dictionaries(st.tuples(*map(parts, kinds)), verdicts, max_size=8))
    return NftSet("s", kinds, elements, is_map=is_map)


@given(sets())
def test_what_was_written_is_read(one: NftSet) -> None:
    """The kernel answers in the form in which it was asked."""
    found: dict[SetKey, Judgement | None] = {}
    for piece in encode(Transaction((AddElements(one),))):
        found.update(read_elements(piece.body, one))
    assert found == one.elements


@given(sets())
def test_a_deletion_names_the_keys_alone(one: NftSet) -> None:
    """A key with the verdict that it had yesterday would not be found."""
    pieces = list(encode(Transaction((DeleteElements(one),))))
    assert [key for piece in pieces for key in piece.keys] == list(one.elements)
    for piece in pieces:
        for _, element in each_attribute(attributes(piece.body, GENMSG_LENGTH)[3]):
            assert attributes(element).keys() == {1}


def test_many_elements_go_into_several_messages() -> None:
    """The length of an attribute has 16 bits."""
    many = replace(S4, elements={((one, one),): None for one in range(10_000)})
    pieces = list(encode(Transaction((AddElements(many),))))
    assert len(pieces) > 1
    assert all(len(piece.body) < 65_536 for piece in pieces)
    assert [key for piece in pieces for key in piece.keys] == list(many.elements)


@given(sets())
def test_the_blamed_element_is_found_by_its_place(one: NftSet) -> None:
    """The kernel points at a byte; the reader wants an address."""
    for piece in encode(Transaction((AddElements(one),))):
        # From the first element on, each byte belongs to one element, and they come in their order.
        begin = 16 + len(piece.body) - len(attributes(piece.body, GENMSG_LENGTH)[3])
        seen = [blamed(piece, at) for at in range(begin, 16 + len(piece.body))]
        assert list(dict.fromkeys(seen)) == list(piece.keys)
        assert blamed(piece, 17 + len(piece.body)) is None or len(piece.keys) == 1
        assert blamed(piece, 0) is None or len(piece.keys) == 1


def test_a_message_without_elements_blames_none() -> None:
    """A chain that is missing is no element."""
    (piece,) = encode(Transaction((FlushChain("est"),)))
    assert isinstance(piece, Piece)
    assert blamed(piece, 40) is None


MARK = Compare(Field.CT_MARK, 0x1_0000, 0x1_0000, mask=0xFFFF_0000)
CARRIED: list[Command] = [
    AddElements(S4),
    DeleteElements(S4),
    FlushChain("est"),
    FlushChain("stamp"),
    AddRules("est", (ChainRule((MARK, ACCEPT)), ChainRule((replace(MARK, mask=0, negated=True), goto("c_1"))))),
    AddRules("stamp", (ChainRule((StampMark(0xFF, 1), ACCEPT)), ChainRule((StampMark(0xFFFF_FFFF, 1),)))),
]
LEFT: list[Command] = [
    AddTable(),
    AddChain(Chain("c_1")),
    FlushChain("egress"),
    AddRules("egress", (ChainRule((ACCEPT,)),)),
    AddRules("est", (ChainRule((Counter(), ACCEPT)),)),
    AddRules("est", (ChainRule((ACCEPT,), "a comment"),)),
    AddRules("est", (ChainRule((replace(MARK, high=0x2_0000, mask=0),)),)),
    AddRules("est", (ChainRule((Compare(Field.IP_SADDR, 1, 1), ACCEPT)),)),
    AddRules("est", (ChainRule(()),)),
    AddElements(replace(S4, interval=True)),
    DeleteElements(replace(S4, interval=True)),
]


def test_what_can_be_carried_is_written_and_the_rest_is_left() -> None:
    """The caller asks first; a wrong answer is a rule that is lost or an agent that stops."""
    for one in CARRIED:
        assert can_carry(Transaction((one,))), one
        list(encode(Transaction((one,))))
    for one in LEFT:
        assert not can_carry(Transaction((CARRIED[0], one))), one
    for one in LEFT[:2] + LEFT[4:9]:
        with pytest.raises(ValueError, match=r"nft\(8\) has to"):
            list(encode(Transaction((one,))))


@pytest.mark.parametrize(
    "part",
    [
        replace(S4, elements={((1, 2),): None}),
        replace(S4, elements={((1 << 32, 1 << 32),): None}),
        replace(S4, elements={((-1, -1),): None}),
        replace(S4, elements={("eth0",): None}),
        replace(S4, elements={((1, 1), (1, 1)): None}),
        replace(S4, elements={((1, 1),): ACCEPT}),
        replace(S4, name="set", elements={((1, 1),): None}),
        replace(S4, name="s; flush ruleset", elements={((1, 1),): None}),
        replace(S4, is_map=True, elements={((1, 1),): None}),
        replace(S4, is_map=True, elements={((1, 1),): Judgement("goto")}),
        replace(S4, is_map=True, elements={((1, 1),): Judgement("accept", "c_1")}),
        replace(S4, is_map=True, elements={((1, 1),): Judgement("queue")}),
        replace(S4, is_map=True, elements={((1, 1),): goto("c 1")}),
        replace(S4, key=(KeyType.IFNAME,), elements={("eth*",): None}),
        replace(S4, key=(KeyType.IFNAME,), elements={("sixteen_letters_",): None}),
        replace(S4, key=(KeyType.IFNAME,), elements={((1, 1),): None}),
        replace(S4, key=(KeyType.INET_PROTO,), elements={((256, 256),): None}),
    ],
)
def test_what_means_nothing_is_not_written(part: NftSet) -> None:
    """The kernel takes some of it, and takes it for something else: a name that is cut, the start of a range."""
    with pytest.raises(ValueError):  # noqa: PT011 -- the words are those of four callees
        list(encode(Transaction((AddElements(part),))))


@pytest.mark.parametrize(
    "rule",
    [
        ChainRule((StampMark(0, 0),)),
        ChainRule((StampMark(0xFF, 0x100),)),
        ChainRule((StampMark(1 << 32, 0),)),
        ChainRule((replace(MARK, low=1, high=1),)),
        ChainRule((replace(MARK, mask=1 << 32),)),
        ChainRule((Judgement("goto"),)),
    ],
)
def test_marks_beyond_their_mask_are_not_written(rule: ChainRule) -> None:
    """They would be somebody else's bits."""
    with pytest.raises(ValueError):  # noqa: PT011 -- see above
        list(encode(Transaction((AddRules("stamp", (rule,)),))))


def test_keys_of_another_length_are_not_read() -> None:
    """A set that somebody made anew with another type."""
    (piece,) = encode(Transaction((AddElements(replace(S4, elements={((1, 1),): None})),)))
    with pytest.raises(ValueError, match="a key of 4 bytes, where 2 were declared"):
        list(read_elements(piece.body, replace(S4, key=(KeyType.INET_SERVICE,))))


def test_verdicts_of_no_map_of_ours_are_not_read() -> None:
    """Somebody's map may lead to a queue, and a key without a verdict to nowhere: neither is a drop."""
    declared = replace(S4, is_map=True)
    (piece,) = encode(Transaction((AddElements(replace(declared, elements={((9, 9),): ACCEPT})),)))
    accept = struct.pack(">i", 1)
    assert piece.body.count(accept) == 1
    for code in (3, -1):
        with pytest.raises(ValueError, match=f"no verdict of a map: {code}"):
            list(read_elements(piece.body.replace(accept, struct.pack(">i", code)), declared))
    (bare,) = encode(Transaction((AddElements(replace(S4, elements={((1, 1),): None})),)))
    with pytest.raises(ValueError, match="no verdict of a map: None"):
        list(read_elements(bare.body, declared))
