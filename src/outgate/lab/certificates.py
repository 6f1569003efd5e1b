"""Certificates for the servers of a lab, and an authority that clients of the run believe: X.509 made by hand.

Python's standard library verifies certificates and makes none. What a lab needs of that is little: keys on the curve
P-256, signed with SHA-256 (FIPS 186-4; SEC 1), in the profile of RFC 5280 that strict verifiers ask for. A key lives as
long as its run, inside of namespaces that nobody else can enter: nothing here is made against somebody who measures how
long a signature takes, so it is for no other use.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Certificate", "Key", "authority", "leaf"]

# SEC 2, 2.4.2: secp256r1, whose coefficient a is -3.
_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_Point = tuple[int, int, int]
"""Jacobian: x is X/Z², y is Y/Z³; Z is 0 for the point at infinity."""

# Object identifiers, as their octets (RFC 5280, RFC 5480, RFC 5758).
_EC_PUBLIC_KEY = bytes.fromhex("2a8648ce3d0201")
_PRIME256V1 = bytes.fromhex("2a8648ce3d030107")
_ECDSA_SHA256 = bytes.fromhex("2a8648ce3d040302")
_COMMON_NAME = bytes.fromhex("550403")
_SUBJECT_KEY, _KEY_USAGE, _ALT_NAME = (bytes.fromhex(f"551d{last}") for last in ("0e", "0f", "11"))
_CONSTRAINTS, _AUTHORITY_KEY, _EXTENDED_USAGE = (bytes.fromhex(f"551d{last}") for last in ("13", "23", "25"))
_SERVER_AUTH = bytes.fromhex("2b06010505070301")

_BEGIN, _END = b"200101000000Z", b"491231235959Z"
"""Whatever a clock says, a certificate is good: it goes with its run."""


@dataclass(frozen=True)
class Key:
    """A private key. Made of the kernel's random source where no number is given."""

    number: int = field(default_factory=lambda: secrets.randbelow(_N - 1) + 1)

    @property
    def public(self) -> bytes:
        """The public key, uncompressed (SEC 1, 2.3.3)."""
        x, y = _affine(_times(self.number, (*_G, 1)))
        return b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")

    @property
    def pem(self) -> str:
        """As RFC 5915 has it."""
        parts = (_integer(1), _tag(0x04, self.number.to_bytes(32, "big")), _tag(0xA0, _oid(_PRIME256V1)))
        return _pem("EC PRIVATE KEY", _sequence(*parts, _tag(0xA1, _bits(self.public))))

    def signature(self, data: bytes) -> bytes:
        """ECDSA over SHA-256 (SEC 1, 4.1.3), as RFC 3279, 2.2.3, writes it."""
        digest = int.from_bytes(hashlib.sha256(data).digest(), "big")
        while True:
            nonce = secrets.randbelow(_N - 1) + 1
            first = _affine(_times(nonce, (*_G, 1)))[0] % _N
            second = pow(nonce, -1, _N) * (digest + first * self.number) % _N
            if first and second:
                return _sequence(_integer(first), _integer(second))


@dataclass(frozen=True)
class Certificate:
    """A certificate with its private key."""

    key: Key
    der: bytes
    name: str
    """The common name of its subject."""

    @property
    def pem(self) -> str:
        """The certificate."""
        return _pem("CERTIFICATE", self.der)


def authority(name: str) -> Certificate:
    """One that signs others, and itself."""
    key = Key()
    extensions = (
        _extension(_CONSTRAINTS, _sequence(_tag(0x01, b"\xff")), critical=True),
        # keyCertSign is the sixth bit, cRLSign the seventh.
        _extension(_KEY_USAGE, _tag(0x03, b"\x01\x06"), critical=True),
        _extension(_SUBJECT_KEY, _tag(0x04, _identifier(key))),
    )
    return Certificate(key, _signed(key, name, name, key, extensions), name)


def leaf(issuer: Certificate, names: Sequence[str], key: Key | None = None) -> Certificate:
    """One for a server of some DNS names."""
    key = key or Key()
    alternatives = _sequence(*(_tag(0x82, one.encode("ascii")) for one in names))
    extensions = (
        _extension(_CONSTRAINTS, _sequence(), critical=True),
        _extension(_KEY_USAGE, _tag(0x03, b"\x07\x80"), critical=True),
        _extension(_EXTENDED_USAGE, _sequence(_oid(_SERVER_AUTH))),
        _extension(_ALT_NAME, alternatives),
        _extension(_SUBJECT_KEY, _tag(0x04, _identifier(key))),
        _extension(_AUTHORITY_KEY, _sequence(_tag(0x80, _identifier(issuer.key)))),
    )
    # RFC 5280, appendix A.1: a common name has 64 characters at most.
    name = names[0][:64]
    return Certificate(key, _signed(issuer.key, issuer.name, name, key, extensions), name)


def _signed(signer: Key, issuer: str, subject: str, key: Key, extensions: Sequence[bytes]) -> bytes:
    algorithm = _sequence(_oid(_ECDSA_SHA256))
    info = _sequence(_sequence(_oid(_EC_PUBLIC_KEY), _oid(_PRIME256V1)), _bits(key.public))
    whole = _sequence(
        _tag(0xA0, _integer(2)),
        _integer(secrets.randbits(120) | 1 << 120),
        algorithm,
        _named(issuer),
        _sequence(_tag(0x17, _BEGIN), _tag(0x17, _END)),
        _named(subject),
        info,
        _tag(0xA3, _sequence(*extensions)),
    )
    return _sequence(whole, algorithm, _bits(signer.signature(whole)))


def _identifier(key: Key) -> bytes:
    # RFC 5280, 4.2.1.2: the hash of the public key.
    return hashlib.sha1(key.public, usedforsecurity=False).digest()


def _named(name: str) -> bytes:
    return _sequence(_tag(0x31, _sequence(_oid(_COMMON_NAME), _tag(0x0C, name.encode()))))


def _extension(oid: bytes, value: bytes, *, critical: bool = False) -> bytes:
    return _sequence(_oid(oid), *([_tag(0x01, b"\xff")] if critical else []), _tag(0x04, value))


# ---- DER (X.690) -----------------------------------------------------------------------------------------------------


def _tag(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _sequence(*parts: bytes) -> bytes:
    return _tag(0x30, b"".join(parts))


def _integer(value: int) -> bytes:
    # One bit more than the number has: a first bit that is set would make it negative.
    return _tag(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _oid(octets: bytes) -> bytes:
    return _tag(0x06, octets)


def _bits(content: bytes) -> bytes:
    return _tag(0x03, b"\0" + content)


def _pem(label: str, der: bytes) -> str:
    text = base64.b64encode(der).decode()
    lines = (text[at : at + 64] for at in range(0, len(text), 64))
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""))


# ---- the curve -------------------------------------------------------------------------------------------------------


def _times(number: int, point: _Point) -> _Point:
    found: _Point = (0, 1, 0)
    for bit in f"{number:b}":
        found = _twice(found)
        if bit == "1":
            found = _sum(found, point)
    return found


def _twice(point: _Point) -> _Point:
    x, y, z = point
    if not y or not z:
        return 0, 1, 0
    square = y * y % _P
    middle = 4 * x * square % _P
    # a is -3: 3x² + az⁴ is 3(x - z²)(x + z²).
    slope = 3 * (x - z * z) * (x + z * z) % _P
    new = (slope * slope - 2 * middle) % _P
    return new, (slope * (middle - new) - 8 * square * square) % _P, 2 * y * z % _P


def _sum(one: _Point, other: _Point) -> _Point:
    if not one[2] or not other[2]:
        return other if not one[2] else one
    (x1, y1, z1), (x2, y2, z2) = one, other
    square1, square2 = z1 * z1 % _P, z2 * z2 % _P
    u1, u2 = x1 * square2 % _P, x2 * square1 % _P
    s1, s2 = y1 * square2 * z2 % _P, y2 * square1 * z1 % _P
    if u1 == u2:
        return _twice(one) if s1 == s2 else (0, 1, 0)
    way, rise = (u2 - u1) % _P, (s2 - s1) % _P
    square = way * way % _P
    cube, middle = square * way % _P, u1 * square % _P
    x = (rise * rise - cube - 2 * middle) % _P
    return x, (rise * (middle - x) - s1 * cube) % _P, z1 * z2 * way % _P


def _affine(point: _Point) -> tuple[int, int]:
    x, y, z = point
    inverse = pow(z, -1, _P)
    return x * inverse * inverse % _P, y * inverse * inverse * inverse % _P
