"""Cut off from the API server: only who is known to use it, and only where every endpoint is closed."""

from __future__ import annotations

from outgate.policy.profile import AWS_VPC_CNI, CILIUM
from outgate.testing import Manifest, cluster_policy, node, pod
from tests.checks.asking import ask, block, deny, egress, one, to, words
from tests.checks.needs import API, account, bound, mended, running, template

RULE = "apiserver-unreachable"
OPERATOR = running("shop/operator", serviceAccountName="operator")
BOUND = bound("shop/operator")
HTTPS = [{"protocol": "TCP", "port": 443}]
API_PORT = [{"protocol": "TCP", "port": 6443}]


def found(*cluster: Manifest) -> list[str]:
    """What is found in a cluster with an API server."""
    return words(RULE, *API, *cluster)


def test_a_packet_shows_it() -> None:
    """To an endpoint, as it is after translation; and the binding says why."""
    finding = one(RULE, *API, OPERATOR, BOUND, deny())
    assert str(finding.witness) == "shop/operator -> 192.0.2.10:6443/TCP is dropped"
    assert "shop/default-deny isolates shop/operator for egress, and no policy lets it reach" in finding.message
    assert finding.related[0].words == "ClusterRoleBinding shop:operator says that it is used"


def test_the_address_of_the_service_is_no_way_there() -> None:
    """A rule for 10.96.0.1:443 looks right and is not, but where the plugin sees what is dialled."""
    rule = egress("shop/p", to(block("10.96.0.1/32"), ports=HTTPS), app="operator")
    assert len(ask(RULE, *API, OPERATOR, BOUND, rule)) == 1
    assert not ask(RULE, *API, OPERATOR, BOUND, rule, profile=AWS_VPC_CNI)
    rule = egress("shop/p", to(block("192.0.2.0/24"), ports=API_PORT), app="operator")
    assert not ask(RULE, *API, OPERATOR, BOUND, rule)
    assert len(ask(RULE, *API, OPERATOR, BOUND, rule, profile=AWS_VPC_CNI)) == 1


def test_one_endpoint_is_enough() -> None:
    """Whatever policy opens it: they add up."""
    assert not found(OPERATOR, BOUND, deny(), egress("shop/p", to(block("192.0.2.11/32")), app="operator"))
    assert found(OPERATOR, BOUND, deny(), egress("shop/p", to(block("192.0.2.11/32"), ports=HTTPS), app="operator"))


def test_nodes_are_in_no_block_of_cilium() -> None:
    """The same manifests, another plugin, another answer; and no fix by addresses there."""
    cluster = (*API, node("cp", ["192.0.2.10", "192.0.2.11"]), OPERATOR, BOUND)
    rule = egress("shop/p", to(block("192.0.2.0/24")), app="operator")
    assert not ask(RULE, *cluster, rule)
    assert one(RULE, *cluster, rule, profile=CILIUM).fix == ()


def test_what_is_denied_no_rule_more_opens() -> None:
    """It would be added at each run; where one endpoint is left, it helps."""
    mine = egress("shop/p", app="operator")

    def above(*blocks: str) -> Manifest:
        return cluster_policy("p", egress=[{"action": "Deny", "to": [{"networks": list(blocks)}]}])

    assert one(RULE, *API, OPERATOR, BOUND, mine).fixable
    assert not one(RULE, *API, OPERATOR, BOUND, mine, above("192.0.2.0/24")).fixable
    assert one(RULE, *API, OPERATOR, BOUND, mine, above("192.0.2.10/32")).fixable


def test_who_is_not_known_to_use_it() -> None:
    """No binding, no token, or the account that every pod has."""
    assert not found(OPERATOR, deny())
    assert not found(running("shop/web"), bound("shop/default"), deny())
    assert not found(running("shop/w", serviceAccountName="w"), BOUND, deny())
    silent = running("shop/operator", serviceAccountName="operator", automountServiceAccountToken=False)
    assert not found(silent, BOUND, deny())
    assert not found(OPERATOR, BOUND, account("shop/operator", token=False), deny())
    assert not found(OPERATOR, bound("other/operator"), deny())


def test_what_a_pod_says_about_its_token_comes_first() -> None:
    """Before what its account says."""
    loud = running("shop/operator", serviceAccountName="operator", automountServiceAccountToken=True)
    assert found(loud, BOUND, account("shop/operator", token=False), deny())


def test_who_is_not_isolated_or_knows_nothing() -> None:
    """For ingress alone, on the host network, or in an input that does not say where the API server is."""
    ingress = egress("shop/in", types=False) | {"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}
    assert not found(OPERATOR, BOUND, ingress)
    host = running("shop/operator", serviceAccountName="operator", hostNetwork=True)
    assert not found(host, BOUND, deny())
    control_plane = node("cp", ["192.0.2.10"], **{"node-role.kubernetes.io/control-plane": ""})
    assert not words(RULE, OPERATOR, BOUND, deny())
    assert not words(RULE, OPERATOR, BOUND, deny(), control_plane)


def test_one_finding_for_each_policy_that_is_to_blame() -> None:
    """A template counts as its pods will."""
    other = template("Deployment", "shop/other", serviceAccountName="operator")
    (message,) = found(OPERATOR, other, BOUND, deny())
    assert "isolates shop/operator, shop/Deployment/other for egress, and no policy lets them" in message


def test_the_fix_is_for_those_that_need_it_alone() -> None:
    """In the policy that selects them; where there is none, nothing is offered."""
    left, manifests = mended(
        RULE, *API, OPERATOR, pod("shop/web", app="web"), BOUND, deny(), egress("shop/p", app="operator")
    )
    assert left == []
    specs = {
        manifest["metadata"]["name"]: manifest["spec"]
        for manifest in manifests
        if "policyTypes" in manifest.get("spec", {})
    }
    assert specs["default-deny"] == deny()["spec"]
    assert specs["p"]["egress"] == [to(block("192.0.2.10/32"), block("192.0.2.11/32"), ports=API_PORT)]
    assert one(RULE, *API, OPERATOR, BOUND, deny()).fix == ()
