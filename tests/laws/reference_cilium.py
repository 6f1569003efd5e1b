"""The slow evaluator with Cilium's policies in it, on plain manifests, after semantics C1 to C5.

As `tests.laws.reference` it shares nothing with the product. One packet, one direction, one of three answers:

    Admin        policies of the whole cluster: Accept and Deny end it
    denials      egressDeny or ingressDeny of a policy that selects the pod: denied
    allowances   by NetworkPolicies and Cilium's in one union; by rules of HTTP, DNS or server names alone, on a
                 condition, also where nothing denies by default: "It does not soften L7"
    isolated     by a NetworkPolicy, or by one of Cilium's that asks for denial by default: denied
    Baseline     where nothing isolates

What names mean comes from outside: which answers each pod was given, by namespace and name.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any

from tests.laws.reference import Address, Manifest, Reference, ended, inside, named_ports, selected
from tests.laws.reference_tiers import Asked, TieredReference

__all__ = ["Answer", "CiliumReference", "name_is_meant"]

Told = Mapping[tuple[str, str], Iterable[tuple[str, Iterable[Address]]]]
_KINDS = ("CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy")
_PEERS = ("Endpoints", "CIDR", "CIDRSet", "Entities", "Services", "Nodes", "FQDNs")
_ABSENT_IF_EMPTY = ("Services", "FQDNs")
"""C3 says of `toEndpoints` alone that an empty list selects nothing. Cilium's ``mergeEndpointSelectors`` has it so for
all lists but these, and Services are not there any more when it is asked."""
_SPACE = "io.kubernetes.pod.namespace"
_SPACE_LABEL = "io.cilium.k8s.namespace.labels."
_WITH_PORTS = ("TCP", "UDP", "SCTP")
_ICMP = {"IPv4": "ICMP", "IPv6": "ICMPv6"}
_ICMP_NAMES = {("IPv4", "EchoReply"): 0, ("IPv4", "EchoRequest"): 8, ("IPv6", "EchoRequest"): 128}

# "Default filter = regexes anchored at the start of the key (longest match wins)".
_KEPT = (
    *("io.kubernetes.pod.namespace", "io.cilium.k8s.namespace.labels", "app.kubernetes.io"),
    *("io.cilium.k8s.policy.cluster", "io.cilium.k8s.policy.serviceaccount"),
)
_LEFT_OUT = (
    *("io.kubernetes", "kubernetes.io", "k8s.io", "statefulset.kubernetes.io/pod-name", "topology.kubernetes.io"),
    *("apps.kubernetes.io/pod-index", "batch.kubernetes.io/job-completion-index", "batch.kubernetes.io/controller-uid"),
    *("pod-template-generation", "pod-template-hash", "controller-revision-hash", "controller-uid", "annotation"),
    "etcd_node",
)


class Answer(Enum):
    """What is said of a packet in a direction."""

    ALLOWED = "allowed"
    CONDITIONAL = "on a condition"
    DENIED = "denied"


class CiliumReference(TieredReference):
    """A cluster as manifests, Cilium's policies among them."""

    def __init__(
        self,
        manifests: Iterable[Manifest],
        stand_ins: Mapping[tuple[str, str], list[Address]],
        told: Told | None = None,
    ) -> None:
        many = list(manifests)
        super().__init__(many, stand_ins)
        self.told = told or {}
        self.rules = [
            (one["metadata"].get("namespace", ""), rule)
            for one in many
            if one["kind"] in _KINDS
            for rule in (one.get("spec"), *(one.get("specs") or ()))
            if rule is not None
        ]
        self.cidr_groups = [one for one in many if one["kind"] == "CiliumCIDRGroup"]
        self.services = [one for one in many if one["kind"] == "Service"]
        self.slices = [one for one in many if one["kind"] == "EndpointSlice"]

    def allows_egress(self, source: Address, destination: Address, protocol: str, port: int) -> bool:
        """Whether whoever has the source address may send this, be it on a condition."""
        return self.egress(source, destination, protocol, port) is not Answer.DENIED

    def allows_ingress(self, source: Address, destination: Address, protocol: str, port: int) -> bool:
        """Whether whoever has the destination address may be sent this, be it on a condition."""
        return self.ingress(source, destination, protocol, port) is not Answer.DENIED

    def egress(self, source: Address, destination: Address, protocol: str, port: int) -> Answer:
        """What is said where it leaves."""
        pod = self._pod_at(source)
        if pod is None or destination in self._addresses(pod) or destination.is_loopback:
            return Answer.ALLOWED
        target = self._pod_at(destination)
        granted = bool(self._selecting(pod, "Egress")) and Reference.allows_egress(
            self, source, destination, protocol, port
        )
        return self._answer(Asked("egress", pod, target, target, destination, protocol, port), granted)

    def ingress(self, source: Address, destination: Address, protocol: str, port: int) -> Answer:
        """What is said where it arrives."""
        pod = self._pod_at(destination)
        if pod is None or source in self._addresses(pod) or source in self._node_addresses(pod):
            return Answer.ALLOWED
        granted = bool(self._selecting(pod, "Ingress")) and Reference.allows_ingress(
            self, source, destination, protocol, port
        )
        return self._answer(Asked("ingress", pod, self._pod_at(source), pod, source, protocol, port), granted)

    def _answer(self, asked: Asked, granted: bool) -> Answer:
        """`granted` is whether a rule of a NetworkPolicy allows it."""
        above = self._in_tier("Admin", asked)
        if above:
            return Answer.ALLOWED if above == "Accept" else Answer.DENIED
        mine = [(space, rule) for space, rule in self.rules if self._is_endpoint(space, rule, asked.pod)]
        if any(self._matches(space, rule, asked) for space, rule in _entries(mine, f"{asked.section}Deny")):
            return Answer.DENIED
        said = {self._matches(space, rule, asked) for space, rule in _entries(mine, asked.section)}
        if granted or "plainly" in said:
            return Answer.ALLOWED
        if "on a condition" in said:
            return Answer.CONDITIONAL
        if self._selecting(asked.pod, asked.section.title()) or any(_asks(rule, asked.section) for _, rule in mine):
            return Answer.DENIED
        return Answer.DENIED if self._in_tier("Baseline", asked) == "Deny" else Answer.ALLOWED

    # ---- rules -------------------------------------------------------------------------------------------------------

    def _matches(self, space: str, rule: Manifest, asked: Asked) -> str:
        """How a rule matches: "plainly", "on a condition", or not at all."""
        side = "to" if asked.section == "egress" else "from"
        peers = [(kind, rule[side + kind]) for kind in _PEERS if rule.get(side + kind) is not None]
        peers = [(kind, many) for kind, many in peers if many or kind not in _ABSENT_IF_EMPTY]
        ports, messages = rule.get("toPorts"), rule.get("icmps")
        if not peers and not ports and not messages:
            return ""
        if peers and not any(self._is_peer(kind, one, space, asked) for kind, many in peers for one in many):
            return ""
        if messages:
            fields = (field for one in messages for field in one.get("fields") or ())
            return "plainly" if any(_is_message(field, asked) for field in fields) else ""
        said = {_entry(one, asked) for one in ports} if ports else {"plainly"}
        return next((word for word in ("plainly", "on a condition") if word in said), "")

    def _is_peer(self, kind: str, one: Any, space: str, asked: Asked) -> bool:
        match kind:
            case "Endpoints":
                return asked.peer is not None and self._is_meant_endpoint(one, space, asked.peer)
            case "CIDR":
                return self._is_world(asked.address) and _in_block(asked.address, one)
            case "CIDRSet":
                return self._is_world(asked.address) and self._is_in_set(one, asked.address)
            case "Entities":
                return self._is_entity(one, asked)
            case "Services":
                return any(self._is_behind(service, asked) for service in self._services(one))
            case "Nodes":
                return self._is_other_node(one, asked)
        questions = self.told.get((asked.pod["metadata"]["namespace"], asked.pod["metadata"]["name"]), ())
        answered = any(asked.address in given and name_is_meant(one, question) for question, given in questions)
        return answered and self._is_world(asked.address)

    # ---- pods --------------------------------------------------------------------------------------------------------

    def _is_endpoint(self, space: str, rule: Manifest, pod: Manifest) -> bool:
        """Whether a rule is about a pod. That of a namespace is "always pinned to the policy namespace".

        Cilium, ``parseToCiliumRule``: "removing illegal namespace match", which is the label of that very key.
        """
        if rule.get("endpointSelector") is None or (space and pod["metadata"]["namespace"] != space):
            return False
        selector, pinned = rule["endpointSelector"], f"k8s:{_SPACE}"
        written = (selector.get("matchLabels") or {}).items()
        exact = {key: value for key, value in written if not space or key != pinned}
        return self._has_labels({**selector, "matchLabels": exact}, pod)

    def _is_meant_endpoint(self, selector: Manifest, space: str, pod: Manifest) -> bool:
        """Whether a peer selector means a pod: of the policy's namespace, unless it speaks of namespaces."""
        keys = [*(selector.get("matchLabels") or {}), *(e["key"] for e in selector.get("matchExpressions") or ())]
        speaks = any(
            key.startswith("reserved:") or _bare(key) == _SPACE or (_bare(key) or "").startswith(_SPACE_LABEL)
            for key in keys
        )
        if space and not speaks and pod["metadata"]["namespace"] != space:
            return False
        return self._has_labels(selector, pod)

    def _has_labels(self, selector: Manifest, pod: Manifest) -> bool:
        """By the labels that are part of an identity, whatever prefix that may mean Kubernetes a key has."""
        labels = {f"k8s:{key}": value for key, value in self._identity(pod).items()}

        def spelled(key: str) -> str:
            bare = _bare(key)
            return key if bare is None else f"k8s:{bare}"

        exact = {spelled(key): value for key, value in (selector.get("matchLabels") or {}).items()}
        wider = [one | {"key": spelled(one["key"])} for one in selector.get("matchExpressions") or ()]
        # Two spellings of one key are two requirements.
        agree = len(exact) == len(selector.get("matchLabels") or {})
        return agree and selected({"matchLabels": exact, "matchExpressions": wider}, labels)

    def _identity(self, pod: Manifest) -> dict[str, str]:
        space = pod["metadata"]["namespace"]
        labels = dict(pod["metadata"].get("labels") or {})
        labels |= {_SPACE_LABEL + key: value for key, value in self._namespace_labels(space).items()}
        labels[_SPACE] = space
        labels["io.cilium.k8s.policy.cluster"] = "default"
        labels["io.cilium.k8s.policy.serviceaccount"] = pod["spec"].get("serviceAccountName") or "default"
        return {key: value for key, value in labels.items() if _is_kept(key)}

    # ---- places ------------------------------------------------------------------------------------------------------

    def _node_at(self, address: Address) -> str | None:
        """The node that an address is of, by the Node or by a pod on its network."""
        for name, node in self.nodes.items():
            if address in [ipaddress.ip_address(one["address"]) for one in node["status"]["addresses"]]:
                return str(name)
        for pod in self.pods:
            if pod["spec"].get("hostNetwork") and not ended(pod) and address in self._addresses(pod):
                return str(pod["spec"].get("nodeName") or "somewhere")
        return None

    def _is_world(self, address: Address) -> bool:
        """Whether it is outside of the cluster: "not managed pods, not host/remote-node"."""
        return self._pod_at(address) is None and self._node_at(address) is None

    def _is_entity(self, entity: str, asked: Asked) -> bool:
        node, here = self._node_at(asked.address), asked.pod["spec"].get("nodeName")
        world = self._is_world(asked.address)
        server = asked.address in set(self._slice_addresses("default", "kubernetes"))
        return {
            "all": True,
            "world": world,
            "cluster": not world or server,
            "host": node is not None and node == here,
            "remote-node": node is not None and node != here,
            "kube-apiserver": server,
        }.get(entity, False)

    def _is_other_node(self, selector: Manifest, asked: Asked) -> bool:
        node = self._node_at(asked.address)
        if node is None or node == asked.pod["spec"].get("nodeName") or node not in self.nodes:
            return False
        return selected(selector, self.nodes[node]["metadata"].get("labels") or {})

    def _is_in_set(self, one: Manifest, address: Address) -> bool:
        blocks: list[str] = [one["cidr"]] if one.get("cidr") else []
        for group in self.cidr_groups:
            by_labels = one.get("cidrGroupSelector")
            named = one.get("cidrGroupRef") == group["metadata"]["name"]
            if named or (by_labels is not None and selected(by_labels, group["metadata"].get("labels") or {})):
                blocks += group["spec"]["externalCIDRs"]
        less = any(_in_block(address, hole) for hole in one.get("except") or ())
        return not less and any(_in_block(address, block) for block in blocks)

    # ---- Services ----------------------------------------------------------------------------------------------------

    def _services(self, one: Manifest) -> Iterator[Manifest]:
        wanted = one.get("k8sService") or one["k8sServiceSelector"]
        for service in self.services:
            metadata = service["metadata"]
            if wanted.get("namespace") and wanted["namespace"] != metadata["namespace"]:
                continue
            if "selector" in wanted:
                if selected(wanted["selector"], metadata.get("labels") or {}):
                    yield service
            elif wanted["serviceName"] == metadata["name"]:
                yield service

    def _is_behind(self, service: Manifest, asked: Asked) -> bool:
        """With a selector: its pods. Without: the addresses of its slices "as CIDRs (pods not matched)"."""
        space, wanted = service["metadata"]["namespace"], service["spec"].get("selector")
        if wanted:
            there = asked.peer
            alike = there is not None and self._has_labels({"matchLabels": wanted}, there)
            return alike and there is not None and there["metadata"]["namespace"] == space
        found = self._slice_addresses(space, service["metadata"]["name"])
        return asked.address in set(found) and self._is_world(asked.address)

    def _slice_addresses(self, space: str, name: str) -> Iterator[Address]:
        for one in self.slices:
            metadata = one["metadata"]
            if metadata["namespace"] == space and metadata["labels"]["kubernetes.io/service-name"] == name:
                for endpoint in one["endpoints"]:
                    yield from map(ipaddress.ip_address, endpoint["addresses"])


def name_is_meant(entry: Mapping[str, str], question: str) -> bool:
    """Whether an entry of ``toFQDNs`` means a name that was asked for: "Lower-cased, trailing dot added, anchored"."""
    name = question.lower().rstrip(".") + "."
    if "matchName" in entry:
        return name == entry["matchName"].lower().rstrip(".") + "."
    pattern = entry["matchPattern"].lower()
    if not pattern.rstrip(".").strip("*"):
        return True
    pattern = pattern.rstrip(".") + "."
    many, rest = re.fullmatch(r"(\*\*+\.)?(.*)", pattern).groups()  # type: ignore[union-attr]  # matches anything
    parts = (re.escape(part) for part in re.split(r"\*+", rest))
    return re.fullmatch(("([-a-z0-9_]+[.])+" if many else "") + "[-a-z0-9_]*".join(parts), name) is not None


def _entries(mine: list[tuple[str, Manifest]], section: str) -> Iterator[tuple[str, Manifest]]:
    for space, rule in mine:
        for entry in rule.get(section) or ():
            yield space, entry


def _asks(rule: Manifest, section: str) -> bool:
    """``if it has egress or egressDeny entries, unless enableDefaultDeny.egress: false``."""
    has = bool(rule.get(section) or rule.get(f"{section}Deny"))
    return has and (rule.get("enableDefaultDeny") or {}).get(section) is not False


def _entry(entry: Manifest, asked: Asked) -> str:
    """How an entry of ``toPorts`` matches. "An empty list counts as no L7 rules"."""
    if not any(_is_port(one, asked) for one in entry.get("ports") or ()):
        return ""
    above = entry.get("serverNames") or any((entry.get("rules") or {}).values())
    return "on a condition" if above else "plainly"


def _is_port(one: Manifest, asked: Asked) -> bool:
    """``ANY/absent = TCP+UDP+SCTP``; a name is found on the destination pod, "case-insensitive"."""
    wanted = one.get("protocol") or "ANY"
    if asked.protocol not in (_WITH_PORTS if wanted == "ANY" else (wanted,)):
        return False
    if not one["port"].isdigit():
        names = named_ports(asked.target) if asked.target is not None else []
        return any((one["port"].lower(), asked.protocol, asked.port) == (n.lower(), p, port) for n, p, port in names)
    low = int(one["port"])
    return low == 0 or low <= asked.port <= (one.get("endPort") or low)


def _is_message(field: Manifest, asked: Asked) -> bool:
    family = field.get("family") or "IPv4"
    kind = field["type"] if isinstance(field["type"], int) else _ICMP_NAMES[family, field["type"]]
    return asked.protocol == _ICMP[family] and asked.port >> 8 == kind


def _bare(key: str) -> str | None:
    """A key without the prefix that says Kubernetes, or says nothing; None where it says something else."""
    source, colon, rest = key.partition(":")
    if not colon:
        return key
    return rest if source in ("k8s", "any") else None


def _is_kept(key: str) -> bool:
    kept = max((len(one) for one in _KEPT if key.startswith(one)), default=0)
    left_out = max((len(one) for one in _LEFT_OUT if key.startswith(one)), default=0)
    found = re.match(r".*beta\.kubernetes\.io", key)
    left_out = max(left_out, found.end() if found else 0)
    return kept >= left_out


def _in_block(address: Address, block: str) -> bool:
    return inside(address, str(ipaddress.ip_network(block, strict=False)))
