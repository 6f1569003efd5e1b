"""Races: under the profiles that have them, and for workloads whose first seconds matter."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.checks import Survey, load
from outgate.cluster import Text
from outgate.cluster import load as read
from outgate.policy import PROFILES
from outgate.policy.profile import AWS_VPC_CNI, KUBE_ROUTER, Profile
from outgate.testing import policy
from tests.checks.asking import ask, deny, one
from tests.checks.needs import running, template

RULE = "startup-race"
FIRST: dict[str, Any] = {"initContainers": [{"name": "migrate"}]}


@pytest.mark.parametrize("profile", PROFILES.values(), ids=str)
def test_only_under_plugins_that_let_pods_start_first(profile: Profile) -> None:
    """Of Outgate itself nothing is said: it drops what it does not know yet."""
    racing = profile in (AWS_VPC_CNI, KUBE_ROUTER)
    assert bool(ask(RULE, template("Job", "shop/job"), deny(), profile=profile)) is racing


def test_the_examples_under_a_profile_that_has_it() -> None:
    """They say nothing under the others."""
    check = load(RULE)
    for name in check.profiles:
        for section, count in (("Example", 1), ("Fixed example", 0)):
            text = check.documentation.sections[section].encode()
            snapshot = read([Text("x.yaml", text)]).snapshot
            assert len(list(check.find(Survey(snapshot, PROFILES[name])))) == count


def test_whose_first_seconds_matter() -> None:
    """Jobs, CronJobs and their pods, and what has a step before the first."""
    job = template("Job", "shop/job")
    owner = [{"apiVersion": "batch/v1", "kind": "Job", "name": "job", "controller": True, "uid": "u"}]
    pod = running("shop/job-x")
    pod["metadata"]["ownerReferences"] = owner
    for workload, words in (
        (job, "ends soon after its start"),
        (template("CronJob", "shop/job"), "ends soon after its start"),
        (pod, "ends soon after its start"),
        (running("shop/web", **FIRST), "has init containers: migrate"),
        (template("Deployment", "shop/web", **FIRST), "has init containers: migrate"),
    ):
        finding = one(RULE, workload, deny(), profile=KUBE_ROUTER)
        assert finding.related[0].words.endswith(words)
        assert "before shop/default-deny is in force under kube-router" in finding.message


def test_whose_do_not() -> None:
    """Servers, sidecars, the init containers of meshes, who is not isolated for egress, who is on the host network."""
    ingress = policy("shop/in", {"podSelector": {}, "policyTypes": ["Ingress"]})
    job = template("Job", "shop/job")
    for cluster in (
        (template("Deployment", "shop/web"), deny()),
        (running("shop/web", initContainers=[{"name": "log", "restartPolicy": "Always"}]), deny()),
        (running("shop/web", initContainers=[{"name": "istio-init"}, {"name": "linkerd-init"}]), deny()),
        (job, ingress),
        (job, deny("other/deny")),
        (template("Job", "shop/job", hostNetwork=True), deny()),
        (job,),
    ):
        assert not ask(RULE, *cluster, profile=AWS_VPC_CNI)


def test_one_finding_for_each_policy() -> None:
    """With all that it comes late for."""
    finding = one(RULE, template("Job", "shop/a"), template("Job", "shop/b"), deny(), profile=AWS_VPC_CNI)
    assert finding.message.startswith("shop/Job/a, shop/Job/b may start before shop/default-deny")
    assert len(finding.related) == 2
