"""One pass over the bytes says what the full reading says, and strangers' bytes do no harm."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.proxy import dns, glance
from outgate.proxy.dns import Malformed, Message, Question, Record, RecordType, ResponseCode
from outgate.proxy.glance import Asked, Taught, glance_answer, glance_question
from tests.proxy import fuzz_messages
from tests.proxy.messages import address, ask, obviously, response, service
from tests.proxy.test_dns import COMPRESSED, MESSAGES, NAMES

HTTPS = int(RecordType.HTTPS)


# ---- questions -------------------------------------------------------------------------------------------------------


@given(MESSAGES)
def test_a_question_is_read_as_the_full_reading_reads_it(message: Message) -> None:
    """A rule is asked about the name that is read here; the server reads the same bytes."""
    raw = dns.encode(message)
    found = glance_question(raw)
    usual = not message.response and message.opcode == 0 and len(message.questions) == 1 and not message.answers
    assert isinstance(found, Asked) == usual
    if isinstance(found, Asked):
        (question,) = message.questions
        assert (found.name, found.type, found.internet) == (
            question.name.lower(),
            question.type,
            question.klass == 1,
        )


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda tail: COMPRESSED[:2] + b"\1\0\0\1" + bytes(6) + tail))
def test_bytes_are_a_question_or_a_code(data: bytes) -> None:
    """Whatever a pod sends gets an answer or none; it never ends the proxy. What is read, the full reading reads."""
    found = glance_question(data)
    if isinstance(found, Asked):
        # Behind the question may stand what is not understood.
        alone = data[:4] + b"\0\1" + bytes(6) + data[12 : 12 + len(found.section)]
        assert dns.decode(alone).questions[0].name.lower() == found.name
        found = ResponseCode.REFUSED
    said = glance.refusal(data, found)
    assert len(said) == 12
    assert dns.decode(said).code == found


@pytest.mark.parametrize(
    ("flags", "counts", "code"),
    [
        (0x8000, (1, 0, 0, 0), ResponseCode.FORMAT_ERROR),
        (0x2800, (1, 0, 0, 0), ResponseCode.NOT_IMPLEMENTED),
        (0x0100, (2, 0, 0, 0), ResponseCode.FORMAT_ERROR),
        (0x0100, (1, 1, 0, 0), ResponseCode.FORMAT_ERROR),
        (0x0100, (0, 0, 0, 0), ResponseCode.FORMAT_ERROR),
    ],
)
def test_only_plain_questions_are_passed_on(flags: int, counts: tuple[int, ...], code: ResponseCode) -> None:
    """A second question, or an update, would go past the rules about names."""
    assert glance_question(struct.pack("!6H", 1, flags, *counts) + b"\1a\0\0\1\0\1") == code


def test_a_refusal_repeats_number_question_and_wishes() -> None:
    """A client drops an answer to something else, and waits until its patience ends."""
    query, asked = ask("Api.X.io", 28)
    said = dns.decode(glance.refusal(query, ResponseCode.REFUSED, asked))
    assert (said.id, said.response, said.code, said.recursion_desired) == (7, True, 5, True)
    assert said.questions == (Question("Api.X.io", 28),)
    assert glance.with_number(query, 0xBEEF)[:2] == b"\xbe\xef"


# ---- answers ---------------------------------------------------------------------------------------------------------


def test_an_answer_is_to_the_question() -> None:
    """In another case it is the same name; with another type, class or name it is another question."""
    _, asked = ask("a.io")
    assert glance.answers(response("A.iO"), asked)
    for other in (response("a.io", kind=28), response("b.io"), response("a.io.x"), b"", response("a.io")[:14]):
        assert not glance.answers(other, asked)
    assert not glance.answers(dns.query(7, "a.io", RecordType.A), asked), "a question is no answer"
    _, asked = ask("a.io", HTTPS)
    assert not glance.answers(response("a.io", kind=HTTPS + 32), asked), "65 and 97 are letters of one name"


def test_a_chain_is_collapsed_and_its_lowest_ttl_counts() -> None:
    """The addresses at its end go to the name that was asked; every step can end first."""
    _, asked = ask("www.a.io")
    chain = (Record("www.A.io", 5, "cdn.b.net", 30), Record("CDN.b.net", 5, "e.c.org", 5))
    got = glance_answer(response("www.a.io", *chain, address("203.0.113.1", "e.c.org", 300)), asked)
    assert got == Taught((bytes([203, 0, 113, 1]),), 5)
    assert glance_answer(COMPRESSED, ask("www.example.com")[1]) == Taught((b"\xcb\x00\x71\x0a",), 60)


@pytest.mark.parametrize(
    "records",
    [
        (address("203.0.113.1", "b.io"),),
        (Record("a.io", 5, "b.io"), address("203.0.113.1", "a.io")),
        (Record("a.io", 5, "b.io"),),
        (Record("a.io", 5, "b.io"), Record("b.io", 5, "a.io"), address("203.0.113.1")),
        (Record("a.io", 1, b"\1\2\3\4", klass=3),),
        (),
    ],
    ids=["another name", "beside its alias", "no end", "a circle", "another class", "nothing"],
)
def test_what_is_not_at_the_end_of_the_chain_teaches_nothing(records: tuple[Record, ...]) -> None:
    """An upstream that adds records of its own must not open anything."""
    assert glance_answer(response("a.io", *records), ask("a.io")[1]) == glance.NOTHING


def test_errors_teach_nothing() -> None:
    """An address beside NXDOMAIN is nobody's."""
    assert glance_answer(response("a.io", address("203.0.113.1"), code=3), ask("a.io")[1]) == glance.NOTHING


def test_hints_of_a_service_are_addresses() -> None:
    """A browser connects to them without asking for the address (RFC 9460, 7.3)."""
    four, six = bytes([203, 0, 113, 1, 203, 0, 113, 2]), ipaddress.ip_address("2001:db8::1").packed
    _, asked = ask("a.io", HTTPS)

    def taught(data: bytes) -> Taught | None:
        return glance_answer(response("a.io", Record("a.io", HTTPS, data, 9), kind=HTTPS), asked)

    assert taught(service((1, b"\2h3"), (4, four), (6, six))) == Taught((four[:4], four[4:], six), 9)
    assert taught(service((4, four), priority=0, target=b"\1b\0")) == glance.NOTHING, "an alias has no hints"
    assert taught(service()) == glance.NOTHING
    wrong = (service((6, six), (4, four)), service((4, four[:3])), service((4, b"")), b"\0", service((4, four))[:-1])
    assert [taught(one) for one in wrong] == [None] * 5


def test_a_ttl_without_end_is_none() -> None:
    """RFC 2181, 8: with its highest bit set it is zero, not 136 years."""
    assert glance_answer(response("a.io", address("203.0.113.1", ttl=2**31)), ask("a.io")[1]) == Taught(
        (b"\xcb\x00\x71\x01",), 0
    )


OWNERS = st.sampled_from(["a.io", "A.io", "b.io", "c.io"])
TTLS = st.integers(0, 2**32 - 1)
ANSWERS = st.lists(
    st.builds(Record, OWNERS, st.just(1), st.ip_addresses(v=4, network="203.0.113.0/30"), TTLS)
    | st.builds(Record, OWNERS, st.just(28), st.ip_addresses(v=6, network="2001:db8::/126"), TTLS)
    | st.builds(Record, OWNERS, st.just(5), OWNERS, TTLS)
    | st.builds(Record, NAMES, st.just(16), st.binary(max_size=9), TTLS),
    max_size=7,
)


@given(ANSWERS)
def test_an_answer_is_read_as_the_full_reading_reads_it(records: list[Record]) -> None:
    """Two readings of the same bytes that differ would open what the pod never hears, or the other way round."""
    raw = response("a.io", *records)
    assert glance_answer(raw, ask("a.io")[1]) == obviously(raw, "a.io")


@given(st.data())
def test_a_damaged_answer_is_read_or_not(data: st.DataObject) -> None:
    """Near-valid bytes reach deeper than noise does; where both readings understand them, they agree."""
    raw = bytearray(data.draw(st.sampled_from([COMPRESSED, response("www.example.com", *data.draw(ANSWERS))])))
    for _ in range(data.draw(st.integers(0, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    asked = ask("www.example.com")[1]
    if not glance.answers(bytes(raw), asked):
        return
    got = glance_answer(bytes(raw), asked)
    try:
        expected = obviously(bytes(raw), "www.example.com")
    except Malformed:
        return
    if got is not None and not dns.decode(bytes(raw)).code and asked.internet:
        assert got == expected or any(one.type in (64, 65) for one in dns.decode(bytes(raw)).answers)


def test_thousands_of_damaged_messages_are_read_alike() -> None:
    """A sample of what ``python -m tests.proxy.fuzz_messages`` does a million times."""
    assert fuzz_messages.fuzz(3000, 7) > 100


def test_pointers_are_followed_a_few_times_only() -> None:
    """A message of pointers to pointers is a day's work for a careless reader."""
    query, asked = ask("a.io")
    head = struct.pack("!6H", 7, 0x8000, 1, 2, 0, 0) + query[12:]
    start = len(head) + 11
    chain = b"\xc0\x0c" + b"".join(struct.pack("!H", 0xC000 | start + 2 * step) for step in range(5000))
    text = b"\0" + struct.pack("!HHIH", 16, 1, 1, len(chain)) + chain
    last = struct.pack("!H", 0xC000 | start + len(chain) - 2)
    tail = struct.pack("!HHIH", 1, 1, 1, 4) + b"\1\2\3\4"
    assert glance_answer(head + text + last + tail, asked) is None
    near = struct.pack("!H", 0xC000 | start + 20)
    assert glance_answer(head + text + near + tail, asked) == Taught((b"\1\2\3\4",), 1)


def test_names_are_read_for_as_long_as_an_answer_may_take() -> None:
    """Thousands of records that each point into one long name are seconds of work, in which nobody else is answered.

    A few of them are read as any other, and so is an answer that writes all its names out.
    """
    query, asked = ask("a.io")
    long = b"\1a" * 124 + b"\0"
    start = 12 + len(query[12:]) + 11
    text = b"\0" + struct.pack("!HHIH", 16, 1, 1, len(long)) + long
    into = b"\1b" + struct.pack("!H", 0xC000 | start) + struct.pack("!HHIH", 16, 1, 1, 0)
    tail = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 1, 4) + b"\1\2\3\4"
    for count, expected in ((16, Taught((b"\1\2\3\4",), 1)), (4000, None)):
        head = struct.pack("!6H", 7, 0x8000, 1, 2 + count, 0, 0) + query[12:]
        assert glance_answer(head + text + into * count + tail, asked) == expected
    name = ".".join(("x" * 60, "y" * 60, "z" * 60, "a.io"))
    plain = [address(f"203.0.{at >> 8}.{at & 255}", name) for at in range(300)]
    got = glance_answer(response(name, *plain), ask(name)[1])
    assert got is not None
    assert len(got.addresses) == 300


def test_one_answer_gives_a_bounded_number_of_addresses() -> None:
    """Whoever owns a name may put sixteen thousand into a record of hints; they would all go to the kernel."""
    _, asked = ask("a.io", HTTPS)
    many = b"".join(at.to_bytes(4, "big") for at in range(15000))
    hints = Record("a.io", HTTPS, service((4, many)), 9)
    got = glance_answer(response("a.io", hints, hints, kind=HTTPS), asked)
    assert got is not None
    assert b"".join(got.addresses) == many[:4000]
    assert got.ttl == 9
