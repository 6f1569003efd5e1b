"""From decoded objects that say who may call the API server, and whom it calls, to the model.

Nothing of them decides about a packet. They are the evidence that one will be sent: a pod whose account is bound to a
role talks to the API server, and the API server talks to the Services of its webhooks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from outgate.model.objects import Binding, Called, Callout, ServiceAccount
from outgate.model.parse_shapes import IDENTITIES
from outgate.model.place import Place

__all__ = ["ACCESS_READERS"]


def _service_account(value: Mapping[str, Any], place: Place, _: object) -> Iterator[ServiceAccount]:
    metadata = value["metadata"]
    annotations = metadata.get("annotations", {})
    yield ServiceAccount(
        metadata["namespace"],
        metadata["name"],
        value.get("automountServiceAccountToken"),
        tuple((name, annotations[name]) for name in IDENTITIES if isinstance(annotations.get(name), str)),
        place,
    )


def _binding_reader(kind: str) -> Callable[[Mapping[str, Any], Place, object], Iterator[Binding]]:
    def read(value: Mapping[str, Any], place: Place, _: object) -> Iterator[Binding]:
        metadata, role = value["metadata"], value.get("roleRef", {})
        # The server demands the namespace of an account; without it nobody is meant.
        accounts = (
            (one["namespace"], one.get("name", ""))
            for one in value.get("subjects", ())
            if one.get("kind") == "ServiceAccount" and one.get("namespace")
        )
        yield Binding(
            kind,
            metadata.get("namespace", ""),
            metadata["name"],
            (role.get("kind", ""), role.get("name", "")),
            tuple(dict.fromkeys(accounts)),
            place,
        )

    return read


def _webhook_reader(kind: str) -> Callable[[Mapping[str, Any], Place, object], Iterator[Callout]]:
    def read(value: Mapping[str, Any], place: Place, _: object) -> Iterator[Callout]:
        called = []
        for i, one in enumerate(value.get("webhooks", ())):
            service = one.get("clientConfig", {}).get("service")
            if service is not None:
                # "failurePolicy [...] Defaults to Fail" (admissionregistration/v1).
                needed = one.get("failurePolicy") != "Ignore"
                called.append(_called(service, place / "webhooks" / i, needed=needed, name=one.get("name", "")))
        yield Callout(kind, value["metadata"]["name"], tuple(called), place)

    return read


def _api_service(value: Mapping[str, Any], place: Place, _: object) -> Iterator[Callout]:
    # "If the Service is nil, that means the handling for the API groupversion is handled locally."
    service = value.get("spec", {}).get("service")
    called = () if service is None else (_called(service, place / "spec" / "service"),)
    yield Callout("APIService", value["metadata"]["name"], called, place)


def _called(service: Mapping[str, Any], place: Place, *, needed: bool = True, name: str = "") -> Called:
    port = service.get("port") or 443
    return Called(service.get("namespace", ""), service.get("name", ""), port, needed, name, place)


ACCESS_READERS: Mapping[
    str, Callable[[Mapping[str, Any], Place, object], Iterator[ServiceAccount | Binding | Callout]]
] = {
    "ServiceAccount": _service_account,
    "APIService": _api_service,
    **{kind: _binding_reader(kind) for kind in ("RoleBinding", "ClusterRoleBinding")},
    **{kind: _webhook_reader(kind) for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")},
}
"""What makes the model's objects of each of these kinds."""
