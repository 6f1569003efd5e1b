"""Of arguments, annotations and ConfigMaps: the few settings that say how the network works, and nothing else.

Whether a network plugin enforces NetworkPolicy hangs at several of them on a switch, and the switch is in places that
are full of other things, secrets among them: the command line of a container, a ConfigMap, an annotation. So a setting
is known by its name, and its value is a word; what is not known, or is no word, is not read, not kept, not saved.

    --enable-network-policy=true     of a container                          (AWS VPC CNI)
    kindnetd:v20240813-c6f155d6      an image whose version decides          (kindnet)
    --disable-network-policy         of a k3s server, in an annotation of its node
    enable-policy: never             of a ConfigMap                          (Cilium)
    mode: "ipvs"                     of the file in the ConfigMap of kube-proxy
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

__all__ = [
    "CONTAINERS",
    "SETTINGS",
    "bare_annotations",
    "bare_containers",
    "container_of",
    "node_switches",
    "settings",
    "switches",
]

_NAMES = frozenset(
    {
        "disable-network-policy",
        "enable-network-policy",
        "enable-np",
        "proxy-mode",
        "run-firewall",
        "run-service-proxy",
    }
)
CONTAINERS = ("aws-eks-nodeagent", "weave-npc")
"""Containers whose presence says something, by name."""
_IMAGE = re.compile(r"(kindnetd|kube-network-policies):[A-Za-z0-9_.-]{1,64}")
_SWITCH = re.compile(r"--?([a-z0-9-]+)(?:=(.*))?")
_WORD = re.compile(r"[A-Za-z0-9_-]{0,32}")
_MODE = re.compile(r"^[ ]*mode:[ ]*[\"']?([A-Za-z]{0,32})[\"']?[ \r]*$", re.MULTILINE)
_NODE_ARGUMENTS = "k3s.io/node-args"
_PROXY_FILE = "config.conf"

SETTINGS: Mapping[str, tuple[str, ...]] = {
    "amazon-vpc-cni": ("enable-network-policy-controller",),
    "cilium-config": ("enable-policy", "enable-k8s-networkpolicy", "kube-proxy-replacement"),
    "eni-config": ("disable_network_policy",),
    "kube-proxy": (_PROXY_FILE,),
}
"""The ConfigMaps that are looked into, by name, and the keys that are read."""


def switches(arguments: Iterable[str]) -> tuple[str, ...]:
    """The known ones among the arguments of a program, as ``--name=value``; one without a value is true."""
    return tuple(dict.fromkeys(_switches(arguments)))


def _switches(arguments: Iterable[str]) -> Iterator[str]:
    # A shell's script is one argument with all the others in it.
    words = [word for one in arguments for word in one.split()]
    for word, after in pairwise([*words, ""]):
        found = _SWITCH.fullmatch(word)
        if found is None or found[1] not in _NAMES:
            continue
        value = found[2]
        if value is None:
            # Of these the only one whose value may stand by itself: a flag of Go that is true or false takes none.
            value = after if found[1] == "proxy-mode" else "true"
        value = value.strip("\"'")
        if _WORD.fullmatch(value):
            yield f"--{found[1]}={value}"


def container_of(container: Mapping[str, Any]) -> tuple[str, str, tuple[str, ...]]:
    """The name, the image and the switches of a container, as far as they are known by name: all may be empty."""
    name = container.get("name", "")
    # Without the registry, and without a digest.
    image = container.get("image", "").partition("@")[0].rpartition("/")[2]
    return (
        name if name in CONTAINERS else "",
        image if _IMAGE.fullmatch(image) else "",
        switches((*container.get("command", ()), *container.get("args", ()))),
    )


def settings(name: str, data: object) -> dict[str, str]:
    """What a ConfigMap of that name says of how the network is set."""
    known = data if isinstance(data, dict) else {}
    found: dict[str, str] = {}
    for key in SETTINGS[name]:
        value = known.get(key)
        if not isinstance(value, str):
            continue
        if key == _PROXY_FILE:
            mode = _MODE.search(value)
            if mode is not None:
                found[key] = f'mode: "{mode[1]}"'
        elif _WORD.fullmatch(value.strip()):
            found[key] = value.strip()
    return found


def node_switches(annotations: Mapping[str, str]) -> tuple[str, ...] | None:
    """How the k3s server on a node was started; None where that is no server of k3s, or does not say."""
    try:
        arguments = json.loads(annotations.get(_NODE_ARGUMENTS, ""))
    except (ValueError, RecursionError):
        return None
    if not isinstance(arguments, list) or "server" not in arguments[:1]:
        return None
    return switches(one for one in arguments if isinstance(one, str))


def bare_annotations(annotations: Mapping[str, str]) -> dict[str, str]:
    """The annotations of a node with what is known of them by name."""
    found = node_switches(annotations)
    return {} if found is None else {_NODE_ARGUMENTS: json.dumps(["server", *found])}


def bare_containers(containers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Containers with their ports, and of what they run only what is known by name."""
    return [_bare(one) for one in containers]


def _bare(container: Mapping[str, Any]) -> dict[str, Any]:
    bare = {key: value for key, value in container.items() if key not in ("name", "image", "command", "args")}
    name, image, found = container_of(container)
    if "image" in container or "args" in container:
        # Present even where it is empty: that nothing was said is known.
        bare["args"] = list(found)
    return {**bare, **{key: value for key, value in (("name", name), ("image", image)) if value}}
