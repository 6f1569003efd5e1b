"""All recipes by name, and the gate that everything they write passes through."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from outgate.analysis.lookup import known_namespace
from outgate.errors import InvalidInput, UnknownName, UsageError
from outgate.model.parse import parse
from outgate.model.place import Document
from outgate.model.validate_text import dns_label, dns_subdomain
from outgate.recipes.allowing import allow_api_server, allow_app, allow_cidr, allow_dns, allow_namespace
from outgate.recipes.block_metadata import block_metadata
from outgate.recipes.denying import default_deny_all, default_deny_egress, quarantine
from outgate.recipes.recipe import Asked, Recipe, Scaffold
from outgate.recipes.zero_trust import zero_trust_namespace

__all__ = ["RECIPES", "scaffold"]

_PEERS = frozenset({"selector", "to", "from", "port"})
_SELECTOR = frozenset({"selector"})

RECIPES: tuple[Recipe, ...] = (
    Recipe("default-deny-egress", "Nothing leaves but DNS; everything else is added.", default_deny_egress, _SELECTOR),
    Recipe("default-deny-all", "Nothing leaves but DNS, and nothing comes in.", default_deny_all, _SELECTOR),
    Recipe("allow-dns", "Questions to the cluster's resolvers, and to nobody else.", allow_dns, _SELECTOR),
    Recipe("allow-namespace", "To or from every pod of a namespace.", allow_namespace, _PEERS),
    Recipe("allow-app", "To or from an application: by labels, workload or Service.", allow_app, _PEERS),
    Recipe("allow-cidr", "To or from addresses, less the metadata services in them.", allow_cidr, _PEERS),
    Recipe("allow-api-server", "To the API server, where it really listens.", allow_api_server, _SELECTOR),
    Recipe(
        "block-metadata",
        "Everything but the metadata services of clouds, in the form that works.",
        block_metadata,
        _SELECTOR | {"admin-tier"},
    ),
    Recipe("quarantine", "Nothing in, nothing out, for pods with a label.", quarantine, _SELECTOR | {"admin-tier"}),
    Recipe(
        "zero-trust-namespace",
        "Deny, DNS, and the way in to each Service of a namespace.",
        zero_trust_namespace,
        frozenset({"from"}),
    ),
)
"""In the order in which a newcomer needs them."""


def scaffold(name: str, asked: Asked) -> Scaffold:
    """What a recipe writes. Raises UsageError or UnknownName for what was asked and cannot be."""
    recipe = _named(name)
    given = {
        "selector": asked.selector is not None,
        "to": bool(asked.to),
        "from": bool(asked.sources),
        "port": bool(asked.ports),
        "admin-tier": asked.admin_tier,
    }
    for option, is_given in given.items():
        if is_given and option not in recipe.takes:
            takes = ", ".join(f"--{one}" for one in given if one in recipe.takes)
            raise UsageError(f"{name} takes no --{option}", hint=f"it takes {takes}")
    _check_names(asked)
    made = recipe.write(asked)
    _check(made)
    return Scaffold(made.manifests, (*made.notes, *_replaced(asked, made)))


def _named(name: str) -> Recipe:
    for recipe in RECIPES:
        if recipe.name == name:
            return recipe
    known = [recipe.name for recipe in RECIPES]
    near = difflib.get_close_matches(name, known, cutoff=0.5)
    advice = f"did you mean {' or '.join(near)}?" if near else f"the recipes are: {', '.join(known)}"
    raise UnknownName(f"there is no recipe {name}", hint=advice)


def _check_names(asked: Asked) -> None:
    if asked.namespace is not None:
        _refuse("-n", asked.namespace, dns_label(asked.namespace))
        if asked.survey is not None:
            known_namespace(asked.namespace, asked.survey.snapshot)
    if asked.name is not None:
        _refuse("--name", asked.name, dns_subdomain(asked.name))


def _refuse(option: str, text: str, complaints: Iterable[str]) -> None:
    wrong = list(complaints)
    if wrong:
        raise UsageError(f"{option} {text}: {'; '.join(wrong)}")


def _check(made: Scaffold) -> None:
    """Hold what was made to the API server's rules: nothing that it would refuse is ever printed.

    Raises InvalidInput where it does not hold, as with a name that grows too long by what is put behind it.
    """
    parsed = parse([Document("", dict(one.value)) for one in made.manifests])
    errors = [error for one in parsed.refused for error in one.errors]
    if errors:
        raise InvalidInput(errors, hint="give it another --name")


def _replaced(asked: Asked, made: Scaffold) -> Iterator[str]:
    if asked.survey is None:
        return
    there = {(one.namespace, one.name): one for one in asked.survey.snapshot.policies}
    for manifest in made.manifests:
        metadata = manifest.value["metadata"]
        assert isinstance(metadata, dict)
        found = there.get((metadata.get("namespace", asked.home), metadata["name"]))
        if found is not None and manifest.value["kind"] == found.kind:
            yield f"policy {found} is in the input already ({found.place}): this would take its place"
