"""What a policy keeps lives on against it, for its own ends alone (scenarios: `tests.agent.dialogue`)."""

from __future__ import annotations

import pytest

from outgate.agent.trust import Trust
from tests.agent.dialogue import play

ALWAYS = "> policy shop/always keep ingress app=nobody"
"""A policy that keeps, so that what is older may be believed."""
KEPT = f"""
    {ALWAYS}
    > pod shop/web 10.1.0.10 here app=web
    > pod shop/api 10.1.0.11 here app=api
    > pod shop/far 10.2.0.12 there app=far
    > policy shop/deny keep egress app=web to app=api port 80 to app=far
    < connection near: shop/web -> shop/api:80 opens
    < connection far: shop/web -> shop/far:443 opens
"""
"""Two connections of a pod that only policies isolate which keep."""

KEEP = {
    "4 kept by its policy, whatever the cause": f"""{KEPT}
        > policy shop/deny keep egress app=web
        < connection near goes on
        < connection far goes on
        < shop/web -> shop/api:80 is dropped by shop/deny
        > pod shop/api 10.1.0.11 here app=else
        > pod shop/far 10.2.0.12 there app=else
        > policy else/p egress all
        < connection near goes on
        < connection far goes on
        """,
    "4 kept by its namespace, but where the policy says otherwise": f"""
        > namespace shop keep
        {KEPT}
        > policy shop/deny egress app=web
        < connection far goes on
        > policy shop/deny cut egress app=web
        < connection far is cut
        """,
    "4 a word that nobody knows cuts": f"""{KEPT}
        > policy shop/deny kept egress app=web
        < connection far is cut
        """,
    "4 cut by the node's word, kept by the policy's": """
        agent keep
        > pod shop/web 10.1.0.10 here app=web
        > policy shop/deny cut egress app=web to app=web
        > policy shop/other egress app=web to block 203.0.113.0/24
        < connection a: shop/web -> 203.0.113.1:443 opens
        > policy shop/other egress app=web
        < connection a is cut
        """,
    "4 together with one that cuts, it is cut": f"""{KEPT}
        > policy shop/more egress app=web to app=api port 80
        < connection near goes on
        > policy shop/deny keep egress app=web
        < connection near goes on
        < connection far is cut
        """,
    "4 an audited one beside it cuts nothing": f"""{KEPT}
        > policy shop/more audit egress app=web
        > policy shop/deny keep egress app=web
        < connection near goes on
        < connection far goes on
        """,
    "4 each end has to agree": f"""{KEPT}
        > policy shop/guard ingress app=api from app=else
        < connection near is cut
        < connection far goes on
        """,
    "4 both ends agree": f"""{KEPT}
        > policy shop/guard keep ingress app=api from app=else
        < connection near goes on
        < connection far goes on
        """,
    "4 who comes to be kept gets nothing back": f"""{KEPT}
        > policy shop/more egress app=web to app=api port 80
        > policy shop/deny keep egress app=web
        < connection far is cut
        > policy shop/more keep egress app=web to app=api port 80
        < connection near goes on
        < connection far is cut
        > policy shop/more is gone
        < connection near goes on
        < connection far is cut
        """,
    "4 nor by his labels": f"""{KEPT}
        > policy shop/strict egress app=strict to app=api
        > pod shop/web 10.1.0.10 here app=strict
        < connection near goes on
        < connection far is cut
        > pod shop/web 10.1.0.10 here app=soft
        > policy shop/soft keep egress app=soft to app=api
        < connection near goes on
        < connection far is cut
        """,
    "4 nor where it is the first that keeps": """
        > pod shop/web 10.1.0.10 here app=web
        > pod shop/far 10.2.0.12 there app=far
        < connection a: shop/web -> shop/far:80 opens
        < connection b: shop/web -> 203.0.113.1:80 opens
        > policy shop/deny egress app=web to app=far
        < connection a goes on
        < connection b is cut
        > policy shop/deny keep egress app=web to app=far
        < connection a goes on
        < connection b is cut
        > policy shop/deny keep egress app=web
        < connection a goes on
        < connection b is cut
        """,
    "22 the next owner of an address has nothing of the last one's": f"""{KEPT}
        > pod shop/web is gone
        > pod shop/heir 10.1.0.10 here app=heir
        > policy shop/heir keep egress app=heir
        < connection near is cut
        < connection far is cut
        """,
    "22 nor of another node": f"""{KEPT}
        > policy shop/deny keep egress app=web to app=api
        < connection far goes on
        > pod shop/far is gone
        > pod shop/heir 10.2.0.12 there app=heir
        < connection far is cut
        < connection near goes on
        """,
    "22 nor if he looks the same": f"""{KEPT}
        > policy shop/deny keep egress app=web
        < connection far goes on
        > pod shop/far#2 10.2.0.12 there app=far
        < connection far is cut
        < connection near goes on
        """,
    "22 nor with another's labels, in one node's keep": """
        agent keep
        > pod shop/web 10.1.0.10 here app=web
        < connection a: shop/web -> 203.0.113.1:443 opens
        > policy shop/heir egress app=heir
        > pod shop/web is gone
        > pod shop/heir 10.1.0.10 here app=heir
        < connection a is cut
        """,
}


@pytest.mark.parametrize("text", KEEP.values(), ids=KEEP)
def test_what_is_kept(text: str) -> None:
    """Who drains relies on it, and so does who has the address of one that is gone."""
    play(text)


def _want(trust: Trust, wanted: bool) -> None:
    trust.wanted = trust.believing = wanted


@pytest.mark.parametrize(
    ("part", "fault", "text", "seen"),
    [
        ("want", _want, "4 nor where it is the first that keeps", "connection b is cut"),
        ("linger", lambda *_: None, "4 who comes to be kept gets nothing back", "connection far is cut"),
        ("notice", lambda *_: None, "22 nor if he looks the same", "connection far is cut"),
    ],
)
def test_who_is_believed_unswept_is_found_out(
    part: str, fault: object, text: str, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was cut carries a number, too, and so does what was another's."""
    monkeypatch.setattr(Trust, part, fault)
    with pytest.raises(AssertionError, match=seen):
        play(KEEP[text])
