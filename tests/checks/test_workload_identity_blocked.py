"""Credentials of a cloud: each way to them, closed and open."""

from __future__ import annotations

import pytest

from outgate.testing import Manifest, node, pod
from tests.checks.asking import ask, block, deny, egress, one, to, words
from tests.checks.needs import account, mended, running

RULE = "workload-identity-blocked"
URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
AGENT = {URI: "http://169.254.170.23/v1/credentials"}
TOKEN = {"AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token"}
HTTP, HTTPS = [{"port": 80}], [{"port": 443}]


def uploader(**env: str) -> Manifest:
    """A pod with an account of its own and this environment."""
    return running("shop/up", serviceAccountName="up", env=env)


def closed(*cluster: Manifest) -> bool:
    """Whether anything is found."""
    return bool(ask(RULE, *cluster))


def test_the_agent_of_pod_identity() -> None:
    """At the address and port that the variable names; the internet without link-local is not enough."""
    finding = one(RULE, uploader(**AGENT), egress("shop/p", to(block("0.0.0.0/0", "169.254.0.0/16"))))
    assert str(finding.witness) == "shop/up -> 169.254.170.23:80/TCP is dropped"
    assert finding.message.endswith("reach the credentials agent at 169.254.170.23:80/TCP")
    for cidr, ports, shut in (
        ("169.254.170.23/32", HTTP, False),
        ("0.0.0.0/0", None, False),
        ("169.254.170.23/32", HTTPS, True),
        ("169.254.169.254/32", HTTP, True),
    ):
        assert closed(uploader(**AGENT), egress("shop/p", to(block(cidr), ports=ports))) is shut, cidr


def test_an_agent_of_the_other_family_or_in_the_pod() -> None:
    """A pod without IPv6 never had it; what listens on the pod's own loopback is closed to nobody."""
    assert not closed(uploader(**{URI: "http://[fd00:ec2::23]/v1"}), deny())
    six = running("shop/up", "fd00::5", env={URI: "http://[fd00:ec2::23]/v1"})
    assert closed(six, deny())
    assert not closed(uploader(**{URI: "http://127.0.0.1:9911/x"}), deny())
    assert not closed(uploader(**{URI: "http://agent.example.com/x"}), deny())
    assert not closed(uploader(HOME="/"), deny())


def test_the_fix_opens_the_agent_and_nothing_else() -> None:
    """For the pods that need it."""
    left, manifests = mended(RULE, uploader(**AGENT), pod("shop/web", app="web"), deny(), egress("shop/p", app="up"))
    assert left == []
    assert manifests[-1]["spec"]["egress"] == [to(block("169.254.170.23/32"), ports=[{"protocol": "TCP", "port": 80}])]
    assert manifests[-2] == deny()


@pytest.mark.parametrize(
    "cluster",
    [
        [uploader(**TOKEN)],
        [uploader(), account("shop/up", {"eks.amazonaws.com/role-arn": "arn"})],
        [uploader(AZURE_FEDERATED_TOKEN_FILE="/x")],
        [
            running("shop/up", serviceAccountName="up", labels={"app": "up", "azure.workload.identity/use": "true"}),
            account("shop/up", {"azure.workload.identity/client-id": "id"}),
        ],
    ],
)
def test_a_token_is_exchanged_outside(cluster: list[Manifest]) -> None:
    """Nobody knows where; that nothing gets out to 443 at all is sure."""
    assert closed(*cluster, deny())
    assert closed(*cluster, egress("shop/p", to({"namespaceSelector": {}}), to(block("0.0.0.0/0"), ports=HTTP)))
    assert not closed(*cluster, egress("shop/p", to(block("192.0.2.0/24"), ports=HTTPS)))
    assert not closed(*cluster, egress("shop/p", {"ports": HTTPS}))
    assert not closed(*cluster)
    assert one(RULE, *cluster, deny()).fix == ()


def test_who_does_not_exchange_tokens() -> None:
    """By a proxy others do it; an Azure account is for pods that say that they use it; another's is not mine."""
    assert not closed(uploader(**TOKEN, HTTPS_PROXY="http://proxy:3128"), deny())
    assert not closed(uploader(), account("shop/up", {"azure.workload.identity/client-id": "id"}), deny())
    assert not closed(uploader(), account("shop/other", {"eks.amazonaws.com/role-arn": "arn"}), deny())
    assert not closed(uploader(), account("shop/up"), deny())


GKE = account("shop/up", {"iam.gke.io/gcp-service-account": "x@y.example"})


@pytest.mark.parametrize(
    ("cidr", "port"),
    [("169.254.169.254/32", 80), ("169.254.169.252/32", 988), ("169.254.169.252/32", 987), ("192.0.2.7/32", 988)],
)
def test_any_address_of_the_metadata_server_of_gke(cidr: str, port: int) -> None:
    """Before translation, after it, and on the pod's node: which of them is seen depends on the dataplane."""
    here = running("shop/up", serviceAccountName="up", nodeName="n")
    cluster = (here, GKE, node("n", ["192.0.2.7"]), node("other", ["192.0.2.8"]))
    assert not closed(*cluster, egress("shop/p", to(block(cidr), ports=[{"port": port}])))
    assert closed(*cluster, egress("shop/p", to(block(cidr), ports=[{"port": 22}])))
    assert closed(*cluster, egress("shop/p", to(block("192.0.2.8/32"), ports=[{"port": 988}])))


def test_an_agent_in_the_place_of_the_metadata_service() -> None:
    """On any node, at its own port or at that of the service; without the nodes nobody can say."""
    here = running("shop/up", annotations={"iam.amazonaws.com/role": "reader"})
    cluster = (here, node("n", ["192.0.2.7"]))
    assert closed(*cluster, deny())
    assert not closed(*cluster, egress("shop/p", to(block("192.0.2.0/24"), ports=[{"port": 8181}])))
    assert not closed(*cluster, egress("shop/p", to(block("169.254.169.254/32"), ports=HTTP)))
    assert not closed(here, deny())


def test_two_needs_are_two_findings() -> None:
    """Each says what is missing, and the account is shown."""
    found = words(RULE, uploader(**AGENT), GKE, deny())
    assert [message.partition("reach ")[2] for message in found] == [
        "the credentials agent at 169.254.170.23:80/TCP",
        "GKE's metadata server",
    ]
    assert ask(RULE, uploader(), GKE, deny())[0].related[0].words == "ServiceAccount shop/up is one of a cloud"
