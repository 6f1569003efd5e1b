"""News of the API server, taken up into what an agent knows (`outgate.agent.step`)."""

from __future__ import annotations

from outgate.agent.around import ON_DEMAND
from outgate.agent.state import OF_CILIUM, PodKey, State
from outgate.cluster.events import Broken, Event, Recovered, Removed, Replaced, Troubled, Upserted
from outgate.model import ClusterPolicy, EndpointSlice, Namespace, NetworkPolicy, Node, Pod, Service
from outgate.model.cilium import CidrGroup, CiliumObject

__all__ = ["absorb_news", "mend_all"]


def absorb_news(state: State, event: Event) -> None:
    """Take up what the API server has told."""
    if event.kind in ON_DEMAND and not any(one.kind == event.kind for one in state.followed):
        return  # it was asked for, and is not any more
    match event:
        case Replaced() | Upserted() | Removed():
            _absorb_objects(state, event)
        case Troubled(kind, words, lasting):
            state.troubled[kind] = words
            if lasting:
                state.out_of_reach.add(kind)
        case Recovered(kind):
            state.troubled.pop(kind, None)
            state.out_of_reach.discard(kind)
        case Broken(kind, namespace, name, errors):
            state.broken[kind, namespace, name] = errors
            state.world.read((kind, namespace, name), understood=False)


def _absorb_objects(state: State, event: Replaced | Upserted | Removed) -> None:
    match event:
        case Upserted(kind, object=one, received=received):
            if _put(state, one):
                state.received.append(received)
            _mend(state, (kind, *_key_of(one)))
        case Removed(kind, object=one):
            _drop(state, kind, _key_of(one))
        case Replaced("Pod", objects):
            state.dirty |= state.world.replace_pods(one for one in objects if isinstance(one, Pod))
            state.synced.add("Pod")
        case Replaced(kind, objects, selector) if kind in ON_DEMAND and not _is_asked(state, kind, selector):
            # A list of before, when less was asked for; that of now follows.
            return
        case Replaced(kind, objects, selector):
            present = {_key_of(one) for one in objects}
            for key in _keys(state, kind) - present:
                _drop(state, kind, key)
            for one in objects:
                _put(state, one)
            state.synced.add(kind)
            if kind in ON_DEMAND:
                state.world.told_around(kind, selector)
    if isinstance(event, Replaced):
        mend_all(state, event.kind)


def _is_asked(state: State, kind: str, selector: str) -> bool:
    return any((one.kind, one.label_selector) == (kind, selector) for one in state.followed)


def _mend(state: State, key: tuple[str, str, str]) -> None:
    """An object that is whole, or gone."""
    state.broken.pop(key, None)
    state.world.read(key, understood=True)


def mend_all(state: State, kind: str) -> None:
    """Nothing is known any more of objects of a kind that cannot be understood."""
    for key in [key for key in state.broken if key[0] == kind]:
        _mend(state, key)


def _key_of(one: object) -> PodKey:
    return getattr(one, "namespace", ""), getattr(one, "name", "")


def _keys(state: State, kind: str) -> set[PodKey]:
    match kind:
        case "Namespace":
            return {("", name) for name in state.world.namespaces}
        case "NetworkPolicy":
            return set(state.world.policies)
        case "Node":
            return {("", name) for name in state.world.nodes}
        case "CiliumCIDRGroup":
            return {("", name) for name in state.world.groups}
        case "Service":
            return set(state.world.around.services)
        case "EndpointSlice":
            return set(state.world.around.slices)
        case _ if kind in OF_CILIUM:
            return {(namespace, name) for of, namespace, name in state.world.cilium if of == kind}
        case _:
            return {("", name) for of, name in state.world.cluster_policies if of == kind}


def _put(state: State, one: object) -> bool:
    """Take an object up; whether the kernel has to know."""
    world = state.world
    match one:
        case Pod():
            touched = world.put_pod(one)
            state.dirty |= touched
            return bool(touched)
        case Namespace():
            changed = world.put_namespace(one)
        case NetworkPolicy():
            changed = world.put_policy(one)
        case ClusterPolicy():
            changed = world.put_cluster_policy(one)
        case CiliumObject():
            changed = world.put_cilium(one)
        case CidrGroup():
            changed = world.put_group(one)
        case Node():
            changed = world.put_node(one)
        case Service() | EndpointSlice():
            changed = world.put_around(one)
        case _:
            changed = False
    state.rebuild |= changed
    return changed


def _drop(state: State, kind: str, key: PodKey) -> None:
    world = state.world
    match kind:
        case "Pod":
            state.dirty |= world.drop_pod(key)
        case "Namespace":
            state.rebuild |= world.drop_namespace(key[1])
        case "NetworkPolicy":
            state.rebuild |= world.drop_policy(key)
        case "Node":
            state.rebuild |= world.drop_node(key[1])
        case "CiliumCIDRGroup":
            state.rebuild |= world.drop_group(key[1])
        case "Service" | "EndpointSlice":
            state.rebuild |= world.drop_around(kind, key)
        case _ if kind in OF_CILIUM:
            state.rebuild |= world.drop_cilium(kind, key)
        case _:
            state.rebuild |= world.drop_cluster_policy(kind, key[1])
    _mend(state, (kind, *key))
