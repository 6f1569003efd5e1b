"""What the recipes that open let through, exactly, and that they open nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.checks.survey import Survey
from outgate.errors import InvalidInput
from outgate.recipes import Asked, scaffold
from tests.recipes.town import DNS, findings, made, notes, objects, proved, snapshot, survey

METADATA4 = (
    "[169.254.169.254, 169.254.169.252, 169.254.170.2, 168.63.129.16, 192.0.0.192, 100.100.100.200, 169.254.0.23, "
    "169.254.42.42]"
)


def test_allow_dns() -> None:
    """The pods behind the Service, on their port."""
    text = made("allow-dns")
    proved(text, f"{{from: shop/*, exactly: [{DNS}]}}")
    assert findings(text) == []
    assert notes("allow-dns") == ()


def test_allow_dns_without_the_resolvers() -> None:
    """The standard rule, and that it is one."""
    for asked in ({"survey": None}, {"survey": Survey(snapshot().with_pods(()))}):
        (policy,) = objects(made("allow-dns", **asked))
        (rule,) = policy["spec"]["egress"]
        assert rule["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}]
        assert [one["port"] for one in rule["ports"]] == [53, 53]
        assert any("the rule for DNS is the standard one" in words for words in notes("allow-dns", **asked))


def test_allow_namespace() -> None:
    """Out, or in, on the ports that were named."""
    text = made("allow-namespace", to=("monitoring",), ports=("9090", "161/udp"))
    proved(text, f"{{from: shop/*, exactly: [{{to: monitoring/*, port: [9090, 161/UDP]}}, {DNS}]}}")
    assert findings(text) == []
    text = made("allow-namespace", sources=("edge",), selector="app=web")
    proved(text, "{to: shop/web, exactly: [{from: edge/*}]}", "{to: shop/db, allow: {from: shop/web}}")
    assert findings(text) == []


def test_allow_app_by_service() -> None:
    """The port of the pods: that of the Service would match nothing."""
    text = made("allow-app", selector="app=batch", to=("svc/shop/db",), ports=("3306",))
    proved(text, f"{{from: shop/batch, exactly: [{{to: shop/db, port: 5432}}, {DNS}]}}")
    assert findings(text) == []
    assert objects(text)[0]["spec"]["egress"][0]["ports"] == [{"protocol": "TCP", "port": "pg"}]


def test_allow_app_both_ways() -> None:
    """Labels and names, in and out."""
    text = made("allow-app", selector="app=web", to=("shop/db", "monitoring:app=prometheus"), sources=("edge/gateway",))
    proved(
        text,
        f"{{from: shop/web, exactly: [{{to: shop/db}}, {{to: monitoring/prometheus}}, {DNS}]}}",
        "{to: shop/web, exactly: [{from: edge/gateway}]}",
    )
    assert findings(text) == []


def test_peers_with_other_ports_are_other_rules() -> None:
    """Of one rule every peer is reached on every port."""
    text = made("allow-app", selector="app=batch", to=("svc/shop/db", "svc/shop/web"))
    proved(
        text,
        f"{{from: shop/batch, exactly: [{{to: shop/db, port: 5432}}, {{to: shop/web, port: [8080, 9000]}}, {DNS}]}}",
    )


def test_allow_cidr() -> None:
    """A block, and of the internet all but what hands out credentials."""
    text = made("allow-cidr", to=("203.0.113.0/24",), ports=("443",))
    proved(text, f"{{from: shop/*, exactly: [{{to: 203.0.113.0/24, port: 443}}, {DNS}]}}")
    assert findings(text) == []
    text = made("allow-cidr", to=("0.0.0.0/0",), selector="app=web")
    proved(text, f"{{from: shop/web, exactly: [{{to: {{cidr: 0.0.0.0/0, except: {METADATA4}}}}}, {DNS}]}}")
    assert findings(text) == []
    text = made("allow-cidr", sources=("198.51.100.0/24",), ports=("http",), selector="app=web")
    proved(text, "{to: shop/web, exactly: [{from: 198.51.100.0/24, port: 8080}]}")
    assert findings(text) == []


def test_what_cidr_says_of_families_and_metadata() -> None:
    """What is not opened, and what is a danger."""
    assert any("IPv6" in words for words in notes("allow-cidr", to=("0.0.0.0/0",)))
    assert not any("IPv6" in words for words in notes("allow-cidr", to=("0.0.0.0/0", "::/0")))
    assert findings(made("allow-cidr", to=("0.0.0.0/0", "::/0"))) == []
    assert any("metadata service" in words for words in notes("allow-cidr", to=("169.254.169.254",)))


def test_allow_api_server() -> None:
    """From control-plane nodes as likely, from the endpoints as known."""
    text = made("allow-api-server", selector="app=batch")
    proved(text, f"{{from: shop/batch, exactly: [{{to: 192.168.0.10, port: 6443}}, {DNS}]}}")
    assert findings(text) == []
    assert any("likely" in words for words in notes("allow-api-server"))
    known = survey("""\
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kubernetes, namespace: default, labels: {kubernetes.io/service-name: kubernetes}}
addressType: IPv4
ports: [{name: https, port: 8443}]
endpoints: [{addresses: [192.168.7.2]}, {addresses: [192.168.7.1]}]
""")
    (policy,) = objects(made("allow-api-server", survey=known))
    assert policy["spec"]["egress"][0] == {
        "to": [{"ipBlock": {"cidr": "192.168.7.1/32"}}, {"ipBlock": {"cidr": "192.168.7.2/32"}}],
        "ports": [{"protocol": "TCP", "port": 8443}],
    }
    assert notes("allow-api-server", survey=known) == ()


def test_an_api_server_of_pods() -> None:
    """A virtual cluster: what a policy sees of it are labels."""
    inner = survey(
        """\
apiVersion: v1
kind: Service
metadata: {name: kubernetes, namespace: default}
spec: {clusterIP: 10.96.0.1, selector: {app: api}, ports: [{name: https, port: 443, targetPort: 6443}]}
---
apiVersion: v1
kind: Pod
metadata: {name: api, namespace: default, labels: {app: api}}
spec: {containers: [{name: main, image: app}]}
"""
    )
    (policy,) = objects(made("allow-api-server", survey=inner))
    assert policy["spec"]["egress"][0]["to"] == [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}},
            "podSelector": {"matchLabels": {"app": "api"}},
        }
    ]


def test_dns_comes_along_only_where_it_is_needed() -> None:
    """Beside a default deny that has it, it would be said twice."""
    deny = made("default-deny-egress")
    asked = {"selector": "app=batch", "to": ("203.0.113.0/24",), "survey": survey(deny)}
    text = made("allow-cidr", **asked)
    assert len(objects(text)[0]["spec"]["egress"]) == 1
    assert findings(text, deny) == []
    proved(
        f"{deny}---\n{text}",
        f"{{from: shop/batch, exactly: [{{to: 203.0.113.0/24}}, {DNS}]}}",
        f"{{from: [shop/web, shop/db], exactly: [{DNS}]}}",
    )
    assert "outgate new default-deny-egress" in made("allow-cidr", **{**asked, "survey": None})


@pytest.mark.parametrize(
    ("recipe", "asked", "words"),
    [
        ("allow-namespace", {}, "needs --to or --from"),
        ("allow-app", {}, "needs --to or --from"),
        ("allow-cidr", {}, "needs --to or --from"),
        ("allow-app", {"to": ("app=a",), "sources": ("app=b",), "ports": ("1",)}, "either end"),
        ("allow-namespace", {"to": ("shpo",)}, "namespace shpo is not in the input"),
        ("allow-cidr", {"to": ("10.0.0.5/24",)}, "names an address and not a block"),
        ("allow-cidr", {"to": ("all",)}, "no address block"),
        ("allow-cidr", {"to": ("",)}, "no address block"),
        ("allow-cidr", {"to": ("10.96.0.20",)}, "is the address of Service shop/db"),
        ("allow-cidr", {"to": ("10.1.0.11/32",)}, "is the address of pod shop/db"),
        ("allow-cidr", {"to": ("1.2.3.4",), "ports": ("http",)}, "no named ports"),
        ("allow-api-server", {"survey": None}, "no input"),
        ("allow-api-server", {"survey": Survey(snapshot().with_pods(())), "to": ("x",)}, "takes no --to"),
    ],
)
def test_what_cannot_be_written(recipe: str, asked: dict[str, Any], words: str) -> None:
    """Refused, and it is said why."""
    with pytest.raises(InvalidInput, match=words):
        made(recipe, **asked)


def test_an_unknown_api_server_is_refused_with_a_way_out() -> None:
    """An address that is guessed opens a hole somewhere else."""
    from outgate.model import Snapshot

    with pytest.raises(InvalidInput) as caught:
        scaffold("allow-api-server", Asked(survey=Survey(Snapshot.of())))
    assert "EndpointSlice default/kubernetes" in caught.value.hint


def test_a_selector_of_nobody_is_said() -> None:
    """With what comes near."""
    (words,) = notes("allow-dns", selector="app=wbe")
    assert words == "no pod of shop in the input has app=wbe; there is app=web, app=db, app=batch"
