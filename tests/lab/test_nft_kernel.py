"""Text = kernel: what is loaded into a namespace and listed back parses to the same objects."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from outgate.host import process
from outgate.host.nft import Nftables
from outgate.nft.canonical import canonical
from outgate.nft.document import ruleset_document
from outgate.nft.listing import read_listing
from outgate.nft.objects import Ruleset
from outgate.nft.parse import parse_ruleset
from outgate.nft.text import ruleset_text
from tests.lab.alone import alone
from tests.nft.rulesets import rulesets

pytestmark = pytest.mark.kernel
KERNEL = settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow], deadline=None)
LISTINGS = [("nft", "list"), ("nft", "-nn", "list"), ("nft", "-j", "list"), ("nft", "-nn", "-j", "list")]


def listed(text: str, *, json: bool = False) -> list[Ruleset]:
    """The table that the text makes, as all four ways of listing show it."""

    def inside() -> list[str]:
        process.run(("nft", *(("-j",) if json else ()), "-f", "-"), input=text)
        return [process.run((*command, "table", "inet", "outgate")).stdout for command in LISTINGS]

    texts = alone(inside)
    both = [parse_ruleset(texts[0]), parse_ruleset(texts[1]), read_listing(texts[2]), read_listing(texts[3])]
    return [canonical(one) for one in both if one is not None]


def without_set_comments(ruleset: Ruleset) -> Ruleset:
    """nft 1.0.6 does not read them from JSON."""
    return replace(ruleset, sets={name: replace(one, comment="") for name, one in ruleset.sets.items()})


@KERNEL
@given(rulesets())
def test_text_is_listed_back_as_the_same_objects(ruleset: Ruleset) -> None:
    """A spelling that is not read back would be repaired for ever, or hide what somebody changed."""
    wanted = canonical(ruleset)

    assert listed(ruleset_text(ruleset)) == [wanted] * 4


@KERNEL
@given(rulesets())
def test_document_is_listed_back_as_the_same_objects(ruleset: Ruleset) -> None:
    """JSON that says something else than the text would be a second compiler."""
    wanted = without_set_comments(canonical(ruleset))

    assert [*map(without_set_comments, listed(ruleset_document(ruleset), json=True))] == [wanted] * 4
