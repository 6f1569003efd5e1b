"""Redirects as filters of Envoy that let through and refuse: role based access control, by the ends of a connection.

Three filters are delivered by themselves (extension config discovery), so that a changed rule needs no new listener
and meets the next request of every connection that is already there:

    requests      every request: source, destination, port, method, path, host, headers
    connections   what is not TLS may begin at all: a rule about HTTP concerns its ends
    names         what is TLS may begin: a rule lets the server name pass that is asked for

Each allows what a policy of its lists, and no more; what no policy lists is refused. In their order of names they are
asked one by one, so the cost of a request grows with the redirects, not with the pods behind one.

A policy's name there is the digest of our rule (`rule_key`), a dot and a number. A refusal matches no policy; so the
shadow rules, which are evaluated and decide nothing, list the ends alone, and their match names the rules that concern
the connection. Both come out in the log (`outgate.proxy.envoy_log`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from outgate.model.cilium import HeaderMatch, HttpMatch
from outgate.policy.requests import asked_headers, can_be_met
from outgate.policy.server_names import parse_server_name
from outgate.proxy.redirect import Address, Allowance, Network, Redirect, rule_key

__all__ = ["CONNECTIONS", "DENY_ALL", "NAMES", "REQUESTS", "Json", "concerned", "connections", "names", "requests"]

Json = Mapping[str, Any]

REQUESTS, CONNECTIONS, NAMES = "outgate_requests", "outgate_connections", "outgate_names"
"""The names under which the filters are delivered."""

_HTTP = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
_NETWORK = "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC"
_ANY: Json = {"any": True}
_NONE: Json = {"not_rule": _ANY}
"""As a condition; there is no policy without a pod (`_each`), where it would be called `not_id`."""


def concerned(redirects: Iterable[Redirect]) -> Mapping[str, tuple[str, ...]]:
    """For every digest that the filters use, the rules that it stands for."""
    found: dict[str, tuple[str, ...]] = {}
    for one in redirects:
        together = tuple(sorted({allowance.rule for allowance in one.allowed}))
        found[rule_key(together)] = together
        found |= {rule_key((rule,)): (rule,) for rule in together}
    return found


def requests(redirects: Sequence[Redirect]) -> Json:
    """The filter that is asked for every request of HTTP."""
    policies = {}
    for number, one, allowance in _each(redirects):
        asked = [_ANY] if allowance.is_plain else [_request(entry) for entry in allowance.http]
        if asked:
            policies[_name(allowance.rule, number=number)] = _policy(one, _any_of(asked))
    return {"@type": _HTTP, "rules": _allow(policies), "shadow_rules": _allow(_ends(redirects))}


def connections(redirects: Sequence[Redirect]) -> Json:
    """The filter that is asked when a connection begins that is not TLS."""
    spoken = [one for one in redirects if any(allowance.http or allowance.is_plain for allowance in one.allowed)]
    return _network("outgate_connections", _ends(spoken), _ends(redirects))


def names(redirects: Sequence[Redirect]) -> Json:
    """The filter that is asked when a connection of TLS begins."""
    policies = {}
    for number, one, allowance in _each(redirects):
        asked = [_ANY] if allowance.is_plain else [_server(pattern) for pattern in allowance.server_names]
        if asked:
            policies[_name(allowance.rule, number=number)] = _policy(one, _any_of(asked))
    return _network("outgate_names", policies, _ends(redirects))


def _network(prefix: str, policies: Json, shadows: Json) -> Json:
    return {"@type": _NETWORK, "stat_prefix": prefix, "rules": _allow(policies), "shadow_rules": _allow(shadows)}


DENY_ALL: Mapping[str, Json] = {
    REQUESTS: {"@type": _HTTP, "rules": {"action": "ALLOW"}},
    CONNECTIONS: {"@type": _NETWORK, "stat_prefix": "outgate_connections", "rules": {"action": "ALLOW"}},
    NAMES: {"@type": _NETWORK, "stat_prefix": "outgate_names", "rules": {"action": "ALLOW"}},
}
"""Each filter as it is before the first rules have come: a list of what is allowed, with nothing in it."""


def _each(redirects: Sequence[Redirect]) -> Iterable[tuple[int, Redirect, Allowance]]:
    number = 0
    for one in redirects:
        if not one.sources:
            continue
        for allowance in one.allowed:
            number += 1
            yield number, one, allowance


def _name(rule: str, *, number: int) -> str:
    return f"{rule_key((rule,))}.{number}"


def _ends(redirects: Iterable[Redirect]) -> dict[str, Json]:
    return {
        f"{rule_key(allowance.rule for allowance in one.allowed)}.{number}": _policy(one, _ANY)
        for number, one in enumerate(redirects)
        if one.sources
    }


def _allow(policies: Json) -> Json:
    return {"action": "ALLOW", "policies": policies} if policies else {"action": "ALLOW"}


def _policy(one: Redirect, condition: Json) -> Json:
    places = _any_of({"destination_ip": _block(network)} for network in one.destinations)
    # `end` is exclusive (envoy.type.v3.Int32Range).
    ports = _any_of({"destination_port_range": {"start": low, "end": high + 1}} for low, high in one.ports)
    # The address of the connection itself; `remote_ip` would believe a header.
    pods = _any_of({"direct_remote_ip": _exactly(address)} for address in one.sources)
    return {"permissions": [_all_of((places, ports, condition))], "principals": [pods]}


def _any_of(choices: Iterable[Json]) -> Json:
    """One of several; of none, nothing: an empty list of ends must not mean any."""
    listed = list(choices)
    if _ANY in listed:
        return _ANY
    if not listed:
        return _NONE
    if len(listed) == 1:
        return listed[0]
    return {"or_ids": {"ids": listed}} if "direct_remote_ip" in listed[0] else {"or_rules": {"rules": listed}}


def _all_of(conditions: Iterable[Json]) -> Json:
    listed = [one for one in conditions if one != _ANY]
    if not listed:
        return _ANY
    return listed[0] if len(listed) == 1 else {"and_rules": {"rules": listed}}


def _block(network: Network) -> Json:
    return {"address_prefix": str(network.network_address), "prefix_len": network.prefixlen}


def _exactly(address: Address) -> Json:
    return {"address_prefix": str(address), "prefix_len": address.max_prefixlen}


def _server(pattern: str) -> Json:
    return {"requested_server_name": {"safe_regex": {"regex": parse_server_name(pattern).expression}}}


def _request(entry: HttpMatch) -> Json:
    if not can_be_met(entry):
        return _NONE
    fields = ((":method", entry.method), (":path", entry.path), (":authority", entry.host))
    matchers: list[Json] = [
        {"header": {"name": name, "string_match": {"safe_regex": {"regex": expression}}}}
        for name, expression in fields
        if expression
    ]
    matchers += [{"header": _header(one)} for one in asked_headers(entry)]
    return _all_of(matchers)


def _header(one: HeaderMatch) -> Json:
    if one.value is None:
        return {"name": one.name, "present_match": True}
    return {"name": one.name, "string_match": {"exact": one.value}}
