"""Whom --to and --from mean."""

from __future__ import annotations

import pytest

from outgate.errors import InvalidInput
from outgate.recipes import Asked
from outgate.recipes.peers import app_peer, namespace_peer
from tests.recipes.town import survey

SHOP = {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}
MORE = """\
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: shop, labels: {app: agent}}
spec: {hostNetwork: true, nodeName: worker, containers: [{name: main, image: app}]}
status: {podIP: 192.168.0.20}
---
apiVersion: v1
kind: Pod
metadata: {name: twin-1, namespace: shop, labels: {app: twin}}
spec: {containers: [{name: main, image: app}]}
---
apiVersion: v1
kind: Pod
metadata: {name: twin-2, namespace: shop, labels: {app: twin}}
spec: {containers: [{name: main, image: app}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: shop}
spec:
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api, version: v7}}
    spec: {containers: [{name: main, image: app}]}
"""
ASKED = Asked(namespace="edge", survey=survey(MORE))


def test_labels() -> None:
    """Of the own namespace, or of another; both selectors in one item, which is AND."""
    assert app_peer(Asked(), "app=web", sends=False).peer == {"podSelector": {"matchLabels": {"app": "web"}}}
    assert app_peer(Asked(), "shop:app.kubernetes.io/name=web", sends=True).peer == {
        "namespaceSelector": SHOP,
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "web"}},
    }
    assert "namespaceSelector" not in app_peer(Asked(namespace="shop"), "shop:a=b", sends=True).peer


def test_names() -> None:
    """A workload by the labels that outlive a roll-out."""
    assert app_peer(ASKED, "shop/deploy/api", sends=True).peer == {
        "namespaceSelector": SHOP,
        "podSelector": {"matchLabels": {"app": "api"}},
    }
    found = app_peer(ASKED, "svc/shop/web", sends=False)
    assert found.ports == [{"protocol": "TCP", "port": 8080}, {"protocol": "TCP", "port": 9000}]
    for port, expected in (("81", 9000), ("http", 8080), ("81/tcp", 9000)):
        asked = Asked(survey=ASKED.survey, ports=(port,))
        assert app_peer(asked, "svc/shop/web", sends=False).ports == [{"protocol": "TCP", "port": expected}]


def test_a_namespace() -> None:
    """Every pod of it."""
    assert namespace_peer(Asked(ports=("1",)), "shop").peer == {"namespaceSelector": SHOP}


@pytest.mark.parametrize(
    ("text", "sends", "words"),
    [
        ("shop/wbe", False, "shop/wbe in the input"),
        ("svc/shop/nothing", False, "no Service"),
        ("svc/shop/outside", False, "has no selector"),
        ("svc/shop/db", True, "sends nothing"),
        ("shop/agent", False, "on the network of node worker"),
        ("shop/twin-1", False, "no label tells"),
        ("10.0.0.1", False, "is no application"),
        ("node/worker", False, "is no application"),
        ("shop/web:80", False, "--port"),
        ("shpo:app=web", False, "namespace shpo is not in the input"),
        ("Shop:app=web", False, "no name of a namespace"),
        ("shop:app=we b", False, "label selector"),
        ("", False, "."),
    ],
)
def test_what_cannot_be_meant(text: str, sends: bool, words: str) -> None:
    """Each with what to write instead."""
    with pytest.raises(InvalidInput, match=words):
        app_peer(ASKED, text, sends=sends)


def test_a_service_has_only_its_ports() -> None:
    """Another one would match nothing, or somebody else."""
    for port in ("8080", "80/UDP", "nothing"):
        with pytest.raises(InvalidInput, match="has no port") as caught:
            app_peer(Asked(survey=ASKED.survey, ports=(port,)), "svc/shop/web", sends=False)
        assert caught.value.hint == "its ports: 80/TCP (http), 81/TCP (admin)"


def test_names_need_an_input() -> None:
    """They are never taken for labels."""
    with pytest.raises(InvalidInput, match="no input to look it up in") as caught:
        app_peer(Asked(), "web", sends=False)
    assert "app=web" in caught.value.hint
    with pytest.raises(InvalidInput, match="no name of a namespace"):
        namespace_peer(Asked(), "a/b")


def test_labels_of_nobody_are_said() -> None:
    """With what comes near, for it may be a slip."""
    (words,) = app_peer(ASKED, "shop:app=wbe", sends=False).notes
    assert words.startswith("no pod of shop in the input has app=wbe; there is app=web")
