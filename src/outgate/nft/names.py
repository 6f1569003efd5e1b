"""Names of kernel objects: bounded, safe, and never shared by two things.

A name is a prefix that says what the object is and 128 bits of a hash over a length-prefixed
encoding of what the object stands for. (Peers have been caught joining the parts with nothing between: then
namespace ``prod`` with policy ``x`` and namespace ``pro`` with policy ``dx`` share one chain.) 128 bits leave
no room to construct a collision; 26 base-32 characters hold them. Text of a manifest goes in, none
comes out.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

__all__ = ["named"]

_BITS = 128


def named(prefix: str, parts: Iterable[str]) -> str:
    """``prefix`` and the hash of the parts, told apart by their lengths."""
    digest = hashlib.blake2s(digest_size=_BITS // 8)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return f"{prefix}_{base64.b32encode(digest.digest()).decode().rstrip('=').lower()}"
