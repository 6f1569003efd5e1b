"""Certificates made by hand: known answers for the curve, and what an independent reader makes of them."""

from __future__ import annotations

import base64
import hashlib
import ssl
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.host import process
from outgate.lab.certificates import Key, authority, leaf

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
Point = tuple[int, int] | None
BASE: Point = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def added(one: Point, other: Point) -> Point:
    """The sum of two points by the definition (SEC 1, 2.2.1), with a division for each."""
    if one is None or other is None:
        return one or other
    if one[0] == other[0] and (one[1] + other[1]) % P == 0:
        return None
    if one == other:
        slope = (3 * one[0] ** 2 - 3) * pow(2 * one[1], -1, P)
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, P)
    x = (slope**2 - one[0] - other[0]) % P
    return x, (slope * (one[0] - x) - one[1]) % P


def times(number: int, point: Point) -> Point:
    """So many of one point."""
    found: Point = None
    while number:
        if number & 1:
            found = added(found, point)
        point, number = added(point, point), number >> 1
    return found


def point_of(key: Key) -> Point:
    """The public key of one as a point."""
    public = key.public
    assert (public[0], len(public)) == (4, 65)
    return int.from_bytes(public[1:33], "big"), int.from_bytes(public[33:], "big")


def test_a_known_key() -> None:
    """RFC 6979, A.2.5."""
    key = Key(0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721)
    assert key.public.hex().upper() == (
        "0460FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
        "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"
    )


@given(st.one_of(st.integers(1, 20), st.integers(ORDER - 20, ORDER - 1), st.integers(1, ORDER - 1)))
def test_public_keys_are_what_the_definition_says(number: int) -> None:
    """Also near the ends, where points meet their opposites."""
    point = point_of(Key(number))
    assert point == times(number, BASE)
    assert point is not None
    assert (point[1] ** 2 - point[0] ** 3 + 3 * point[0] - B) % P == 0


@settings(max_examples=15)
@given(st.binary(max_size=100), st.integers(1, ORDER - 1))
def test_signatures_verify(data: bytes, number: int) -> None:
    """By the verification of SEC 1, 4.1.4, and not for other data."""
    key = Key(number)
    made = key.signature(data)
    assert made[0] == 0x30
    first_size = made[3]
    first = int.from_bytes(made[4 : 4 + first_size], "big")
    second = int.from_bytes(made[6 + first_size :], "big")

    def verifies(said: bytes) -> bool:
        digest = int.from_bytes(hashlib.sha256(said).digest(), "big")
        inverse = pow(second, -1, ORDER)
        point = added(times(digest * inverse % ORDER, BASE), times(first * inverse % ORDER, point_of(key)))
        return point is not None and point[0] % ORDER == first

    assert verifies(data)
    assert not verifies(data + b"!")


def test_keys_are_not_the_same_twice() -> None:
    """They are drawn."""
    assert len({Key().number for _ in range(10)}) == 10


@pytest.mark.skipif(process.found("openssl") is None, reason="no openssl command")
@pytest.mark.parametrize("name", ["a.example.com", "x", f"{'y' * 60}.{'z' * 60}.example.com", "under_score.example"])
def test_openssl_reads_them(name: str, tmp_path: Path) -> None:
    """Its strict verification takes the chain for that name, and not for another."""
    signer = authority("some authority")
    made = leaf(signer, [name, "also.example.com"])
    ca, server = tmp_path / "ca.pem", tmp_path / "server.pem"
    ca.write_text(signer.pem)
    server.write_text(made.pem)
    verify = ("openssl", "verify", "-x509_strict", "-CAfile", str(ca), "-verify_hostname")
    for good in (name, "also.example.com"):
        assert process.run((*verify, good, str(server)), check=False).code == 0
    assert process.run((*verify, "other.example.com", str(server)), check=False).code != 0
    strange = authority("some authority")
    ca.write_text(strange.pem)
    assert process.run((*verify, name, str(server)), check=False).code != 0


def test_what_is_written_is_pem() -> None:
    """As Python's own reader takes it, and a key that belongs to its certificate."""
    made = leaf(authority("one"), ["a.example.com"])
    assert ssl.PEM_cert_to_DER_cert(made.pem) == made.der
    lines = made.key.pem.splitlines()
    assert max(map(len, lines)) <= 64
    assert made.key.number.to_bytes(32, "big") in base64.b64decode("".join(lines[1:-1]))
