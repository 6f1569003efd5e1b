"""DNS messages: what is written can be read, and nothing that comes from a network does harm."""

from __future__ import annotations

import contextlib
import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outgate.proxy import dns
from outgate.proxy.dns import Malformed, Message, Question, Record, RecordType, ResponseCode

_LABEL = st.text(
    st.sampled_from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_*"), min_size=1, max_size=63
)
NAMES = st.lists(_LABEL, max_size=6).map(".".join).filter(lambda name: len(name) < 254)
QUESTIONS = st.builds(Question, NAMES, st.integers(0, 65535), st.integers(0, 65535))
RECORDS = st.one_of(
    st.builds(Record, NAMES, st.just(1), st.ip_addresses(v=4), st.integers(0, 2**32 - 1)),
    st.builds(Record, NAMES, st.just(28), st.ip_addresses(v=6), st.integers(0, 2**32 - 1)),
    st.builds(Record, NAMES, st.just(5), NAMES, st.integers(0, 2**32 - 1)),
    st.builds(Record, NAMES, st.just(16), st.binary(max_size=300), st.integers(0, 2**32 - 1)),
)
MESSAGES = st.builds(
    Message,
    id=st.integers(0, 65535),
    response=st.booleans(),
    opcode=st.integers(0, 15),
    authoritative=st.booleans(),
    truncated=st.booleans(),
    recursion_desired=st.booleans(),
    recursion_available=st.booleans(),
    code=st.integers(0, 15),
    questions=st.lists(QUESTIONS, max_size=3).map(tuple),
    answers=st.lists(RECORDS, max_size=4).map(tuple),
)
# A response as a server writes it: id 0x1234, www.example.com A, answered by a CNAME and an address, with compression.
COMPRESSED = bytes.fromhex(
    "1234 8180 0001 0002 0000 0000"
    "03 777777 07 6578616d706c65 03 636f6d 00 0001 0001"
    "c00c 0005 0001 0000003c 0006 03 776562 c010"
    "c02d 0001 0001 0000003c 0004 cb00710a"
)


@given(MESSAGES)
def test_what_is_written_is_read_back(message: Message) -> None:
    """A message that changes between writing and reading is answered for another name."""
    assert dns.decode(dns.encode(message)) == message


@given(st.binary(max_size=600))
@example(b"")
@example(b"\xc0\x0c" * 20)
@example(bytes(12))
def test_bytes_from_the_network_are_read_or_refused(data: bytes) -> None:
    """An exception other than Malformed would end the server that a stranger sends bytes to."""
    try:
        message = dns.decode(data)
    except Malformed:
        return
    assert isinstance(message, Message)


@given(st.data())
def test_a_damaged_message_is_read_or_refused(data: st.DataObject) -> None:
    """Near-valid messages reach deeper than noise does."""
    raw = bytearray(COMPRESSED)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Malformed):
        dns.decode(bytes(raw))


def test_a_compressed_response_is_understood() -> None:
    """Every real server compresses names."""
    message = dns.decode(COMPRESSED)
    assert (message.id, message.response, message.code) == (0x1234, True, 0)
    assert message.questions == (Question("www.example.com", 1),)
    assert message.answers == (
        Record("www.example.com", 5, "web.example.com", 60),
        Record("web.example.com", 1, ipaddress.IPv4Address("203.0.113.10"), 60),
    )
    assert message.addresses == (ipaddress.IPv4Address("203.0.113.10"),)


@pytest.mark.parametrize("length", range(len(COMPRESSED)))
def test_a_message_that_is_cut_is_refused(length: int) -> None:
    """A message without its end would be taken for one with fewer answers."""
    with pytest.raises(Malformed):
        dns.decode(COMPRESSED[:length])


def test_a_byte_too_many_is_refused() -> None:
    """Bytes behind the message are not part of any section, so the counts lie."""
    with pytest.raises(Malformed, match="1 octets behind"):
        dns.decode(COMPRESSED + b"\0")


@pytest.mark.parametrize(
    "name",
    [b"\xc0\x0c", b"\xc0\x20", b"\x01a\xc0\x0c", b"\xc0\x00", b"\xc0"],
    ids=["itself", "forwards", "own beginning", "header", "cut"],
)
def test_pointers_lead_backwards_only(name: bytes) -> None:
    """A pointer that leads to itself or forwards is a loop, or one in the making."""
    with pytest.raises(Malformed):
        dns.decode(bytes.fromhex("0001 0000 0001 0000 0000 0000") + name + bytes.fromhex("0001 0001"))


def test_a_name_is_at_most_255_octets_also_through_pointers() -> None:
    """Pointers can build a name that is longer than the message; a buffer of 255 octets is what others reserve."""
    head = bytes.fromhex("0001 0000 0003 0000 0000 0000")
    long = (b"\x3f" + b"a" * 63) * 3 + b"\0"
    longer = b"\x3f" + b"b" * 63 + b"\xc0\x0c"
    with pytest.raises(Malformed, match="too long"):
        dns.decode(head + (long + bytes.fromhex("0001 0001")) + (longer + bytes.fromhex("0001 0001")) * 2)


@pytest.mark.parametrize("label", [b"a.b", b"a b", b"\x00", b"\xff", b"a\n"])
def test_labels_that_would_look_like_another_name_are_refused(label: bytes) -> None:
    """The label ``a.b`` as text is two labels, and a rule for ``a.b`` would be fooled by it."""
    raw = bytes.fromhex("0001 0000 0001 0000 0000 0000") + bytes([len(label)]) + label + bytes.fromhex("00 0001 0001")
    with pytest.raises(Malformed, match="plain text"):
        dns.decode(raw)


@pytest.mark.parametrize("name", ["a..b", ".a", "a" * 64, "ä.example", ".".join(["a" * 63] * 4), "a b"])
def test_names_that_cannot_be_written_are_refused(name: str) -> None:
    """Half a name on the wire is another name."""
    with pytest.raises(Malformed):
        dns.query(1, name, RecordType.A)


def test_an_address_of_the_wrong_size_is_refused() -> None:
    """Four octets under AAAA are no address."""
    raw = dns.encode(Message(1, True, answers=(Record("a", 28, b"\1\2\3\4"),)))
    with pytest.raises(Malformed, match="4 octets"):
        dns.decode(raw)


def test_a_long_answer_over_udp_is_marked_truncated() -> None:
    """A client that gets a part without the mark believes it is all."""
    asked = dns.decode(dns.query(7, "many.example", RecordType.A))
    records = [Record("many.example", 1, ipaddress.IPv4Address(number)) for number in range(64)]
    short = dns.decode(dns.answer(asked, records, limit=dns.LARGEST_UDP))
    whole = dns.decode(dns.answer(asked, records))
    assert (short.truncated, short.answers, len(short.questions)) == (True, (), 1)
    assert (whole.truncated, len(whole.answers)) == (False, 64)


def test_an_answer_repeats_the_question() -> None:
    """Clients drop answers with another id, name or case (draft-vixie-dnsext-dns0x20)."""
    asked = dns.decode(dns.query(0xBEEF, "ExAmPlE.CoM", RecordType.AAAA))
    reply = dns.decode(dns.answer(asked, (), ResponseCode.NAME_ERROR))
    assert (reply.id, reply.questions, reply.code) == (0xBEEF, (Question("ExAmPlE.CoM", 28),), 3)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=4), st.integers(1, 7))
def test_messages_come_out_of_a_stream_however_it_is_cut(messages: list[bytes], size: int) -> None:
    """TCP gives bytes, not messages: a length that is cut in two must not be read early."""
    stream = b"".join(map(dns.frame, messages))
    found, rest = [], b""
    for at in range(0, len(stream), size):
        rest += stream[at : at + size]
        while True:
            message, rest = dns.unframe(rest)
            if message is None:
                break
            found.append(message)
    assert (found, rest) == (messages, b"")
