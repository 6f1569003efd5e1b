"""Clusters in which something is asked of some ports, at one end and at both: what the tests of each format write."""

from __future__ import annotations

from outgate.analysis.conditional import Conditionals, conditionals
from outgate.analysis.connections import Connection, connections
from outgate.testing import Manifest, namespace, pod, snapshot_of
from outgate.testing_cilium import cilium_policy

__all__ = ["asking", "naming"]

_GET = {"http": [{"method": "GET", "path": '/v1|"<b>\\d'}, {"method": "HEAD"}]}
_POST = {"http": [{"method": "POST"}]}


def _port(number: str, **more: object) -> dict[str, object]:
    return {"ports": [{"port": number, "protocol": "TCP"}], **more}


def asking() -> tuple[list[Connection], Conditionals]:
    """What web may send: to api requests of which both ends have their say, and to a block by the name of a server."""
    to_api = {
        "toEndpoints": [{"matchLabels": {"app": "api"}}],
        "toPorts": [_port("443"), _port("80", rules=_GET)],
    }
    to_block = {
        "toCIDR": ["192.0.2.0/24"],
        "toPorts": [_port("8443", serverNames=["a.example.com"]), _port("80", rules=_POST), _port("9")],
    }
    to_name = {"toFQDNs": [{"matchName": "b.example.com"}], "toPorts": [_port("80", rules=_POST)]}
    from_web = {
        "fromEndpoints": [{"matchLabels": {"app": "web"}}],
        "toPorts": [_port("443"), _port("80", rules=_POST)],
    }
    web, api = ({"endpointSelector": {"matchLabels": {"app": name}}} for name in ("web", "api"))
    found = connections(
        snapshot_of(
            [
                namespace("shop"),
                pod("shop/web", ["10.0.0.1"], app="web"),
                pod("shop/api", ["10.0.0.2"], app="api"),
                cilium_policy("shop/web", web | {"egress": [to_api, to_block, to_name]}),
                cilium_policy("shop/api", api | {"ingress": [from_web], "egress": [{}]}),
            ]
        )
    )
    return [one for one in found if str(one.source) == "shop/web"], conditionals(found)


def naming() -> list[Manifest]:
    """A pod for which rules open two names, one of them for some requests alone."""
    named = (("a.io", _port("80", rules={"http": [{"method": "GET"}]})), ("b.io", _port("443")))
    egress = [{"toFQDNs": [{"matchName": name}], "toPorts": [entry]} for name, entry in named]
    policy = cilium_policy("shop/names", {"endpointSelector": {}, "egress": egress})
    return [namespace("shop"), pod("shop/web", ["10.0.0.1"]), policy]
