"""A proxy that is named and closed: asked for itself where anybody knows where it is."""

from __future__ import annotations

import pytest

from outgate.testing import Manifest, pod, service
from tests.checks.asking import ask, block, deny, egress, one, pods, to, within
from tests.checks.needs import running, template

RULE = "proxy-env-unmatched"
NAMED = "http://proxy.example.com:3128"


def told(url: str, name: str = "HTTPS_PROXY") -> Manifest:
    """A pod with a proxy."""
    return running("shop/web", env={name: url})


def closed(*cluster: Manifest) -> bool:
    """Whether anything is found."""
    return bool(ask(RULE, *cluster))


def test_a_name_that_nobody_has_resolved() -> None:
    """Any rule that speaks of its port may be the one, also a rule for pods; none is sure."""
    finding = one(RULE, told(NAMED), egress("shop/p", to(block("0.0.0.0/0"), ports=[{"port": 443}])))
    assert finding.message.endswith("reach the proxy that the environment names: proxy.example.com:3128")
    assert finding.witness is None
    for rule in (
        to(block("192.0.2.8/32"), ports=[{"port": 3128}]),
        to(pods(app="squid"), ports=[{"port": 3000, "endPort": 4000}]),
        to(within("proxies")),
        to(pods(app="squid"), ports=[{"port": "proxy"}]),
    ):
        assert not closed(told(NAMED), egress("shop/p", rule)), rule
    assert closed(told(NAMED), egress("shop/p", to(block("192.0.2.8/32"), ports=[{"port": 3128, "protocol": "UDP"}])))


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_every_spelling(name: str) -> None:
    """In either case; NO_PROXY names none."""
    assert closed(told(NAMED, name), deny())
    assert not closed(told(NAMED, "NO_PROXY"), deny())


def test_an_address_is_asked_for_itself() -> None:
    """A rule for the port of another address is none for it, and the port may be that of the scheme."""
    finding = one(RULE, told("http://me:pw@192.0.2.8:3128"), egress("shop/p", to(block("192.0.2.9/32"))))
    assert str(finding.witness) == "shop/web -> 192.0.2.8:3128/TCP is dropped"
    assert "pw" not in finding.message
    assert not closed(told("http://192.0.2.8:3128"), egress("shop/p", to(block("192.0.2.0/24"))))
    assert not closed(told("http://192.0.2.8"), egress("shop/p", to(block("192.0.2.8/32"), ports=[{"port": 80}])))
    assert closed(told("https://192.0.2.8"), egress("shop/p", to(block("192.0.2.8/32"), ports=[{"port": 80}])))


@pytest.mark.parametrize("host", ["squid.proxies", "squid.proxies.svc", "squid.proxies.svc.cluster.local."])
def test_a_service_of_the_cluster(host: str) -> None:
    """Its pods, on their port: the right port of the Service is the wrong one here."""
    cluster = (
        told(f"http://{host}:80"),
        service(
            "proxies/squid",
            "10.96.7.7",
            [{"name": "proxy", "port": 80, "targetPort": 3128}, {"name": "metrics", "port": 9301}],
            app="squid",
        ),
        pod("proxies/squid-0", ["10.244.8.8"], app="squid"),
    )
    finding = one(RULE, *cluster, egress("shop/p", to(within("proxies"), ports=[{"port": 80}])))
    assert str(finding.witness) == "shop/web -> proxies/squid-0:3128/TCP is dropped"
    assert not closed(*cluster, egress("shop/p", to(within("proxies", app="squid"), ports=[{"port": 3128}])))
    assert closed(*cluster, egress("shop/p", to(within("proxies", app="squid"), ports=[{"port": 9301}])))


def test_a_service_of_ones_own_namespace() -> None:
    """By its bare name; one of the same name elsewhere is another one, and its address counts as well."""
    cluster = (
        told("http://squid:3128"),
        service("shop/squid", "10.96.7.8", [{"port": 3128}], app="squid"),
        pod("shop/squid-0", ["10.244.8.9"], app="squid"),
        service("other/squid", "10.96.7.9", [{"port": 3128}], app="squid"),
    )
    assert not closed(*cluster, egress("shop/p", to(pods(app="squid")), app="web"))
    assert closed(*cluster, egress("shop/p", to(within("other")), app="web"))
    by_address = (told("http://10.96.7.8:3128"), *cluster[1:])
    assert not closed(*by_address, egress("shop/p", to(pods(app="squid")), app="web"))
    assert closed(*by_address, egress("shop/p", to(block("10.96.7.8/32")), app="web"))


def test_where_nobody_can_say() -> None:
    """In the pod, on its node, without a port, without a value; a Service that nobody is behind."""
    for url in ("http://localhost:3128", "http://127.0.0.1:3128", "http://$(HOST_IP):3128", "socks5://proxy", "", "::"):
        assert not closed(told(url), deny()), url
    nobody = service("shop/squid", "10.96.7.8", [{"port": 3128}], app="squid")
    assert not closed(told("http://squid:3128"), nobody, deny())
    assert not closed(told(NAMED))


def test_one_finding_for_all_that_a_policy_closes() -> None:
    """With each proxy once, and each workload."""
    more = template("CronJob", "shop/job")
    inner = more["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    inner["containers"][0]["env"] = [{"name": "HTTP_PROXY", "value": NAMED}]
    finding = one(RULE, told(NAMED), more, deny())
    assert "isolates shop/CronJob/job, shop/web for egress" in finding.message
    assert finding.message.count("proxy.example.com") == 1
    assert len(finding.related) == 2
