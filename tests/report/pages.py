"""Pages to look at and to test with: a small one, a comparison, a hostile one, and crowds. Nothing is drawn by lot."""

from __future__ import annotations

from collections.abc import Callable

from outgate.report.page_data import Page, PageEdge, PageNode, PagePolicy, PageRule

__all__ = [
    "SAMPLES",
    "comparison",
    "conditions",
    "crowd",
    "edge",
    "empty",
    "everything",
    "hostile",
    "node",
    "page_of",
    "policy",
    "small",
]

WEB_POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: web-egress
  namespace: shop
spec:
  podSelector:
    matchLabels:
      app: web
  policyTypes:
    - Egress
  egress:
    - to:
        - podSelector:
            matchLabels:
              app: cart
      ports:
        - port: 8080
    # The card processor publishes its addresses.
    - to:
        - ipBlock:
            cidr: 203.0.113.0/24
      ports:
        - port: 443
"""
DB_POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: db-ingress
  namespace: data
spec:
  podSelector:
    matchLabels:
      app: db
  policyTypes: [Ingress]
  ingress:
    - from:
        - namespaceSelector:
            matchLabels:
              kubernetes.io/metadata.name: shop
          podSelector:
            matchLabels:
              tier: backend
      ports:
        - port: 5432
"""
HOSTILE_NAMES = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    '"><img src=x onerror=alert(2)>',
    "' onfocus='alert(3)",
    "]]></svg><svg onload=alert(4)>",
    "a\u2028b\u2029c",
    "evil\u202egnp.exe",
    "nul\x00bell\x07esc\x1b[31m",
    "half\ud800pair",
    "&lt;b&gt; &amp;amp; &#x41;",
    "</style></title></textarea></ol></details>",
    "javascript:alert(5)",
    "${alert(6)} {{alert(7)}} `x`",
    "مرحبا 名前 🦀 e\u0301",
    " \t\n leading",
    "x" * 253,
)


def node(
    name: str,
    namespace: str = "shop",
    kind: str = "Deployment",
    *,
    part: str = "",
    cidrs: tuple[str, ...] = (),
    pods: int = 2,
    guards: str = "",
    change: str = "",
) -> PageNode:
    """A node; `guards` holds ``e`` and ``i`` for the directions that policies guard."""
    return PageNode(kind, namespace, name, part, cidrs, pods, "e" in guards, "i" in guards, change)


def edge(
    source: int,
    destination: int,
    words: str = "every port",
    *,
    before: str = "",
    change: str = "",
    egress: tuple[int, ...] = (),
    ingress: tuple[int, ...] = (),
    why: tuple[str, str] = ("no policy selects its pods for egress", "no policy selects its pods for ingress"),
) -> PageEdge:
    """A connection."""
    return PageEdge(source, destination, words, before, change, egress, ingress, *why)


def policy(
    name: str,
    namespace: str = "shop",
    text: str = WEB_POLICY,
    *,
    file: str = "manifests/policy.yaml",
    first_line: int = 1,
) -> PagePolicy:
    """A policy and its text."""
    return PagePolicy("NetworkPolicy", namespace, name, file, first_line, text)


def page_of(
    nodes: tuple[PageNode, ...],
    edges: tuple[PageEdge, ...],
    *,
    rules: tuple[PageRule, ...] = (),
    policies: tuple[PagePolicy, ...] = (),
    comparison: bool = False,
    title: str = "shop",
    notes: tuple[str, ...] = (),
) -> Page:
    """A page of these."""
    subtitle = f"{len(nodes)} workloads, {len(policies)} policies, {len(edges)} connections"
    return Page(title, subtitle, ("manifests/",), nodes, edges, rules, policies, comparison, notes)


def empty() -> Page:
    """Nothing at all."""
    return page_of((), ())


def _shop() -> tuple[tuple[PageNode, ...], tuple[PageRule, ...], tuple[PagePolicy, ...]]:
    nodes = (
        node("ingress-nginx", "ingress-nginx", "IngressController", pods=1),
        node("web", guards="e", pods=3),
        node("cart", guards="ei"),
        node("checkout", guards="e"),
        node("catalog"),
        node("mailer", kind="CronJob", pods=0),
        node("db", "data", "StatefulSet", guards="i", pods=3),
        node("cache", "data", "StatefulSet", guards="ei", part="role=primary", pods=1),
        node("cache", "data", "StatefulSet", guards="ei", part="role=replica"),
        node("prometheus", "monitoring", "StatefulSet", pods=1),
        node("node-exporter", "monitoring", "DaemonSet", pods=5),
        node("coredns", "kube-system", guards="", pods=2),
        node("", "", "External", cidrs=("203.0.113.0/24",)),
        node(
            "every other address",
            "",
            "External",
            cidrs=("0.0.0.0-203.0.112.255", "203.0.114.0-255.255.255.255", "::/0"),
        ),
        node("metadata service", "", "External", cidrs=("169.254.169.254/32",)),
    )
    rules = (
        PageRule(0, "Egress", 0, 13),
        PageRule(0, "Egress", 1, 20),
        PageRule(1, "Ingress", 0, 40),
        PageRule(2, "Ingress", None, 0),
    )
    policies = (
        policy("web-egress", file="manifests/shop/web.yaml"),
        policy("db-ingress", "data", DB_POLICY, file="manifests/data/all.yaml", first_line=30),
        policy("cache", "data", DB_POLICY.replace("db", "cache"), file="manifests/data/cache.yaml"),
    )
    return nodes, rules, policies


_BY_WEB = ("allowed by shop/web-egress egress[0]", "no policy selects shop/cart for ingress")
_OUT_WEB = ("allowed by shop/web-egress egress[1]", "addresses outside have no policies")
_BY_DB = ("no policy selects its pods for egress", "allowed by data/db-ingress ingress[0]")


def small() -> Page:
    """A shop, its data, its monitoring: 15 nodes."""
    nodes, rules, policies = _shop()
    edges = (
        edge(0, 1, "TCP 8080"),
        edge(0, 4, "TCP 8080"),
        edge(1, 2, "TCP 8080", egress=(0,), why=_BY_WEB),
        edge(1, 12, "TCP 443", egress=(1,), why=_OUT_WEB),
        edge(1, 11, "UDP 53, TCP 53"),
        edge(2, 6, "TCP 5432", ingress=(2,), why=_BY_DB),
        edge(2, 7, "TCP 6379", ingress=(3,)),
        edge(2, 8, "TCP 6379", ingress=(3,)),
        edge(3, 2, "TCP 8080"),
        edge(3, 6, "TCP 5432", ingress=(2,), why=_BY_DB),
        edge(3, 12, "TCP 443"),
        edge(4, 7, "TCP 6379", ingress=(3,)),
        edge(4, 8, "TCP 6379", ingress=(3,)),
        edge(4, 11, "every port"),
        edge(4, 13, "every port"),
        edge(4, 14, "every port"),
        edge(5, 13, "every port"),
        edge(5, 14, "every port"),
        edge(8, 7, "TCP 6379", ingress=(3,)),
        edge(9, 10, "TCP 9100"),
        edge(9, 4, "TCP 9090-9100"),
        edge(9, 11, "TCP 9153"),
        edge(9, 6, "TCP 9187", ingress=(2,), why=_BY_DB),
        edge(11, 13, "UDP 53, TCP 53"),
    )
    notes = ("The namespace kube-public is referred to and not in the input: its labels are taken to be unknown.",)
    return page_of(nodes, edges, rules=rules, policies=policies, title="What may talk to what in the shop", notes=notes)


def comparison() -> Page:
    """The shop before and after a change."""
    nodes, rules, policies = _shop()
    nodes += (
        node("search", guards="ei", change="added"),
        node("legacy", "data", "Deployment", change="removed"),
    )
    same = "TCP 8080"
    edges = (
        edge(0, 1, same, before=same),
        edge(0, 4, same, before=same),
        edge(1, 2, same, before=same, egress=(0,), why=_BY_WEB),
        edge(1, 12, "TCP 443", change="opened", egress=(1,), why=_OUT_WEB),
        edge(1, 13, "", before="every port", change="closed"),
        edge(1, 15, "TCP 9200", change="opened"),
        edge(2, 6, "TCP 5432", before="every port", change="narrowed", ingress=(2,), why=_BY_DB),
        edge(3, 6, "TCP 5432", before="TCP 5432", ingress=(2,), why=_BY_DB),
        edge(4, 7, "TCP 6379-6380", before="TCP 6379", change="widened", ingress=(3,)),
        edge(4, 16, "", before="TCP 3306", change="closed"),
        edge(4, 13, "every port", before="every port"),
        edge(5, 14, "", before="every port", change="closed"),
        edge(5, 13, "every port", before="every port"),
        edge(9, 10, "TCP 9100", before="TCP 9100"),
        edge(9, 6, "TCP 9187", before="TCP 9104", change="changed", ingress=(2,), why=_BY_DB),
        edge(11, 13, "UDP 53, TCP 53", before="UDP 53, TCP 53"),
    )
    return page_of(nodes, edges, rules=rules, policies=policies, comparison=True, title="main compared with the branch")


def conditions() -> Page:
    """A comparison in which no port differs: what is asked does, and one connection beside is as it was."""
    nodes = (node("web"), node("items"), node("api.example.com", "", "External"))
    get, every = (
        "TCP 8080 (only for requests of HTTP GET /v1/items(/.*)?)",
        "TCP 8080 (only for requests of HTTP GET /.*)",
    )
    edges = (
        edge(0, 1, every, before=get, change="changed"),
        edge(0, 2, "TCP 443", before="TCP 443 (only for TLS to a server named api.example.com)", change="widened"),
        edge(1, 0, get, before=get),
        edge(1, 2, "TCP 443", before="TCP 443", egress=(), why=("a", "b")),
    )
    return page_of(nodes, edges, comparison=True, title="What changes")


def hostile() -> Page:
    """Every text is an attack, or at least a nuisance."""
    nodes = tuple(
        PageNode(
            kind, bad, bad, bad, (bad, bad), 1, index % 2 == 0, index % 3 == 0, ("", "added", "removed", bad)[index % 4]
        )
        for index, bad in enumerate(HOSTILE_NAMES)
        for kind in ("External" if index % 5 == 0 else bad,)
    )
    size = len(nodes)
    edges = tuple(
        PageEdge(
            index, (index + 1) % size, bad, bad, ("opened", bad, "closed")[index % 3], (index,), (index,), bad, bad
        )
        for index, bad in enumerate(HOSTILE_NAMES)
    )
    rules = tuple(PageRule(index, bad, index, index * 7) for index, bad in enumerate(HOSTILE_NAMES))
    policies = tuple(
        PagePolicy(bad, bad, bad, bad, index + 1, f"a: {bad}\r\nb:\n\n  - {bad}\n")
        for index, bad in enumerate(HOSTILE_NAMES)
    )
    bad = HOSTILE_NAMES[0]
    return Page(bad, HOSTILE_NAMES[2], HOSTILE_NAMES, nodes, edges, rules, policies, True, HOSTILE_NAMES)


_SERVICES = ("api", "worker", "web", "gateway", "store", "queue", "sync", "report", "auth", "search", "mail", "image")


def crowd(workloads: int = 300, connections: int = 3000, *, namespaces: int = 18) -> Page:
    """So many workloads and connections, of uneven namespaces, most traffic near home; three addresses outside."""
    names = [f"team-{_SERVICES[index % 12]}-{'prod' if index % 3 else 'stage'}-{index}" for index in range(namespaces)]
    nodes = []
    for index in range(workloads):
        home = index % (namespaces if index * 3 < workloads * 2 else namespaces // 3)
        service = _SERVICES[(index * 7) % 12]
        guards = ("", "e", "i", "ei")[index % 4]
        kind = ("Deployment", "StatefulSet", "DaemonSet")[index % 3]
        nodes.append(node(f"{service}-{index}", names[home], kind, guards=guards, pods=1 + index % 4))
    outside = tuple(
        node("", "", "External", cidrs=(f"198.51.{index}.0/24", f"203.0.{index}.0/24")[: 1 + index % 2])
        for index in range(3)
    )
    policies = tuple(
        policy(f"policy-{index}", names[index % namespaces], WEB_POLICY, file=f"manifests/{index}.yaml")
        for index in range(60)
    )
    rules = tuple(PageRule(index // 2, "Egress", index % 2, (13, 20)[index % 2]) for index in range(120))
    every = (*nodes, *outside)
    homes: dict[str, list[int]] = {name: [] for name in names}
    for index, one in enumerate(nodes):
        homes[one.namespace].append(index)
    pairs: dict[tuple[int, int], None] = {}
    step = 0
    while len(pairs) < connections:
        source = (step * 37 + step // 11) % workloads
        home = names.index(nodes[source].namespace)
        # Mostly at home, often next door or with what everybody needs, sometimes outside.
        near = (home, home, home, home, (home + 1) % namespaces, 0, 1, home)[step % 8]
        there = homes[names[near]] if step % 23 else list(range(workloads, len(every)))
        destination = there[(step * 53 + step // 7) % len(there)]
        if source != destination:
            pairs[source, destination] = None
        step += 1
    words = ("TCP 443", "TCP 8080-8090", "UDP 53, TCP 53", "every port", "TCP 5432")
    edges = tuple(
        edge(
            source,
            destination,
            words[(source + destination) % 5],
            egress=(source % 120,),
            ingress=(destination % 120,) if destination % 2 else (),
            why=(
                f"allowed by {policies[source % 120 // 2].namespace}/policy-{source % 120 // 2} egress[{source % 2}]",
                f"no policy selects {every[destination].namespace}/{every[destination].name} for ingress",
            ),
        )
        for source, destination in sorted(pairs)
    )
    return page_of(tuple(every), edges, rules=rules, policies=policies, title="A crowd")


def everything(workloads: int = 120) -> Page:
    """A cluster without policies: everybody may reach everybody."""
    base = crowd(workloads, 0)
    edges = tuple(
        edge(
            source,
            destination,
            why=("no policy isolates it", f"no policy selects {there.namespace}/{there.kind}/{there.name} for ingress"),
        )
        for source in range(workloads)
        for destination, there in enumerate(base.nodes)
        if source != destination
    )
    return page_of(base.nodes, edges, title="No policies at all")


SAMPLES: dict[str, Callable[[], Page]] = {
    "small": small,
    "comparison": comparison,
    "conditions": conditions,
    "hostile": hostile,
    "crowd": crowd,
    "beyond": lambda: crowd(320, 900, namespaces=24),
    "everything": everything,
    "empty": empty,
}
