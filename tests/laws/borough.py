"""The town of `tests/policy` with what makes it hard for sets: a workload in parts, borrowed addresses, one family.

shop/front-1, -2     one Deployment, two versions, the port `http` on two numbers, addresses on both sides of a border
shop/twin-1, -2      one Deployment, pods that no label tells apart, one of them inside 10.1.4.0/31
shop/six             IPv6 alone, the last address of fd00:6::/127
shop/done            ended; its address is data/next's by now
data/next            IPv6 first in its status
mon/host-2           a second host-network pod on n2, whose port `http` is another
stray/one            in a namespace of which there is no Namespace object
liar/one             in a namespace whose manifest claims another's name
"""

from __future__ import annotations

from typing import Any

from outgate.testing import Manifest, namespace, pod
from tests.analysis.shop import owned
from tests.policy.asking import TOWN, Row

__all__ = ["BOROUGH", "ROWS"]

_NAME = "kubernetes.io/metadata.name"
_HTTP, _OTHER = ({"name": "http", "containerPort": number} for number in (8080, 9090))
_DNS = [{"name": "dns", "containerPort": 53, "protocol": one} for one in ("UDP", "TCP")]

BOROUGH: list[Manifest] = [
    *TOWN,
    namespace("liar", **{_NAME: "data", "team": "red"}),
    owned(
        pod("shop/front-1", ["10.1.3.1", "fd00:3::1"], on="n1", ports=[_HTTP], app="front", ver="v1"),
        "Deployment",
        "front",
    ),
    owned(
        pod("shop/front-2", ["10.1.3.2", "fd00:3::2"], on="n2", ports=[_OTHER, *_DNS], app="front", ver="v2"),
        "Deployment",
        "front",
    ),
    *(
        owned(pod(f"shop/twin-{n}", [f"10.1.4.{n}", f"fd00:4::{n}"], on="n1", app="twin"), "Deployment", "twin")
        for n in (1, 2)
    ),
    pod("shop/six", ["fd00:6::1"], on="n1", app="six"),
    pod("shop/done", ["10.1.5.1"], on="n1", phase="Succeeded", app="done"),
    pod("data/next", ["fd00:5::1", "10.1.5.1"], on="n2", app="next"),
    pod(
        "mon/host-2",
        ["192.168.50.12", "fd00:50::12"],
        on="n2",
        host_network=True,
        app="second",
        ports=[{"name": "http", "containerPort": 9200}],
    ),
    pod("stray/one", ["10.1.7.1", "fd00:7::1"], on="n2", app="web"),
    pod("liar/one", ["10.1.8.1", "fd00:8::1"], on="n2", app="web"),
]

_OUT: dict[str, Any] = {"policyTypes": ["Egress"]}
_IN: dict[str, Any] = {"policyTypes": ["Ingress"]}


def _egress(*rules: object, **more: object) -> dict[str, Any]:
    return {**_OUT, "egress": list(rules), **more}


def _ingress(*rules: object, **more: object) -> dict[str, Any]:
    return {**_IN, "ingress": list(rules), **more}


def _block(cidr: str, *excepts: str) -> Manifest:
    return {"ipBlock": {"cidr": cidr, **({"except": list(excepts)} if excepts else {})}}


def _labels(**labels: str) -> Manifest:
    return {"matchLabels": labels}


def _one(key: str, operator: str, *values: str) -> Manifest:
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": list(values)} if values else {})}]}


_EVERY: Manifest = {"namespaceSelector": {}}

_WORKLOADS = [
    Row(
        "a policy of one version isolates those pods alone",
        {**_OUT, "podSelector": _labels(app="front", ver="v2")},
        "shop/front-1 data/db TCP/5432 allow",
        "shop/front-2 data/db TCP/5432 deny",
        "shop/front-1 ip:203.0.113.9 UDP/53 allow",
        "shop/front-2 ip:203.0.113.9 UDP/53 deny",
        "data/db shop/front-2 TCP/9090 allow",
    ),
    Row(
        "a rule for one version lets that version in",
        _ingress({"from": [{"podSelector": _labels(ver="v2")}]}, podSelector=_labels(app="api")),
        "shop/front-2 shop/api TCP/9090 allow",
        "shop/front-1 shop/api TCP/9090 deny",
        "shop/plain shop/api TCP/9090 deny",
    ),
    Row(
        "a port name is another number on each pod of a workload",
        _egress({"to": [{"podSelector": _labels(app="front")}], "ports": [{"port": "http"}]}),
        "shop/plain shop/front-1 TCP/8080 allow",
        "shop/plain shop/front-1 TCP/9090 deny",
        "shop/plain shop/front-2 TCP/9090 allow",
        "shop/plain shop/front-2 TCP/8080 deny",
        "shop/plain shop/web TCP/8080 deny",
    ),
    Row(
        "and so on ingress, where it is the subject's own",
        _ingress({"from": [_EVERY], "ports": [{"port": "http"}]}, podSelector=_labels(app="front")),
        "data/db shop/front-1 TCP/8080 allow",
        "data/db shop/front-1 TCP/9090 deny",
        "data/db shop/front-2 TCP/9090 allow",
        "data/db shop/front-2 TCP/8080 deny",
    ),
    Row(
        "one name for two protocols is two ports",
        _egress({"to": [{"podSelector": {}}], "ports": [{"port": "dns", "protocol": "UDP"}]}),
        "shop/plain shop/front-2 UDP/53 allow",
        "shop/plain shop/front-2 TCP/53 deny",
        "shop/plain shop/front-1 UDP/53 deny",
    ),
    Row(
        "a block may cover one pod of a workload and not the other",
        _egress({"to": [_block("10.1.4.0/31")]}),
        "shop/plain shop/twin-1 TCP/1 allow",
        "shop/plain shop/twin-2 TCP/1 deny",
        "shop/plain shop/twin-1 TCPv6/1 deny",
    ),
    Row(
        "or name one of them as a sender",
        _ingress({"from": [_block("10.1.4.2/32"), _block("fd00:4::1/128")]}, podSelector=_labels(app="api")),
        "shop/twin-2 shop/api TCP/1 allow",
        "shop/twin-1 shop/api TCP/1 deny",
        "shop/twin-1 shop/api TCPv6/1 allow",
        "shop/twin-2 shop/api TCPv6/1 deny",
    ),
]

_NAMESPACES = [
    Row(
        "a namespace without an object has its name for a label, and no other",
        _egress({"to": [{"namespaceSelector": _labels(**{_NAME: "stray"})}]}),
        "shop/web stray/one TCP/1 allow",
        "shop/web data/db TCP/1 deny",
    ),
    Row(
        "so a selector for the absence of a label matches it",
        _egress({"to": [{"namespaceSelector": _one("team", "DoesNotExist")}]}),
        "shop/web stray/one TCP/1 allow",
        "shop/web mon/agent UDP/80 allow",
        "shop/web data/db TCP/1 deny",
        "shop/web liar/one TCP/1 deny",
    ),
    Row(
        "and so does NotIn",
        _egress({"to": [{"namespaceSelector": _one("team", "NotIn", "red")}]}),
        "shop/web stray/one TCP/1 allow",
        "shop/web data/db TCP/1 allow",
        "shop/web liar/one TCP/1 deny",
        "shop/web shop/api TCP/1 deny",
    ),
    Row(
        "nobody can take the name of another namespace",
        _egress({"to": [{"namespaceSelector": _labels(**{_NAME: "data"})}]}),
        "shop/web data/db TCP/1 allow",
        "shop/web liar/one TCP/1 deny",
    ),
    Row(
        "the name is that of the namespace",
        _egress({"to": [{"namespaceSelector": _labels(**{_NAME: "liar"})}]}),
        "shop/web liar/one TCP/1 allow",
        "shop/web data/db TCP/1 deny",
    ),
    Row(
        "pods of one label in one namespace, and others in another",
        _egress(
            {"to": [{"namespaceSelector": _labels(team="blue"), "podSelector": _labels(app="db")}]},
            {"to": [{"podSelector": _labels(app="web")}]},
        ),
        "shop/plain data/db TCP/1 allow",
        "shop/plain data/web TCP/1 deny",
        "shop/plain shop/web TCP/1 allow",
        "shop/plain stray/one TCP/1 deny",
    ),
    Row(
        "a policy in another namespace opens nothing here",
        {**_IN},
        "shop/plain shop/web TCP/1 deny",
        "shop/plain data/web TCP/1 allow",
    ).also("data/p", _ingress({}, podSelector={})),
]

_LABELS = [
    Row(
        "a pod without labels is in the empty selector and in every absence",
        _egress({"to": [{"podSelector": _one("app", "DoesNotExist")}]}),
        "shop/web shop/plain TCP/1 allow",
        "shop/web shop/api TCP/1 deny",
    ),
    Row(
        "NotIn holds where the label is missing",
        _egress({"to": [{"podSelector": _one("ver", "NotIn", "v1", "v2")}]}),
        "shop/web shop/plain TCP/1 allow",
        "shop/web shop/api TCP/1 allow",
        "shop/api shop/front-1 TCP/1 deny",
        "shop/api shop/front-2 TCP/1 deny",
    ),
    Row(
        "requirements that contradict each other select nobody",
        _egress({"to": [{"podSelector": {**_labels(app="api"), **_one("app", "NotIn", "api")}}]}),
        "shop/web shop/api TCP/1 deny",
        "shop/web shop/plain TCP/1 deny",
    ),
    Row(
        "a subject by the absence of a label",
        {**_OUT, "podSelector": _one("app", "DoesNotExist")},
        "shop/plain data/db TCP/1 deny",
        "shop/web data/db TCP/1 allow",
    ),
]

_ADDRESSES = [
    Row(
        "an ended pod is nobody: its labels do not open the address that it had",
        _egress({"to": [{"podSelector": _labels(app="done")}]}),
        "shop/web data/next TCP/1 deny",
        "shop/web ip:10.1.5.1 TCP/1 deny",
    ),
    Row(
        "and its address is that of who has it",
        _egress({"to": [{"namespaceSelector": _labels(team="blue")}]}),
        "shop/web ip:10.1.5.1 TCP/1 allow",
        "shop/web data/next TCPv6/1 allow",
    ),
    Row(
        "a selector matches by every address, a block by its family",
        _egress({"to": [{"podSelector": _labels(app="six")}, _block("0.0.0.0/0")]}),
        "shop/web shop/six TCPv6/1 allow",
        "shop/web shop/front-1 TCP/1 allow",
        "shop/web shop/front-1 TCPv6/1 deny",
        "shop/web ip:2001:db8::9 TCPv6/443 deny",
    ),
    Row(
        "all of IPv4 is nothing to a pod of IPv6 alone",
        _egress({"to": [_block("0.0.0.0/0")]}),
        "shop/web shop/six TCPv6/1 deny",
        "shop/web data/cache TCP/1 allow",
    ),
    Row(
        "one address of IPv6 and its neighbour",
        _egress({"to": [_block("fd00:6::/127", "fd00:6::/128"), _block("2001:db8::ffff/128")]}),
        "shop/web shop/six TCPv6/1 allow",
        "shop/web ip:fd00:6::0 TCPv6/1 deny",
        "shop/web ip:fd00:6::2 TCPv6/1 deny",
        "shop/web ip:2001:db8::ffff TCPv6/1 allow",
        "shop/web ip:2001:db8::fffe TCPv6/1 deny",
        "shop/web ip:2001:db8::1:0 TCPv6/1 deny",
    ),
    Row(
        "two halves are the whole",
        _egress({"to": [_block("0.0.0.0/1"), _block("128.0.0.0/1"), _block("::/1"), _block("8000::/1")]}),
        "shop/web ip:127.255.255.254 TCP/1 allow",
        "shop/web ip:128.0.0.0 TCP/1 allow",
        "shop/web ip:8000:: TCPv6/1 allow",
        "shop/web data/db TCPv6/1 allow",
        "shop/web shop/six TCPv6/1 allow",
    ),
    Row(
        "the internet without private addresses still has link-local and shared ones",
        _egress({"to": [_block("0.0.0.0/0", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]}),
        "shop/web ip:169.254.169.254 TCP/80 allow",
        "shop/web ip:100.100.100.200 TCP/80 allow",
        "shop/web ip:172.32.0.0 TCP/80 allow",
        "shop/web ip:172.31.255.255 TCP/80 deny",
        "shop/web data/db TCP/5432 deny",
        "shop/web ip:2001:db8::1 TCPv6/443 deny",
    ),
    Row(
        "what one peer excepts another peer may name by its labels",
        _egress({"to": [_block("10.0.0.0/8", "10.1.0.0/16"), {"podSelector": _labels(app="api")}]}),
        "shop/web shop/api TCP/1 allow",
        "shop/web shop/front-1 TCP/1 deny",
        "shop/web ip:10.2.0.1 TCP/1 allow",
        "shop/web ip:10.1.200.1 TCP/1 deny",
    ),
    Row(
        "a sender is excepted by its address",
        _ingress({"from": [_block("10.1.0.0/16", "10.1.1.0/24")]}, podSelector=_labels(app="web")),
        "shop/api shop/web TCP/1 allow",
        "data/db shop/web TCP/1 deny",
        "stray/one shop/web TCP/1 allow",
        "ip:203.0.113.9 shop/web TCP/1 deny",
        "ip:10.1.99.9 shop/web TCP/1 allow",
    ),
]

_PORTS = [
    Row(
        "a range to the last port, and one beside it",
        _egress({"ports": [{"port": 65000, "endPort": 65535, "protocol": "SCTP"}]}),
        "shop/web data/db SCTP/65535 allow",
        "shop/web data/db SCTP/65000 allow",
        "shop/web data/db SCTP/64999 deny",
        "shop/web data/db TCP/65535 deny",
        "shop/web ip:203.0.113.9 SCTP/65535 allow",
    ),
    Row(
        "ports of one policy are not for the peers of another",
        _egress({"to": [{"podSelector": _labels(app="api")}], "ports": [{"port": 80}]}),
        "shop/web shop/api TCP/80 allow",
        "shop/web shop/api TCP/81 deny",
        "shop/web shop/front-1 TCP/81 allow",
        "shop/web shop/front-1 TCP/80 deny",
    ).also("shop/q", _egress({"to": [{"podSelector": _labels(app="front")}], "ports": [{"port": 81}]})),
    Row(
        "what both ends let pass is what is common to both",
        _egress({"ports": [{"port": 80, "endPort": 90}]}),
        "shop/plain data/db TCP/85 allow",
        "shop/plain data/db TCP/84 deny",
        "shop/plain data/db TCP/91 deny",
        "mon/agent data/db TCP/91 allow",
    ).also("data/p", _ingress({"ports": [{"port": 85, "endPort": 95}]})),
    Row(
        "what becomes of pings is not defined, and each verb reads it alike",
        _egress({"to": [{"podSelector": _labels(app="api")}]}),
        "shop/web shop/api ICMP unspecified",
        "shop/web shop/api ICMPV6v6 unspecified",
        "shop/web shop/front-1 TCP/1 deny",
    ),
]

_NODES = [
    Row(
        "of two host-network pods neither is a pod to a selector, and the block of their node is both",
        _egress({"to": [_block("192.168.50.12/32")], "ports": [{"port": 9200}]}),
        "shop/plain mon/host-2 TCP/9200 allow",
        "shop/plain node:n2 TCP/9200 allow",
        "shop/plain mon/host-2 TCP/9100 deny",
        "shop/plain node:n2 TCPv6/9200 deny",
    ),
    Row(
        "a node that is not the pod's own is let in by its address alone",
        _ingress({"from": [_block("192.168.50.12/32")]}, podSelector=_labels(app="web")),
        "node:n2 shop/web TCP/8080 allow",
        "node:n1 shop/web TCP/8080 allow",
        "shop/front-2 shop/web TCP/8080 deny",
    ),
    Row(
        "the own node is let in whatever the policies say",
        _IN,
        "node:n1 shop/web TCP/8080 allow",
        "node:n2 shop/web TCP/8080 deny",
        "node:n1 shop/six TCPv6/1 allow",
    ),
]

ROWS = [*_WORKLOADS, *_NAMESPACES, *_LABELS, *_ADDRESSES, *_PORTS, *_NODES]
