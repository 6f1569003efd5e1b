"""Selectors: as kubectl writes them, and the labels that tell some pods from all others.

A selector of every label that a pod has would not outlive its next version; one of too few would match other pods,
too. What is looked for is the smallest set of labels that selects exactly the pods that are meant, among those that
the input has, with the labels that people choose for this first.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

from outgate.errors import UsageError
from outgate.model import Pod
from outgate.model.labels import LabelSelector, Operator, Requirement
from outgate.model.validate_text import label_key, label_value

__all__ = ["exact_labels", "is_selector", "read_selector", "selector_of", "telling_labels"]

_AMONG = re.compile(r"(\S+)\s+(in|notin)\s*\(([^()]*)\)")
_EQUAL = re.compile(r"([^=!\s]+)\s*(==|=|!=)\s*([^=!\s]*)")

_PREFERRED = (
    "app.kubernetes.io/name",
    "app",
    "k8s-app",
    "app.kubernetes.io/component",
    "component",
    "app.kubernetes.io/instance",
    "name",
    "tier",
    "role",
)
_UNSTABLE = (
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "controller-uid",
    "job-name",
    "version",
    "app.kubernetes.io/version",
    "helm.sh/chart",
)
"""What the next roll-out changes, or what tells pods of one workload apart."""
_UNSTABLE_PREFIX = "batch.kubernetes.io/"
_MOST_KEYS = 12


def is_selector(text: str) -> bool:
    """Whether a text cannot be a name, because it compares something."""
    return "=" in text or text.startswith("!") or "(" in text


def read_selector(text: str) -> LabelSelector:
    """``app=web,tier in (a,b),!canary``, as kubectl has it. Raises UsageError, with all that is wrong."""
    if not text.strip():
        raise UsageError("the label selector is empty", hint="leave --selector out to select every pod")
    wrong: list[str] = []
    found = [_requirement(part.strip(), wrong) for part in _parts(text)]
    exact: dict[str, tuple[str, ...]] = {}
    for one in found:
        is_exact = one is not None and one.operator is Operator.IN and len(one.values) == 1
        if one is not None and is_exact and exact.setdefault(one.key, one.values) != one.values:
            wrong.append(f"{one.key} cannot have two values at once")
    if wrong:
        raise UsageError(f"label selector {text!r}: {'; '.join(wrong)}", hint="write it app=web,tier in (a,b),!canary")
    return LabelSelector.of({}, [one for one in found if one is not None])


def _parts(text: str) -> Iterator[str]:
    depth, start = 0, 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and depth <= 0:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def _requirement(part: str, wrong: list[str]) -> Requirement | None:
    if match := _AMONG.fullmatch(part):
        operator = Operator.IN if match[2] == "in" else Operator.NOT_IN
        one = Requirement(match[1], operator, tuple(value.strip() for value in match[3].split(",")))
    elif match := _EQUAL.fullmatch(part):
        one = Requirement(match[1], Operator.NOT_IN if match[2] == "!=" else Operator.IN, (match[3],))
    elif part.startswith("!"):
        one = Requirement(part[1:].strip(), Operator.DOES_NOT_EXIST)
    else:
        one = Requirement(part, Operator.EXISTS)
    complaints = [f"key {one.key!r} {words}" for words in label_key(one.key)]
    complaints += [f"value {value!r} {words}" for value in one.values for words in label_value(value)]
    wrong += complaints
    return None if complaints else one


def selector_of(selector: LabelSelector) -> dict[str, object]:
    """A selector as the API writes it."""
    labels: dict[str, object] = {}
    expressions: list[object] = []
    for one in selector.requirements:
        if one.operator is Operator.IN and len(one.values) == 1 and one.key not in labels:
            labels[one.key] = one.values[0]
        else:
            expression: dict[str, object] = {"key": one.key, "operator": one.operator.value}
            expressions.append(expression | ({"values": list(one.values)} if one.values else {}))
    return ({"matchLabels": labels} if labels else {}) | ({"matchExpressions": expressions} if expressions else {})


def exact_labels(labels: Iterable[tuple[str, str]]) -> LabelSelector:
    """The selector of just these labels."""
    return LabelSelector.of(dict(labels))


def telling_labels(meant: Sequence[Pod], everybody: Iterable[Pod]) -> LabelSelector | None:
    """The fewest labels that select these pods and no other of their namespace; None where there are none."""
    shared = set.intersection(*(set(pod.labels.items()) for pod in meant))
    stable = [one for one in shared if one[0] not in _UNSTABLE and not one[0].startswith(_UNSTABLE_PREFIX)]
    ordered = sorted(stable, key=_rank)[:_MOST_KEYS]
    mine = {pod.key for pod in meant}
    others = [pod.labels.items() for pod in everybody if pod.key not in mine and pod.namespace == meant[0].namespace]
    for count in range(1, min(len(ordered), 3) + 1):
        for chosen in itertools.combinations(ordered, count):
            if not any(set(chosen) <= labels for labels in others):
                return exact_labels(chosen)
    if ordered and not any(set(stable) <= labels for labels in others):
        return exact_labels(stable)
    return None


def _rank(label: tuple[str, str]) -> tuple[int, tuple[str, str]]:
    key = label[0]
    return _PREFERRED.index(key) if key in _PREFERRED else len(_PREFERRED), label
