"""One flow, asked of every verb: what the list, the diff, the exposure, the graph and an assertion say of it.

A truth case is a flow and its verdict. `can-reach` answers flows; the other verbs answer with sets, in which the flow
has to be found. Here it is looked for as a reader would: on the lines of the list, in what a diff says has closed, on
the edge of a graph. Where a verb does not speak of a flow, it is not asked:

* the list, and what is made of it, leaves out a workload and itself, and what hangs on a common node;
* the diff and assertions speak of TCP, UDP and SCTP, assertions not of what a pod sends itself through a Service;
* exposure speaks of a whole namespace, so that it must know of one that is reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from outgate.analysis.assertions import KIND, read
from outgate.analysis.connections import Connection, External, Party, connections
from outgate.analysis.diff import diff
from outgate.analysis.edges import Outside, egress_graph
from outgate.analysis.exposure import exposure
from outgate.analysis.groups import Group, workload_of
from outgate.analysis.lookup import AddressTarget, NodeTarget, PodsTarget, Target
from outgate.analysis.reach import reach
from outgate.analysis.reachability import Question
from outgate.analysis.targets import TransportAsked
from outgate.analysis.verdicts import evaluate
from outgate.model import Document, Pod, Snapshot
from outgate.packets import Protocol, TransportSet
from outgate.packets.addresses import Family
from outgate.policy import Endpoint, Flow, Judge, Policies
from tests.policy.asking import Asked, flow_of

__all__ = ["Verbs"]

_GOVERNED = (Protocol.TCP, Protocol.UDP, Protocol.SCTP)


class Verbs:
    """One cluster, read once by each verb."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.judge = Judge(Policies(snapshot))
        self.lines = tuple(connections(snapshot))
        self.closed = diff(snapshot.with_policies(()).with_cluster_policies(()), snapshot)
        report = exposure(snapshot)
        self.neighbours = {pod.key: one.standing.neighbours for one in report.workloads for pod in one.group.pods}

    def answers(self, asked: Asked) -> Mapping[str, bool]:
        """Whether the flow passes, by each verb that speaks of it."""
        flow = flow_of(self.snapshot, asked)
        return dict(self._answers(flow))

    def _answers(self, flow: Flow) -> Iterator[tuple[str, bool]]:
        yield "can-reach", self._can_reach(flow)
        governed = flow.protocol in _GOVERNED
        if governed and flow.coordinate and self._may_be_forbidden(flow):
            yield "test", self._test(flow)
        if not _is_spoken_of(flow):
            return
        yield "list", self._listed(flow)
        if flow.source.pod is not None:
            yield from self._drawn(flow, flow.source.pod)
        if governed:
            yield "diff", not self._closed(flow)
            if not self._exposed(flow):
                yield "exposure", False

    def _can_reach(self, flow: Flow) -> bool:
        port = flow.coordinate if flow.protocol in _GOVERNED else None
        there = _target(flow.destination)
        if flow.dialled is not None:
            there, port = AddressTarget((flow.dialled[0],)), flow.dialled[1]
        question = Question(_target(flow.source), there, TransportAsked(port, flow.protocol), _family(flow))
        return bool(reach(self.judge, question))

    # ---- sets, in which the flow is looked for -----------------------------------------------------------------------

    def _listed(self, flow: Flow) -> bool:
        lines = [
            one for one in self.lines if _is_at(one.source, flow.source) and _is_at(one.destination, flow.destination)
        ]
        assert len(lines) <= 1, "two ends are on one line"
        return bool(lines) and _passing(lines[0], flow).contains(flow.protocol, flow.coordinate)

    def _closed(self, flow: Flow) -> bool:
        """Whether the policies closed it: against the cluster without any, in which everything passes."""
        for one in self.closed:
            if _is_at(one.source, flow.source) and _is_at(one.destination, flow.destination):
                assert not one.shift.opened
                told = {family: before - after for family, before, after in one.shift.families}
                return told.get(_family(flow), one.shift.closed).contains(flow.protocol, flow.coordinate)
        return False

    def _drawn(self, flow: Flow, pod: Pod) -> Iterator[tuple[str, bool]]:
        """What the graph of the source has, where one address family cannot stand for the other."""
        there = flow.destination.pod
        for edge in egress_graph(self.judge, _pod(pod)).edges:
            if isinstance(edge.destination, Outside):
                mine = (
                    there is None
                    and not edge.destination.name
                    and flow.destination.address in edge.destination.addresses
                )
            elif isinstance(edge.destination, PodsTarget) and there is not None:
                mine = there in edge.destination.pods and len(_families(pod) & _families(there)) == 1
            else:
                mine = False  # what names open is asked about by name
            if mine:
                yield "graph", edge.transports.contains(flow.protocol, flow.coordinate)

    def _exposed(self, flow: Flow) -> bool:
        """Whether exposure knows that anything passes between the two namespaces."""
        source, destination = flow.source.pod, flow.destination.pod
        if source is None or destination is None or source.namespace == destination.namespace:
            return True
        return (
            destination.namespace in self.neighbours[source.key].reaches
            and source.namespace in self.neighbours[destination.key].reached_from
        )

    @staticmethod
    def _may_be_forbidden(flow: Flow) -> bool:
        """Whether an assertion about it is about anything: not of two ends outside, nor of a pod and itself."""
        pods = flow.source.pod, flow.destination.pod
        return pods != (None, None) and (pods[0] is not pods[1] or flow.dialled is None)

    def _test(self, flow: Flow) -> bool:
        """Which of two opposite assertions holds. Node ports are not followed (docs/test.md): they lead to the pod."""
        there, port = _spelled(flow.destination), flow.coordinate
        if flow.dialled is not None and self.snapshot.node_of(flow.dialled[0]) is None:
            there, port = str(flow.dialled[0]), flow.dialled[1]
        entry = {"to": there, "port": f"{port}/{Protocol(flow.protocol).name}"}
        written = [{"from": _spelled(flow.source), verb: entry} for verb in ("allow", "deny")]
        suite = {"apiVersion": "outgate.dev/v1", "kind": KIND, "assertions": written}
        allowed, denied = evaluate(self.judge, read([Document("test.yaml", suite)]))
        assert allowed.holds is not denied.holds, written
        return allowed.holds


def _family(flow: Flow) -> Family:
    return flow.destination.address.version


def _families(pod: Pod) -> set[Family]:
    return {one.version for one in pod.addresses}


def _pod(pod: Pod) -> PodsTarget:
    return PodsTarget("Pod", pod.namespace, pod.name, (pod,))


def _target(end: Endpoint) -> Target:
    if end.pod is not None:
        return _pod(end.pod)
    return NodeTarget(end.node) if end.node is not None else AddressTarget((end.address,))


def _spelled(end: Endpoint) -> str:
    """An end as a file of assertions has it: by its address, unless that is a node's and a pod is meant."""
    host = end.pod is not None and end.pod.host_network
    return str(end.pod) if host else str(end.address)


def _is_at(party: Party, end: Endpoint) -> bool:
    if isinstance(party, Group):
        return end.pod is not None and end.pod.key in {pod.key for pod in party.pods}
    return isinstance(party, External) and end.pod is None and end.address in party.addresses


def _passing(line: Connection, flow: Flow) -> TransportSet:
    return dict(line.families).get(_family(flow), line.transports)


def _is_spoken_of(flow: Flow) -> bool:
    """Whether the list speaks of two ends: of two workloads, or of one and the outside, wherever they run."""
    ends = flow.source, flow.destination
    workloads = [workload_of(end.pod) for end in ends if end.pod is not None]
    if not workloads or len(workloads) != len(set(workloads)) or flow.destination.address.is_loopback:
        return False
    nodes = [end.node.name if end.node is not None else end.pod.node if end.pod is not None else "" for end in ends]
    return not (any(end.on_node for end in ends) and nodes[0] == nodes[1])
