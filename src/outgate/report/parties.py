"""The ends of connections in words and as data: workloads, addresses outside, the ingress controller."""

from __future__ import annotations

from outgate.analysis.connections import External, Party
from outgate.analysis.controller import IngressController
from outgate.analysis.opened import Named
from outgate.analysis.shortened import NO_NODES, filled
from outgate.analysis.spelling import spell_addresses
from outgate.packets import AddressSet
from outgate.packets.addresses import FAMILIES
from outgate.report.terms import Json

__all__ = ["addresses_words", "party_json", "party_words"]


def party_json(party: Party) -> Json:
    """Node = {kind, namespace, name} of a workload, or {kind: External, cidrs}, or {kind: Name, name}, or
    {kind: IngressController}.

    A workload whose pods are not all treated alike has `labels` that set these apart, and `pods`, their names.
    """
    match party:
        case External(addresses=addresses):
            return {"kind": "External", "cidrs": list(addresses.cidrs())}
        case Named(name=name):
            # Without `cidrs` it is every address that the name may have.
            return {"kind": "Name", "name": name} | ({"cidrs": list(party.addresses.cidrs())} if party.limited else {})
        case IngressController():
            return {"kind": "IngressController"}
    node: Json = {"kind": party.kind, "namespace": party.namespace, "name": party.name}
    if party.split:
        node["labels"] = dict(party.part)
        node["pods"] = [pod.name for pod in party.pods]
    return node


def party_words(party: Party, most: int = 4) -> str:
    """``shop/Deployment/web``, as the other verbs take it; ``shop/Deployment/web[version=v2]``; addresses."""
    return addresses_words(party.addresses, most, party.nodes) if isinstance(party, External) else str(party)


def addresses_words(addresses: AddressSet, most: int = 4, nodes: AddressSet = NO_NODES) -> str:
    """``every address``, ``every IPv4 address``, or the blocks; ``every address except nodes``."""
    whole = filled(addresses, nodes)
    if whole is not None:
        words = addresses_words(whole, most)
        return f"{words}, but no node" if "," in words or "except" in words else f"{words} except nodes"
    if addresses == AddressSet.any():
        return "every address"
    for family in FAMILIES:
        if addresses == AddressSet.whole(family):
            return f"every IPv{family} address"
    return spell_addresses(addresses, most)
