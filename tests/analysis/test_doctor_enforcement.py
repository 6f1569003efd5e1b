"""Whether policies mean anything is answered as far as it is known, and no further."""

from __future__ import annotations

import pytest

from outgate.analysis.doctor_enforcement import enforcement_lines, enforces, left_over, network_lines
from outgate.analysis.doctor_facts import Facts, Line, Mark, Served
from outgate.analysis.doctor_networks import Enforces, Network, networks
from outgate.analysis.doctor_probe import Outcome, ProbeResult, Step, Tried
from outgate.model import Direction
from outgate.model.parse import parse
from outgate.model.place import Document
from outgate.testing import Manifest, policy
from tests.analysis.clinic import daemon, facts_of, nodes, pods_of

CALICO = daemon("kube-system/calico-node", {"k8s-app": "calico-node"})
FLANNEL = daemon("kube-flannel/kube-flannel-ds", {"app": "flannel"})
CILIUM = daemon("kube-system/cilium", {"k8s-app": "cilium"})
LIVE = Served("v1.31.2", frozenset({"cilium.io", "apps"}))


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        ([], "unknown"),
        (["yes"], "yes"),
        (["no"], "no"),
        (["unknown"], "unknown"),
        (["no", "no"], "no"),
        (["no", "yes"], "yes"),
        (["no", "unknown"], "unknown"),
        (["unknown", "yes"], "yes"),
    ],
)
def test_several_plugins(found: list[str], answer: str) -> None:
    """One that enforces is enough; no is said only where all are known not to."""
    made = tuple(Network("x", None, Enforces(one), "") for one in found)
    assert enforces(made) is Enforces(answer)


def enforcement(*manifests: Manifest, probe: ProbeResult | None = None, live: Served | None = None) -> list[Line]:
    """What is said of these objects."""
    facts = facts_of(manifests, probe=probe, live=live, asked="--context prod", kubectl="kubectl --context prod")
    return list(enforcement_lines(facts, networks(facts)))


def test_it_enforces_as_far_as_objects_tell() -> None:
    """Never more than that."""
    (line,) = enforcement(CALICO, FLANNEL)
    assert line.mark is Mark.OK
    assert line.words == "NetworkPolicy: yes, by Calico, as far as objects tell; only a probe is sure"


def test_nothing_enforces() -> None:
    """The worst there is: policies that nobody obeys, and that nobody complains of."""
    (line,) = enforcement(FLANNEL, policy("shop/a", {"podSelector": {}}), policy("shop/b", {"podSelector": {}}))
    assert line.mark is Mark.WRONG
    assert line.words.endswith("only a probe is sure; 2 policies have no effect")
    assert line.details == ("Flannel: kube-network-policies does not run in it",)
    assert line.next_steps[:2] == (
        "kubectl --context prod -n kube-flannel get daemonset kube-flannel-ds -o yaml | grep kube-network-policies",
        "outgate doctor --context NAME --probe --yes",
    )
    (line,) = enforcement(FLANNEL, policy("shop/a", {"podSelector": {}}), live=LIVE)
    assert "1 policy has no effect" in line.words
    assert "outgate doctor --context prod --probe --yes" in line.next_steps


def test_a_switch_that_is_not_seen() -> None:
    """A name is no answer: where to look is said."""
    (line,) = enforcement(CILIUM, FLANNEL)
    assert (line.mark, "Cilium enforces only if it is switched on" in line.words) == (Mark.UNKNOWN, True)
    assert line.next_steps[0].startswith("kubectl --context prod -n kube-system get configmap cilium-config")


def test_no_plugin_at_all() -> None:
    """Nothing is concluded from what is not in the input."""
    (line,) = enforcement()
    assert (line.mark, line.next_steps) == (Mark.UNKNOWN, ("outgate doctor --context NAME --probe --yes",))


def shown(*outcomes: Outcome, reason: str = "", left: str = "") -> ProbeResult:
    """A probe with these outcomes of egress and ingress."""
    tried = tuple(Tried(way, one, 2.5) for way, one in zip(Direction, outcomes, strict=False))
    return ProbeResult("ns", "image", (Step("a step", True, 1.25), Step("another", False, 9)), tried, reason, left)


YES, NO = Outcome.ENFORCING, Outcome.NOT_ENFORCING


def test_a_probe_is_believed_before_any_object() -> None:
    """Both ways."""
    (line,) = enforcement(FLANNEL, probe=shown(YES, YES))
    assert (line.mark, "within 2.5 s" in line.words) == (Mark.OK, True)
    assert line.details == ("a step: yes, after 1.2 s", "another: no, after 9.0 s")
    (line,) = enforcement(CALICO, policy("shop/a", {"podSelector": {}}), probe=shown(NO, NO))
    assert line.mark is Mark.WRONG
    assert "was denied egress and ingress by a policy" in line.words
    assert line.words.endswith("1 policy has no effect")
    (line,) = enforcement(CALICO, probe=shown(YES, NO))
    assert "was denied ingress by a policy" in line.words


def test_a_probe_that_shows_nothing_leaves_it_to_the_objects() -> None:
    """Two lines: why it shows nothing, and what objects tell."""
    lines = enforcement(CALICO, probe=shown(reason="no image"))
    assert [(line.topic, line.mark) for line in lines] == [("probe", Mark.UNKNOWN), ("enforcement", Mark.OK)]
    assert lines[0].words == "the probe shows nothing: no image"


def test_what_a_probe_left_behind_is_said() -> None:
    """With the command that removes it."""
    lines = enforcement(CALICO, probe=shown(YES, YES, left="503: busy"))
    assert (lines[1].mark, lines[1].next_steps) == (Mark.ATTENTION, ("kubectl --context prod delete namespace ns",))


def network(*manifests: Manifest, live: Served | None = None) -> list[Line]:
    """The lines about the network."""
    facts: Facts = facts_of(manifests, live=live)
    return list(network_lines(facts, networks(facts)))


def test_where_the_plugin_runs() -> None:
    """Everywhere, somewhere, nowhere."""
    labels = {"k8s-app": "calico-node"}
    some, path = nodes("a", "b"), "kube-system/calico-node"
    for on, mark, words in (
        (["a", "b"], Mark.OK, "ready on 2 of 2 nodes"),
        (["a"], Mark.ATTENTION, "ready on 1 of 2 nodes"),
        ([], Mark.WRONG, "ready on 0 of 2 nodes"),
    ):
        pods = pods_of(path, labels, *on) or pods_of(path, labels, "a", ready=False)
        (line,) = network(*some, CALICO, *pods)
        assert (line.mark, line.words) == (mark, f"Calico (DaemonSet kube-system/calico-node), {words}")
        assert bool(line.next_steps) is (mark is not Mark.OK)
    (line,) = network(CALICO)
    assert (line.mark, line.words) == (Mark.OK, "Calico (DaemonSet kube-system/calico-node)")


def test_api_groups_of_what_does_not_run() -> None:
    """They stay when a plugin is removed, and are no sign that it is there."""
    facts = facts_of([CALICO], live=LIVE)
    assert list(left_over(facts, networks(facts))) == [("cilium.io", "Cilium")]
    (line,) = network(CALICO, live=LIVE)
    assert line.details == ("API group cilium.io is served, and Cilium is not seen",)
    (line,) = network(live=LIVE)
    assert (line.mark, len(line.details)) == (Mark.UNKNOWN, 1)
    for name, labels, group in (
        ("canal", {"k8s-app": "canal"}, "crd.projectcalico.org"),
        ("anetd", {"k8s-app": "cilium"}, "cilium.io"),
        ("cilium", {"k8s-app": "cilium"}, "cilium.io"),
    ):
        facts = facts_of([daemon(f"kube-system/{name}", labels)], live=Served(groups=frozenset({group})))
        assert list(left_over(facts, networks(facts))) == []


def test_names_that_are_no_names_are_in_no_command() -> None:
    """People copy what is advised, and what calls itself stored by a server may say anything."""
    evil = daemon("kube-system/x; reboot", {"k8s-app": "aws-node"})
    facts = Facts(parse([Document("x", evil, stored=True)]).snapshot)
    (line,) = enforcement_lines(facts, networks(facts))
    assert not any("reboot" in step for step in line.next_steps)
    assert any("daemonset NAME" in step for step in line.next_steps)
