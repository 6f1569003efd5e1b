"""The log blames who was to blame: the right pod, the right peer, the right policy, also when they are gone by now."""

from __future__ import annotations

import ipaddress
import struct

import pytest

from outgate.agent.attribution import Attribution
from outgate.agent.events import Applied, Died, Listed
from outgate.agent.step import State
from outgate.cluster.events import Removed, Replaced, Upserted
from outgate.host.nflog import Logged
from outgate.model import Direction, Pod
from outgate.nft.asking import PORT, STAND_INS
from outgate.nft.frame import DISPATCHES, UNKNOWN
from outgate.nft.objects import Judgement
from outgate.nft.options import Options
from outgate.policy import Mode
from outgate.report.packet_log import LogRecord, Party, PodName, Workload
from outgate.testing import pod, policy, snapshot_of
from tests.agent.states import SHOP, enforced, tell, told_pod

WEB, CART, FAR = "10.0.0.1", "10.0.0.2", "10.0.1.1"
OUTSIDE = "1.1.1.1"
FORWARD, INPUT = 2, 1


def packet(source: str, destination: str, sport: int = 40000, dport: int = 80, protocol: int = 6) -> bytes:
    """The first bytes of a packet."""
    ends = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    ports = struct.pack(">HH", sport, dport)
    if len(ends) == 8:
        return struct.pack(">BBHHHBBH", 0x45, 0, 40, 0, 0, 64, protocol, 0) + ends + ports + bytes(16)
    return struct.pack(">IHBB", 6 << 28, 20, protocol, 64) + ends + ports + bytes(16)


def logged(chain: str, payload: bytes, *, incoming: int = 3, outgoing: int = 4, hook: int = FORWARD) -> Logged:
    """As the kernel gives it."""
    return Logged(f"{chain} ", payload, incoming, outgoing, 0, 0x0800, hook, 1.7e9)


def record(attribution: Attribution, one: Logged) -> LogRecord:
    """The line of a packet that has one."""
    found = attribution.record(one, {3: "veth-in", 4: "veth-out"}.get)
    assert found is not None
    return found


def ending(state: State, address: str, direction: Direction = Direction.EGRESS) -> str:
    """The chain in which the class of a pod's address ends, found by walking through the table."""
    key = ((int(ipaddress.ip_address(address)),) * 2,)
    dispatch = next(
        one.name
        for one in DISPATCHES
        if (one.view.direction, one.view.mirrored) == (direction, False)
        and one.view.family == ipaddress.ip_address(address).version
    )
    way = state.desired.sets[dispatch].elements[key]
    assert way is not None
    last = state.desired.chains[way.chain].rules[-1].statements[-1]
    assert isinstance(last, Judgement)
    return last.chain


def seen(state: State, clock: object = None) -> Attribution:
    """Of a state that was published."""
    one = Attribution(clock=clock) if clock is not None else Attribution()  # type: ignore[arg-type]  # a function of a test
    one.publish(state)
    return one


def test_a_denied_packet() -> None:
    """With everything that a developer asks: who, to whom, which policy, and that no rule allowed it."""
    state = enforced()
    found = record(seen(state), logged(ending(state, WEB), packet(WEB, OUTSIDE, dport=443)))
    assert found == LogRecord(
        time="2023-11-14T22:13:20.000Z",
        node="node-a",
        verdict="denied",
        direction="egress",
        reply=False,
        pod=PodName("shop", "web", "uid-of-web"),
        workload=None,
        peer=Party("External", cidrs=("1.1.1.1/32",)),
        source=WEB,
        destination=OUTSIDE,
        protocol="TCP",
        port=443,
        icmp_type=None,
        policy="shop/web",
        policies=found.policies,
        decided_by=None,
        rule="isolated, nothing allows",
        generation=1,
        interface="veth-in",
    )
    (origin,) = found.policies
    assert (origin["kind"], origin["namespace"], origin["name"], origin["rule"]) == (
        "NetworkPolicy",
        "shop",
        "web",
        None,
    )


def test_an_allowed_packet_names_its_rule_as_can_reach_does() -> None:
    """The Origin of policy and rule."""
    state = enforced()
    (chain,) = [name for name in state.desired.chains if name.startswith("r_")]
    found = record(seen(state), logged(chain, packet(WEB, CART)))
    assert (found.verdict, found.rule, found.policy, found.policies) == (
        "allowed",
        "shop/web egress[0]",
        "shop/web",
        (),
    )
    assert found.decided_by is not None
    assert found.decided_by["rule"] == 0
    assert found.peer == Party("Pod", "shop", "cart")


def test_peers_have_names() -> None:
    """Pods of any node, and nodes; other addresses are what they are."""
    state = enforced()
    one, chain = seen(state), ending(state, WEB)
    peers = [record(one, logged(chain, packet(WEB, to))).peer for to in (FAR, "192.168.0.2", "8.8.8.8")]
    assert peers == [Party("Pod", "out", "far"), Party("Node", name="node-b"), Party("External", cidrs=("8.8.8.8/32",))]


def test_ipv6() -> None:
    """Of the same pod, by its other address."""
    state = enforced()
    found = record(seen(state), logged(ending(state, "fd00::1"), packet("fd00::1", "2001:db8::1", protocol=17)))
    assert (found.pod, found.protocol, found.destination) == (
        PodName("shop", "web", "uid-of-web"),
        "UDP",
        "2001:db8::1",
    )


INGRESS = policy("shop/in", {"podSelector": {"matchLabels": {"app": "cart"}}, "policyTypes": ["Ingress"]})


def test_ingress_is_the_receivers() -> None:
    """The pod is the one whose policies judged, and the peer the one that sent."""
    state = enforced([*SHOP, INGRESS])
    found = record(seen(state), logged(ending(state, CART, Direction.INGRESS), packet(FAR, CART)))
    assert (found.direction, found.pod, found.peer) == (
        "ingress",
        PodName("shop", "cart", "uid-of-cart"),
        Party("Pod", "out", "far"),
    )
    assert found.interface == "veth-out"


def test_an_answer_is_laid_to_the_pod_that_asked() -> None:
    """An answer to what the pod may no longer send is denied by the pod's egress policies, on its way in."""
    state = enforced()
    found = record(seen(state), logged(ending(state, WEB), packet(FAR, WEB, sport=5432, dport=40000)))
    assert (found.reply, found.direction, found.pod) == (True, "egress", PodName("shop", "web", "uid-of-web"))
    assert (found.peer, found.port, found.interface) == (Party("Pod", "out", "far"), 5432, "veth-out")


@pytest.mark.parametrize("way", ["deleted", "network gone", "another in its place"])
def test_a_pod_that_died_is_named(way: str) -> None:
    """The line is read some tenths of a second after the packet."""
    state = enforced()
    one, chain = seen(state), ending(state, WEB)
    (gone,) = [told_pod(each) for each in snapshot_of(SHOP).pods if each.name == "web"]
    match way:
        case "deleted":
            tell(state, Removed("Pod", gone))
        case "network gone":
            tell(state, Died("shop", "web"))
        case _:
            tell(state, Replaced("Pod", ()))
    tell(state, Applied())
    one.publish(state)
    found = record(one, logged(chain, packet(WEB, FAR)))
    assert found.pod == PodName("shop", "web", "uid-of-web")
    assert found.direction == "egress"


def test_nobody_is_remembered_for_ever() -> None:
    """An address of a pod that died an hour ago is nobody's."""
    now = [0.0]
    state = enforced()
    one, chain = seen(state, lambda: now[0]), ending(state, WEB)
    tell(state, Died("shop", "web"))
    one.publish(state)
    now[0] = 59
    one.publish(state)
    assert record(one, logged(chain, packet(WEB, FAR))).pod is not None
    now[0] = 61
    one.publish(state)
    assert record(one, logged(chain, packet(WEB, FAR))).pod is None


def test_who_has_the_address_now_comes_before_who_had_it() -> None:
    """Addresses are given out again."""
    state = enforced()
    one = seen(state)
    tell(state, Died("shop", "web"))
    (heir,) = [told_pod(each) for each in snapshot_of([pod("shop/heir", [WEB], on="node-a", app="web")]).pods]
    tell(state, Upserted("Pod", heir, 0.0), Applied())
    tell(state, Applied())
    one.publish(state)
    assert record(one, logged(ending(state, WEB), packet(WEB, FAR))).pod == PodName("shop", "heir", "uid-of-heir")


def test_a_policy_that_was_removed_is_named() -> None:
    """By the name that its chain had."""
    state = enforced()
    one, chain = seen(state), ending(state, WEB)
    tell(state, Replaced("NetworkPolicy", ()))
    tell(state, Applied())
    one.publish(state)
    assert chain not in state.desired.index
    assert record(one, logged(chain, packet(WEB, FAR))).policy == "shop/web"


def test_an_address_of_two_pods_is_nobodys() -> None:
    """Whose packet it was cannot be told, so nobody is blamed."""
    state = enforced([*SHOP, pod("shop/twin", [WEB], on="node-a")])
    found = record(seen(state), logged(UNKNOWN, packet(WEB, FAR)))
    assert (found.verdict, found.pod, found.policy, found.rule) == (
        "unknown-pod",
        None,
        None,
        "the pod is not programmed",
    )


def test_a_question_that_the_proxy_carried_says_so() -> None:
    """It comes from the node, and the class of the pod that asked has denied it."""
    state = enforced()
    question = packet("192.168.1.1", OUTSIDE, dport=53, protocol=17)
    found = record(seen(state), logged(ending(state, WEB), question, hook=3))
    assert (found.pod, found.direction, found.verdict) == (None, "egress", "denied")
    assert found.rule.endswith("which, is in questions.jsonl")


def test_a_question_for_which_no_proxy_was_there_says_so() -> None:
    """It was led to an address that nobody knows, and that no policy can allow."""
    state = enforced()
    question = packet(WEB, STAND_INS[4], dport=PORT, protocol=17)
    found = record(seen(state), logged(ending(state, WEB), question))
    assert (str(found.pod), found.verdict) == ("shop/web", "denied")
    assert found.rule.endswith("led to the proxy, which was not there")


@pytest.mark.parametrize(
    ("options", "interface", "hook", "ends", "direction"),
    [
        (Options(interface_prefix="veth"), "veth7", FORWARD, ("10.9.9.9", FAR), "egress"),
        (Options(interface_prefix="veth"), "eth0", FORWARD, (FAR, "10.9.9.9"), "ingress"),
        (Options(interface_prefix="veth"), "veth7", INPUT, ("10.9.9.9", "192.168.0.1"), "egress"),
        (Options(), "eth0", FORWARD, (FAR, "10.9.9.9"), "ingress"),
    ],
)
def test_packets_of_pods_that_nobody_knows(
    options: Options, interface: str, hook: int, ends: tuple[str, str], direction: str
) -> None:
    """Whether they came from here or go here is told by the interface."""
    one = seen(enforced(options=options))
    found = one.record(logged(UNKNOWN, packet(*ends), hook=hook), lambda _: interface)
    assert found is not None
    assert found.direction == direction


def test_only_watched() -> None:
    """What an audited policy would have denied is not called denied."""
    state = enforced(options=Options(mode=Mode.AUDIT))
    found = record(seen(state), logged(ending(state, WEB), packet(WEB, FAR)))
    assert (found.verdict, found.rule) == ("would-deny", "isolated by audited policies alone, nothing allows")


@pytest.mark.parametrize("payload", [b"", b"\x45", b"\x00" * 40, packet(WEB, FAR)[:19], b"\x60" + b"\xff" * 39])
def test_a_packet_that_cannot_be_read_is_a_line_all_the_same(payload: bytes) -> None:
    """The verdict and the policy are known."""
    state = enforced()
    found = record(seen(state), logged(ending(state, WEB), payload))
    assert (found.verdict, found.policy) == ("denied", "shop/web")


@pytest.mark.parametrize("prefix", ["", "kube-proxy: ", "x", "d", "filter_d_x"])
def test_lines_of_others_are_passed_over(prefix: str) -> None:
    """Somebody else may log to the same group."""
    assert seen(enforced()).record(logged(prefix, packet(WEB, FAR)), lambda _: None) is None


def test_a_chain_of_ours_that_nobody_knows_is_a_line_without_a_policy() -> None:
    """Left over from an agent before this one."""
    found = record(seen(enforced()), logged("d_unheardof", packet(WEB, FAR)))
    assert (found.verdict, found.policy) == ("denied", None)


def test_what_was_published_does_not_change() -> None:
    """The thread of the log reads while the loop goes on."""
    state = enforced()
    one = seen(state)
    before = one.view
    names = dict(before.holders), dict(before.pods), before.local
    tell(state, Died("shop", "web"), Replaced("Pod", ()), Listed(None))
    assert (dict(before.holders), dict(before.pods), before.local) == names
    assert one.view is before


def test_the_workload_is_named() -> None:
    """A pod's own name says little after the next rollout."""
    import dataclasses

    from outgate.model.objects import Owner

    state = enforced()
    web: Pod = state.world.pods["shop", "web"].pod
    tell(state, Upserted("Pod", dataclasses.replace(web, owner=Owner("Deployment", "web")), 0.0))
    found = record(seen(state), logged(ending(state, WEB), packet(WEB, FAR)))
    assert found.workload == Workload("Deployment", "web")
