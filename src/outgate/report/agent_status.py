"""The document `AgentStatus` (docs/schema/AgentStatus.json): what an agent says of itself and of its node.

The agent writes it and `outgate status` reads it, perhaps in another version: fields are added, never renamed or
removed, so what is not known is passed over and what is missing has a default that claims nothing.
"""

from __future__ import annotations

import msgspec

from outgate.errors import InvalidInput
from outgate.report.terms import API_VERSION

__all__ = ["AgentStatus", "BrokenObject", "Lag", "ObjectError", "UnenforcedPod", "read_status"]


class ObjectError(msgspec.Struct, frozen=True):
    """One thing that is wrong in an object, and where."""

    path: str
    message: str


class BrokenObject(msgspec.Struct, frozen=True):
    """An object that cannot be understood. A NetworkPolicy of which that is true closes."""

    kind: str
    namespace: str
    name: str
    errors: tuple[ObjectError, ...] = ()


class UnenforcedPod(msgspec.Struct, frozen=True):
    """A pod of this node that is not enforced as it should be, and why."""

    namespace: str
    name: str
    state: str
    """waiting, contested or unenforceable."""
    reason: str


class Lag(msgspec.Struct, frozen=True):
    """How far the kernel is behind the world, in seconds."""

    kernel: float = 0.0
    """Since when the oldest change that was heard of is not in the kernel; 0 where none waits."""
    watch: dict[str, float] = {}
    """Kind → since when there are no news of it; 0 where they come."""


class AgentStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="kind", tag="AgentStatus"):
    """The agent of one node at one moment. Times are RFC 3339 in UTC."""

    api_version: str = API_VERSION
    node: str = ""
    version: str = ""
    mode: str = ""
    """What policies do that do not say it themselves: enforce or audit."""
    started: str = ""
    written: str = ""
    applied: str | None = None
    """When the kernel last took a change; None before the first of this run."""
    programming: str | None = None
    """Since when a change is being programmed that takes long; None where none does."""
    ready: bool = False
    """Whether the kernel holds what the cluster asks for, as far as the agent has heard of it."""
    generation: int = 0
    epoch: int = 0
    synced: tuple[str, ...] = ()
    troubled: dict[str, str] = {}
    """Kind → why there are no news of it."""
    pods: dict[str, int] = {}
    """How many pods of this node are enforced, waiting, contested, unenforceable."""
    unenforced: tuple[UnenforcedPod, ...] = ()
    """Those that are not enforced; the first hundred."""
    policies: dict[str, int] = {}
    """How many policies of the cluster are enforced, audited, broken."""
    audited: tuple[str, ...] = ()
    """The audited ones, as namespace/name; the first hundred."""
    broken: tuple[BrokenObject, ...] = ()
    """Objects that cannot be understood; the first hundred."""
    strange: tuple[str, ...] = ()
    """Annotations that say nothing we know; the first hundred."""
    elements: dict[str, int] = {}
    """Elements in the kernel's sets, by family of sets."""
    drift_repairs: int = 0
    last_refusal: str = ""
    """What the kernel said to the last change, where it refused it."""
    lag: Lag = msgspec.field(default_factory=Lag)
    hindrances: tuple[str, ...] = ()
    """What is in the way of enforcing on this node, in words."""


class _Head(msgspec.Struct):
    """What every document begins with."""

    kind: str
    apiVersion: str  # noqa: N815 - as it is written


def read_status(text: bytes, file: str) -> AgentStatus:
    """The status that a file holds.

    Raises:
        InvalidInput: it is no status, or one of a version that cannot be read.
    """
    try:
        head = msgspec.json.decode(text, type=_Head)
        if head.kind == "AgentStatus" and head.apiVersion == API_VERSION:
            found = msgspec.json.decode(text, type=AgentStatus)
            if not found.node:
                raise msgspec.ValidationError("it names no node")
            return found
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        hint = "an agent that runs writes the file anew within seconds; it is never written in parts"
        raise InvalidInput(f"{file}: is no AgentStatus: {error}", hint=hint) from error
    raise InvalidInput(f"{file}: is {head.kind!r} of {head.apiVersion!r}, and no AgentStatus of {API_VERSION}")
