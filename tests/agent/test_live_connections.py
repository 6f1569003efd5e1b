"""Live connections obey what is so now, and are left alone by what does not concern them.

Each scenario (`tests.agent.dialogue`) is played in many ways. Names begin with the number of the property of an
enforcer that fails with them: 4, a change of policy cuts; 5, every cause does; 22, an address belongs to one pod.
"""

from __future__ import annotations

import pytest

from tests.agent.dialogue import play

TOWN = """
    > pod shop/web 10.1.0.10 here app=web
    > pod shop/api 10.1.0.11 here app=api
    > pod shop/far 10.2.0.12 there app=far
    > policy shop/deny egress app=web to app=api port 80 to app=far
    < connection near: shop/web -> shop/api:80 opens
    < connection far: shop/web -> shop/far:443 opens
"""
"""Two connections of a pod that may have no others."""

LIVE = {
    "4 a policy that is new": """
        > pod shop/web 10.1.0.10 here app=web
        < connection a: shop/web -> 203.0.113.1:443 opens
        > policy shop/deny egress app=web
        < connection a is cut
        < the epoch rises
        """,
    "4 a policy that is narrowed": f"""{TOWN}
        > policy shop/deny egress app=web to app=far
        < connection near is cut
        < connection far goes on
        """,
    "4 a policy that is gone": f"""{TOWN}
        > policy shop/deny is gone
        < connection near goes on
        < shop/web -> 203.0.113.1:443 passes
        """,
    "4 a policy on the other end": f"""{TOWN}
        > policy shop/guard ingress app=api from app=else
        < connection near is cut
        < connection far goes on
        """,
    "4 to the own node": """
        > pod shop/web 10.1.0.10 here app=web
        < connection a: shop/web -> node:10250 opens
        > policy shop/deny egress app=web
        < connection a is cut
        < shop/web -> node:10250 is dropped by shop/deny
        """,
    "4 a block with an exception": """
        > pod shop/web 10.1.0.10 here app=web
        > policy shop/out egress app=web to block 203.0.113.0/24
        < connection a: shop/web -> 203.0.113.1:443 opens
        < connection b: shop/web -> 203.0.113.9:443 opens
        > policy shop/out egress app=web to block 203.0.113.0/24 except 203.0.113.8/29
        < connection a goes on
        < connection b is cut
        """,
    "4 kept where that is chosen": """
        agent keep
        > pod shop/web 10.1.0.10 here app=web
        > pod shop/api 10.1.0.11 here app=api
        < connection a: shop/web -> shop/api:80 opens
        > policy shop/deny egress app=web
        < connection a goes on
        < shop/web -> shop/api:80 is dropped by shop/deny
        > pod shop/web 10.1.0.10 here app=other
        > policy shop/more egress app=other
        > pod shop/api 10.1.0.11 here app=else
        < connection a goes on
        """,
    "5 the labels of a namespace": """
        > namespace back team=red
        > pod shop/web 10.1.0.10 here app=web
        > pod back/db 10.2.0.20 there app=db
        > policy shop/deny egress app=web to team=red/all
        < connection a: shop/web -> back/db:5432 opens
        > namespace back team=blue
        < connection a is cut
        < shop/web -> back/db:5432 is dropped by shop/deny
        > namespace back team=red
        < shop/web -> back/db:5432 passes
        > namespace back is gone
        < shop/web -> back/db:5432 is dropped by shop/deny
        """,
    "5 the own labels": f"""{TOWN}
        > policy shop/other egress app=other to app=far
        > pod shop/web 10.1.0.10 here app=other
        < connection near is cut
        < connection far goes on
        """,
    "5 the labels of a pod of another node": f"""{TOWN}
        > pod shop/far 10.2.0.12 there app=stranger
        < connection far is cut
        < connection near goes on
        """,
    "5 the labels of a pod of this node": f"""{TOWN}
        > pod shop/api 10.1.0.11 here app=stranger
        < connection near is cut
        < connection far goes on
        """,
    "5 a port of another number": """
        > pod shop/web 10.1.0.10 here app=web
        > pod shop/far 10.2.0.12 there app=far port http=8080
        > policy shop/deny egress app=web to app=far port http
        < connection a: shop/web -> shop/far:8080 opens
        > pod shop/far 10.2.0.12 there app=far port http=9090
        < connection a is cut
        < shop/web -> shop/far:9090 passes
        """,
    "5 a port of another number, of the guarded pod": """
        > pod shop/api 10.1.0.11 here app=api port http=8080
        > policy shop/guard ingress app=api from block 0.0.0.0/0 port http
        < connection a: 198.51.100.1 -> shop/api:8080 opens
        > pod shop/api 10.1.0.11 here app=api port http=9090
        < connection a is cut
        < 198.51.100.1 -> shop/api:9090 passes
        """,
    "5 the owner of an address": f"""{TOWN}
        > pod shop/far is gone
        > pod shop/near 10.2.0.12 there app=near
        < connection near goes on
        < shop/web -> 10.2.0.12:443 is dropped by shop/deny
        < connection far is cut
        """,
    "5 a pod that has got another address": f"""{TOWN}
        > pod shop/far 10.2.0.13 there app=far
        > pod shop/new 10.2.0.12 there app=new
        < connection far is cut
        < shop/web -> shop/far:443 passes
        """,
    "5 the mode of a policy": """
        > pod shop/web 10.1.0.10 here app=web
        > policy shop/deny audit egress app=web
        < connection a: shop/web -> 203.0.113.1:443 opens
        > policy shop/deny enforce egress app=web
        < connection a is cut
        """,
    "5 the mode of a namespace": """
        > namespace shop audit
        > pod shop/web 10.1.0.10 here app=web
        > policy shop/deny egress app=web
        < connection a: shop/web -> 203.0.113.1:443 opens
        > namespace shop
        < connection a is cut
        """,
    "4 what does not concern a connection leaves it alone": f"""{TOWN}
        > pod shop/new 10.1.0.30 here app=new
        > pod else/where 10.2.0.40 there app=far
        > namespace else team=red
        > policy else/p egress all
        > pod shop/far2 10.2.0.41 there app=far
        < connection near goes on
        < connection far goes on
        < the epoch stays
        > pod else/where is gone
        > pod shop/far2 is gone
        > pod shop/web 10.1.0.10 here app=web
        > namespace else team=red
        > pods are told anew
        > trouble with Pod
        > recovered Pod
        < connection near goes on
        < connection far goes on
        < the epoch stays
        """,
    "4 a table that somebody changes": f"""{TOWN}
        > somebody forgets 10.2.0.12
        < connection near goes on
        < connection far goes on
        < shop/web -> shop/far:443 passes
        > somebody empties est
        > policy shop/deny egress app=web to app=far
        < connection near is cut
        < connection far goes on
        """,
    "4 an old table that somebody restores": """
        > pod shop/web 10.1.0.10 here app=web
        > pod shop/far 10.2.0.12 there app=far
        > policy shop/deny egress app=web to app=far port 80
        < connection a: shop/web -> shop/far:80 opens
        > policy shop/deny egress app=web to app=far port 81
        < connection a is cut
        > policy shop/more egress app=web to app=else
        > policy shop/less egress app=web to app=else
        < connection a is cut
        > somebody restores epoch 1
        < connection a is cut
        > somebody restores epoch 2
        < connection a is cut
        > somebody restores epoch 3
        < connection a is cut
        > somebody restores epoch 4
        < connection a is cut
        """,
}

REUSE = {
    "22 the dead of another node cost nothing": f"""{TOWN}
        > pod shop/far is gone
        < connection near goes on
        < the epoch stays
        < shop/web -> 10.2.0.12:443 is dropped by shop/deny
        """,
    "22 with as many rights it is as before": f"""{TOWN}
        > pod shop/far is gone
        < the epoch stays
        > pod shop/far#2 10.2.0.12 there app=far
        < the epoch stays
        < connection far goes on
        """,
    "22 with fewer rights": f"""{TOWN}
        > pod shop/far is gone
        < the epoch stays
        > pod shop/far#2 10.2.0.12 there app=far2
        < connection far is cut
        < the epoch rises
        """,
    "22 in another namespace, beside a list": f"""{TOWN}
        > pods are told anew without shop/far
        < connection near goes on
        > pod back/far 10.2.0.12 there app=far
        < connection far is cut
        """,
    "22 with a change of policy in between that only allows more": f"""{TOWN}
        > pod shop/far is gone
        < the epoch stays
        > policy else/p egress all
        < the epoch stays
        > namespace else team=red
        > pod else/far 10.2.0.12 there app=x
        < connection far is cut
        < connection near goes on
        """,
    "22 by a pod of this node that is guarded": """
        > pod shop/web 10.1.0.10 here app=web
        > pod shop/far 10.2.0.12 there app=far
        < connection far: shop/web -> shop/far:443 opens
        > policy shop/guard ingress app=safe
        < connection far goes on
        > pod shop/far is gone
        < the epoch stays
        > pod shop/safe 10.2.0.12 here app=safe
        < connection far is cut
        < shop/web -> shop/safe:443 is dropped by shop/guard
        """,
    "22 by a pod of this node, moved at once": """
        > pod shop/web 10.1.0.10 here app=web
        > pod shop/far 10.2.0.12 there app=far
        > policy shop/guard ingress app=safe
        < connection far: shop/web -> shop/far:443 opens
        > pod shop/far is gone
        > pod shop/safe 10.2.0.12 here app=safe
        < connection far is cut
        """,
    "22 claimed by a pod of this node, too": """
        > pod shop/web 10.1.0.10 here app=web
        > pod shop/far 10.2.0.12 there app=far
        < connection far: shop/web -> shop/far:443 opens
        > pod shop/two 10.2.0.12 here app=two
        < connection far is cut
        < shop/web -> shop/far:443 is dropped by unknown
        > pod shop/far is gone
        < shop/web -> shop/two:443 passes
        """,
    "22 claimed by two of another node": f"""{TOWN}
        > pod shop/two 10.2.0.12 there app=far
        < connection far is cut
        > pod shop/two is gone
        < shop/web -> shop/far:443 passes
        """,
    "22 of a pod that has ended": f"""{TOWN}
        > pod shop/far 10.2.0.12 there finished app=far
        < the epoch stays
        > pod shop/new 10.2.0.12 there app=new
        < connection far is cut
        > pod shop/far is gone
        < shop/web -> shop/new:443 is dropped by shop/deny
        """,
    "22 of a pod of this node that has ended": f"""{TOWN}
        > pod shop/api 10.1.0.11 here finished app=api
        < connection near is cut
        > pod shop/new 10.1.0.11 here app=new
        < connection near is cut
        < shop/web -> shop/new:80 is dropped by shop/deny
        """,
    "22 of the ended one, told after the new one": f"""{TOWN}
        > pod shop/new 10.1.0.11 here app=new
        < shop/web -> shop/api:80 is dropped by shop/deny
        < connection near is cut
        > pod shop/api 10.1.0.11 here finished app=api
        < shop/web -> shop/new:80 is dropped by shop/deny
        < connection near is cut
        < connection far goes on
        """,
    "22 with a port less": """
        > pod shop/web 10.1.0.10 here app=web
        > pod shop/far 10.2.0.12 there app=far port http=80
        > policy shop/deny egress app=web to app=far port http
        < connection a: shop/web -> shop/far:80 opens
        > pod shop/far is gone
        < the epoch stays
        > pod shop/far#2 10.2.0.12 there app=far port http=81
        < connection a is cut
        """,
    "22 twice, each time with more": f"""{TOWN}
        > policy shop/more egress app=web to app=more
        < connection near goes on
        < connection far goes on
        > pod shop/far is gone
        < the epoch stays
        > pod shop/far#2 10.2.0.12 there app=more
        < connection far goes on
        < shop/web -> shop/far:443 passes
        > pod shop/far is gone
        > pod shop/far#3 10.2.0.12 there app=none
        < connection far is cut
        """,
    "22 many times, at rest with none": f"""{TOWN}
        > pod shop/far is gone
        < the epoch stays
        > pod shop/x 10.2.0.12 there app=far
        > pod shop/x is gone
        < the epoch stays
        > pod shop/y 10.2.0.12 there app=far
        > pod shop/z 10.2.0.99 there app=far
        > pod shop/y is gone
        < connection near goes on
        > pod else/y 10.2.0.12 there
        < connection far is cut
        """,
    "22 by whom the policy names by his namespace": """
        > namespace back team=red
        > namespace else team=blue
        > pod shop/web 10.1.0.10 here app=web
        > pod back/db 10.2.0.20 there app=db
        > policy shop/deny egress app=web to team=red/all
        < connection a: shop/web -> back/db:5432 opens
        > pod back/db is gone
        < the epoch stays
        > namespace else team=red
        < the epoch stays
        > pod else/db 10.2.0.20 there app=db
        < connection a goes on
        < the epoch stays
        > pod else/db is gone
        > namespace back team=blue
        > namespace else team=blue
        > pod else/db#2 10.2.0.20 there app=db
        < connection a is cut
        """,
}


@pytest.mark.parametrize("text", LIVE.values(), ids=LIVE)
def test_live_connections_follow(text: str) -> None:
    """A connection that lives on makes a policy a matter of luck; one that is cut for nothing is an outage."""
    play(text)


@pytest.mark.parametrize("text", REUSE.values(), ids=REUSE)
def test_addresses_come_back(text: str) -> None:
    """The rights of a dead pod must not pass to whoever gets its address, however late and by whatever detour."""
    play(text)
