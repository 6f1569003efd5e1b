"""The properties of an enforcer, as dialogue (`tests.agent.dialogue`): each scenario is played in many ways.

Names begin with the number of the property, where there is one. That live connections follow, and addresses that come
back, is in `test_live_connections`.
"""

from __future__ import annotations

import pytest

from tests.agent.dialogue import play

SCENARIOS = {
    "1 closed at birth, by interfaces": """
        > pod shop/web 10.1.0.10 here app=web
        < 10.1.0.99 on og99 -> 203.0.113.1:443 is dropped by spoof
        > link 10.1.0.99 og99
        > policy else/p egress all
        < shop/web -> 203.0.113.1:443 passes
        > pod shop/new here app=new
        > pod shop/new 10.1.0.99 here app=new
        < shop/new -> 203.0.113.1:443 passes
        """,
    "1 closed at birth, by blocks": """
        agent blocks 10.1.0.0/24 fd00:1::/64
        > pod shop/web 10.1.0.10 here app=web
        < 10.1.0.99 -> 203.0.113.1:443 is dropped by unknown
        < [fd00:1::99] -> [2001:db8::1]:443 is dropped by unknown
        < 203.0.113.1 -> 10.1.0.99:80 is dropped by unknown
        < shop/web -> 203.0.113.1:443 passes
        > pod shop/new 10.1.0.99 fd00:1::99 here app=new
        < shop/new -> 203.0.113.1:443 passes
        < shop/new -> [2001:db8::1]:443 passes
        > pod shop/new is gone
        < 10.1.0.99 -> 203.0.113.1:443 is dropped by unknown
        > node 10.1.0.0/28
        < 10.1.0.99 -> 203.0.113.1:443 passes
        < 10.1.0.9 -> 203.0.113.1:443 is dropped by unknown
        """,
    "1 open at birth, where that is chosen, and judged then": """
        agent open
        > pod shop/web 10.1.0.10 here app=web
        > link 10.1.0.99 og99
        > policy shop/deny egress app=new
        < 203.0.113.1 -> 10.1.0.98:80 passes
        < connection a: shop/web -> 10.1.0.99:80 opens
        > policy shop/guard ingress app=new
        > pod shop/new 10.1.0.99 here app=new
        < connection a is cut
        """,
    "1 closed again after death": """
        > pod shop/web 10.1.0.10 here app=web
        < shop/web -> 203.0.113.1:443 passes
        < connection a: shop/web -> 203.0.113.1:443 opens
        > pod shop/web is gone
        < 10.1.0.10 on og10 -> 203.0.113.1:443 is dropped by spoof
        < connection a is cut
        """,
    "2 the network plugin is answered once the pod is enforced": """
        > policy shop/deny egress app=web
        > born shop/web#1 10.1.0.10 token 7
        < 7 waits
        > pod shop/web here app=web
        < 7 is answered
        < 10.1.0.10 on og10 -> 203.0.113.1:443 is dropped by shop/deny
        > pod shop/web 10.1.0.10 here app=web
        < shop/web -> 203.0.113.1:443 is dropped by shop/deny
        """,
    "2 nobody is answered for another pod of that name": """
        > pod shop/web#1 here app=web
        > born shop/web#2 10.1.0.10 token 7
        < 7 waits
        < 10.1.0.10 on og10 -> 203.0.113.1:443 is dropped by spoof
        > pod shop/web#2 here app=new
        < 7 is answered
        < 10.1.0.10 on og10 -> 203.0.113.1:443 passes
        """,
    "2 who has gone is not answered": """
        > born shop/web#1 10.1.0.10 token 7
        < 7 waits
        > forgotten 7
        < 7 waits
        > pod shop/web here app=web
        < 7 waits
        """,
    "3 a source address of another pod": """
        > pod shop/web 10.1.0.10 here app=web
        > pod shop/api 10.1.0.11 here app=api
        < 10.1.0.10 on og11 -> 203.0.113.1:443 is dropped by spoof
        < 192.168.50.77 on og11 -> 203.0.113.1:443 is dropped by spoof
        < 10.1.0.10 on og10 -> 203.0.113.1:443 passes
        > link 10.1.0.10 og77
        < 10.1.0.10 on og10 -> 203.0.113.1:443 is dropped by spoof
        < 10.1.0.10 on og77 -> 203.0.113.1:443 passes
        """,
    "13 a stand-in closes its own pods, in its own direction": """
        > pod shop/web 10.1.0.10 here app=web
        > pod shop/api 10.1.0.11 here app=api
        > policy shop/odd egress app=web
        > broken shop/odd
        < shop/web -> shop/api:80 is dropped by shop/odd
        < shop/web -> 203.0.113.1:443 is dropped by shop/odd
        < shop/api -> shop/web:80 passes
        < 203.0.113.1 -> shop/web:80 passes
        < shop/api -> 203.0.113.1:443 passes
        """,
    "15 a pod and its own node": """
        > pod shop/web 10.1.0.10 here app=web
        > pod shop/api 10.1.0.11 here app=api
        > policy shop/deny egress app=web to block 192.168.50.0/24 port 6443
        < shop/web -> node:6443 passes
        < shop/web -> node:10250 is dropped by shop/deny
        < shop/web -> node ping is dropped by shop/deny
        < shop/api -> node:10250 passes
        """,
    "17 a pod and itself, through a service": """
        > pod shop/web 10.1.0.10 here app=web
        > policy shop/deny egress app=web to app=api
        < shop/web -> shop/web:80 is dropped by shop/deny
        > policy shop/deny egress app=web to app=web
        < shop/web -> shop/web:80 passes
        > policy shop/guard ingress app=web
        < shop/web -> shop/web:80 is dropped by shop/guard
        """,
    "18 ping is traffic": """
        > pod shop/web 10.1.0.10 fd00:1::10 here app=web
        > policy shop/deny egress app=web to block 0.0.0.0/0 port 80
        < shop/web -> 203.0.113.1 ping is dropped by shop/deny
        < shop/web -> [2001:db8::1] ping is dropped by shop/deny
        > policy shop/deny egress app=web to block 203.0.113.0/24 to block ::/0
        < shop/web -> 203.0.113.1 ping passes
        < shop/web -> [2001:db8::1] ping passes
        """,
    "19 both families": """
        > pod shop/web 10.1.0.10 fd00:1::10 here app=web
        > pod shop/far 10.2.0.12 fd00:2::12 there app=far
        > policy shop/deny egress app=web to app=far port 80
        < shop/web -> shop/far:80 passes
        < shop/web|6 -> shop/far|6:80 passes
        < shop/web|6 -> [64:ff9b::cb00:7101]:80 is dropped by shop/deny
        < connection six: shop/web|6 -> shop/far|6:80 opens
        < connection four: shop/web -> shop/far:80 opens
        > pod shop/far 10.2.0.12 there app=far
        > pod shop/x fd00:2::12 there app=x
        < connection six is cut
        < connection four goes on
        """,
    "21 a port by its name": """
        > pod shop/web 10.1.0.10 here app=web
        > pod shop/a 10.2.0.12 there app=api port http=8080 port dns=53/UDP
        > pod shop/b 10.2.0.13 there app=api port http=9090
        > pod shop/c 10.2.0.14 there app=other port http=8080
        > policy shop/deny egress app=web to app=api port http
        < shop/web -> shop/a:8080 passes
        < shop/web -> shop/a:9090 is dropped by shop/deny
        < shop/web -> shop/b:9090 passes
        < shop/web -> shop/c:8080 is dropped by shop/deny
        < shop/web -> shop/a:53/UDP is dropped by shop/deny
        < shop/web -> 203.0.113.1:8080 is dropped by shop/deny
        > policy shop/deny egress app=web anywhere port dns/UDP
        < shop/web -> shop/a:53/UDP passes
        < shop/web -> 203.0.113.1:53/UDP is dropped by shop/deny
        """,
    "21 ranges, and SCTP": """
        > pod shop/web 10.1.0.10 here app=web
        > policy shop/deny egress app=web to block 203.0.113.0/24 port 8000-8010 port 90/SCTP
        < shop/web -> 203.0.113.1:8000 passes
        < shop/web -> 203.0.113.1:8010 passes
        < shop/web -> 203.0.113.1:8011 is dropped by shop/deny
        < shop/web -> 203.0.113.1:90/SCTP passes
        < shop/web -> 203.0.113.1:90 is dropped by shop/deny
        """,
    "23 watched alone": """
        > pod shop/web 10.1.0.10 here app=web
        > policy shop/watch audit egress app=web to app=api
        < shop/web -> 203.0.113.1:443 passes by shop/watch
        < shop/web -> node:80 passes by shop/watch
        """,
    "23 watched and enforced on one pod": """
        > pod shop/web 10.1.0.10 here app=web
        > policy shop/watch audit egress app=web to block 203.0.113.0/24
        > policy shop/deny egress app=web to block 198.51.100.0/24
        < shop/web -> 203.0.113.1:443 passes
        < shop/web -> 198.51.100.1:443 passes
        < shop/web -> 192.0.2.1:443 is dropped by shop/deny
        > policy shop/deny is gone
        < shop/web -> 192.0.2.1:443 passes by shop/watch
        < shop/web -> 203.0.113.1:443 passes
        """,
    "23 watched in one direction": """
        > pod shop/web 10.1.0.10 here app=web
        > policy shop/watch audit egress app=web
        > policy shop/guard ingress app=web
        < shop/web -> 203.0.113.1:443 passes by shop/watch
        < 203.0.113.1 -> shop/web:80 is dropped by shop/guard
        """,
    "23 by the namespace, unless the policy says otherwise": """
        > namespace shop audit
        > pod shop/web 10.1.0.10 here app=web
        > pod shop/api 10.1.0.11 here app=api
        > policy shop/watch egress app=web
        > policy shop/deny enforce egress app=api
        < shop/web -> 203.0.113.1:443 passes by shop/watch
        < shop/api -> 203.0.113.1:443 is dropped by shop/deny
        > namespace shop is gone
        < shop/web -> 203.0.113.1:443 is dropped by shop/watch
        """,
    "23 by default, and what a policy enforces": """
        agent audit
        > pod shop/web 10.1.0.10 here app=web
        > pod shop/api 10.1.0.11 here app=api
        > policy shop/watch egress app=web
        > policy shop/deny enforce egress app=api
        < shop/web -> 203.0.113.1:443 passes by shop/watch
        < shop/api -> 203.0.113.1:443 is dropped by shop/deny
        < 10.1.0.99 on og10 -> 203.0.113.1:443 passes by unknown
        < 203.0.113.1 -> 10.1.0.99:443 passes
        """,
    "23 by default, and nobody rides on the time before": """
        agent audit
        > pod shop/web 10.1.0.10 here app=web
        > policy shop/guard enforce ingress app=new
        > link 10.1.0.99 og99
        < connection a: shop/web -> 10.1.0.99:80 opens
        > pod shop/new 10.1.0.99 here app=new
        < connection a is cut
        """,
    "23 a strange value closes": """
        > namespace shop audit
        > pod shop/web 10.1.0.10 here app=web
        > policy shop/deny strange egress app=web
        < shop/web -> 203.0.113.1:443 is dropped by shop/deny
        """,
    "a pod of the host network is its node": """
        > pod shop/web 10.1.0.10 here app=web
        > pod shop/hostly 192.168.50.12 there host app=api
        > policy shop/deny egress app=web to app=api
        < shop/web -> 192.168.50.12:80 is dropped by shop/deny
        """,
    "a pod that waits for its address": """
        > pod shop/web here app=web
        > policy shop/deny egress app=web
        > pod shop/api 10.1.0.11 here app=api
        < shop/api -> 203.0.113.1:80 passes
        > pod shop/web 10.1.0.10 here app=web
        < shop/web -> 203.0.113.1:80 is dropped by shop/deny
        """,
    "a network that is made anew under other policies": """
        > pod shop/web#1 10.1.0.10 here app=web
        > policy shop/deny egress app=web to app=api
        > pod shop/api#1 10.1.0.11 here app=api
        < shop/web -> shop/api:80 passes
        > died shop/api#1
        > died shop/web#1
        < 10.1.0.10 on og10 -> 203.0.113.1:80 is dropped by spoof
        > policy shop/deny egress app=web to app=api port 80
        > policy shop/more egress app=web to app=web
        > policy shop/guard ingress app=api from app=web
        < 203.0.113.1 -> shop/api:80 is dropped by unknown
        > born shop/api#1 10.1.0.11 token 1
        > born shop/web#1 10.1.0.10 token 2
        < 1 is answered
        < 2 is answered
        < shop/web -> shop/api:80 passes
        < shop/web -> shop/api:81 is dropped by shop/deny
        < 203.0.113.1 -> shop/api:80 is dropped by shop/guard
        """,
    "the successor of a name, before the API server tells": """
        > pod shop/web#1 10.1.0.10 here app=web
        > died shop/web#1
        > born shop/web#2 10.1.0.20 token 3
        < 10.1.0.10 on og10 -> 203.0.113.1:80 is dropped by spoof
        < 10.1.0.20 on og20 -> 203.0.113.1:80 is dropped by spoof
        < 3 waits
        > pod shop/web is gone
        > pod shop/web#2 here app=web
        < 3 waits
        """,
    "a stand-in whose policy is mended": """
        > pod shop/web 10.1.0.10 here app=web
        > policy shop/odd egress app=web
        < shop/web -> 203.0.113.1:443 is dropped by shop/odd
        > policy shop/odd egress app=web to block 203.0.113.0/24
        < shop/web -> 203.0.113.1:443 passes
        """,
    "policies told anew": """
        > pod shop/web 10.1.0.10 here app=web
        > policy shop/deny egress app=web
        > policy shop/more egress app=web to block 203.0.113.0/24
        < connection a: shop/web -> 203.0.113.1:443 opens
        > policies are told anew without shop/more
        < connection a is cut
        > policies are told anew without shop/deny
        < shop/web -> 203.0.113.1:443 passes
        """,
    "a table that is gone is made anew": """
        > pod shop/web 10.1.0.10 here app=web
        > policy shop/deny egress app=web to app=x
        < shop/web -> 203.0.113.1:443 is dropped by shop/deny
        > somebody deletes the table
        < shop/web -> 203.0.113.1:443 is dropped by shop/deny
        """,
}


@pytest.mark.parametrize("text", SCENARIOS.values(), ids=SCENARIOS)
def test_properties_of_an_enforcer(text: str) -> None:
    """Each by the number of the property that fails with it, where it has one."""
    play(text)
