"""The rule for DNS, as the cluster has it."""

from __future__ import annotations

from outgate.recipes import Asked
from outgate.recipes.policies import Said, network_policy
from outgate.recipes.resolving import dns_notes, dns_policy, dns_said, with_dns
from tests.recipes.town import findings, made, objects, proved, survey

CACHE = """\
apiVersion: v1
kind: Pod
metadata: {name: cache, namespace: kube-system, labels: {k8s-app: node-local-dns}}
spec: {hostNetwork: true, nodeName: worker, containers: [{name: main, image: app}]}
status: {podIP: 192.168.0.20}
"""


def test_the_cache_of_a_node() -> None:
    """By its address and that of the Service, which it takes over; lint has nothing against it."""
    there = survey(CACHE)
    text = made("default-deny-egress", survey=there)
    pods, cache = objects(text)[1]["spec"]["egress"]
    assert [one["port"] for one in pods["ports"]] == [5353, 5353]
    assert [one["ipBlock"]["cidr"] for one in cache["to"]] == ["10.96.0.10/32", "169.254.20.10/32"]
    assert cache["ports"] == [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
    assert findings(text, CACHE) == []
    proved(f"{text}---\n{CACHE}", "{from: shop/web, allow: {to: 169.254.20.10, port: [53/UDP, 53/TCP]}}")


def test_only_the_cache_is_known() -> None:
    """Then there are no pods to name."""
    from outgate.checks.survey import Survey

    there = Survey(survey(CACHE).snapshot.with_pods([one for one in survey(CACHE).snapshot.pods if one.host_network]))
    (said,) = dns_said(Asked(survey=there))
    assert said.rule["to"] == [{"ipBlock": {"cidr": "169.254.20.10/32"}}]


def test_what_is_said_of_it() -> None:
    """Why the rule is the standard one."""
    assert dns_notes(Asked(survey=survey())) == ()
    (words,) = dns_notes(Asked())
    assert words.startswith("no input was given")
    assert "standard rule" in dns_said(Asked())[0].why[0]
    assert dns_policy(Asked(), "names").value["metadata"] == {"name": "names"}


def test_only_what_cuts_off_gets_the_rule() -> None:
    """No input, no pods, ingress alone, or DNS there already: nothing is added."""
    to = [Said({"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]})]
    asked = Asked(namespace="shop", survey=survey())
    cutting = network_policy(asked, "x", egress=to)
    assert len(with_dns(asked, cutting).value["spec"]["egress"]) == 2  # type: ignore[index]  # a mapping it is
    for harmless in (
        network_policy(asked, "x", ingress=()),
        network_policy(asked, "x", egress=[*to, *dns_said(asked)]),
        network_policy(Asked(namespace="nowhere"), "x", egress=to),
    ):
        assert with_dns(asked, harmless) is harmless
    assert with_dns(Asked(), cutting) is cutting


def test_a_block_that_holds_the_resolvers_is_not_enough() -> None:
    """Network plugins differ in whether an address block means pods."""
    wide = made("allow-cidr", to=("0.0.0.0/0", "::/0"))
    assert len(objects(wide)[0]["spec"]["egress"]) == 2
