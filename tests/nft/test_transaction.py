"""What the kernel makes of a transaction, and what it refuses. That it does is held by tests/lab."""

from __future__ import annotations

import pytest

from outgate.nft.objects import (
    ACCEPT,
    DROP,
    Chain,
    ChainRule,
    Field,
    Hook,
    KeyType,
    Lookup,
    NftSet,
    Ruleset,
    VerdictMap,
    goto,
    jump,
)
from outgate.nft.transaction import (
    AddChain,
    AddElements,
    AddRules,
    AddSet,
    AddTable,
    Command,
    DeleteChain,
    DeleteElements,
    DeleteSet,
    DeleteTable,
    FlushChain,
    Refused,
    Transaction,
    apply,
    references,
    weight,
)

ONE, TWO = ((1, 1),), ((2, 2),)
MAP = NftSet("m", (KeyType.IPV4_ADDR,), {ONE: goto("leaf")}, is_map=True)
SET = NftSet("s", (KeyType.IPV4_ADDR,), {ONE: None})
RULES = (ChainRule((VerdictMap((Field.IP_SADDR,), "m"),)), ChainRule((Lookup((Field.IP_SADDR,), "s"), jump("leaf"))))
BASE = Chain("base", RULES, Hook("forward", 0))
TABLE = Ruleset({"leaf": Chain("leaf", (ChainRule((DROP,)),)), "base": BASE}, {"m": MAP, "s": SET})


def after(*commands: Command, before: Ruleset | None = TABLE) -> Ruleset | None:
    """The table after one transaction."""
    return apply(Transaction(commands), before)


def test_a_table_is_built_in_order() -> None:
    """Chains, then maps that lead to them, then rules that look into those."""
    declared: list[Command] = [AddChain(TABLE.chains["leaf"]), AddChain(BASE), AddSet(MAP), AddSet(SET)]
    filled: list[Command] = [
        AddElements(MAP),
        AddElements(SET),
        AddRules("leaf", (ChainRule((DROP,)),)),
        AddRules("base", RULES),
    ]

    assert after(AddTable(), *declared, *filled, before=None) == TABLE


@pytest.mark.parametrize(
    "commands",
    [
        (AddChain(Chain("leaf")),),
        (AddSet(SET),),
        (AddRules("nowhere", ()),),
        (FlushChain("nowhere"),),
        (DeleteChain("nowhere"),),
        (DeleteSet(NftSet("n", (KeyType.IPV4_ADDR,))),),
        (AddElements(NftSet("n", (KeyType.IPV4_ADDR,))),),
        (AddRules("leaf", (ChainRule((goto("nowhere"),)),)),),
        (AddRules("leaf", (ChainRule((Lookup((Field.IP_SADDR,), "n"),)),)),),
        (AddElements(NftSet("m", MAP.key, {TWO: goto("nowhere")}, is_map=True)),),
        (AddElements(NftSet("m", MAP.key, {ONE: ACCEPT}, is_map=True)),),
        (DeleteElements(NftSet("s", SET.key, {TWO: None})),),
        (DeleteSet(SET),),
        (DeleteChain("leaf"),),
        (FlushChain("base"), DeleteChain("leaf")),
    ],
    ids=str,
)
def test_what_the_kernel_refuses_is_refused(commands: tuple[Command, ...]) -> None:
    """A plan that is tried here and passes must not fail half way in the kernel."""
    with pytest.raises(Refused):
        after(*commands)


def test_without_a_table_there_is_nothing_to_change() -> None:
    """Every command but the first needs the table."""
    with pytest.raises(Refused):
        after(FlushChain("leaf"), before=None)
    assert after(DeleteTable()) is None


def test_removal_goes_from_the_rules_inward() -> None:
    """Rules first, then the maps that lead to chains, then the chains."""
    left = after(FlushChain("base"), DeleteSet(MAP), DeleteSet(SET), DeleteChain("leaf"))

    assert left == Ruleset({"base": Chain("base", (), BASE.hook)})


def test_an_element_is_replaced_within_one_transaction() -> None:
    """Delete and add of one key: hash maps take both."""
    changed = NftSet("m", MAP.key, {ONE: ACCEPT}, is_map=True)
    table = after(DeleteElements(MAP), AddElements(changed))

    assert table is not None
    assert table.sets["m"].elements == {ONE: ACCEPT}


def test_references_and_weights() -> None:
    """What decides which objects are in use, and how much fits into one message."""
    assert set(references(BASE)) == {("set", "m"), ("set", "s"), ("chain", "leaf")}
    assert list(references(MAP)) == [("chain", "leaf")]
    assert weight(AddRules("base", RULES)) == (2, 0)
    assert weight(AddElements(SET)) == (0, 1)
    assert weight(AddTable()) == (1, 0)
