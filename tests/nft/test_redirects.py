"""Which connections are caught for the proxy, and what the hooks make of them, against the policies themselves."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
from collections import Counter as Tally

import pytest

from outgate.host import process
from outgate.host.nft import Nftables
from outgate.model import Snapshot
from outgate.nft.canonical import canonical
from outgate.nft.compile import Compiled, compile_node
from outgate.nft.document import ruleset_document
from outgate.nft.evaluate import CtDirection, Evaluator, Fate, Header, evaluate
from outgate.nft.listing import read_listing
from outgate.nft.objects import CtState
from outgate.nft.options import Options
from outgate.nft.parse import parse_ruleset
from outgate.nft.redirects import CATCHES
from outgate.nft.text import ruleset_text
from outgate.packets import Packet, Protocol
from outgate.policy import Endpoint, Flow, Judge, Mode, Policies
from outgate.policy.requests import is_looked_into
from outgate.testing import random_cluster, snapshot_of
from outgate.testing_cilium import cilium_policy, random_cilium_policies
from tests.lab.alone import alone
from tests.laws.traffic import Traffic
from tests.nft.test_compile import TOWN

OPTIONS = Options(proxied=True)
WEB = {"matchLabels": {"app": "web"}}
READ = [{"method": "GET", "path": "/v1/.*"}]


def to(entity: str, port: str, **rules: object) -> dict[str, object]:
    """A rule to an entity on a TCP port."""
    return {"toEntities": [entity], "toPorts": [{"ports": [{"port": port, "protocol": "TCP"}], **rules}]}


def town(*egress: dict[str, object], options: Options = OPTIONS, **more: object) -> Compiled:
    """The node under one policy of its pod web."""
    made = cilium_policy("shop/web", {"endpointSelector": WEB, "egress": list(egress), **more})
    return compile_node(Policies(snapshot_of([*TOWN, made])), "n1", options)


def first(port: int, source: str = "10.1.0.10", destination: str = "203.0.113.5") -> Header:
    """The first segment of a connection out of the cluster."""
    return Header.of(Packet(ipaddress.ip_address(source), ipaddress.ip_address(destination), int(Protocol.TCP), port))


def asked(compiled: Compiled, header: Header) -> tuple[bool, Fate, Fate, Fate]:
    """Whether it is caught; what becomes of it in forward, in input once it is caught, and when the proxy sends it."""
    evaluator = Evaluator(compiled.ruleset)
    caught = evaluator.run("prerouting", header)
    marked, sent = (dataclasses.replace(header, packet_mark=mark) for mark in (0x100, 0x200))
    forward, given, out = (
        evaluator.run(hook, one).fate for hook, one in (("forward", header), ("input", marked), ("output", sent))
    )
    assert caught.fate is Fate.ACCEPT
    assert (caught.packet_mark == 0x100) == caught.proxied
    return caught.proxied, forward, given, out


HTTP = to("world", "80", rules={"http": READ})
PASSES, DROPS = (False, Fate.ACCEPT, Fate.ACCEPT, Fate.ACCEPT), (False, Fate.DROP, Fate.DROP, Fate.DROP)
CAUGHT = (True, Fate.DROP, Fate.ACCEPT, Fate.ACCEPT)


@pytest.mark.parametrize(
    ("egress", "more", "port", "outcome"),
    [
        ([HTTP], {}, 80, CAUGHT),
        ([HTTP], {}, 81, DROPS),
        ([HTTP, to("world", "81")], {}, 81, PASSES),
        ([HTTP, to("world", "80")], {}, 80, PASSES),
        ([HTTP, {"toEntities": ["all"]}], {}, 80, PASSES),
        ([to("world", "443", serverNames=["a.example"])], {}, 443, CAUGHT),
        ([HTTP], {"egressDeny": [{"toCIDR": ["203.0.113.0/24"]}]}, 80, DROPS),
        ([HTTP], {"enableDefaultDeny": {"egress": False}}, 80, CAUGHT),
        ([HTTP], {"enableDefaultDeny": {"egress": False}}, 81, PASSES),
    ],
)
def test_what_is_caught(
    egress: list[dict[str, object]], more: dict[str, object], port: int, outcome: tuple[bool, Fate, Fate, Fate]
) -> None:
    """semantics.md C5, Merging: plain allowances are asked first, denials before all."""
    assert asked(town(*egress, options=OPTIONS, **more), first(port)) == outcome


def test_without_a_proxy_it_is_closed() -> None:
    """Also where nothing isolates the pod: the rule still drops what does not fulfil it."""
    for default in (True, False):
        made = town(HTTP, options=Options(), enableDefaultDeny={"egress": default})
        assert not {"catch", "divert", *CATCHES.values()} & {*made.ruleset.chains, *made.ruleset.sets}
        assert asked(made, first(80))[:3] == DROPS[:3]


def test_watched_policies_refuse_nothing() -> None:
    """A policy that is only watched isolates nobody, so nobody's requests are looked into."""
    made = cilium_policy("shop/web", {"endpointSelector": WEB, "egress": [HTTP]})
    made["metadata"] |= {"annotations": {"outgate.dev/enforcement": "audit"}}
    options = dataclasses.replace(OPTIONS, mode=Mode.ENFORCE)
    compiled = compile_node(Policies(snapshot_of([*TOWN, made])), "n1", options)
    assert "catch" not in compiled.ruleset.chains
    assert evaluate(compiled.ruleset, "forward", first(80)).fate is Fate.ACCEPT


def test_others_are_left_alone() -> None:
    """Pods without such a rule; UDP; and a table without any is as it was."""
    made = town(HTTP)
    assert asked(made, first(80, "10.1.0.11"))[:2] == (False, Fate.ACCEPT)
    udp = dataclasses.replace(first(80), protocol=int(Protocol.UDP))
    assert asked(made, udp)[0] is False
    assert {len(made.ruleset.sets[name].elements) for name in CATCHES.values()} == {1}
    plain = town(to("world", "80"))
    assert plain.ruleset == town(to("world", "80"), options=Options()).ruleset


def test_marks_of_others_open_nothing() -> None:
    """What is forwarded was looked into by nobody; what no pod of this node has sent, the proxy may not send."""
    evaluator = Evaluator(town(HTTP).ruleset)
    for mark in (0x100, 0x200, 0x300):
        outcome = evaluator.run("forward", dataclasses.replace(first(80), packet_mark=mark))
        assert (outcome.fate, outcome.packet_mark) == (Fate.DROP, 0)
    kept = evaluator.run("forward", dataclasses.replace(first(80, "10.1.0.11"), packet_mark=0x4300))
    assert (kept.fate, kept.packet_mark) == (Fate.ACCEPT, 0x4000)
    stranger = dataclasses.replace(first(80, "10.1.0.77"), packet_mark=0x200)
    assert evaluator.run("output", stranger).fate is Fate.DROP
    assert evaluator.run("output", first(80, "192.168.5.1")).fate is Fate.ACCEPT


def test_connections_that_are_there() -> None:
    """Later packets are only marked; the proxy's own sockets are found first; its port is nobody's business."""
    evaluator = Evaluator(town(HTTP).ruleset)
    later = evaluator.run("prerouting", dataclasses.replace(first(80), tcp_flags=0x10, state=CtState.ESTABLISHED))
    assert (later.packet_mark, later.proxied) == (0x100, False)
    stray = dataclasses.replace(first(9, "192.0.2.1"), transparent=True)
    held = evaluator.run("prerouting", dataclasses.replace(stray, tcp_flags=0x10))
    assert (held.packet_mark, held.proxied) == (0x100, False)
    # A first packet has no use for the rest of a connection from the same port.
    assert evaluator.run("prerouting", stray).packet_mark == 0
    assert evaluator.run("input", first(15001)).fate is Fate.DROP
    answer = dataclasses.replace(first(80).reply(), packet_mark=0x100, direction=CtDirection.REPLY)
    assert evaluator.run("input", answer).fate is Fate.ACCEPT
    other = dataclasses.replace(first(81).reply(), packet_mark=0x100, direction=CtDirection.REPLY)
    assert evaluator.run("input", other).fate is Fate.DROP


def test_the_own_node() -> None:
    """What the proxy sends there comes in by lo and is not caught again; what the node answers is for the proxy."""
    evaluator = Evaluator(town(to("host", "80", rules={"http": READ})).ruleset)
    header = first(80, destination="192.168.5.1")
    assert evaluator.run("prerouting", header).proxied
    sent = dataclasses.replace(header, packet_mark=0x200, iifname="lo")
    arrived = evaluator.run("prerouting", sent)
    assert (arrived.proxied, arrived.packet_mark) == (False, 0x200)
    assert evaluator.run("input", sent).fate is Fate.ACCEPT
    answer = dataclasses.replace(header.reply(), direction=CtDirection.REPLY, zone=OPTIONS.proxy_zone)
    assert evaluator.run("output", answer).packet_mark == 0x100
    # Answers to pods, and what the node asks itself.
    for other in (dataclasses.replace(answer, zone=0), dataclasses.replace(answer, direction=CtDirection.ORIGINAL)):
        assert evaluator.run("output", other).packet_mark == 0


def test_a_mark_of_somebody_elses_opens_no_own_node() -> None:
    """Where a rule of others marks what a pod sends, it is caught as before; and it passes for nothing in `input`."""
    evaluator = Evaluator(town(to("host", "80", rules={"http": READ})).ruleset)
    marked = dataclasses.replace(first(80, destination="192.168.5.1"), packet_mark=0x4200, iifname="cali1")
    assert evaluator.run("prerouting", marked).proxied
    judged = evaluator.run("input", marked)
    assert (judged.fate, judged.packet_mark) == (Fate.DROP, 0x4000)


def test_connections_from_before_the_rule() -> None:
    """What finds no socket of the proxy is answered by a reset, and its connection is not taken for judged."""
    evaluator = Evaluator(town(HTTP).ruleset)
    for transparent in (True, False):
        mine = dataclasses.replace(first(80), packet_mark=0x100, tcp_flags=0x10, transparent=transparent)
        given = evaluator.run("input", mine)
        assert given.fate is (Fate.ACCEPT if transparent else Fate.REJECT)
        assert (given.mark != 0) is transparent


def test_random_policies() -> None:
    """Caught is exactly what only a rule about requests or servers allows; what is marked is judged as the pod's."""
    seen: Tally[str] = Tally()
    for seed in range(60):
        # ICMP is nothing that a proxy could look into.
        drawn = (one for one in random_cilium_policies(seed, 6) if '"icmps"' not in json.dumps(one))
        snapshot = snapshot_of([*random_cluster(seed), *drawn])
        made = compile_node(Policies(snapshot), "node-a", OPTIONS)
        if "catch" not in made.ruleset.chains:
            continue
        evaluator, judge = Evaluator(made.ruleset), Judge(Policies(snapshot))
        for packet in Traffic(snapshot, seed).packets(400):
            owners = snapshot.owners_of(packet.source)
            if packet.protocol == Protocol.TCP and [(one.node, one.addressed) for one in owners] == [("node-a", True)]:
                seen[compared(evaluator, judge, snapshot, packet)] += 1
    assert min(seen[word] for word in ("caught", "passes", "drops")) > 50, seen


def compared(evaluator: Evaluator, judge: Judge, snapshot: Snapshot, packet: Packet) -> str:
    """One packet of a pod of this node, and what has been expected of it."""
    source, destination = (Endpoint.at(snapshot, one) for one in (packet.source, packet.destination))
    side = judge.judge(Flow(source, destination, packet.protocol, packet.coordinate)).egress
    if side.outcome is None or not all(one.addressed for one in snapshot.owners_of(packet.destination)):
        return "exempt"  # a pod that talks to itself does not come by here, and one without an address neither
    conditional = side.outcome.conditional
    caught = any(map(is_looked_into, conditional))
    passes = side.verdict.allows and (caught or not conditional)
    header = Header.of(packet)
    prerouting = evaluator.run("prerouting", header)
    assert (prerouting.proxied, prerouting.packet_mark) == (caught, 0x100 if caught else 0), packet
    judged = evaluator.run("input", dataclasses.replace(header, packet_mark=0x100))
    assert (judged.fate is Fate.ACCEPT) == (passes and packet.coordinate != OPTIONS.proxy_port), (packet, side)
    if caught:
        assert evaluator.run("forward", header).fate is Fate.DROP, packet
    return "caught" if caught else "passes" if passes else "drops"


@pytest.mark.kernel
def test_the_kernel_takes_it_and_tells_it_back() -> None:
    """Text and JSON, written and listed."""
    ruleset = town(HTTP, to("world", "81")).ruleset

    def inside() -> None:
        door = Nftables()
        door.load(ruleset_text(ruleset))
        listed = door.list()
        assert listed is not None
        assert canonical(listed) == canonical(ruleset)
        for options in (("-nn",), ()):
            told = process.run(("nft", *options, "list", "table", "inet", "outgate")).stdout
            assert canonical(parse_ruleset(told)).chains == canonical(ruleset).chains

    alone(inside)
    assert canonical(parse_ruleset(ruleset_text(ruleset))) == canonical(ruleset)
    assert canonical(read_listing(ruleset_document(ruleset)) or ruleset) == canonical(ruleset)
