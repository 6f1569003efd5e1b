"""All checks: named, documented in one shape, with an example that is found and one that is not; fixes mend."""

from __future__ import annotations

import ipaddress
import re

import pytest

from outgate.checks import NAMES, Finding, Survey, load, run
from outgate.checks.documentation import SECTIONS
from outgate.checks.registry import GROUPS
from outgate.cluster.edits import mend
from outgate.cluster.files import documents_of
from outgate.cluster.reading import Unreadable
from outgate.model import Direction, Snapshot
from outgate.model.parse import parse
from outgate.policy import PROFILES, Policies, decide
from outgate.testing import random_cluster, random_cluster_policies, snapshot_of
from outgate.testing_cilium import cilium_policy, random_cilium_policies
from tests.checks.asking import COREDNS, KUBE_DNS
from tests.house.sources import SOURCE

NOT_CHECKS = {
    "__init__",
    "baseline",
    "check",
    "clauses",
    "config",
    "coverage",
    "documentation",
    "doors",
    "edit",
    "finding",
    "fingerprint",
    "lint",
    "hearing",
    "name_kinds",
    "named_peers",
    "overlaps",
    "absent",
    "nearest",
} | {
    "proof",
    "registry",
    "resolvers",
    "survey",
    "written",
    "written_ports",
    "written_selectors",
}


def read(text: str, name: str) -> Snapshot:
    """The snapshot of manifests that are as they should be."""
    unreadable = Unreadable()
    parsed = parse(documents_of(text.encode(), f"{name}.yaml", unreadable))
    assert not unreadable.errors
    assert not parsed.errors
    return parsed.snapshot


def found(text: str, name: str) -> list[Finding]:
    """What one check finds in manifests, and with the names that a comment among them gives."""
    check = load(name)
    profile = PROFILES[(check.profiles or ("outgate",))[0]]
    names = {one: [ipaddress.ip_address(address)] for one, address in re.findall(r"--dns-name (\S+)=(\S+)", text)}
    return list(check.find(Survey(read(text, name), profile, names)))


def test_every_module_is_a_check_or_known_not_to_be() -> None:
    """A check that is not registered is never asked."""
    modules = {path.stem for path in (SOURCE / "checks").glob("*.py")}
    assert modules - NOT_CHECKS == {name.replace("-", "_") for name in NAMES}


def test_names_are_unique_and_the_modules_own() -> None:
    """And stay: they are in people's annotations."""
    assert len(set(NAMES)) == len(NAMES)
    assert [load(name).name for name in NAMES] == list(NAMES)
    assert tuple(name for names in GROUPS.values() for name in names) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_documentation_has_one_shape(name: str) -> None:
    """A title, six sections, each with something in it, and lines that fit a terminal."""
    documentation = load(name).documentation
    assert documentation.title
    assert tuple(documentation.sections) == SECTIONS
    for title, text in documentation.sections.items():
        assert text.strip(), title
    assert documentation.sections["References"].startswith("- ")


@pytest.mark.parametrize("name", NAMES)
def test_the_example_is_found_and_the_fixed_one_is_not(name: str) -> None:
    """What the documentation shows is true; the finding stands at a line of the example."""
    sections = load(name).documentation.sections
    wrong = found(sections["Example"], name)
    assert wrong
    for one in wrong:
        assert one.rule == name
        assert one.place.line > 0
        assert not one.message.endswith(".")
    assert found(sections["Fixed example"], name) == []


@pytest.mark.parametrize("name", NAMES)
def test_no_check_stumbles_over_the_examples_of_another(name: str) -> None:
    """Each is asked about all of them."""
    for other in NAMES:
        for section in ("Example", "Fixed example"):
            for one in found(load(other).documentation.sections[section], name):
                assert one.message


@pytest.mark.parametrize("name", [name for name in NAMES if load(name).fixable])
def test_a_fix_mends_the_example_and_nothing_else(name: str) -> None:
    """The finding is gone, no other comes, and only pods that the finding was about reach other things than before."""
    text = load(name).documentation.sections["Example"]
    before = read(text, name)
    findings = found(text, name)
    edits = [edit for one in findings for edit in one.fix]
    assert edits, "a check that can be fixed shows how"
    mended = mend(f"{name}.yaml", text.encode(), edits)
    assert mended.refused == ()
    after = read(mended.after.decode(), name)
    assert list(load(name).find(Survey(after))) == []
    rules = {one.rule for one in run(Survey(before))}
    assert {one.rule for one in run(Survey(after))} <= rules
    changed = {
        pod.namespace
        for pod in before.endpoints
        for direction in Direction
        if decide(Policies(before), pod, direction).allowed() != decide(Policies(after), pod, direction).allowed()
    }
    assert changed <= {one.subject.namespace for one in findings}


def test_unknown_names() -> None:
    """There is no guessing here; whoever asks gives advice."""
    with pytest.raises(KeyError):
        load("dns")


@pytest.mark.parametrize("seed", range(12))
def test_no_check_stumbles_over_policies_of_any_kind(seed: int) -> None:
    """Each is asked about clusters by chance, with resolvers, under policies of all kinds together."""
    questions = [{"toEntities": ["cluster"], "toPorts": [{"ports": [{"port": "53", "protocol": "UDP"}]}]}]
    asking = cilium_policy("beta/asking", {"endpointSelector": {}, "egress": questions})
    of_all_kinds = [*random_cilium_policies(seed, 4), *random_cluster_policies(seed, 3, names=True), asking]
    survey = Survey(snapshot_of([*random_cluster(seed), COREDNS, KUBE_DNS, *of_all_kinds]))
    for one in run(survey):
        assert one.message
        assert one.subject.name
