"""What a pod says about whom it will talk to. It decides about no packet; it tells which denials somebody will feel.

A pod that has a token for the API server, or a proxy in its environment, will dial them. Of all that a pod template
says, these few facts are kept, and nothing that may be a secret: of an environment the variables that are named here
alone, and of a proxy's URL who is meant and no password.

    account       whose token the pod gets
    token         what the pod itself says about getting one
    variables     environment variables that name a place, of any container
    annotations   those that add something to a pod: a sidecar, an interface
    sidecars      containers whose names say that they carry, or filter, traffic
    before        init containers that end before the pod begins
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from outgate.model.switches import CONTAINERS
from outgate.records import dataclass

__all__ = [
    "ANNOTATIONS",
    "NO_HINTS",
    "PROXIES",
    "SIDECARS",
    "VARIABLES",
    "Hints",
    "hints_of",
    "trimmed",
]

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
"""What names a proxy. Programs look for them in either case."""

_URLS = frozenset((*PROXIES, "AWS_CONTAINER_CREDENTIALS_FULL_URI"))
_PLAIN = frozenset(("NO_PROXY", "no_proxy", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"))
_NAMED = frozenset(("AWS_WEB_IDENTITY_TOKEN_FILE", "AZURE_FEDERATED_TOKEN_FILE"))
VARIABLES = _URLS | _PLAIN | _NAMED
"""The environment variables that are kept: URLs without all that is not scheme, host and port, some as they are, and
some by their name alone."""

ANNOTATIONS = (
    "k8s.v1.cni.cncf.io/networks",
    "sidecar.istio.io/inject",
    "linkerd.io/inject",
    "iam.amazonaws.com/role",
)
"""The annotations of a pod that are kept."""

SIDECARS = frozenset(("istio-proxy", "linkerd-proxy", "kube-network-policies"))
"""The names of containers that say what they do: those through which all traffic of a pod of a mesh goes, and the one
that enforces policies beside a network plugin that does not."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\](?::[0-9]+)?|[^/?#\[\]:@\s]+(?::[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Hints:
    """The hints of one pod, or of the pods that a template makes."""

    account: str = "default"
    token: bool | None = None
    variables: tuple[tuple[str, str], ...] = ()
    """Sorted. The value is empty where it comes from elsewhere, or is not kept."""
    annotations: tuple[tuple[str, str], ...] = ()
    sidecars: tuple[str, ...] = ()
    before: tuple[str, ...] = ()

    def values(self, *names: str) -> Iterator[str]:
        """What variables of these names are set to."""
        return (value for name, value in self.variables if name in names)

    def annotation(self, name: str) -> str:
        """The value of an annotation; empty where there is none."""
        return next((value for known, value in self.annotations if known == name), "")


NO_HINTS = Hints()


def hints_of(metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> Hints:
    """The hints of a pod, or of a template, as decoded."""
    annotations = metadata.get("annotations", {})
    running, before = _containers(spec)
    everybody = [*spec.get("containers", ()), *spec.get("initContainers", ())]
    return Hints(
        # "serviceAccount is a deprecated alias for serviceAccountName"; the server fills in "default".
        spec.get("serviceAccountName") or spec.get("serviceAccount") or "default",
        spec.get("automountServiceAccountToken"),
        _variables(one for container in everybody for one in container.get("env", ())),
        tuple((name, said) for name in ANNOTATIONS if isinstance(said := annotations.get(name), str) and said),
        tuple(dict.fromkeys(name for name in running if name in SIDECARS)),
        tuple(before),
    )


def _containers(spec: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The names of containers that run as long as the pod, and of those that end before it begins."""
    running = [_name(one) for one in spec.get("containers", ())]
    before: list[str] = []
    for one in spec.get("initContainers", ()):
        (running if one.get("restartPolicy") == "Always" else before).append(_name(one))
    return running, before


def _name(container: Mapping[str, Any]) -> str:
    name = container.get("name", "")
    return name if isinstance(name, str) else ""


def _variables(entries: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """The variables that are kept, among the entries of ``env``."""
    found: dict[tuple[str, str], None] = {}
    for one in entries:
        name, value = one.get("name"), one.get("value")
        if isinstance(name, str) and name in VARIABLES:
            found[name, _kept(name, value) if isinstance(value, str) else ""] = None
    return tuple(sorted(found))


def _kept(name: str, value: str) -> str:
    if name in _PLAIN:
        return value
    return _place(value) if name in _URLS else ""


def _place(url: str) -> str:
    """Scheme, host and port of a URL; empty where it is none, for then nobody can say which part is the password."""
    before, found, after = url.strip().partition("://")
    scheme, rest = (before, after) if found else ("", before)
    # A name and a password end with the last "@" before the path; whoever did not escape theirs may have more of them.
    host = _HOST.match(rest.rpartition("@")[2])
    if host is None or (scheme and not _SCHEME.fullmatch(scheme)):
        return ""
    return f"{scheme}://{host[0]}" if scheme else host[0]


def trimmed(value: Mapping[str, Any]) -> dict[str, Any]:
    """An object, as decoded, with no more of the containers of its pods than the hints have."""
    made = dict(value)
    for step in ("spec", "jobTemplate", "template"):
        if step in made:
            made[step] = trimmed(made[step])
    for field in ("containers", "initContainers"):
        if field in made:
            made[field] = [_trimmed(one, named=field == "initContainers") for one in made[field]]
    return made


def _trimmed(container: Mapping[str, Any], *, named: bool) -> dict[str, Any]:
    made = dict(container)
    kept = _variables(made.pop("env", ()))
    if kept:
        made["env"] = [{"name": name, "value": value} if value else {"name": name} for name, value in kept]
    # What else is known by name says how the network is switched.
    if not named and _name(made) not in (*SIDECARS, *CONTAINERS):
        made.pop("name", None)
    return made
