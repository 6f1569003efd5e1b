"""Whether live connections go on that a policy no longer allows.

The annotation ``outgate.dev/established: keep`` on a policy, or on its namespace, or else the default of the agent, is
for those who drain by hand: what the policy let pass once goes on when it, or what it selects, becomes another. What is
new obeys at once. A connection belongs to two pods, and each of this node's has to agree: a pod agrees that no
enforced policy selects which cuts.

So a policy that keeps takes nothing from one beside it that cuts: together they cut. Which connections go on, and until
when, is another matter (docs/agent.md, "What is live").
"""

from __future__ import annotations

from outgate.model import Namespace, Policy
from outgate.policy.mode import said_of, strangely_said

__all__ = ["ESTABLISHED", "keeps", "strange_established"]

ESTABLISHED = "outgate.dev/established"
"""On a policy or a Namespace: ``keep`` or ``cut``."""

_KEEP, _CUT = "keep", "cut"


def keeps(policy: Policy, namespace: Namespace | None, *, default: bool) -> bool:
    """Whether a policy lets go on what is live: its own annotation, else that of its namespace, else the default.

    A value that is neither of the two closes: the policy cuts.
    """
    written = said_of(policy, namespace, ESTABLISHED)
    return default if written is None else written == _KEEP


def strange_established(policy: Policy, namespace: Namespace | None) -> str:
    """What to say about an annotation whose value is neither; empty where there is nothing to say."""
    return strangely_said(policy, namespace, ESTABLISHED, (_KEEP, _CUT), "neither keep nor cut: cut")
