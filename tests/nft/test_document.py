"""Objects as nft's JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from outgate.nft.canonical import canonical
from outgate.nft.document import ruleset_document
from outgate.nft.listing import read_listing
from outgate.nft.objects import Chain, ChainRule, Compare, Field, KeyType, NftSet, Opaque, Ruleset
from tests.nft.rulesets import rulesets


@given(rulesets())
def test_what_is_written_is_read_back(ruleset: Ruleset) -> None:
    """Two writers and two readers of one language that disagree are four compilers."""
    read = read_listing(ruleset_document(ruleset))

    assert read is not None
    assert canonical(read) == canonical(ruleset)


@pytest.mark.parametrize(
    "ruleset",
    [
        Ruleset({"a b": Chain("a b")}),
        Ruleset({"c": Chain("c", (ChainRule((Opaque("x"),)),))}),
        Ruleset({"c": Chain("c", (ChainRule((Compare(Field.TCP_DPORT, 0, 65536),)),))}),
        Ruleset(sets={"s": NftSet("s", ())}),
        Ruleset(sets={"s": NftSet("s", (KeyType.IPV4_ADDR,), {((1, 2),): None})}),
    ],
    ids=["name", "opaque", "port", "key", "range"],
)
def test_what_text_refuses_is_refused_here(ruleset: Ruleset) -> None:
    """JSON must not be the back door for what may not be written."""
    with pytest.raises(ValueError, match=r"."):
        ruleset_document(ruleset)


def test_objects_come_before_what_refers_to_them() -> None:
    """Nft runs the list from top to bottom: a map that leads to a chain needs the chain first."""
    rules = (ChainRule((Compare(Field.TCP_DPORT, 80, 80),)),)
    ruleset = Ruleset({"c_1": Chain("c_1", rules)}, {"s_1": NftSet("s_1", (KeyType.IPV4_ADDR,))})

    kinds = [next(iter(item)) for item in json.loads(ruleset_document(ruleset))["nftables"]]

    assert kinds == ["metainfo", "table", "chain", "set", "rule"]
