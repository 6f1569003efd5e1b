"""Further interfaces: of whom, and by which policies nobody is protected."""

from __future__ import annotations

from outgate.testing import policy
from tests.checks.asking import ask, deny, egress, one
from tests.checks.needs import running, template

RULE = "secondary-interface-uncovered"
NETWORKS = "k8s.v1.cni.cncf.io/networks"
DB = running("shop/db", annotations={NETWORKS: "storage"})


def test_the_workload_is_named_and_the_policies_that_do_not_help() -> None:
    """Of both directions, each once."""
    both = policy("shop/both", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})
    finding = one(RULE, DB, both, deny())
    assert finding.message.endswith("what goes by that interface shop/both, shop/default-deny do not cover")
    assert [related.words.partition(" ")[0] for related in finding.related] == ["shop/both", "shop/default-deny"]
    assert str(finding.subject) == "Pod shop/db"
    assert finding.place.path == f"metadata.annotations.{NETWORKS}"


def test_a_template_is_shown_where_it_says_so() -> None:
    """Of a CronJob that is deeper."""
    said = {NETWORKS: '[ {"name":\n "storage"} ]'}
    for kind, steps in (("Deployment", "spec.template"), ("CronJob", "spec.jobTemplate.spec.template")):
        finding = one(RULE, template(kind, "shop/db", annotations=said), deny())
        assert finding.place.path == f"{steps}.metadata.annotations.{NETWORKS}"
        assert 'the network [ {"name": "storage"} ] as well' in finding.message


def test_who_is_covered_or_isolated_by_nobody() -> None:
    """No annotation, an empty list, no policy, one for others."""
    assert not ask(RULE, running("shop/db"), deny())
    assert not ask(RULE, running("shop/db", annotations={NETWORKS: "[]"}), deny())
    assert not ask(RULE, running("shop/db", annotations={"k8s.v1.cni.cncf.io/network-status": "x"}), deny())
    assert not ask(RULE, DB)
    assert not ask(RULE, DB, egress("shop/web", app="web"))
    assert not ask(RULE, DB, deny("other/default-deny"))
