"""Recipes that open: allow-dns, allow-namespace, allow-app, allow-cidr, allow-api-server.

Each opens what was asked and nothing beside it. Where the input shows that the policy would cut its pods off from DNS,
because it is the first that isolates them, the rule for DNS comes with it.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
from collections.abc import Callable, Iterable, Mapping

from outgate.analysis.exposure_places import Door, Found
from outgate.checks.nearest import Carried, nearest_labels
from outgate.checks.survey import Survey
from outgate.errors import UsageError
from outgate.model.objects import Network
from outgate.recipes.metadata import BLOCKED, exceptions_within, single
from outgate.recipes.peers import Meant, app_peer, namespace_peer
from outgate.recipes.policies import ISOLATES, Said, named_namespace, network_policy, subject
from outgate.recipes.ports import port_entry, read_ports
from outgate.recipes.recipe import Asked, Scaffold
from outgate.recipes.resolving import dns_notes, dns_policy, with_dns

__all__ = ["allow_api_server", "allow_app", "allow_cidr", "allow_dns", "allow_namespace", "selects_nobody"]


def allow_dns(asked: Asked) -> Scaffold:
    """Questions to the resolvers of the cluster, and to nobody else."""
    words = "Whom a policy selects, it isolates: without another one beside it, these pods reach nothing but DNS."
    manifest = dns_policy(asked, asked.name or "allow-dns", subject(asked), (words,))
    return Scaffold((manifest,), (*dns_notes(asked), *selects_nobody(asked)))


def allow_namespace(asked: Asked) -> Scaffold:
    """To every pod of a namespace, or from it."""
    return _both_ways(asked, "allow-namespace", "shop", lambda text, _: namespace_peer(asked, text))


def allow_app(asked: Asked) -> Scaffold:
    """To the pods of an application, or from them."""
    return _both_ways(
        asked, "allow-app", "app=web or svc/shop/web", lambda text, sends: app_peer(asked, text, sends=sends)
    )


def allow_cidr(asked: Asked) -> Scaffold:
    """To addresses, or from them; of a wide block the metadata services of clouds are left out."""
    made = _both_ways(asked, "allow-cidr", "203.0.113.0/24", lambda text, sends: _block(asked, text, sends=sends))
    (manifest,) = made.manifests
    blocks = {text.strip() for text in (*asked.to, *asked.sources)}
    if "0.0.0.0/0" in blocks and "::/0" not in blocks:
        metadata = manifest.value["metadata"]
        assert isinstance(metadata, dict)
        annotations = {"ignore.outgate.dev/ipv6-forgotten": "only IPv4 was asked for"}
        value = {**manifest.value, "metadata": {**metadata, "annotations": annotations}}
        words = "of IPv6 nothing is allowed: give ::/0 as well where that is meant"
        made = Scaffold((dataclasses.replace(manifest, value=value),), (*made.notes, words))
    return made


def allow_api_server(asked: Asked) -> Scaffold:
    """To the API server, at the addresses where it listens."""
    place = None if asked.survey is None else asked.survey.api_server
    if place is None or place.found is Found.UNKNOWN:
        why = "there is no input to find it in" if place is None else place.source
        raise UsageError(
            f"it is not known where the API server is: {why}",
            hint="give the cluster with --context, or -f with Service and EndpointSlice default/kubernetes or the "
            "control-plane Nodes; or say it yourself: outgate new allow-cidr --to ADDRESS/32 --port 6443",
        )
    head = (
        (
            "The API server, where it listens. Policies are asked after the translation of Service default/kubernetes, "
            "so its address and port 443 would match nothing."
        ),
        f"Found from: {place.source}. These addresses change when the control plane is replaced; write this anew then.",
    )
    said = [Said(rule) for rule in _rules_to(place.doors)]
    manifest = network_policy(asked, asked.name or "allow-api-server", pods=subject(asked), egress=said, head=head)
    likely = () if place.found is Found.KNOWN else (f"the API server was found by a likely place: {place.source}",)
    return Scaffold((with_dns(asked, manifest),), (*likely, *selects_nobody(asked)))


def _rules_to(doors: Iterable[Door]) -> list[dict[str, object]]:
    """A rule for each port, with the addresses that have it."""
    found: dict[tuple[str, int], dict[str, dict[str, object]]] = {}
    for door in doors:
        pod = door.end.pod
        if pod is not None and not pod.host_network:
            # A control plane that runs as pods (a virtual cluster): labels are what a policy sees of them.
            selector = {"matchLabels": dict(sorted(pod.labels.items()))}
            peer: dict[str, object] = {"namespaceSelector": named_namespace(pod.namespace), "podSelector": selector}
        else:
            peer = {"ipBlock": {"cidr": f"{door.end.address}/{door.end.address.max_prefixlen}"}}
        found.setdefault((door.protocol.name, door.port), {})[json.dumps(peer, sort_keys=True)] = peer
    return [
        {"to": [peers[key] for key in sorted(peers)], "ports": [port_entry(protocol, port)]}
        for (protocol, port), peers in sorted(found.items())
    ]


# ---- what they share -------------------------------------------------------------------------------------------------


def _both_ways(asked: Asked, recipe: str, example: str, understood: Callable[[str, bool], Meant]) -> Scaffold:
    """A policy with a rule for each set of ports, outward for ``--to`` and inward for ``--from``."""
    if not (asked.to or asked.sources):
        raise UsageError(f"{recipe} needs --to or --from", hint=f"as in outgate new {recipe} --to {example}")
    if asked.to and asked.sources and asked.ports:
        raise UsageError(
            "--port beside --to and --from could be a port of either end", hint="write two policies, with two --name"
        )
    outward = [understood(text, False) for text in asked.to]
    inward = [understood(text, True) for text in asked.sources]
    egress = _rules(outward, "to") if outward else None
    ingress = _rules(inward, "from") if inward else None
    head = _beside(asked) if egress is not None else (_REACHED,)
    if recipe != "allow-cidr":
        head = (*head, *(words for words, rules in ((_LET_IN, egress), (_LET_OUT, ingress)) if rules is not None))
    manifest = network_policy(
        asked, asked.name or recipe, pods=subject(asked), egress=egress, ingress=ingress, head=head
    )
    notes = dict.fromkeys(words for one in (*outward, *inward) for words in one.notes)
    return Scaffold((with_dns(asked, manifest),), (*notes, *selects_nobody(asked)))


def _rules(many: Iterable[Meant], key: str) -> list[Said]:
    """Peers with the same ports are one rule."""
    found: dict[str, tuple[list[Mapping[str, object]], list[dict[str, object]], list[str]]] = {}
    for one in many:
        peers, _, why = found.setdefault(json.dumps(one.ports), ([], one.ports, []))
        if one.peer not in peers:
            peers.append(one.peer)
            why += one.why
    return [
        Said({key: peers} | ({"ports": ports} if ports else {}), (*why, *(() if ports else (_ANY_PORT,))))
        for peers, ports, why in found.values()
    ]


_REACHED = "Whom a policy selects, it isolates: from then on these pods are reached by what policies allow alone."
_LET_IN = "The other end must let it in as well, where a policy isolates it for ingress."
_LET_OUT = "The other end must let it out as well, where a policy isolates it for egress."
_ANY_PORT = "Every port: none was named (--port)."


def _beside(asked: Asked) -> tuple[str, ...]:
    return (ISOLATES,) if asked.survey is None else ()


def selects_nobody(asked: Asked) -> tuple[str, ...]:
    """A note, where the selector of the policy has no pod in the input."""
    if asked.survey is None or asked.selector is None:
        return ()
    carried = [pod.labels for pod in asked.survey.snapshot.pods_by_namespace.get(asked.home, ())]
    selector = subject(asked)
    if any(selector.matches(labels) for labels in carried):
        return ()
    near = nearest_labels(selector, Carried(carried))
    return (f"no pod of {asked.home} in the input has {selector}" + (f"; {near}" if near else ""),)


def _block(asked: Asked, text: str, *, sends: bool) -> Meant:
    network = _network(text)
    if asked.survey is not None:
        _refuse_translated(asked.survey, network)
    block: dict[str, object] = {"cidr": str(network)}
    why: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    excepted = [] if sends else exceptions_within(network)
    if excepted:
        block["except"] = excepted
        why = (f"{network} contains addresses at which clouds hand out the credentials of the machine.",)
    elif not sends and any(single(one) == str(network) for one in BLOCKED):
        notes = (f"{network} is a metadata service: whoever reaches it may be able to act as the machine",)
    return Meant({"ipBlock": block}, read_ports(asked.ports, names=sends), why, notes)


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text.strip())
    except ValueError:
        pass
    try:
        whole, address = ipaddress.ip_network(text.strip(), strict=False), ipaddress.ip_address(text.partition("/")[0])
    except ValueError:
        raise UsageError(f"{text} is no address block", hint="write it 203.0.113.0/24 or 2001:db8::/32") from None
    raise UsageError(
        f"{text} names an address and not a block", hint=f"write {whole}, or {address}/{address.max_prefixlen}"
    )


def _refuse_translated(survey: Survey, network: Network) -> None:
    """Refuse single addresses that no policy ever sees, or that will be somebody else's tomorrow."""
    if network.prefixlen != network.max_prefixlen:
        return
    address = network.network_address
    service = survey.snapshot.service_of(address)
    if service is not None and address in service.cluster_ips:
        raise UsageError(
            f"{address} is the address of Service {service}, which is translated before a policy is asked",
            hint=f"outgate new allow-app --to svc/{service} -f ...",
        )
    pod = next((one for one in survey.snapshot.owners_of(address) if not one.host_network), None)
    if pod is not None:
        raise UsageError(
            f"{address} is the address of pod {pod}, and the next one will have another",
            hint=f"outgate new allow-app --to {pod} -f ...",
        )
