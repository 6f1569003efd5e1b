"""The shape of a class under policies of the whole cluster: order, pass, audit, equal priorities.

That the lines mean what the policies mean is asked in `tests/laws/test_tiers.py`; here it is looked at what they cost
and what they are called.
"""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from outgate.nft.compile import Compiled, compile_node
from outgate.nft.evaluate import Evaluator, Fate, Header
from outgate.nft.objects import Counter, Judgement
from outgate.nft.options import Options
from outgate.packets import Packet
from outgate.policy import Mode, Policies
from outgate.testing import cluster_policy, namespace, pod, policy, snapshot_of
from outgate.testing_cilium import cilium_policy

EVERYWHERE = {"networks": ["0.0.0.0/0"]}
WEB = "10.1.0.10"


def rule(action: str, *to: dict[str, Any], port: int = 0) -> dict[str, Any]:
    """A rule for a TCP port, or for anything."""
    protocols = {"protocols": [{"tcp": {"destinationPort": {"number": port}}}]} if port else {}
    return {"action": action, "to": list(to or (EVERYWHERE,)), **protocols}


def compiled(*manifests: dict[str, Any], mode: Mode | None = None) -> Compiled:
    """A node with one pod under some policies."""
    cluster = [namespace("shop"), pod("shop/web", [WEB], on="n1", app="web"), *manifests]
    return compile_node(Policies(snapshot_of(cluster)), "n1", Options(mode=mode))


def passed(made: Compiled, port: int = 80, to: str = "203.0.113.1") -> tuple[bool, list[str]]:
    """Whether what the pod sends passes, and the chains of rules and denials that it counted in."""
    packet = Packet(ipaddress.ip_address(WEB), ipaddress.ip_address(to), 6, port)
    outcome = Evaluator(made.ruleset).run("forward", Header.of(packet))
    said = [str(made.index[step.chain][0]) for step in outcome.path if step.chain in made.index]
    return outcome.fate is Fate.ACCEPT, list(dict.fromkeys(said))


def test_a_denial_names_its_rule() -> None:
    """Each rule that denies has a chain of its own, so that counter and log can say which it was."""
    made = compiled(cluster_policy("c", egress=[rule("Accept", port=443), rule("Deny")]))
    assert passed(made) == (False, ["ClusterNetworkPolicy c egress[1]"])
    assert passed(made, 443) == (True, ["ClusterNetworkPolicy c egress[0]"])
    names = [name for name, origins in made.index.items() if origins[0].rule == 1]
    assert {name[:2] for name in names} == {"d_"}
    assert "ClusterNetworkPolicy c egress[1]" in (made.ruleset.chains[names[0]].rules[0].comment or "")


@pytest.mark.parametrize("unfiltered", [True, False])
def test_what_nobody_can_look_into_is_closed_where_nothing_isolates(unfiltered: bool) -> None:
    """Questions of DNS, where no proxy hears them, and requests to a pod: else the default would let them pass."""
    dns = {"ports": [{"port": "53", "protocol": "TCP"}], "rules": {"dns": [{"matchPattern": "*"}]}}
    http = {"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{"method": "GET"}]}}
    spec = {
        "endpointSelector": {},
        "enableDefaultDeny": {"egress": False, "ingress": False},
        "egress": [{"toPorts": [dns]}],
        "ingress": [{"toPorts": [http]}],
    }
    cluster = [namespace("shop"), pod("shop/web", [WEB], on="n1"), cilium_policy("shop/c", spec)]
    made = compile_node(Policies(snapshot_of(cluster)), "n1", Options(unfiltered=unfiltered))
    assert passed(made, 53)[0] is unfiltered
    assert passed(made, 54)[0]
    for port, passes in ((80, False), (81, True)):
        inbound = Packet(ipaddress.ip_address("203.0.113.1"), ipaddress.ip_address(WEB), 6, port)
        assert (Evaluator(made.ruleset).run("forward", Header.of(inbound)).fate is Fate.ACCEPT) is passes


def test_a_pass_is_counted_and_leads_past_the_rest_of_its_tier() -> None:
    """All further policies of the tier, not only the rest of this one."""
    made = compiled(
        cluster_policy("a", priority=1, egress=[rule("Pass", port=80)]),
        cluster_policy("b", priority=2, egress=[rule("Deny")]),
    )
    assert passed(made) == (True, ["ClusterNetworkPolicy a egress[0]"])
    assert passed(made, 81)[0] is False
    name = next(name for name in made.index if name.startswith("s_"))
    first, last = made.ruleset.chains[name].rules[0].statements
    assert isinstance(first, Counter)
    assert isinstance(last, Judgement)


@pytest.mark.parametrize("isolated", [True, False])
def test_what_stands_behind_a_pass(isolated: bool) -> None:
    """NetworkPolicies where one isolates, and they are the end; else the Baseline tier."""
    deny = policy("shop/deny", {"podSelector": {}, "policyTypes": ["Egress"]})
    made = compiled(
        cluster_policy("a", egress=[rule("Pass")]),
        cluster_policy("base", tier="Baseline", egress=[rule("Deny", port=80)]),
        *([deny] if isolated else []),
    )
    assert passed(made, 80)[0] is False
    assert passed(made, 81)[0] is not isolated
    wanted = "shop/deny" if isolated else "ClusterNetworkPolicy base egress[0]"
    assert passed(made, 80)[1][-1] == wanted


def test_an_audited_denial_counts_and_is_passed_over() -> None:
    """The next rule is asked as if it were not there; what it accepts elsewhere still counts."""
    watched = cluster_policy("w", priority=1, egress=[rule("Deny", port=80), rule("Accept", port=81)])
    watched["metadata"]["annotations"] = {"outgate.dev/enforcement": "audit"}
    made = compiled(watched, cluster_policy("c", priority=2, egress=[rule("Deny", port=81)]), mode=Mode.ENFORCE)
    assert passed(made, 80) == (True, ["ClusterNetworkPolicy w egress[0]"])
    assert passed(made, 81) == (True, ["ClusterNetworkPolicy w egress[1]"])
    assert any(name.startswith("w_") for name in made.index)
    assert not any(name.startswith("w_") for name in compiled(watched).index), "without a mode all is enforced"


def test_an_audited_denial_among_equals() -> None:
    """In the rounds of one priority it is passed over as well, and the others of its policy are not."""
    watched = cluster_policy("w", egress=[rule("Deny", port=80), rule("Pass", port=82), rule("Accept", port=80)])
    watched["metadata"]["annotations"] = {"outgate.dev/enforcement": "audit"}
    other = cluster_policy("x", egress=[rule("Deny", port=81), rule("Accept", port=82)])
    last = cluster_policy("z", priority=99, egress=[rule("Deny")])
    made = compiled(watched, other, last, mode=Mode.ENFORCE)
    assert [passed(made, port)[0] for port in (80, 81, 82, 83)] == [True, False, True, False]
    assert "ClusterNetworkPolicy w egress[0]" in passed(made, 80)[1]


def test_policies_that_say_one_thing_need_no_rounds() -> None:
    """Where all of one priority deny, which is asked first makes no difference: one chain, one line a rule."""
    same = compiled(*(cluster_policy(name, egress=[rule("Deny", port=80)]) for name in "abc"))
    mixed = compiled(
        *(cluster_policy(name, egress=[rule(what)]) for name, what in zip("ab", ("Deny", "Accept"), strict=True))
    )
    count = [sum(name.startswith("e4_") for name in one.ruleset.chains) for one in (same, mixed)]
    assert count[0] == 1
    assert count[1] > 1
    assert passed(mixed)[0] is False
