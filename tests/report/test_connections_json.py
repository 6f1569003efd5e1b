"""The document `ConnectionList`: valid, the same as the plain data, and written in pieces."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from outgate.analysis.connections import Connections, External, connections
from outgate.packets import AddressSet, TransportSet
from outgate.report import connections_json
from outgate.report.connections_json import connection_json, connection_list, transports_of
from outgate.testing import Manifest, namespace, node, pod, policy, random_cluster, snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.laws.test_connections import owned
from tests.report.schema import complaints


@given(st.integers(0, 2**32 - 1))
def test_the_text_is_the_data(seed: int) -> None:
    """Texts that are kept and joined could be joined wrongly; the schema holds for all of them."""
    found = connections(owned(snapshot_of(random_cluster(seed)), seed))
    document = json.loads("".join(connection_list(found)))
    assert document["connections"] == [connection_json(one) for one in found]
    assert complaints(document) == []


def test_it_is_written_in_pieces(monkeypatch: Any) -> None:
    """A list of a million lines must not be held as one text; each connection is a line."""
    monkeypatch.setattr(connections_json, "LINES_AT_ONCE", 3)
    found = connections(snapshot_of([pod(f"n{i}/p") for i in range(4)]))
    pieces = list(connection_list(found))
    assert len(pieces) > 3
    text = "".join(pieces)
    assert len(json.loads(text)["connections"]) == 20
    assert sum(line.startswith('    {"source"') for line in text.splitlines()) == 20


def test_nothing_is_a_document_too() -> None:
    """No connection is an answer, and has to be readable as one."""
    assert json.loads("".join(connection_list([])))["connections"] == []


def test_the_profile_is_said_where_it_is_not_ours() -> None:
    """An answer as of another plugin must not pass for ours."""
    assert "profile" not in json.loads("".join(connection_list([])))
    assert json.loads("".join(connection_list([], "cilium")))["profile"] == "cilium"


def test_what_it_hangs_on_is_in_it() -> None:
    """A note on standard error is lost in a pipeline; the document that is kept says it too."""
    document = json.loads("".join(connection_list([], notes=["namespace ö is not in the input"])))
    assert document["notes"] == ["namespace ö is not in the input"]
    assert complaints(document) == []


def test_other_protocols_are_noted() -> None:
    """All of TCP, UDP and SCTP is not all: a ping may be denied all the same."""
    assert transports_of(TransportSet.any()).get("otherProtocols") is None
    assert transports_of(TransportSet.governed())["otherProtocols"] is False
    assert "otherProtocols" not in transports_of(TransportSet())


def outside_of_nodes(*more: Manifest) -> Connections:
    """What `world` opens in a cluster of nodes, with a pod that NetworkPolicy governs beside it."""
    world = {"endpointSelector": {"matchLabels": {"app": "web"}}, "egress": [{"toEntities": ["world"]}]}
    nodes = [node(f"n{number}", [f"192.0.2.{number * 7}"]) for number in range(1, 30)]
    pods = [pod("shop/web", ["10.0.0.1"], app="web"), pod("shop/db", ["10.0.0.2"])]
    return connections(snapshot_of([namespace("shop"), *nodes, *pods, cilium_policy("shop/p", world), *more]))


def read(end: dict[str, Any], nodes: list[str]) -> AddressSet:
    """The addresses of an end, by what the schema says of it."""

    def together(blocks: list[str]) -> AddressSet:
        return AddressSet.union_of(map(AddressSet.network, blocks))

    found = together(end["cidrs"]) - together(end.get("except", []))
    return found - together(nodes) if end.get("exceptNodes") else found


def test_an_end_without_nodes_is_short_and_exact() -> None:
    """Thirty holes would stand in every line; a reader puts the addresses together again all the same."""
    found = outside_of_nodes()
    document = json.loads("".join(connection_list(found)))
    assert complaints(document) == []
    outside = [one for one in document["connections"] if one["destination"]["kind"] == "External"]
    short = {"kind": "External", "cidrs": ["0.0.0.0/0", "::/0"], "exceptNodes": True}
    assert short in [one["destination"] for one in outside]
    written = [read(one["destination"], document["nodes"]) for one in outside]
    assert written == [one.destination.addresses for one in found if isinstance(one.destination, External)]
    assert len(document["nodes"]) == 29


def test_a_new_node_changes_none_of_the_lines() -> None:
    """Of two lists of a cluster that grew, only the nodes differ: that is what line tools compare."""
    before, after = (
        "".join(connection_list(outside_of_nodes(*more))).splitlines() for more in ((), (node("n99", ["192.0.2.250"]),))
    )
    assert {one.strip(" ,") for one in after} - {one.strip(" ,") for one in before} == {'"192.0.2.250/32"'}


def test_without_policies_of_cilium_there_are_no_nodes_in_it() -> None:
    """A list of NetworkPolicies is as it was, but for blocks of which few are excepted."""
    rule = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.169.254/32"]}}]}
    held = policy("shop/out", {"podSelector": {}, "policyTypes": ["Egress"], "egress": [rule]})
    found = connections(snapshot_of([namespace("shop"), node("n", ["192.0.2.1"]), pod("shop/a", ["10.0.0.1"]), held]))
    document = json.loads("".join(connection_list(found)))
    assert "nodes" not in document
    assert document["connections"][0]["destination"] == {
        "kind": "External",
        "cidrs": ["0.0.0.0/0"],
        "except": ["169.254.169.254/32"],
    }
    assert complaints(document) == []
