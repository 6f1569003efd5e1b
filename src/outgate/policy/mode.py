"""Whether a policy is enforced, or only watched.

The annotation ``outgate.dev/enforcement: audit`` on a policy, or on its namespace, or else the default of the agent,
takes away the policy's power to *isolate*. What its rules allow stays allowed. So a packet that only audited policies
would stop passes, and is counted and logged as one that would have been denied.

    selected by           allowed                                   everything else
    enforced policies     what any rule of any policy allows        is dropped
    audited ones alone    everything                                passes, and counts as "would be denied"
    both                  what any rule of any policy allows        is dropped, for the enforced ones

A policy of the whole cluster that is audited loses its power to *deny*: a rule that would deny counts and logs, and is
passed over. What it accepts, or passes, it still does. It belongs to no namespace, so its own annotation counts, or the
default.

Policies add up (concept page, "Two sorts of pod isolation"), so an audited policy can deny nothing that an enforced
policy beside it does not deny already; and to watch a policy can never cut what its enforcement lets pass.
"""

from __future__ import annotations

import enum
from collections.abc import Container

from outgate.model import Namespace, Policy

__all__ = ["ANNOTATION", "Mode", "mode_of", "said_of", "strange_mode", "strangely_said"]

ANNOTATION = "outgate.dev/enforcement"
"""On a NetworkPolicy or a Namespace: ``enforce`` or ``audit``."""


class Mode(enum.Enum):
    """What a policy does to a packet that it does not allow."""

    ENFORCE = "enforce"
    AUDIT = "audit"


def mode_of(policy: Policy, namespace: Namespace | None, default: Mode) -> Mode:
    """The mode of a policy: its own annotation, else that of its namespace, else the default.

    A value that is no mode closes: the policy is enforced.
    """
    written = said_of(policy, namespace, ANNOTATION)
    if written is None:
        return default
    return Mode.AUDIT if written == Mode.AUDIT.value else Mode.ENFORCE


def said_of(policy: Policy, namespace: Namespace | None, annotation: str) -> str | None:
    """What an annotation says of a policy: its own, else that of its namespace; None where neither has one."""
    for said in (policy.annotations, namespace.annotations if namespace is not None else {}):
        written = said.get(annotation)
        if written is not None:
            return written
    return None


def strange_mode(policy: Policy, namespace: Namespace | None) -> str:
    """What to say about an annotation whose value is no mode; empty where there is nothing to say."""
    modes = {mode.value for mode in Mode}
    return strangely_said(policy, namespace, ANNOTATION, modes, "neither enforce nor audit: enforced")


def strangely_said(
    policy: Policy, namespace: Namespace | None, annotation: str, known: Container[str], means: str
) -> str:
    """What to say about an annotation whose value is none of the known ones; empty where there is nothing to say."""
    owners = [(f"policy {policy}", policy.annotations)]
    if namespace is not None:
        owners.append((f"namespace {namespace.name}", namespace.annotations))
    for owner, said in owners:
        written = said.get(annotation)
        if written is not None and written not in known:
            return f"{owner}: {annotation} is {written!r}, which is {means}"
    return ""
