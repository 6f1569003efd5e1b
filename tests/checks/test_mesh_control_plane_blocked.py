"""Meshes: who has a sidecar, where it must get, and the port through which ambient traffic comes."""

from __future__ import annotations

import pytest

from outgate.testing import Manifest, namespace, pod, policy, service
from tests.checks.asking import ask, block, deny, egress, one, to, within
from tests.checks.needs import running, template

RULE = "mesh-control-plane-blocked"
ISTIOD: tuple[Manifest, ...] = (
    service(
        "istio-system/istiod",
        "10.96.5.5",
        [{"name": "grpc-xds", "port": 15010}, {"name": "tls", "port": 15012}],
        app="istiod",
    ),
    pod("istio-system/istiod-0", ["10.244.5.5"], app="istiod"),
)
LINKERD: tuple[Manifest, ...] = tuple(
    pod(f"linkerd/{part}", [address], labels={"linkerd.io/control-plane-component": part})
    for part, address in (("identity", "10.244.6.1"), ("destination", "10.244.6.2"))
)
SIDECAR = running("shop/web", also=["istio-proxy"])
INJECTED = namespace("shop", **{"istio-injection": "enabled"})


def closed(*cluster: Manifest) -> bool:
    """Whether anything is found."""
    return bool(ask(RULE, *cluster))


def test_a_packet_shows_it() -> None:
    """To istiod's pod; the other port of its Service is no way in."""
    finding = one(RULE, *ISTIOD, SIDECAR, deny())
    assert str(finding.witness) == "shop/web -> istio-system/istiod-0:15012/TCP is dropped"
    assert finding.message.endswith("no policy lets the sidecar reach Istio's istiod at TCP 15012")
    assert closed(*ISTIOD, SIDECAR, egress("shop/p", to(within("istio-system"), ports=[{"port": 15010}])))
    assert not closed(*ISTIOD, SIDECAR, egress("shop/p", to(within("istio-system"), ports=[{"port": 15012}])))
    assert closed(*ISTIOD, SIDECAR, egress("shop/p", to(within("istio-system", app="other"))))
    assert not closed(*ISTIOD, SIDECAR, egress("shop/p", to(block("10.244.0.0/16"))))


def test_who_has_a_sidecar() -> None:
    """A pod that runs has it or has it not; what has no pods yet will be given one where that is asked for."""
    plain = running("shop/web")
    assert not closed(*ISTIOD, INJECTED, plain, deny())
    assert closed(*ISTIOD, INJECTED, template("Deployment", "shop/web"), deny())
    assert not closed(*ISTIOD, template("Deployment", "shop/web"), deny())
    asks = template("Deployment", "shop/web", labels={"sidecar.istio.io/inject": "true"})
    assert closed(*ISTIOD, asks, deny())
    declines = template("Deployment", "shop/web", annotations={"sidecar.istio.io/inject": "false"})
    assert not closed(*ISTIOD, INJECTED, declines, deny())
    assert closed(*ISTIOD, namespace("shop", **{"istio.io/rev": "stable"}), template("Job", "shop/web"), deny())


def test_where_the_control_plane_is_not_in_the_input() -> None:
    """Nobody can say which rule leads there."""
    assert not closed(SIDECAR, deny())
    assert not closed(*ISTIOD[:1], SIDECAR, deny())
    assert not closed(*LINKERD, SIDECAR, deny())
    assert not closed(*ISTIOD, SIDECAR)


def test_linkerd_needs_both() -> None:
    """Identity and destination, each a finding of its own."""
    meshed = running("shop/web", also=["linkerd-proxy"])
    assert len(ask(RULE, *LINKERD, meshed, deny())) == 2
    finding = one(RULE, *LINKERD, meshed, egress("shop/p", to(within("linkerd"), ports=[{"port": 8086}])))
    assert finding.message.endswith("reach Linkerd's identity at TCP 8080")
    assert not closed(*LINKERD, meshed, egress("shop/p", to(within("linkerd"))))
    asks = template("Deployment", "shop/web", annotations={"linkerd.io/inject": "enabled"})
    assert len(ask(RULE, *LINKERD, asks, deny())) == 2


AMBIENT = namespace("shop", **{"istio.io/dataplane-mode": "ambient"})


def ingress(*ports: int) -> Manifest:
    """An ingress policy with these ports."""
    rules = [{"ports": [{"protocol": "TCP", "port": port} for port in ports]}] if ports else []
    return policy("shop/in", {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": rules})


@pytest.mark.parametrize(("ports", "lost"), [((8080,), True), ((8080, 15008), False), ((), False)])
def test_ambient_traffic_arrives_at_a_port_of_its_own(ports: tuple[int, ...], lost: bool) -> None:
    """The port of the application is not what the policy sees; who lets nobody in means it."""
    assert closed(AMBIENT, running("shop/web"), ingress(*ports)) is lost
    assert not closed(running("shop/web"), ingress(*ports))


def test_a_pod_may_decline_ambient() -> None:
    """Or ask for it alone."""
    mode = "istio.io/dataplane-mode"
    assert not closed(AMBIENT, running("shop/web", labels={"app": "web", mode: "none"}), ingress(8080))
    finding = one(RULE, running("shop/web", labels={"app": "web", mode: "ambient"}), ingress(8080))
    assert finding.message.startswith("the traffic of Istio's ambient mode arrives at shop/web on TCP 15008, and no")


@pytest.mark.parametrize(("ports", "lost"), [((8080,), True), ((8080, 4143), False), ((15008,), True), ((), False)])
def test_linkerd_has_a_port_of_its_own_as_well(ports: tuple[int, ...], lost: bool) -> None:
    """Of its pods alone."""
    assert closed(running("shop/web", also=["linkerd-proxy"]), ingress(*ports)) is lost
    assert not closed(running("shop/web", also=["istio-proxy"]), ingress(*ports))
