"""The recipe zero-trust-namespace: deny, DNS, and what the Services of the namespace need.

What is known from manifests is where a Service leads: to these pods, on these ports. Who calls it, and what the
workloads call themselves, stands in their code and configuration, and not in any manifest. The first is what the user
names with ``--from``, or left as a comment to fill in; the second is said, and is never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.survey import some
from outgate.errors import UsageError
from outgate.model import Service
from outgate.recipes.denying import default_deny_all
from outgate.recipes.peers import app_peer, namespace_peer, pods_of_service, target_port
from outgate.recipes.policies import Said, named_namespace, network_policy
from outgate.recipes.ports import spell_port
from outgate.recipes.recipe import Asked, Manifest, Scaffold
from outgate.recipes.selecting import is_selector

__all__ = ["zero_trust_namespace"]


def zero_trust_namespace(asked: Asked) -> Scaffold:
    """Deny all, DNS, and the way in to the pods behind each Service."""
    if asked.survey is None or asked.namespace is None:
        raise UsageError(
            "zero-trust-namespace needs a namespace and the input that has its Services",
            hint="as in outgate new zero-trust-namespace -n shop --from web -f manifests/",
        )
    deny = default_deny_all(asked)
    mine = [one for one in asked.survey.snapshot.services if one.namespace == asked.namespace and not one.external_name]
    doors = [one for one in mine if one.selector and one.ports]
    ways = tuple(_way_in(asked, services) for services in _alike(doors))
    manifests = (_with_what_is_unknown(asked, deny.manifests[0]), *deny.manifests[1:], *ways)
    return Scaffold(manifests, (*deny.notes, *_notes(asked, mine, doors), *_callers_inside(asked)))


def _alike(services: list[Service]) -> list[list[Service]]:
    """Services with one selector, such as a headless one beside the usual one: one policy is for all of them."""
    found: dict[tuple[tuple[str, str], ...], list[Service]] = {}
    for one in services:
        found.setdefault(tuple(sorted((one.selector or {}).items())), []).append(one)
    return list(found.values())


def _with_what_is_unknown(asked: Asked, deny: Manifest) -> Manifest:
    head = (
        *deny.head,
        (
            "What the workloads of this namespace call, one another included, is not in any manifest, so nothing of it "
            "is opened here but DNS. For each call that there is:"
        ),
        f"  outgate new allow-app -n {asked.namespace} --selector app=CALLER --to svc/NAMESPACE/SERVICE -f ...",
    )
    return Manifest(deny.value, head, deny.comments, deny.tail)


def _way_in(asked: Asked, services: list[Service]) -> Manifest:
    """The policy that lets callers reach the pods behind Services with one selector."""
    ports: list[dict[str, object]] = []
    for port in (port for service in services for port in service.ports):
        entry = target_port(port)
        if entry not in ports:
            ports.append(entry)
    peers: list[dict[str, object]] = []
    for text in asked.sources:
        peer = _caller(asked, text)
        if peer not in peers:
            peers.append(peer)
    head = (
        (
            f"Service {some(services, 9)} leads here, on {', '.join(map(spell_port, ports))}: the ports of the pods, "
            "which are what a policy sees."
        ),
        *_behind_ingress(asked, services),
    )
    prefix = f"{asked.name}-" if asked.name else ""
    return network_policy(
        asked,
        f"{prefix}allow-to-{services[0].name}",
        pods=pods_of_service(services[0]),
        ingress=[Said({"from": peers, "ports": ports})] if peers else (),
        head=head,
        tail=() if peers else _to_fill_in(ports),
    )


def _caller(asked: Asked, text: str) -> dict[str, object]:
    """A namespace by its name alone, or an application as everywhere."""
    if is_selector(text) or "/" in text:
        return app_peer(asked, text, sends=True).peer
    return namespace_peer(asked, text).peer


def _callers_inside(asked: Asked) -> Iterator[str]:
    """A caller of the namespace itself may now be let in, and is still not let out."""
    home = named_namespace(asked.home)
    inside = [text for text in asked.sources if _caller(asked, text).get("namespaceSelector", home) == home]
    if inside:
        yield (
            f"{', '.join(inside)} is in {asked.home} itself, and needs a way out, too: "
            f"outgate new allow-app -n {asked.home} --selector ... --to svc/{asked.home}/..."
        )


def _behind_ingress(asked: Asked, services: list[Service]) -> Iterator[str]:
    assert asked.survey is not None
    names = {service.name for service in services}
    entrances = [
        one
        for one in asked.survey.snapshot.ingresses
        if one.namespace == asked.namespace and any(name in names for name, _ in one.backends)
    ]
    if entrances:
        yield f"Ingress {some(entrances)} sends here: its controller must be among the callers."


def _to_fill_in(ports: list[dict[str, object]]) -> tuple[str, ...]:
    return (
        "Who calls it was not said (--from), so nobody may yet. Below spec, fill in:",
        "    ingress:",
        "      - from:",
        "          - namespaceSelector:",
        "              matchLabels: {kubernetes.io/metadata.name: NAMESPACE}",
        "            podSelector:",
        "              matchLabels: {app: CALLER}",
        "        ports:",
        *(f"          - {{protocol: {one['protocol']}, port: {one['port']}}}" for one in ports),
    )


def _notes(asked: Asked, mine: list[Service], doors: list[Service]) -> Iterator[str]:
    left_out = [one for one in mine if one not in doors]
    if left_out:
        yield f"without selector or ports, so nothing is written for it: Service {some(left_out, 9)}"
    if not mine:
        yield f"{asked.namespace} has no Services in the input: nothing may come in"
    elif not asked.sources and doors:
        yield "nobody may call the Services yet: give --from NAMESPACE, or fill in the comments"
    yield "what the workloads call is not in any manifest: only DNS is open to them"
