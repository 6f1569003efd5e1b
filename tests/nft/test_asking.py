"""Pods that ask for names: what is led to the proxy, what the proxy may ask, and what an answer opens."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import replace

import pytest

from outgate.host import links
from outgate.host.nft import Nftables
from outgate.nft.asking import (
    ASKERS,
    DOORS,
    DOORS_FIRST,
    DOORS_LAST,
    PORT,
    STAND_INS,
    ZONE,
    asker_keys,
    asking_chains,
    asking_sets,
    door_of,
    input_lines,
    is_learned,
)
from outgate.nft.canonical import canonical
from outgate.nft.compile import compile_node
from outgate.nft.delta import delta
from outgate.nft.document import ruleset_document
from outgate.nft.evaluate import CtDirection, Evaluator, Fate, Header
from outgate.nft.lines import names_id
from outgate.nft.objects import CtState, Hook, Judgement, Ruleset, SetKey, SetZone
from outgate.nft.options import Options
from outgate.nft.parse import parse_ruleset
from outgate.nft.text import ruleset_text
from outgate.policy import Policies
from outgate.policy.names import Dialect, Pattern
from outgate.policy.rules import NamesMatch
from outgate.testing import Manifest, cluster_policy, node, pod, snapshot_of
from tests.lab.alone import alone

ASKER = {4: "10.1.0.10", 6: "fd00:1::10"}
OTHER = {4: "10.1.0.11", 6: "fd00:1::11"}
WORLD = {4: "203.0.113.10", 6: "2001:db8:113::10"}
DNS = {4: "127.0.0.9", 6: "::1"}
NAMES = ("*.example.com", "www.example.org")
MATCH = NamesMatch(tuple(Pattern(one, Dialect.NETWORK_POLICY) for one in NAMES))
HTTPS = {"tcp": {"destinationPort": {"number": 443}}}
TO_DNS = {"udp": {"destinationPort": {"number": 53}}}
EVERY = {"networks": ["0.0.0.0/0", "::/0"]}
OPTIONS = Options(names=True)


def policy(name: str = "names", *, who: str = "asker") -> Manifest:
    """Names at one port, a DNS server, and nothing else."""
    dns = [f"{one}/{128 if ':' in one else 32}" for one in DNS.values()]
    rules = [
        {"action": "Accept", "to": [{"domainNames": list(NAMES)}], "protocols": [HTTPS]},
        {"action": "Accept", "to": [{"networks": dns}], "protocols": [TO_DNS]},
        {"action": "Deny", "to": [EVERY]},
    ]
    return cluster_policy(name, subject={"pods": {"podSelector": {"matchLabels": {"app": who}}}}, egress=rules)


def compiled(*policies: Manifest, options: Options = OPTIONS) -> Ruleset:
    """The table of the one node, with two pods."""
    pods = [
        pod("a/asker", list(ASKER.values()), on="n", app="asker"),
        pod("a/other", list(OTHER.values()), on="n", app="other"),
    ]
    return compile_node(Policies(snapshot_of([node("n", ["192.0.2.1"]), *pods, *policies])), "n", options).ruleset


def number(text: str) -> int:
    """An address as the kernel's keys have it."""
    return int(ipaddress.ip_address(text))


def having(ruleset: Ruleset, pairs: Mapping[str, str]) -> Ruleset:
    """The table once a proxy has put in what pods have learned."""
    sets = dict(ruleset.sets)
    for source, target in pairs.items():
        name = f"f{ipaddress.ip_address(source).version}_{names_id(MATCH)}"
        key: SetKey = ((number(source), number(source)), (number(target), number(target)))
        sets[name] = sets[name].holding({**sets[name].elements, key: None})
    return replace(ruleset, sets=sets)


def door_in(ruleset: Ruleset, family: int) -> tuple[int, Judgement]:
    """The one door of a table, and where it leads."""
    ((key, way),) = ruleset.sets[DOORS[family]].elements.items()
    assert isinstance(key[0], tuple)
    assert way is not None
    return key[0][0], way


def packet(family: int, source: str, target: str, port: int = 443, protocol: int = 6) -> Header:
    """The first of a connection."""
    return Header(family, number(source), number(target), protocol, 40000, port)


@pytest.mark.parametrize("family", [4, 6])
def test_28_what_a_pod_has_learned_opens_for_it_alone_and_at_the_port_of_the_rule(family: int) -> None:
    """Scope is the pod: another under the very same policy has to ask for itself. Replies are judged by the same."""
    both = compiled(policy(), policy("others", who="other"))
    closed, open_ = Evaluator(both), Evaluator(having(both, {ASKER[family]: WORLD[family]}))
    first = packet(family, ASKER[family], WORLD[family])
    assert closed.run("forward", first).fate is Fate.DROP
    assert open_.run("forward", first).fate is Fate.ACCEPT
    answer = replace(first.reply(), state=CtState.ESTABLISHED, direction=CtDirection.REPLY)
    assert open_.run("forward", answer).fate is Fate.ACCEPT
    assert closed.run("forward", answer).fate is Fate.DROP
    assert open_.run("forward", replace(first, dport=444)).fate is Fate.DROP
    assert open_.run("forward", packet(family, OTHER[family], WORLD[family])).fate is Fate.DROP
    assert open_.run("forward", packet(family, ASKER[family], WORLD[family][:-1] + "1")).fate is Fate.DROP


@pytest.mark.parametrize("leased", [False, True])
def test_what_is_led_is_of_a_connection_of_its_own(*, leased: bool) -> None:
    """The same questions are led and told apart, before connection tracking, and not those of Envoy's connections."""
    anew, led, _ = asking_chains(leased=leased)
    assert (anew.hook, led.hook) == (Hook("prerouting", -301), Hook("prerouting", -101, "nat"))
    assert [one.statements[:-1] for one in anew.rules] == [one.statements[:-1] for one in led.rules]
    assert {one.statements[-1] for one in anew.rules} == {SetZone(ZONE)}
    assert Options().proxy_zone != ZONE


@pytest.mark.parametrize("action", ["Deny", "Pass"])
def test_names_match_nothing_in_rules_that_do_not_accept(action: str) -> None:
    """types.go: "DomainNames is only supported for Accept rules"."""
    rule = {"action": action, "to": [{"domainNames": list(NAMES)}]}
    made = compiled(cluster_policy("p", egress=[rule]))
    assert not any(name.startswith("f4_") for name in made.sets)
    assert Evaluator(made).run("forward", packet(4, ASKER[4], WORLD[4])).fate is Fate.ACCEPT


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("protocol", [6, 17])
def test_the_questions_of_a_pod_whose_policies_use_names_are_led_to_the_proxy(family: int, protocol: int) -> None:
    """Whichever server they are for; other ports, and pods without names, go on as ever."""
    table = Evaluator(compiled(policy()))
    question = packet(family, ASKER[family], WORLD[family], 53, protocol)
    assert table.run("prerouting", question).led == (number(STAND_INS[family]), PORT)
    assert table.run("prerouting", replace(question, dport=5353)).led is None
    assert table.run("prerouting", replace(question, protocol=132)).led is None
    assert table.run("prerouting", packet(family, OTHER[family], WORLD[family], 53, protocol)).led is None


def test_27_with_a_lease_questions_are_led_only_while_the_proxy_lives() -> None:
    """Without its word they are passed on plainly, and judged by the policies."""
    made = compiled(policy(), options=replace(OPTIONS, names_leased=True))
    question = packet(4, ASKER[4], WORLD[4], 53, 17)
    assert Evaluator(made).run("prerouting", question).led is None
    lives = made.sets["dns_up"].holding({((17, 17),): None})
    assert Evaluator(replace(made, sets={**made.sets, "dns_up": lives})).run("prerouting", question).led is not None


@pytest.mark.parametrize("family", [4, 6])
def test_the_proxy_takes_what_was_led_to_it_and_nothing_else(family: int) -> None:
    """A pod that dials the proxy itself would be asking past the server that its policies allow."""
    table = Evaluator(compiled(policy()))
    led = replace(packet(family, ASKER[family], STAND_INS[family], PORT, 17), status=32)
    assert table.run("input", led).fate is Fate.ACCEPT
    assert table.run("input", replace(led, status=0)).fate is Fate.DROP
    assert table.run("input", replace(led, dport=22, protocol=6)).fate is Fate.DROP


@pytest.mark.parametrize("family", [4, 6])
def test_the_question_of_the_proxy_is_judged_as_the_pods(family: int) -> None:
    """By the server that it goes to once all translation is done; through a door that is gone it goes nowhere."""
    made = compiled(policy())
    table = Evaluator(made)
    door, way = door_in(made, family)
    assert door == door_of(way.chain)
    asks = replace(packet(family, "192.0.2.1" if family == 4 else "2001:db8::1", DNS[family], 53, 17), priority=door)
    assert table.run("output", asks).fate is Fate.ACCEPT
    assert table.run("output", replace(asks, daddr=number(WORLD[family]))).fate is Fate.DROP
    assert table.run("output", replace(asks, priority=door ^ 16)).fate is Fate.DROP
    assert table.run("output", replace(asks, priority=0, daddr=number(WORLD[family]))).fate is Fate.ACCEPT


def test_a_table_for_a_node_without_a_proxy_has_nothing_of_it() -> None:
    """And names are closed there: nobody fills their sets."""
    plain = compiled(policy(), options=Options())
    mine = {*ASKERS.values(), *DOORS.values(), *(one.name for one in asking_sets())}
    assert not mine & plain.sets.keys()
    assert {one.name for one in asking_chains(leased=False)}.isdisjoint(plain.chains)
    assert not set(input_lines()) & set(plain.chains["input"].rules)
    assert compiled(options=Options()) == compiled(options=replace(OPTIONS, names=False))


def test_doors_are_told_apart_by_their_chains() -> None:
    """And stay inside the classes that are for doors alone."""
    doors = {door_of(f"e4_{one}") for one in range(2000)}
    assert len(doors) > 1990
    assert all(DOORS_FIRST <= one <= DOORS_LAST and not one & 15 for one in doors)
    assert len(set(asker_keys(ipaddress.ip_address(ASKER[4])))) == 2


def test_equal_names_share_a_set_and_others_do_not() -> None:
    """Whoever wrote them; the dialect is part of what they mean."""
    assert names_id(MATCH) == names_id(NamesMatch(MATCH.patterns))
    assert names_id(MATCH) != names_id(NamesMatch(MATCH.patterns[:1]))
    assert names_id(MATCH) != names_id(NamesMatch(tuple(Pattern(one, Dialect.CILIUM) for one in NAMES)))


@pytest.mark.kernel
@pytest.mark.parametrize("leased", [False, True])
def test_the_kernel_holds_the_table_as_it_was_written(leased: bool) -> None:
    """By text and by JSON, read back in both forms; and then there is nothing left to do."""
    made = compiled(policy(), options=replace(OPTIONS, names_leased=leased, interface_prefix="og"))

    def inside() -> list[Ruleset | None]:
        door = Nftables()
        found: list[Ruleset | None] = []
        door.apply(delta(made, None))
        found.append(door.list())
        found.append(parse_ruleset(door._run(("nft", "list", "table", "inet", "outgate")).stdout))
        door.remove()
        door._run(("nft", "-j", "-f", "-"), ruleset_document(made))
        found.append(door.list())
        return found

    by_text, as_text, by_document = alone(inside)
    assert by_text is not None
    assert canonical(by_text) == canonical(made)
    assert as_text is not None
    assert canonical(as_text) == canonical(made)
    assert by_document is not None
    assert canonical(by_document).chains == canonical(made).chains
    assert not delta(made, by_text).transactions
    assert parse_ruleset(ruleset_text(made)).sets == canonical(made).sets


@pytest.mark.kernel
def test_28_learned_elements_outlive_every_change_and_are_nobodys_drift() -> None:
    """A change of other policies, and the repair of what somebody spoiled, leave them where they are."""
    one, two = compiled(policy()), compiled(policy(), policy("others", who="other"))
    learned = f"f4_{names_id(MATCH)}"

    def inside() -> list[str]:
        door = Nftables()
        door.apply(delta(one, None))
        door.load(f"add element inet outgate {learned} {{ {ASKER[4]} . {WORLD[4]} timeout 1h }}\n")
        assert not delta(one, door.list()).transactions
        door.apply(delta(two, door.list()))
        door.load("flush chain inet outgate egress\n")
        door.apply(delta(two, door.list()))
        assert not delta(two, door.list()).transactions
        return [door._run(("nft", "list", "set", "inet", "outgate", learned)).stdout]

    assert WORLD[4] in alone(inside)[0]


@pytest.mark.kernel
def test_a_socket_with_a_door_is_judged_by_the_kernel_as_the_pod_would_be() -> None:
    """With real datagrams: what the pod's policies forbid cannot be sent, and the proxy is told at once."""
    made = compiled(policy())
    door = door_in(made, 4)[0]

    def send(address: str, port: int, number: int) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, number - (1 << 32) if number >> 31 else number)
            try:
                asking.sendto(b"?", (address, port))
            except PermissionError:
                return False
        return True

    def inside() -> list[bool]:
        links.batch(["link set lo up"])
        Nftables().apply(delta(made, None))
        return [
            send(DNS[4], 53, door),
            send(DNS[4], 54, door),
            send("127.0.0.8", 53, door),
            send(DNS[4], 53, DOORS_FIRST),
            send("127.0.0.8", 54, 0),
        ]

    assert alone(inside) == [True, False, False, False, True]


def test_the_chain_of_questions_hangs_before_kube_proxys() -> None:
    """So that the proxy learns which Service was asked."""
    chains = {one.name: one for one in asking_chains(leased=False)}
    assert chains["dns"].hook == Hook("prerouting", -101, "nat")


def test_what_the_proxy_fills_is_not_what_the_agent_fills() -> None:
    """Whoever compares the table leaves out the first, and must not leave out the second."""
    ruleset = compiled(policy())
    assert {name for name in ruleset.sets if is_learned(name)} == {
        name for name, one in ruleset.sets.items() if one.timeout
    }
    assert len(list(filter(is_learned, ruleset.sets))) == 3
