"""Who is meant by ``--to`` and ``--from``: labels, or a name that the input knows.

    app=web               pods of the policy's own namespace
    shop:app=web          pods of another one
    shop/deploy/web       a workload or a pod of the input, by the labels that tell it from all others
    svc/shop/web          a Service of the input: the pods that it selects, on the ports where they listen

A Service is not what a policy sees: its address and port are translated before. So its port is translated here, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from outgate.analysis.lookup import Lookup, PodsTarget, ServiceTarget, known_namespace
from outgate.analysis.targets import parse
from outgate.checks.nearest import Carried, nearest_labels
from outgate.checks.survey import Survey
from outgate.errors import UnknownName, UsageError
from outgate.model import Pod, Service, ServicePort
from outgate.model.labels import LabelSelector
from outgate.model.validate_text import dns_label
from outgate.recipes.policies import named_namespace
from outgate.recipes.ports import port_entry, read_ports
from outgate.recipes.recipe import Asked
from outgate.recipes.selecting import exact_labels, is_selector, read_selector, selector_of, telling_labels

__all__ = ["Meant", "app_peer", "namespace_peer", "pods_of_service", "target_port"]


@dataclass(frozen=True, slots=True)
class Meant:
    """A peer, the ports that go with it, and a comment. `notes` are for whoever asked."""

    peer: dict[str, object]
    ports: list[dict[str, object]]
    why: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def namespace_peer(asked: Asked, name: str) -> Meant:
    """Every pod of a namespace. Raises UsageError, or UnknownName for one that the input does not have."""
    _check_namespace(asked, name)
    peer: dict[str, object] = {"namespaceSelector": named_namespace(name)}
    return Meant(peer, read_ports(asked.ports), (f"Every pod of namespace {name}.",))


def app_peer(asked: Asked, text: str, *, sends: bool) -> Meant:
    """The pods of an application; `sends`: whether they are the senders. Raises UsageError or UnknownName."""
    if is_selector(text):
        return _labelled(asked, text)
    if asked.survey is None:
        raise UsageError(
            f"{text} is a name, and there is no input to look it up in",
            hint="give labels, as in app=web or shop:app=web, or the cluster with -f or --context",
        )
    if ":" in text:
        raise UsageError(f"{text}: the port is given with --port", hint="--to svc/shop/web --port 80")
    target = Lookup(asked.survey.snapshot, asked.namespace).find(parse(text))
    match target:
        case PodsTarget(pods=pods):
            return _pods(asked, asked.survey, pods, str(target))
        case ServiceTarget(service=service) if not sends:
            return _service(asked, service)
        case ServiceTarget():
            raise UsageError(f"{target} sends nothing", hint="name the workload behind it, as in shop/deploy/web")
    raise UsageError(f"{target} is no application", hint="outgate new allow-cidr is for addresses")


def _check_namespace(asked: Asked, name: str) -> None:
    wrong = list(dns_label(name))
    if wrong:
        raise UsageError(f"{name!r} is no name of a namespace: {wrong[0]}")
    if asked.survey is not None:
        known_namespace(name, asked.survey.snapshot)


def _labelled(asked: Asked, text: str) -> Meant:
    space, colon, labels = text.rpartition(":")
    if colon:
        _check_namespace(asked, space)
    selector = read_selector(labels)
    where = space or asked.home
    notes: list[str] = []
    if asked.survey is not None:
        carried = [pod.labels for pod in asked.survey.snapshot.pods_by_namespace.get(where, ())]
        if not any(selector.matches(one) for one in carried):
            near = nearest_labels(selector, Carried(carried))
            notes.append(f"no pod of {where} in the input has {selector}" + (f"; {near}" if near else ""))
    return Meant(_peer(asked, space or None, selector), read_ports(asked.ports), notes=tuple(notes))


def _peer(asked: Asked, namespace: str | None, selector: LabelSelector) -> dict[str, object]:
    """A peer of pods. One list item with both selectors: pods with these labels *in* that namespace."""
    peer: dict[str, object] = {"podSelector": selector_of(selector)}
    if namespace is None or namespace == asked.namespace:
        return peer
    return {"namespaceSelector": named_namespace(namespace), **peer}


def _pods(asked: Asked, survey: Survey, pods: Sequence[Pod], words: str) -> Meant:
    on_host = next((pod for pod in pods if pod.host_network), None)
    if on_host is not None:
        where = f"node {on_host.node}" if on_host.node else "its node"
        raise UsageError(
            f"{words} is on the network of {where}: no selector of pods matches it",
            hint="outgate new allow-cidr with the addresses of the nodes",
        )
    selector = telling_labels(pods, survey.snapshot.pods_by_namespace.get(pods[0].namespace, ()))
    if selector is None:
        raise UsageError(f"no label tells {words} from the other pods of {pods[0].namespace}", hint="give it one")
    return Meant(
        _peer(asked, pods[0].namespace, selector),
        read_ports(asked.ports),
        (f"{words}, by the labels that no other pod of {pods[0].namespace} has.",),
    )


def _service(asked: Asked, service: Service) -> Meant:
    selector = pods_of_service(service)
    chosen = list(service.ports)
    if asked.ports:
        chosen = [_port_of(service, text) for text in asked.ports]
    ports: list[dict[str, object]] = []
    for one in chosen:
        entry = target_port(one)
        if entry not in ports:
            ports.append(entry)
    dialled = ", ".join(str(one.port) for one in chosen)
    words = f"Service {service} ({dialled}): the pods that it selects, and the ports of the pods. A policy is asked "
    words += "after the address and port of a Service are translated."
    return Meant(_peer(asked, service.namespace, selector), ports, (words,))


def pods_of_service(service: Service) -> LabelSelector:
    """Whom a Service selects. Raises UsageError where it selects nobody."""
    if not service.selector:
        raise UsageError(
            f"Service {service} has no selector: where it leads is no matter of labels",
            hint="outgate new allow-cidr with the addresses of its endpoints",
        )
    return exact_labels(service.selector.items())


def target_port(port: ServicePort) -> dict[str, object]:
    """The port of the pods. A name stays a name: each pod has its own number for it."""
    return port_entry(port.protocol, port.target or port.port)


def _port_of(service: Service, text: str) -> ServicePort:
    (entry,) = read_ports([text])
    for one in service.ports:
        if entry["port"] in (one.port, one.name) and ("/" not in text or entry["protocol"] == one.protocol):
            return one
    known = ", ".join(f"{one.port}/{one.protocol}" + (f" ({one.name})" if one.name else "") for one in service.ports)
    raise UnknownName(f"Service {service} has no port {text}", hint=f"its ports: {known or 'none'}")
