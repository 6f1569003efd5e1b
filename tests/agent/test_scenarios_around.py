"""What stands around pods, as dialogue (`tests.agent.dialogue`): Services, Nodes, ServiceAccounts, other policies.

Each of these may be told before or after the policy that means it, come late, be another a moment later, or go:
whatever the order, the table in the end is that of an agent which was told the end alone.
"""

from __future__ import annotations

import pytest

from tests.agent.dialogue import play

SERVICES = {
    "5 a service and its slice before the policy": """
        > pod shop/web 10.1.0.10 here app=web
        > service out/x
        > slice out/x-1 of out/x 198.51.100.1
        < followed:
        > cilium shop/p egress app=web to services out/x
        < followed: Service EndpointSlice/x
        < shop/web -> 198.51.100.1:443 passes
        < shop/web -> 198.51.100.2:443 is dropped by shop/p
        """,
    "5 a service and its slice after the policy": """
        > pod shop/web 10.1.0.10 here app=web
        > cilium shop/p egress app=web to services out/x
        < followed: Service
        < shop/web -> 198.51.100.1:443 is dropped by shop/p
        > slice out/x-1 of out/x 198.51.100.1
        < shop/web -> 198.51.100.1:443 is dropped by shop/p
        > service out/x
        < followed: Service EndpointSlice/x
        < shop/web -> 198.51.100.1:443 passes
        """,
    "5 a service that is denied, before and after": """
        > pod shop/web 10.1.0.10 here app=web
        > cilium shop/p open egress app=web never to services out/x
        < shop/web -> 198.51.100.1:443 passes
        > service out/x
        > slice out/x-1 of out/x 198.51.100.1
        < shop/web -> 198.51.100.1:443 is dropped by shop/p
        < shop/web -> 198.51.100.2:443 passes
        """,
    "5 endpoints that move": """
        > pod shop/web 10.1.0.10 here app=web
        > service out/x
        > slice out/x-1 of out/x 198.51.100.1 198.51.100.2
        > cilium shop/p egress app=web to services out/x
        < connection a: shop/web -> 198.51.100.1:443 opens
        < connection b: shop/web -> 198.51.100.2:443 opens
        > slice out/x-1 of out/x 198.51.100.2 198.51.100.3
        < connection a is cut
        < connection b goes on
        < shop/web -> 198.51.100.3:443 passes
        """,
    "5 endpoints that move from slice to slice": """
        > pod shop/web 10.1.0.10 here app=web
        > service out/x
        > slice out/x-1 of out/x 198.51.100.1
        > cilium shop/p egress app=web to services out/x
        < connection a: shop/web -> 198.51.100.1:443 opens
        > slice out/x-2 of out/x 198.51.100.1
        < connection a goes on
        > slice out/x-1 is gone
        < connection a goes on
        > slice out/x-2 of out/x
        < connection a is cut
        """,
    "5 a slice that nobody owns, and one that changes its owner": """
        > pod shop/web 10.1.0.10 here app=web
        > service out/x
        > service out/y
        > slice out/x-1 of out/x 198.51.100.1
        > cilium shop/p egress app=web to services out/x
        < shop/web -> 198.51.100.1:443 passes
        > slice out/x-1 198.51.100.1
        < shop/web -> 198.51.100.1:443 is dropped by shop/p
        > slice out/x-1 of out/x 198.51.100.1
        < shop/web -> 198.51.100.1:443 passes
        > slice out/x-1 of out/y 198.51.100.1
        < shop/web -> 198.51.100.1:443 is dropped by shop/p
        > cilium shop/q egress app=web to services out/y
        < followed: Service EndpointSlice/x,y
        < shop/web -> 198.51.100.1:443 passes
        """,
    "5 a slice that outlives its service": """
        > pod shop/web 10.1.0.10 here app=web
        > service out/x
        > slice out/x-1 of out/x 198.51.100.1
        > cilium shop/p egress app=web to services out/x
        < shop/web -> 198.51.100.1:443 passes
        > service out/x is gone
        < followed: Service
        < shop/web -> 198.51.100.1:443 is dropped by shop/p
        > service out/x
        < shop/web -> 198.51.100.1:443 passes
        """,
    "5 a service of another namespace with that name": """
        > pod shop/web 10.1.0.10 here app=web
        > service out/x
        > service other/x
        > slice out/x-1 of out/x 198.51.100.1
        > slice other/x-1 of other/x 198.51.100.2
        > cilium shop/p egress app=web to services out/x
        < shop/web -> 198.51.100.1:443 passes
        < shop/web -> 198.51.100.2:443 is dropped by shop/p
        """,
    "5 a service that is made anew with another selector": """
        > namespace out
        > pod shop/web 10.1.0.10 here app=web
        > pod out/a 10.2.0.11 there app=a
        > pod out/b 10.2.0.12 there app=b
        > service out/x app=a
        > cilium shop/p egress app=web to services out/x
        < followed: Service
        < connection a: shop/web -> out/a:80 opens
        < shop/web -> out/b:80 is dropped by shop/p
        > service out/x is gone
        > service out/x app=b
        < connection a is cut
        < shop/web -> out/b:80 passes
        > service out/x
        > slice out/x-1 of out/x 198.51.100.1
        < followed: Service EndpointSlice/x
        < shop/web -> out/b:80 is dropped by shop/p
        < shop/web -> 198.51.100.1:80 passes
        > service out/x app=b
        < shop/web -> out/b:80 passes
        < shop/web -> 198.51.100.1:80 is dropped by shop/p
        """,
    "5 services by their labels": """
        > pod shop/web 10.1.0.10 here app=web
        > service out/x labelled tier=front
        > service out/y labelled tier=back
        > slice out/x-1 of out/x 198.51.100.1
        > slice out/y-1 of out/y 198.51.100.2
        > cilium shop/p egress app=web to services labelled tier=front
        < shop/web -> 198.51.100.1:443 passes
        < shop/web -> 198.51.100.2:443 is dropped by shop/p
        > service out/x labelled tier=back
        > service out/y labelled tier=front
        < shop/web -> 198.51.100.1:443 is dropped by shop/p
        < shop/web -> 198.51.100.2:443 passes
        """,
    "5 the policy goes while its lists are on their way": """
        > pod shop/web 10.1.0.10 here app=web
        > service out/x
        > slice out/x-1 of out/x 198.51.100.1
        > lists wait
        < followed:
        > cilium shop/p open egress app=web never to services out/x
        < followed: Service
        < shop/web -> 203.0.113.1:443 is dropped by shop/p
        > cilium shop/p is gone
        < followed:
        < shop/web -> 198.51.100.1:443 passes
        > lists come
        < followed:
        < shop/web -> 198.51.100.1:443 passes
        """,
    "5 the policy goes and comes back while its lists are on their way": """
        > pod shop/web 10.1.0.10 here app=web
        > service out/x
        > slice out/x-1 of out/x 198.51.100.1
        > lists wait
        < followed:
        > cilium shop/p open egress app=web never to services out/x
        > cilium shop/p is gone
        > cilium shop/p open egress app=web never to services out/x
        < shop/web -> 203.0.113.1:443 is dropped by shop/p
        > service out/x is gone
        > lists come
        < shop/web -> 203.0.113.1:443 passes
        < shop/web -> 198.51.100.1:443 passes
        > service out/x
        < shop/web -> 198.51.100.1:443 is dropped by shop/p
        < shop/web -> 203.0.113.1:443 passes
        """,
    "5 another service is meant while the slices of the first are on their way": """
        > pod shop/web 10.1.0.10 here app=web
        > service out/x
        > service out/y
        > slice out/x-1 of out/x 198.51.100.1
        > slice out/y-1 of out/y 198.51.100.2
        > cilium shop/p egress app=web to services out/x
        < shop/web -> 198.51.100.1:443 passes
        > lists wait
        < shop/web -> 198.51.100.1:443 passes
        > cilium shop/q egress app=web to services out/y
        < followed: Service EndpointSlice/x,y
        < shop/web -> 198.51.100.1:443 passes
        < shop/web -> 198.51.100.2:443 is dropped by shop/p
        > cilium shop/q is gone
        > lists come
        < followed: Service EndpointSlice/x
        < shop/web -> 198.51.100.1:443 passes
        < shop/web -> 198.51.100.2:443 is dropped by shop/p
        """,
    "13 a slice that nobody can read": """
        > pod shop/web 10.1.0.10 here app=web
        > service out/x
        > slice out/x-1 of out/x 198.51.100.1
        > cilium shop/p open egress app=web never to services out/x
        < shop/web -> 203.0.113.1:443 passes
        > broken slice out/x-1
        < shop/web -> 203.0.113.1:443 is dropped by shop/p
        > slice out/x-1 of out/x 198.51.100.2
        < shop/web -> 198.51.100.2:443 is dropped by shop/p
        < shop/web -> 203.0.113.1:443 passes
        """,
    "13 news of services that stay away": """
        > pod shop/web 10.1.0.10 here app=web
        > service out/x
        > slice out/x-1 of out/x 198.51.100.1
        > cilium shop/p egress app=web to services out/x
        < shop/web -> 198.51.100.1:443 passes
        > trouble with Service
        > trouble with EndpointSlice
        < shop/web -> 198.51.100.1:443 passes
        > recovered EndpointSlice
        > recovered Service
        > slices are told anew without out/x-1
        < shop/web -> 198.51.100.1:443 is dropped by shop/p
        """,
    "5 the api server moves": """
        > pod shop/web 10.1.0.10 here app=web
        > cilium shop/p egress app=web to entity kube-apiserver
        > slice default/kubernetes of default/kubernetes 198.51.100.1
        < followed: EndpointSlice/kubernetes
        < connection a: shop/web -> 198.51.100.1:6443 opens
        > slice default/kubernetes of default/kubernetes 198.51.100.2
        < connection a is cut
        < shop/web -> 198.51.100.2:6443 passes
        """,
    "13 the api server is denied and nowhere": """
        > pod shop/web 10.1.0.10 here app=web
        > cilium shop/p open egress app=web never to entity kube-apiserver
        < shop/web -> 203.0.113.1:443 is dropped by shop/p
        > slice default/kubernetes of default/kubernetes 198.51.100.1
        < shop/web -> 203.0.113.1:443 passes
        < shop/web -> 198.51.100.1:6443 is dropped by shop/p
        > slice default/kubernetes is gone
        < shop/web -> 203.0.113.1:443 is dropped by shop/p
        """,
}

AROUND = {
    "5 a node that appears after the policy that means it": """
        > pod shop/web 10.1.0.10 here app=web
        > tier p 5 egress app=web deny nodes role=edge
        < shop/web -> 192.168.50.12:22 passes
        < connection a: shop/web -> 192.168.50.12:443 opens
        > node node-b 192.168.50.12 role=edge
        < shop/web -> 192.168.50.12:22 is dropped by /p
        < connection a is cut
        > node node-b 192.168.50.12 role=core
        < shop/web -> 192.168.50.12:22 passes
        > node node-b 192.168.50.12 192.168.50.13 role=edge
        < shop/web -> 192.168.50.13:22 is dropped by /p
        > node node-b is gone
        < shop/web -> 192.168.50.13:22 passes
        """,
    "5 a node that appears after the policy of Cilium's": """
        > pod shop/web 10.1.0.10 here app=web
        > cilium shop/p egress app=web to nodes role=edge
        < shop/web -> 192.168.50.12:22 is dropped by shop/p
        > node node-b 192.168.50.12 role=edge
        < shop/web -> 192.168.50.12:22 passes
        > node node-b 192.168.50.12
        < shop/web -> 192.168.50.12:22 is dropped by shop/p
        """,
    "5 a node is no place outside": """
        > pod shop/web 10.1.0.10 here app=web
        > cilium shop/p egress app=web to block 192.168.50.0/24
        < connection a: shop/web -> 192.168.50.12:443 opens
        > node node-b 192.168.50.12
        < connection a is cut
        < shop/web -> 192.168.50.12:443 is dropped by shop/p
        < shop/web -> 192.168.50.13:443 passes
        < connection b: shop/web -> 192.168.50.13:443 opens
        > node node-b 192.168.50.13
        < connection b is cut
        < shop/web -> 192.168.50.12:443 passes
        """,
    "5 a port name means no pod where a block of Cilium's does": """
        > pod shop/web 10.1.0.10 here app=web
        > pod shop/one 10.2.0.11 there port http=8080
        > cilium shop/p egress app=web to block 10.2.0.0/24 port http
        < shop/web -> shop/one:8080 is dropped by shop/p
        > pod shop/two 10.2.0.12 there port http=8080
        < shop/web -> shop/two:8080 is dropped by shop/p
        < shop/web -> shop/one:8080 is dropped by shop/p
        """,
    "5 the world ends at the nodes": """
        > node 192.168.50.11
        > pod shop/web 10.1.0.10 here app=web
        > cilium shop/p egress app=web to entity world
        < shop/web -> 192.168.50.12:443 passes
        > node node-b 192.168.50.12
        < shop/web -> 192.168.50.12:443 is dropped by shop/p
        < shop/web -> 203.0.113.1:443 passes
        > pod shop/hostly 192.168.50.14 there host app=api
        > pod shop/far 10.2.0.12 there app=far
        < shop/web -> shop/far:443 is dropped by shop/p
        > node node-b is gone
        < shop/web -> 192.168.50.12:443 passes
        """,
    "13 a node that nobody can read": """
        > node 192.168.50.11
        > node node-b 192.168.50.12 role=edge
        > pod shop/web 10.1.0.10 here app=web
        > tier p 5 egress app=web deny nodes role=edge
        < shop/web -> 203.0.113.1:443 passes
        > broken node node-b
        < shop/web -> 203.0.113.1:443 is dropped by /p
        > node node-b 192.168.50.12
        < shop/web -> 203.0.113.1:443 passes
        """,
    "5 a namespace is relabelled, and pods have accounts": """
        > namespace red team=red
        > namespace blue team=blue
        > pod shop/web 10.1.0.10 here app=web
        > pod red/a 10.2.0.11 there as robot app=x
        > pod red/b 10.2.0.12 there app=x
        > pod blue/a 10.2.0.13 there as robot app=x
        > cilium shop/p egress app=web to account red/robot
        > cilium shop/q egress app=web to team=red/app=x port 80
        < shop/web -> red/a:443 passes
        < shop/web -> red/b:443 is dropped by shop/p
        < shop/web -> red/b:80 passes
        < shop/web -> blue/a:80 is dropped by shop/p
        < connection a: shop/web -> red/b:80 opens
        > namespace red team=blue
        > namespace blue team=red
        < connection a is cut
        < shop/web -> red/a:443 passes
        < shop/web -> blue/a:80 passes
        < shop/web -> blue/a:443 is dropped by shop/p
        """,
    "5 a pod of another account takes its name": """
        > namespace red
        > pod shop/web 10.1.0.10 here app=web
        > pod red/a#1 10.2.0.11 there as robot app=x
        > cilium shop/p egress app=web to account red/robot
        < connection a: shop/web -> red/a:443 opens
        > pod red/a is gone
        > pod red/a#2 10.2.0.11 there app=x
        < connection a is cut
        < shop/web -> red/a:443 is dropped by shop/p
        """,
    "5 tiers before and after the policies of namespaces": """
        > namespace shop team=red
        > pod shop/web 10.1.0.10 here app=web
        > policy shop/deny egress app=web to block 203.0.113.0/24
        > tier floor baseline egress team=red/all deny block 0.0.0.0/0
        < shop/web -> 203.0.113.1:443 passes
        < shop/web -> 192.0.2.1:443 is dropped by shop/deny
        > policy shop/deny is gone
        < shop/web -> 203.0.113.1:443 is dropped by /floor
        > tier first 5 egress team=red/all accept block 203.0.113.0/25 deny block 203.0.113.0/24
        < shop/web -> 203.0.113.1:443 passes
        < shop/web -> 203.0.113.200:443 is dropped by /first
        > tier earlier 4 egress app=web pass block 203.0.113.0/24
        < shop/web -> 203.0.113.1:443 is dropped by /floor
        > namespace shop team=blue
        < shop/web -> 192.0.2.1:443 passes
        """,
    "5 a group before and after the policy that names it": """
        > pod shop/web 10.1.0.10 here app=web
        > cilium shop/p egress app=web to group g
        < shop/web -> 203.0.113.1:443 is dropped by shop/p
        > group g 203.0.113.0/24
        < connection a: shop/web -> 203.0.113.1:443 opens
        > group g 203.0.113.128/25 2001:db8::/32
        < connection a is cut
        < shop/web -> 203.0.113.200:443 passes
        > group g is gone
        < shop/web -> 203.0.113.200:443 is dropped by shop/p
        """,
    "13 a group that is denied and that nobody can read": """
        > pod shop/web 10.1.0.10 here app=web
        > group g 203.0.113.0/24
        > cilium shop/p open egress app=web never to group g
        < shop/web -> 203.0.113.1:443 is dropped by shop/p
        < shop/web -> 198.51.100.1:443 passes
        > broken group g
        < shop/web -> 198.51.100.1:443 is dropped by shop/p
        > group g 198.51.100.0/24
        < shop/web -> 198.51.100.1:443 is dropped by shop/p
        < shop/web -> 203.0.113.1:443 passes
        """,
    "23 a policy of Cilium's that is watched": """
        > pod shop/web 10.1.0.10 here app=web
        > cilium shop/p audit egress app=web to block 203.0.113.0/24
        < shop/web -> 198.51.100.1:443 passes by shop/p
        < shop/web -> 203.0.113.1:443 passes
        > cilium shop/p enforce egress app=web to block 203.0.113.0/24
        < shop/web -> 198.51.100.1:443 is dropped by shop/p
        """,
    "5 of the whole cluster, beside one of the namespace": """
        > namespace shop
        > pod shop/web 10.1.0.10 here app=web
        > pod shop/api 10.1.0.11 here app=api
        > cilium shop/p egress app=web to app=api
        < shop/web -> shop/api:80 passes
        > cilium all open egress all never to all/app=api
        < shop/web -> shop/api:80 is dropped by /all
        > cilium shop/p is gone
        < shop/web -> 203.0.113.1:443 passes
        < shop/web -> shop/api:80 is dropped by /all
        > cilium all is gone
        < shop/web -> shop/api:80 passes
        """,
    "28 a name opens nothing by itself": """
        agent names
        > pod shop/web 10.1.0.10 here app=web
        > cilium shop/p egress app=web to name api.example.com port 443
        < shop/web -> 203.0.113.1:443 is dropped by shop/p
        > cilium shop/p egress app=web to name api.example.com port 443 to block 203.0.113.0/24
        < shop/web -> 203.0.113.1:443 passes
        > cilium shop/p egress app=web to name www.example.com
        < shop/web -> 203.0.113.1:443 is dropped by shop/p
        """,
    "28 a pod comes under a name, and leaves it": """
        agent names
        > pod shop/web 10.1.0.10 here app=web
        > cilium shop/p egress app=front to name api.example.com
        < shop/web -> 203.0.113.1:443 passes
        > pod shop/web 10.1.0.10 here app=front
        < shop/web -> 203.0.113.1:443 is dropped by shop/p
        > pod shop/web 10.1.0.10 here app=web
        > cilium shop/p is gone
        < shop/web -> 203.0.113.1:443 passes
        """,
}


@pytest.mark.parametrize("text", SERVICES.values(), ids=SERVICES)
def test_services_and_their_endpoints(text: str) -> None:
    """Watched on demand, and so with lists that are on their way while policies change."""
    play(text)


@pytest.mark.parametrize("text", AROUND.values(), ids=AROUND)
def test_nodes_accounts_groups_and_tiers(text: str) -> None:
    """Each by the number of the property that fails with it."""
    play(text)
