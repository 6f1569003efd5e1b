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
from outgate.testing import Manifest, namespace, node, pod, random_cluster, snapshot_of
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


def test_an_end_without_nodes_is_exact() -> None:
    """Text says "except nodes"; who reads `cidrs` reads all of it, and nothing else has to be known."""
    found = outside_of_nodes()
    document = json.loads("".join(connection_list(found)))
    assert complaints(document) == []
    written = [one["destination"]["cidrs"] for one in document["connections"] if "cidrs" in one["destination"]]
    read = [AddressSet.union_of(map(AddressSet.network, blocks)) for blocks in written]
    assert read == [one.destination.addresses for one in found if isinstance(one.destination, External)]
