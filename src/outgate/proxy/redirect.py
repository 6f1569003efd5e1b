"""Which connections Envoy looks into, and what it lets through: the input of its configuration.

A `Redirect` names flows by their ends: pods of this node, what they call, and which ports. It lists the rules that
allow one of those flows. A flow that a rule allows without a condition above TCP is not caught at all (semantics.md C5:
it "wildcards L7"). Whoever makes redirects has merged policies already.

`Allowance.rule` is the identity of a rule as logs show it. It is carried beside the configuration and never in it:
Envoy knows rules by a digest (`rule_key`), so no text of a manifest becomes a name, a counter or a line there.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from outgate.model.cilium import HttpMatch

__all__ = ["Address", "Allowance", "Network", "Redirect", "rule_key"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one rule of a policy lets through: requests, or TLS servers by the names that clients ask for (SNI).

    A rule with neither lets anything through. The kernel sends no new connection here that such a rule allows; but one
    that is here already, from before there was the rule, goes on.
    """

    rule: str
    http: tuple[HttpMatch, ...] = ()
    server_names: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether it lets anything through."""
        return not self.http and not self.server_names


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
