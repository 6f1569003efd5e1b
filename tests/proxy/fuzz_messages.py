"""A million messages that nobody would send: ``python -m tests.proxy.fuzz_messages [COUNT] [SEED]``.

Hypothesis looks for the smallest message that is read wrongly, a hundred at a time; this one goes for numbers. Whole
messages, damaged in a few places, cut, joined and repeated, are given to both readings: nothing but `Malformed` may
come of it, what the quick reading teaches must be what the whole one says, and no message may take long.
"""

from __future__ import annotations

import random
import struct
import sys
import time
from collections.abc import Callable

import click

from outgate.proxy import dns, glance
from outgate.proxy.dns import Malformed, Message, Question, Record
from outgate.proxy.glance import Asked
from tests.proxy.messages import address, obviously, response, service
from tests.proxy.test_dns import COMPRESSED

__all__ = ["fuzz"]

_SLOWEST = 0.25
"""Seconds, for one message: a hundred times what a long one takes on an idle machine."""


def _seeds() -> list[bytes]:
    hints = service((1, b"\2h2"), (4, b"\xcb\0\x71\1" * 3), (6, b"\x20\1" * 8))
    chain = (Record("www.example.com", 5, "b.net"), Record("b.net", 5, "c.org"))
    options = Record("", 41, struct.pack("!HH8s", 10, 8, b"cookies!"), 0, klass=1232)
    return [
        COMPRESSED,
        response("www.example.com", *chain, *(address(f"203.0.113.{n}", "c.org") for n in range(9))),
        response("www.example.com", *(address(f"2001:db8::{n}", "www.example.com") for n in range(5)), kind=28),
        response("www.example.com", Record("www.example.com", 65, hints), kind=65),
        dns.encode(Message(7, questions=(Question("www.example.com", 1),), extras=(options,))),
        response("www.example.com", code=3),
    ]


def _damaged(dice: random.Random, seeds: list[bytes]) -> bytes:
    raw = bytearray(dice.choice(seeds))
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        match dice.randrange(7):
            case 0:
                raw[dice.randrange(len(raw))] = dice.randrange(256)
            case 1:
                at = dice.randrange(len(raw))
                raw[at : at + 2] = struct.pack("!H", 0xC000 | dice.randrange(len(raw) + 4))
            case 2:
                del raw[dice.randrange(len(raw)) :]
            case 3:
                raw += dice.choice(seeds)[12:]
            case 4:
                raw[dice.randrange(min(12, len(raw)))] ^= 1 << dice.randrange(8)
            case 5:
                at = dice.randrange(len(raw))
                raw[at:at] = raw[at : at + dice.randrange(40)]
            case _:
                raw[dice.randrange(len(raw))] ^= 0x20
        if not raw:
            return b""
    return bytes(raw)


def _check(raw: bytes, asks: list[Asked]) -> int:
    """Says 1 where both readings understood the message as an answer, and agree."""
    question = glance.glance_question(raw)
    if isinstance(question, Asked):
        glance.refusal(raw, dns.ResponseCode.REFUSED, question)
    try:
        whole = dns.decode(raw)
    except Malformed:
        whole = None
    asked = next((one for one in asks if glance.answers(raw, one)), None)
    if asked is None:
        return 0
    taught = glance.glance_answer(raw, asked)
    if whole is None or taught is None or whole.code or any(one.type in (64, 65) for one in whole.answers):
        return 0
    assert taught == obviously(raw, asked.name), raw.hex()
    return 1


def fuzz(count: int, seed: int, say: Callable[[str], None] = lambda _: None) -> int:
    """Tries so many messages, and says how many were understood by both readings. Raises AssertionError."""
    dice, seeds = random.Random(seed), _seeds()
    queries = [dns.encode(Message(7, questions=(Question("www.example.com", kind),))) for kind in (1, 28, 65)]
    asks = [one for one in map(glance.glance_question, queries) if isinstance(one, Asked)]
    both = 0
    for number in range(1, count + 1):
        raw = _damaged(dice, seeds)
        begin = time.thread_time()
        both += _check(raw, asks)
        assert time.thread_time() - begin < _SLOWEST, raw.hex()
        if number % 100_000 == 0:
            say(f"{number} messages, {both} understood by both")
    return both


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:3]]
    numbers += [1_000_000, 1][len(numbers) :]
    fuzz(numbers[0], numbers[1], lambda words: click.echo(words, err=True))
