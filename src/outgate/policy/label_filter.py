"""Labels that a network plugin leaves out of what it knows of a pod.

A plugin that gives pods an identity by their labels leaves out those that would make every pod an identity of its
own (a hash, an ordinal). To its selectors a pod then has no such label, whatever the object says: `In` and `Exists`
never hold for it, `NotIn` and `DoesNotExist` always do. Labels of namespaces are not touched.
"""

from __future__ import annotations

import re
from functools import cache

from outgate.model.labels import Labels
from outgate.records import dataclass

__all__ = ["CILIUM_LABELS", "LabelFilter"]


@dataclass(frozen=True, slots=True)
class LabelFilter:
    """Patterns of label keys, matched from the start of the key; the rest of the key may be anything."""

    hidden: tuple[str, ...]
    shown: tuple[str, ...] = ()
    """These win over `hidden` where they match more of the key."""

    def hides(self, key: str) -> bool:
        """Whether selectors cannot see labels of this key."""
        return _hides(self, key)

    def visible(self, labels: Labels) -> Labels:
        """The labels that are left; the very same object where nothing is hidden."""
        if not any(_hides(self, key) for key in labels):
            return labels
        return {key: value for key, value in labels.items() if not _hides(self, key)}


@cache
def _hides(one: LabelFilter, key: str) -> bool:
    # Cilium's filter compares the longest pattern that keeps a key with the shortest that leaves it out.
    left_out = min(_lengths(one.hidden, key), default=0)
    return left_out > 0 and max(_lengths(one.shown, key), default=0) <= left_out


def _lengths(patterns: tuple[str, ...], key: str) -> list[int]:
    return [found.end() for pattern in patterns if (found := re.match(pattern, key))]


CILIUM_LABELS = LabelFilter(
    hidden=(
        r"io\.kubernetes",
        r"kubernetes\.io",
        r"k8s\.io",
        r".*beta\.kubernetes\.io",
        r"statefulset\.kubernetes\.io/pod-name",
        r"apps\.kubernetes\.io/pod-index",
        r"batch\.kubernetes\.io/job-completion-index",
        r"batch\.kubernetes\.io/controller-uid",
        r"topology\.kubernetes\.io",
        r"pod-template-generation",
        r"pod-template-hash",
        r"controller-revision-hash",
        r"controller-uid",
        r"annotation",
        r"etcd_node",
    ),
    shown=(
        r"io\.kubernetes\.pod\.namespace",
        r"io\.cilium\.k8s\.namespace\.labels",
        r"io\.cilium\.k8s\.policy\.(cluster|serviceaccount)",
        r"app\.kubernetes\.io",
    ),
)
"""What Cilium 1.19 leaves out of identities unless the agent's option ``labels`` says otherwise."""
