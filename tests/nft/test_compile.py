"""The frame of a ruleset and what an administrator can choose. What the rules *decide* is proved in `tests/laws`."""

from __future__ import annotations

import pytest

from outgate.nft.compile import Compiled, compile_node
from outgate.nft.evaluate import Fate, Header, evaluate
from outgate.nft.objects import (
    DROP,
    RETURN,
    Chain,
    Compare,
    Counter,
    CtState,
    Field,
    Judgement,
    Log,
    Lookup,
    NftSet,
    Reject,
    Statement,
    VerdictMap,
)
from outgate.nft.options import Options
from outgate.policy import Policies
from outgate.testing import Manifest, node, pod, policy, snapshot_of

TOWN = (
    {**node("n1", ["192.168.5.1"]), "spec": {"podCIDRs": ["10.1.0.0/24", "fd00:1::/64"]}},
    pod("shop/web", ["10.1.0.10", "fd00:1::10"], on="n1", app="web"),
    pod("shop/api", ["10.1.0.11"], on="n1", app="api"),
    pod("shop/far", ["10.2.0.12"], on="n2", app="far"),
    pod("shop/host", ["192.168.5.1"], on="n1", host_network=True, app="host"),
    pod("shop/done", ["10.1.0.99"], on="n1", phase="Succeeded", app="web"),
)
DENY = policy("shop/deny", {"podSelector": {}, "policyTypes": ["Egress"]})
_TO_API_SPEC = {
    "podSelector": {"matchLabels": {"app": "web"}},
    "policyTypes": ["Egress"],
    "egress": [{"to": [{"podSelector": {"matchLabels": {"app": "api"}}}], "ports": [{"port": 80}]}],
}
TO_API = policy("shop/web", _TO_API_SPEC)


def compiled(*manifests: Manifest, options: Options | None = None, name: str = "n1") -> Compiled:
    """The town's node under these policies."""
    return compile_node(Policies(snapshot_of([*TOWN, *manifests])), name, options)


def statements(chain: Chain) -> list[Statement]:
    """Everything in a chain, in order."""
    return [statement for rule in chain.rules for statement in rule.statements]


def keys(one: NftSet) -> set[int]:
    """The addresses of a dispatch map or a peer set."""
    return {part[0] for (part,) in one.elements if not isinstance(part, str)}


def test_local_pods_alone_are_dispatched() -> None:
    """A pod of another node, a finished one, or one on the host network has no business in this node's maps."""
    dispatch = compiled(DENY).ruleset.sets["eg4"]
    assert keys(dispatch) == {int(one) for one in (0x0A01000A, 0x0A01000B)}


def test_pods_that_no_policy_selects_are_known_and_free() -> None:
    """Not isolated is not unknown: unknown is dropped."""
    dispatch = compiled(TO_API).ruleset.sets["eg4"]
    assert dispatch.elements[(0x0A01000B, 0x0A01000B),] == RETURN
    assert dispatch.elements[(0x0A01000A, 0x0A01000A),] != RETURN


def test_pods_of_one_class_share_their_chains() -> None:
    """Cost grows with kinds of pod: two pods under the same policies lead to the same chain."""
    ruleset = compiled(DENY).ruleset
    assert len(set(ruleset.sets["eg4"].elements.values())) == 1
    assert sum(name.startswith("e4_") for name in ruleset.chains) == 1


def test_a_stand_in_address_never_reaches_the_kernel() -> None:
    """A pod without an address stands at one that is nobody's; a kernel that knew it would allow it to anybody."""
    late = pod("shop/late", on="n1", app="api")
    ruleset = compile_node(Policies(snapshot_of([*TOWN, late, TO_API])), "n1").ruleset
    everything = {part for one in ruleset.sets.values() for key in one.elements for part in key}
    assert not any(not isinstance(part, str) and part[0] >= 0xF0000000 and part[1] < 1 << 32 for part in everything)


def test_the_same_selector_has_one_set_whoever_uses_it() -> None:
    """A pod's birth costs an element for each selector that matches it, not for each rule."""
    again = policy("shop/again", {**_TO_API_SPEC, "podSelector": {}})
    ruleset = compiled(TO_API, again).ruleset
    assert sum(name.startswith("p4_") for name in ruleset.sets) == 1


def test_every_rule_chain_can_be_traced_to_its_policy_and_line() -> None:
    """At three in the morning a hash says nothing."""
    result = compiled(DENY, TO_API)
    rules = {name for name in result.ruleset.chains if name.startswith(("r_", "d_"))}
    assert rules == set(result.index)
    assert {str(origin) for name in rules for origin in result.index[name]} == {
        "shop/web egress[0]",
        "shop/web",
        "shop/deny",
    }
    for name in rules:
        assert any(rule.comment for rule in result.ruleset.chains[name].rules)


def test_what_counts_is_counted() -> None:
    """Each rule and each default deny has a counter before its verdict."""
    ruleset = compiled(DENY, TO_API).ruleset
    for name, chain in ruleset.chains.items():
        if name.startswith(("r_", "d_", "unknown", "spoof")):
            assert Counter() in statements(chain), name


def test_a_denial_is_a_drop_unless_an_answer_is_chosen() -> None:
    """The conformance suites of the field wait for a time-out."""
    dropped = compiled(DENY).ruleset
    answered = compiled(DENY, options=Options(reject=True)).ruleset
    deny = next(name for name in dropped.chains if name.startswith("d_"))
    assert DROP in statements(dropped.chains[deny])
    kinds = [one.kind for one in statements(answered.chains[deny]) if isinstance(one, Reject)]
    assert kinds == ["tcp reset", "icmpx admin-prohibited"]


def test_a_log_never_stands_in_the_rule_of_the_verdict() -> None:
    """A limit on the log in the rule that drops would limit the drop."""
    ruleset = compiled(DENY, options=Options(log_group=5)).ruleset
    deny = next(chain for name, chain in ruleset.chains.items() if name.startswith("d_"))
    logging = [rule for rule in deny.rules if any(isinstance(one, Log) for one in rule.statements)]
    assert logging
    assert not any(DROP in rule.statements for rule in logging)


@pytest.mark.parametrize(("mask", "epoch"), [(0, 1), (0xFF00, 256), (0xFFFF0000, 0), (0x0F0F, 1)])
def test_an_epoch_that_does_not_fit_is_refused(mask: int, epoch: int) -> None:
    """An epoch of zero would be the mark of every connection that nobody judged."""
    with pytest.raises(ValueError, match="does not fit"):
        compiled(options=Options(mark_mask=mask, epoch=epoch))


def test_a_pod_address_that_is_not_programmed_is_closed() -> None:
    """Without known interfaces the node's pod block tells a pod that is too new for the maps."""
    ruleset = compiled(DENY).ruleset
    new = Header(saddr=0x0A0100C8, daddr=0xCB007101, family=4, protocol=6, dport=443)
    assert evaluate(ruleset, "forward", new).fate is Fate.DROP
    foreign = Header(saddr=0x0A0900C8, daddr=0xCB007101, family=4, protocol=6, dport=443)
    assert evaluate(ruleset, "forward", foreign).fate is Fate.ACCEPT


def test_interfaces_are_checked_with_their_addresses() -> None:
    """Identity is interface and address together, where the node can tell."""
    options = Options(interface_prefix="ogp", interfaces={("shop", "web"): "ogp0", ("shop", "api"): "ogp1"})
    ruleset = compiled(DENY, options=options).ruleset
    header = Header(saddr=0x0A01000B, daddr=0xCB007101, family=4, protocol=6, dport=443, iifname="ogp0")
    assert evaluate(ruleset, "prerouting", header).fate is Fate.DROP
    mine = Header(saddr=0x0A01000A, daddr=0xCB007101, family=4, protocol=6, dport=443, iifname="ogp0")
    assert evaluate(ruleset, "prerouting", mine).fate is Fate.ACCEPT


def test_a_node_nobody_knows_gets_the_empty_frame() -> None:
    """A node without pods is no error: it must still be ready for the first."""
    ruleset = compiled(DENY, name="n9").ruleset
    assert {"forward", "input", "est", "stamp"} <= set(ruleset.chains)
    assert not any(one.elements for one in ruleset.sets.values())


def test_every_reference_leads_somewhere() -> None:
    """A jump to a chain that is not there makes the kernel refuse the whole transaction."""
    ruleset = compiled(
        DENY, TO_API, options=Options(interface_prefix="ogp", interfaces={("shop", "web"): "ogp0"})
    ).ruleset
    for chain in ruleset.chains.values():
        for statement in statements(chain):
            if isinstance(statement, Judgement) and statement.chain:
                assert statement.chain in ruleset.chains
            elif isinstance(statement, Lookup):
                assert statement.set in ruleset.sets
            elif isinstance(statement, VerdictMap):
                assert statement.map in ruleset.sets
    for one in ruleset.sets.values():
        assert all(
            verdict is None or not verdict.chain or verdict.chain in ruleset.chains for verdict in one.elements.values()
        )


def test_neighbour_discovery_to_the_node_is_open_and_redirects_are_not() -> None:
    """RFC 4861, 7.1: hop limit 255; and no pod tells its node where to send."""
    ruleset = compiled(DENY).ruleset
    web = 0xFD000001 << 96 | 0x10
    for kind, hops, fate in (
        (135, 255, Fate.ACCEPT),
        (136, 255, Fate.ACCEPT),
        (135, 64, Fate.DROP),
        (137, 255, Fate.DROP),
    ):
        packet = Header(saddr=web, daddr=1, family=6, protocol=58, icmp_type=kind, hop_limit=hops)
        assert evaluate(ruleset, "input", packet).fate is fate, (kind, hops)


def test_the_mark_is_compared_before_anything_else() -> None:
    """An established connection costs two comparisons: it is not only related to one, and it has been judged."""
    forward = compiled(DENY).ruleset.chains["forward"]
    unrelated = Compare(Field.CT_STATE, mask=int(CtState.RELATED), negated=True)
    assert list(statements(forward))[:2] == [unrelated, Judgement("jump", "est")]
    assert [one.field for one in statements(compiled(DENY).ruleset.chains["est"]) if isinstance(one, Compare)] == [
        Field.CT_MARK
    ]


def test_directions_are_separate() -> None:
    """A policy for ingress alone must leave what the pod sends alone."""
    only = policy("shop/in", {"podSelector": {}, "policyTypes": ["Ingress"]})
    ruleset = compiled(only).ruleset
    assert set(ruleset.sets["eg4"].elements.values()) == {RETURN}
    assert RETURN not in ruleset.sets["ig4"].elements.values()


def test_an_address_that_two_pods_claim_is_closed_and_gives_nobody_rights() -> None:
    """The last pod by name would win: a denied pod would pass under the rights of one that no policy selects."""
    twin = pod("shop/zed", ["10.1.0.11"], on="n1", app="zed")
    ruleset = compiled(DENY, TO_API, twin).ruleset
    unknown = Judgement("goto", "unknown")
    assert [ruleset.sets[name].elements[(0x0A01000B, 0x0A01000B),] for name in ("eg4", "ig4")] == [unknown, unknown]
    assert not any(one.elements for name, one in ruleset.sets.items() if name.startswith("p4_"))
    packet = Header(saddr=0x0A01000B, daddr=0xCB007101, family=4, protocol=6, dport=443)
    assert evaluate(ruleset, "forward", packet).fate is Fate.DROP
