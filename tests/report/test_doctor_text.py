"""A doctor's report as people read it."""

from __future__ import annotations

import click

from outgate.analysis.doctor import diagnose
from outgate.analysis.doctor_facts import Facts
from outgate.report.doctor_text import doctor_text
from outgate.testing import pod, policy
from tests.analysis.clinic import daemon, facts_of, nodes


def text(facts: Facts, *, in_full: bool = False) -> list[str]:
    """The lines without their colours."""
    return [click.unstyle(line) for line in doctor_text(diagnose(facts), in_full=in_full)]


CALICO = daemon("kube-system/calico-node", {"k8s-app": "calico-node"})
DENY = policy("shop/deny", {"podSelector": {}, "policyTypes": ["Egress"]})


def test_line_by_line() -> None:
    """A mark, a topic, an answer; what it rests on and what to do stand below it."""
    facts = facts_of([CALICO, *nodes("a"), pod("shop/web", []), DENY], asked="-f x")
    pad = " " * 27
    every, kernels = "every workload is isolated", "kernels 6.1.0-13-amd64 (1)"
    assert text(facts) == [
        "ok         network         Calico (DaemonSet kube-system/calico-node)",
        "ok         enforcement     NetworkPolicy: yes, by Calico, as far as objects tell; only a probe is sure",
        "unknown    dns             no cluster DNS is in the input",
        f"{pad}next: kubectl get services,pods -A | grep -i dns",
        "attention  metadata        1 of 2 workloads reach a metadata address of a cloud, as far as policies decide",
        f"{pad}- 169.254.169.254 (1 workload), 169.254.169.252 (1 workload), 169.254.170.2 (1 workload) and 13 more",
        f"{pad}next: outgate exposure -f x --fail-on metadata",
        f"{pad}next: outgate lint -f x --select metadata-open",
        f"attention  default deny    egress: {every} in 1 of 1 namespace; ingress: {every} in 0 of 1 namespace",
        f"{pad}- ingress none: shop",
        f"{pad}next: outgate lint -f x --select no-default-deny",
        f"{pad}next: outgate exposure -f x -n shop",
        "ok         versions        kubelets v1.31.2 (1)",
        "ok         other policies  none in the input",
        f"ok         agent           Outgate's agent could run on 1 of 1 node (Linux 5.6 or newer); {kernels}",
        "5 ok, 2 attention, 1 unknown",
    ]


def test_in_full() -> None:
    """What a line rests on that is well, too."""
    facts = facts_of([CALICO])
    hidden = "- Calico: it enforces wherever it runs"
    assert not any(hidden in line for line in text(facts))
    assert any(line.strip() == hidden for line in text(facts, in_full=True))


def test_colours() -> None:
    """On the marks, which are words as well."""
    styled = list(doctor_text(diagnose(facts_of([daemon("kube-flannel/kube-flannel-ds", {"app": "flannel"})]))))
    assert any(line.startswith("\x1b[31mwrong") for line in styled)
    assert any(line.startswith("\x1b[32mok") for line in styled)


def test_what_a_terminal_would_obey_is_written_out() -> None:
    """Names come from whoever made the input."""
    report = diagnose(Facts(facts_of([]).snapshot, asked="-f '\x1b[2J'"))
    assert not any("\x1b[2J" in line for line in doctor_text(report))
