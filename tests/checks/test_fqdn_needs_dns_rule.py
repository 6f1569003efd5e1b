"""Names that their pods cannot ask for."""

from __future__ import annotations

from typing import Any

from outgate.checks import Severity
from outgate.policy import PROFILES
from outgate.testing import Manifest, cluster_policy, namespace, pod
from outgate.testing_cilium import cilium_policy
from tests.checks.asking import COREDNS, KUBE_DNS, TO_DNS, ask, deny, egress, one, words

RULE = "fqdn-needs-dns-rule"
NAMES = {"toFQDNs": [{"matchName": "api.example.com"}]}
TO_RESOLVERS = {
    "toEndpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": "kube-system", "k8s:k8s-app": "kube-dns"}}]
}
SHOP: list[Manifest] = [namespace("shop"), namespace("kube-system"), pod("shop/web", ["10.0.0.1"])]
DNS: list[Manifest] = [*SHOP, COREDNS, KUBE_DNS]


def asking(*names: str, protocol: str = "ANY") -> dict[str, Any]:
    """A rule that leads to the resolvers and lets these patterns be asked for; any, where none are given."""
    entry: dict[str, Any] = {"ports": [{"port": "53", "protocol": protocol}]}
    if names:
        entry["rules"] = {"dns": [{"matchPattern": name} for name in names]}
    return TO_RESOLVERS | {"toPorts": [entry]}


def cilium(*rules: dict[str, Any]) -> Manifest:
    """A policy of Cilium's for everybody in the shop."""
    return cilium_policy("shop/p", {"endpointSelector": {}, "egress": list(rules)})


def test_no_way_to_the_resolvers() -> None:
    """The rule itself isolates, so that nothing else passes; a question that is dropped shows it."""
    found = one(RULE, *DNS, cilium(NAMES))
    assert found.message == (
        "shop/p egress[0] opens api.example.com, and shop/web may not ask cluster DNS for it: the rule opens nothing"
    )
    assert found.severity is Severity.ERROR
    assert found.place.path == "spec.egress[0].toFQDNs[0]"
    assert str(found.witness) == "shop/web -> kube-system/coredns:53/UDP is dropped"


def test_who_has_no_family_in_common_with_a_resolver() -> None:
    """What he may not ask, no policy forbids, and no rule would let him."""
    assert not ask(RULE, namespace("shop"), pod("shop/six", ["fd00::1"]), COREDNS, KUBE_DNS, cilium(NAMES))


def test_names_that_may_not_be_asked_for() -> None:
    """Each name by itself; of a pattern, some name that it means is enough."""
    names = {"toFQDNs": [{"matchName": "api.example.com"}, {"matchName": "www.example.net"}, {"matchPattern": "*.net"}]}
    (found,) = words(RULE, *DNS, cilium(names, asking("*.example.com", "*.net")))
    assert "opens www.example.net, and" in found
    assert not ask(
        RULE,
        *DNS,
        cilium(names, asking("*.example.com", "www.example.*")),
        cilium_policy("shop/q", {"endpointSelector": {}, "egress": [asking("*.net")]}),
    )


def test_questions_that_cilium_does_not_hear() -> None:
    """Without rules.dns, by a NetworkPolicy or where nothing is denied, Cilium learns nothing; Outgate's agent does."""
    plain = egress("shop/dns", TO_DNS)
    open_spec = {"endpointSelector": {}, "egress": [NAMES], "enableDefaultDeny": {"egress": False}}
    for manifests in ([cilium(NAMES, asking())], [cilium(NAMES), plain], [cilium_policy("shop/p", open_spec)]):
        found = one(RULE, *DNS, *manifests)
        assert "no rule with rules.dns is about the questions of shop/web" in found.message
        assert found.severity is Severity.WARNING
        assert one(RULE, *DNS, *manifests, profile=PROFILES["cilium"]).severity is Severity.ERROR
    # A rule with them beside one without is enough, whatever its names: all questions pass the proxy, and all may pass.
    assert not ask(RULE, *DNS, cilium(NAMES, asking(), asking("*")))
    assert not ask(RULE, *DNS, cilium(NAMES, asking(), asking("other.example.com")), profile=PROFILES["cilium"])


def test_a_list_of_names_is_made_no_wider_than_it_has_to_be() -> None:
    """A question for any name is a way out of the cluster: who may ask for some may ask for what is missing as well."""

    def added(*rules: dict[str, Any]) -> list[Any]:
        (edit,) = one(RULE, *DNS, cilium(*rules)).fix
        value: Any = edit.value
        return list(value["toPorts"][0]["rules"]["dns"])

    names = {"toFQDNs": [{"matchName": "evil.example.net"}, {"matchPattern": "*.example.org"}]}
    missing = [{"matchName": "evil.example.net"}, {"matchPattern": "*.example.org"}]
    assert added(names, asking("*.stripe.com")) == missing
    assert added(names) == [{"matchPattern": "*"}]


def test_rules_about_others_make_nothing_heard() -> None:
    """Names that may be asked for elsewhere, or by other pods: of these, what is learned holds for all of a node."""
    elsewhere = asking("*") | {"toEndpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": "shop"}}]}
    found = one(RULE, *DNS, cilium(NAMES, asking(), elsewhere), profile=PROFILES["cilium"])
    assert (found.severity, "Cilium learns no address of it" in found.message) == (Severity.ERROR, True)

    api = [pod("shop/api", ["10.0.0.2"], labels={"role": "api"})]
    theirs = {"endpointSelector": {"matchLabels": {"role": "api"}}, "egress": [asking("api.example.com")]}
    mine = {"endpointSelector": {"matchExpressions": [{"key": "role", "operator": "DoesNotExist"}]}}
    policies = [cilium_policy("shop/p", mine | {"egress": [NAMES, asking()]}), cilium_policy("shop/q", theirs)]
    found = one(RULE, *DNS, *api, *policies, profile=PROFILES["cilium"])
    assert found.severity is Severity.WARNING
    assert "questions of shop/web: Cilium opens what another pod of the node has asked for" in found.message


def test_a_denial_before_the_rule_for_dns() -> None:
    """What denies is asked first, and one more rule would be in vain: nothing is offered."""
    denying = cilium_policy(
        "shop/no", {"endpointSelector": {}, "egressDeny": [asking() | {"toPorts": [{"ports": [{"port": "53"}]}]}]}
    )
    found = one(RULE, *DNS, cilium(NAMES, asking("*")), denying)
    assert "may not ask cluster DNS" in found.message
    assert not found.fix


def test_policies_of_the_cluster() -> None:
    """Names of theirs are heard without rules.dns; a policy that isolates beside them leaves them deaf."""
    names = cluster_policy("q", egress=[{"action": "Accept", "to": [{"domainNames": ["api.example.com"]}]}])
    assert not ask(RULE, *DNS, names)
    found = one(RULE, *DNS, names, deny())
    assert "ClusterNetworkPolicy q egress[0] opens api.example.com, and shop/web may not ask" in found.message
    assert not found.fixable
    assert not ask(RULE, *DNS, names, egress("shop/dns", TO_DNS))
    heard = one(RULE, *DNS, names, egress("shop/dns", TO_DNS), profile=PROFILES["cilium"])
    assert "no rule with rules.dns is about the questions of kube-system/coredns, shop/web" in heard.message
    barring = cluster_policy("r", priority=1, egress=[{"action": "Deny", "to": [{"namespaces": {}}]}])
    assert "may not ask cluster DNS" in one(RULE, *DNS, names, barring).message


def test_where_the_resolvers_are_not_known() -> None:
    """No rule can be the one for DNS; a rule that may be is taken for it, with what it lets be asked."""
    assert "may not ask cluster DNS" in one(RULE, *SHOP, cilium(NAMES)).message
    assert not ask(RULE, *SHOP, cilium(NAMES, asking("*")))
    assert "may not ask cluster DNS" in one(RULE, *SHOP, cilium(NAMES, asking("*.example.net"))).message
    names = cluster_policy("q", egress=[{"action": "Accept", "to": [{"domainNames": ["api.example.com"]}]}])
    assert not ask(RULE, *SHOP, names), "nothing isolates: nothing is known to be denied"


def test_workloads_apart() -> None:
    """Who can ask is not named."""
    others = [pod("shop/db", ["10.0.0.2"], labels={"app": "db"})]
    mine = cilium_policy("shop/dns", {"endpointSelector": {"matchLabels": {"app": "db"}}, "egress": [asking("*")]})
    assert "and shop/web may not ask" in one(RULE, *DNS, *others, cilium(NAMES), mine).message
