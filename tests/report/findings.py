"""Lint reports for the tests of their formats: one with everything that a finding may have, from hostile names too."""

from __future__ import annotations

from outgate.checks import Survey
from outgate.checks.lint import ANNOTATION, LintReport, Selection, lint
from outgate.cluster.files import documents_of
from outgate.cluster.reading import Unreadable
from outgate.errors import InputError
from outgate.model.parse import parse

__all__ = ["CLUSTER", "ERRORS", "HELM", "empty", "report"]

CLUSTER = f"""\
# the shop
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: default-deny, namespace: shop}}
spec:
  podSelector: {{}}
  policyTypes:
  - Egress  # only
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: block-metadata, namespace: shop}}
spec:
  podSelector: {{}}
  policyTypes: [Egress]
  egress:
  - to:
    - ipBlock: {{cidr: 0.0.0.0/0, except: [169.254.169.254/32]}}
    ports: [{{port: 53, protocol: UDP}}]
  - to:
    - ipBlock: {{cidr: 0.0.0.0/0, except: [169.254.169.254/32]}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: labels
  namespace: shop
  annotations: {{{ANNOTATION}selector-matches-nothing: "made by | an <operator>"}}
spec:
  podSelector: {{matchLabels: {{app: nobody}}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: names, namespace: shop}}
spec:
  podSelector: {{}}
  egress:
  - to: [{{namespaceSelector: {{matchLabels: {{name: data}}}}}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: web, namespace: shop, labels: {{app: web}}}}
spec: {{containers: [{{name: main, image: app}}]}}
"""
HELM = "---\n# Source: chart/templates/np.yaml\n" + CLUSTER.partition("---\n")[0] + CLUSTER[CLUSTER.rindex("---\n") :]
ERRORS = (
    InputError("a b.yaml", 3, "spec.egress[0]", "must be, 100%\nsomething: else"),
    InputError("-", 0, "", "no YAML"),
)


def report(text: str = CLUSTER, file: str = "k8s/np.yaml", selection: Selection | None = None) -> LintReport:
    """What is found in a text."""
    parsed = parse(documents_of(text.encode(), file, Unreadable()))
    assert not parsed.errors
    return lint(Survey(parsed.snapshot), selection)


def empty() -> LintReport:
    """Nothing at all."""
    return report("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n")
