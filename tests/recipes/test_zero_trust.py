"""A namespace closed but for DNS and what its Services need."""

from __future__ import annotations

import pytest

from outgate.checks.survey import Survey
from outgate.errors import InvalidInput
from outgate.model import Namespace, Service, ServicePort, Snapshot
from outgate.recipes import Asked, scaffold
from tests.recipes.town import DNS, findings, made, notes, objects, proved, survey


def test_who_may_call_was_said() -> None:
    """Exactly the pods behind the Services, on the ports of the pods, from whom was named."""
    text = made("zero-trust-namespace", sources=("edge", "monitoring:app=prometheus"))
    callers = ("edge/*", "monitoring/prometheus")
    web = ", ".join(f"{{from: {one}, port: [8080, 9000]}}" for one in callers)
    database = ", ".join(f"{{from: {one}, port: 5432}}" for one in callers)
    proved(
        text,
        f"{{from: shop/*, exactly: [{DNS}]}}",
        f"{{to: shop/web, exactly: [{web}]}}",
        f"{{to: shop/db, exactly: [{database}]}}",
        "{to: [shop/batch, shop/suspect], only: []}",
    )
    assert findings(text) == []


def test_who_may_call_was_not_said() -> None:
    """Nobody may; the comment, once filled in, is the rule."""
    text = made("zero-trust-namespace")
    proved(text, f"{{from: shop/*, exactly: [{DNS}]}}", "{to: shop/*, only: []}")
    assert findings(text) == []
    assert any("nobody may call the Services yet" in words for words in notes("zero-trust-namespace"))
    parts = []
    for part in text.split("---\n"):
        lines = [line[4:] for line in part.splitlines() if line.startswith("#     ")]
        filled = "\n".join(lines).replace("NAMESPACE", "edge").replace("CALLER", "gateway")
        parts.append(f"{part}{filled}\n" if "ingress:" in filled else part)
    proved(
        "---\n".join(parts),
        "{to: shop/db, exactly: [{from: edge/gateway, port: 5432}]}",
        "{to: shop/web, exactly: [{from: edge/gateway, port: [8080, 9000]}]}",
    )


def test_what_is_said() -> None:
    """Services of one selector are one policy; an Ingress is a caller; what leads elsewhere is left out, and said."""
    text = made("zero-trust-namespace", name="zero")
    names = [one["metadata"]["name"] for one in objects(text)]
    assert names == ["zero", "zero-allow-dns", "zero-allow-to-db", "zero-allow-to-web"]
    assert "Service shop/db, shop/db-headless leads here" in text
    assert "Ingress shop/front sends here: its controller must be among the callers." in text
    said = notes("zero-trust-namespace")
    assert "without selector or ports, so nothing is written for it: Service shop/outside" in said
    assert "what the workloads call is not in any manifest: only DNS is open to them" in said


def test_nothing_is_guessed_of_what_is_called() -> None:
    """No egress but DNS, whatever Services there are."""
    policies = objects(made("zero-trust-namespace", sources=("edge",)))
    outward = [one for one in policies if one["spec"].get("egress")]
    assert [one["metadata"]["name"] for one in outward] == ["allow-dns"]


def test_callers_of_the_namespace_itself() -> None:
    """Are let in, and told that they need a way out."""
    asked = {"sources": ("shop/batch", "app=web", "edge")}
    text = made("zero-trust-namespace", **asked)
    way_out = made("allow-app", selector="app=batch", to=("svc/shop/db",), survey=survey(text))
    proved(f"{text}---\n{way_out}", "{from: shop/batch, allow: {to: shop/db, port: 5432}}")
    assert [one for one in notes("zero-trust-namespace", **asked) if one.startswith("shop/batch, app=web is in shop")]
    assert not any("way out" in one for one in notes("zero-trust-namespace", sources=("edge",)))


def test_a_namespace_without_services() -> None:
    """Is closed."""
    assert any("monitoring has no Services" in one for one in notes("zero-trust-namespace", namespace="monitoring"))


@pytest.mark.parametrize("asked", [Asked(), Asked(namespace="shop"), Asked(survey=survey())])
def test_it_needs_both(asked: Asked) -> None:
    """Services of no namespace, or of no input, are nobody's."""
    with pytest.raises(InvalidInput, match="needs a namespace and the input"):
        scaffold("zero-trust-namespace", asked)


def test_hostile_names_of_the_input() -> None:
    """A server would not hold them; a snapshot that somebody has written may."""
    evil = Service("shop", "db\nspec: {}", selector={"app": "db"}, ports=(ServicePort(80),))
    there = Survey(Snapshot.of(services=[evil], namespaces=[Namespace("shop")]))
    with pytest.raises(InvalidInput, match=r"metadata\.name"):
        scaffold("zero-trust-namespace", Asked(namespace="shop", survey=there))
    odd = Service("shop", "db", selector={"app": "db\n# x"}, ports=(ServicePort(80),))
    with pytest.raises(InvalidInput, match="podSelector"):
        scaffold(
            "zero-trust-namespace",
            Asked(namespace="shop", survey=Survey(Snapshot.of(services=[odd], namespaces=[Namespace("shop")]))),
        )
