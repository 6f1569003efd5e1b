"""Which connections Envoy looks into, and what it lets through: the input of its configuration.

A `Redirect` names flows by their ends: pods of this node, what they call, and which ports. It lists every rule with a
condition above TCP that allows one of those flows; a flow that another rule allows without such a condition is not
redirected at all (semantics.md C5: it "wildcards L7"). Whoever makes redirects has merged policies already.

`Allowance.rule` is the identity of a rule as logs show it. It is carried beside the configuration and never in it:
Envoy knows rules by a digest (`rule_key`), so no text of a manifest becomes a name, a counter or a line there.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from outgate.proxy.http import HttpRule
from outgate.proxy.server_names import ServerName

__all__ = ["Address", "Allowance", "Network", "Redirect", "rule_key"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one rule of a policy lets through.

    `http` is None where the rule says nothing of HTTP, and empty where any request of HTTP passes. `server_names` are
    names of TLS servers, asked for by SNI.
    """

    rule: str
    http: tuple[HttpRule, ...] | None = None
    server_names: tuple[ServerName, ...] = ()


@dataclass(frozen=True, slots=True)
class Redirect:
    """Flows that share their rules.

    `sources` are addresses of pods of this node; `destinations` are addresses after the translation of services;
    `ports` are inclusive ranges of TCP ports. A destination that is known by a DNS name is listed by the addresses
    learned so far.
    """

    sources: tuple[Address, ...]
    destinations: tuple[Network, ...]
    ports: tuple[tuple[int, int], ...]
    allowed: tuple[Allowance, ...]

    def __post_init__(self) -> None:
        for low, high in self.ports:
            if not 1 <= low <= high <= 65535:
                raise ValueError(f"no range of TCP ports: {low}-{high}")


def rule_key(rules: Iterable[str]) -> str:
    """The name of one rule, or of several that stand together, in Envoy: hexadecimal digits of a digest."""
    text = "\0".join(sorted(set(rules)))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
