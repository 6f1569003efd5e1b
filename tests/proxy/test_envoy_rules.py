"""The filters, read by an evaluator of Envoy's role based access control that knows nothing of redirects."""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from outgate.policy.requests import Request, lets_name, lets_request
from outgate.proxy import envoy_rules
from outgate.proxy.redirect import Address, Allowance, Redirect, rule_key
from tests.policy.asks import asks

_PODS = [ipaddress.ip_address(text) for text in ("10.1.0.1", "10.1.0.2", "fd00::1")]
_BLOCKS = [ipaddress.ip_network(text) for text in ("203.0.113.0/24", "203.0.113.7/32", "2001:db8::/64")]
_ENDS = [ipaddress.ip_address(text) for text in ("203.0.113.7", "203.0.113.8", "2001:db8::5", "192.0.2.1")]
_HTTP = [asks(), asks("GET"), asks("", "/a/.*"), asks("POST", "/b", "h", ["X-A 1", "X-B"])]
_NAMES = ["a.example", "*.example", "**.example"]
_ALLOWANCES = st.builds(
    Allowance,
    st.sampled_from(["one", "two", 'three\n"}']),
    st.lists(st.sampled_from(_HTTP), max_size=2).map(tuple),
    st.lists(st.sampled_from(_NAMES), max_size=2).map(tuple),
)


def some(choices: list[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """A few of them, perhaps none."""
    return st.lists(st.sampled_from(choices), max_size=2, unique=True).map(tuple)


_REDIRECTS = st.lists(
    st.builds(
        Redirect,
        some(_PODS),
        some(_BLOCKS),
        some([(80, 80), (8000, 8010)]),
        st.lists(_ALLOWANCES, max_size=3).map(tuple),
    ),
    max_size=3,
)
_REQUEST = st.sampled_from(
    [
        Request("GET", "/a/x", "h"),
        Request("POST", "/b", "h", (("X-A", "1"), ("x-b", ""))),
        Request("POST", "/b", "h", (("X-A", "1"), ("X-A", "1"), ("x-b", ""))),
        Request("CONNECT", None, "h:443"),
    ]
)


class Rbac:
    """What Envoy's documentation says of `permissions`, `principals` and their combinations."""

    def __init__(self, pod: Address, end: Address, port: int, request: Request | None, name: str = "") -> None:
        self.pod, self.end, self.port, self.request, self.name = pod, end, port, request, name

    def matching(self, rules: dict[str, Any]) -> list[str]:
        """The policies that match, in Envoy's order."""
        assert rules["action"] == "ALLOW"
        return [
            key
            for key, policy in sorted(rules.get("policies", {}).items())
            if any(map(self.holds, policy["permissions"])) and any(map(self.holds, policy["principals"]))
        ]

    def holds(self, one: dict[str, Any]) -> bool:
        """One permission or principal."""
        ((kind, value),) = one.items()
        match kind:
            case "any":
                return bool(value)
            case "or_rules" | "or_ids":
                return any(map(self.holds, value["rules" if kind == "or_rules" else "ids"]))
            case "and_rules":
                return all(map(self.holds, value["rules"]))
            case "not_rule":
                return not self.holds(value)
            case "destination_ip":
                return self.end in ipaddress.ip_network(f"{value['address_prefix']}/{value['prefix_len']}")
            case "direct_remote_ip":
                return self.pod in ipaddress.ip_network(f"{value['address_prefix']}/{value['prefix_len']}")
            case "destination_port_range":
                return bool(value["start"] <= self.port < value["end"])
            case "requested_server_name":
                return re.fullmatch(value["safe_regex"]["regex"], self.name) is not None
            case "header":
                return self.header(value)
        raise AssertionError(kind)

    def header(self, value: dict[str, Any]) -> bool:
        """A header that is there, equal or matching."""
        assert self.request is not None
        pseudo = {":method": self.request.method, ":path": self.request.path, ":authority": self.request.host}
        said = pseudo[value["name"]] if value["name"] in pseudo else self.request.header(value["name"])
        if said is None:
            return False
        if value.get("present_match"):
            return True
        wanted = value["string_match"]
        return said == wanted["exact"] if "exact" in wanted else bool(re.fullmatch(wanted["safe_regex"]["regex"], said))


def concerns(one: Redirect, pod: Address, end: Address, port: int) -> bool:
    """By its ends."""
    return (
        pod in one.sources
        and any(end in block for block in one.destinations)
        and any(low <= port <= high for low, high in one.ports)
    )


_FLOW = (st.sampled_from(_PODS), st.sampled_from(_ENDS), st.sampled_from([80, 81, 8005]))


@given(_REDIRECTS, *_FLOW, _REQUEST)
def test_requests(redirects: list[Redirect], pod: Address, end: Address, port: int, request: Request) -> None:
    """A request passes where a rule about its ends lets it; and a refusal names the rules about its ends."""
    made = json.loads(json.dumps(envoy_rules.requests(redirects)))
    here = [one for one in redirects if concerns(one, pod, end, port)]
    expected = {
        rule_key([allowance.rule])
        for one in here
        for allowance in one.allowed
        if allowance.is_plain or (allowance.http and lets_request(allowance.http, request))
    }
    asked = Rbac(pod, end, port, request)
    assert {name.split(".")[0] for name in asked.matching(made["rules"])} == expected
    told = envoy_rules.concerned(redirects)
    shadows = [told[name.split(".")[0]] for name in asked.matching(made["shadow_rules"])]
    assert sorted(shadows) == sorted(tuple(sorted({a.rule for a in one.allowed})) for one in here)


@given(_REDIRECTS, *_FLOW, st.sampled_from(["a.example", "b.a.example", "example", ""]))
def test_beginnings(redirects: list[Redirect], pod: Address, end: Address, port: int, name: str) -> None:
    """TLS begins by a name that a rule has, and anything else where a rule speaks of HTTP."""
    here = [a for one in redirects if concerns(one, pod, end, port) for a in one.allowed]
    plain, tls = envoy_rules.connections(redirects), envoy_rules.names(redirects)
    asked = Rbac(pod, end, port, None, name)
    assert bool(asked.matching(plain["rules"])) == any(a.http or a.is_plain for a in here)
    assert bool(asked.matching(tls["rules"])) == any(a.is_plain or lets_name(a.server_names, name) for a in here)


@given(_REDIRECTS)
def test_no_text_of_a_rule_gets_in(redirects: list[Redirect]) -> None:
    """Names of rules stay outside."""
    for made in (envoy_rules.requests(redirects), envoy_rules.connections(redirects), envoy_rules.names(redirects)):
        written = json.dumps(made)
        assert not any(f'"{name}' in written for name in ("one", "two", "three"))


def test_at_first_nothing_is_allowed() -> None:
    """An empty list of what is allowed allows nothing, also to Envoy: tests/lab/test_proxied.py asks it."""
    for made in envoy_rules.DENY_ALL.values():
        assert made["rules"] == {"action": "ALLOW"}
        assert Rbac(_PODS[0], _ENDS[0], 80, None).matching(made["rules"]) == []
