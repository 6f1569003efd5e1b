"""`outgate can-reach` as a user runs it: every row of the recipes, exit codes, formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from outgate.cli.main import main
from outgate.testing import namespace, pod
from outgate.testing_cilium import cilium_policy
from tests.report.schema import complaints

WEB, BATCH = "production/web-api", "production/batch"
POSTGRES = "production/postgres:5432"
ALLOW, DENY = 0, 1

# (policies applied, from, to, exit code): the rows of recipes/README.md, and both sides of each where it names several.
ROWS = [
    *(("", WEB, to, ALLOW) for to in ("kube-system/coredns:53/UDP", POSTGRES, "198.51.100.7:80", "169.254.169.254:80")),
    ("01", WEB, "kube-system/coredns:53/UDP", DENY),
    ("01", WEB, POSTGRES, DENY),
    ("01", "monitoring/prometheus", "production/web-api:8080", ALLOW),
    ("01 02", WEB, "kube-system/coredns:53/UDP", ALLOW),
    ("01 02", WEB, "kube-system/coredns:53/TCP", ALLOW),
    ("01 02", WEB, "svc/kube-system/kube-dns:53/UDP", ALLOW),
    ("01 02", WEB, POSTGRES, ALLOW),
    ("01 02", WEB, "[fd00:10:244:2::20]:5432", ALLOW),
    ("01 02", WEB, "10.244.2.20:5432", ALLOW),
    ("01 02", WEB, "10.96.12.34:5432", ALLOW),
    ("01 02", WEB, "svc/production/postgres:pg", ALLOW),
    ("01 02", WEB, "postgres-headless.production.svc.cluster.local:5432", ALLOW),
    ("01 02", WEB, "production/postgres:5433", DENY),
    ("01 02", WEB, "203.0.113.10:443", ALLOW),
    ("01 02", WEB, "203.0.113.10:80", DENY),
    ("01 02", WEB, "198.51.100.7:443", DENY),
    ("01 02", WEB, "169.254.169.254:80", DENY),
    *(
        ("01 02", BATCH, to, DENY)
        for to in (
            *("kube-system/coredns:53/UDP", "kube-system/coredns:53/TCP", POSTGRES, "10.96.12.34:5432"),
            *("production/postgres:5433", "203.0.113.10:443", "198.51.100.7:443", "169.254.169.254:80"),
        )
    ),
    *(
        ("01 02 04", source, to, ALLOW)
        for source in (WEB, BATCH)
        for to in ("monitoring/prometheus:9090", "10.96.77.9:80", "svc/monitoring/prometheus:web")
    ),
    ("01 02 04", WEB, "monitoring/prometheus:9091", DENY),
    ("03", BATCH, "169.254.169.254:80", DENY),
    ("03", BATCH, "198.51.100.7:443", ALLOW),
    ("03", BATCH, POSTGRES, ALLOW),
    *(("01 02 03", BATCH, f"198.51.100.7:{to}", ALLOW) for to in ("1", "443", "65535", "53/UDP", "7/SCTP")),
    ("01 02 03", BATCH, "[2001:db8::1]:443", DENY),
    ("01 02 03", BATCH, "2001:db8::1", DENY),
]


def files(recipes: Path, policies: str) -> list[str]:
    """The options that name the cluster and these policies."""
    chosen = [next(recipes.glob(f"{number}-*.yaml")) for number in policies.split()]
    return [part for file in (recipes / "cluster.yaml", *chosen) for part in ("-f", str(file))]


@pytest.mark.parametrize(("policies", "source", "destination", "code"), ROWS)
def test_every_row_of_the_recipes(
    shared: Path, policies: str, source: str, destination: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The recipes are what people start from: each answer there is known."""
    arguments = ["can-reach", *files(shared / "recipes", policies), source, destination]
    assert main(arguments) == code
    words = capsys.readouterr()
    assert words.out.startswith("DENY " if code else "ALLOW ")
    assert words.err == ""
    assert main([*arguments, "-o", "json"]) == code
    document = json.loads(capsys.readouterr().out)
    assert complaints(document) == []
    assert document["verdict"] == ("Deny" if code else "Allow")
    assert document["specified"] is True


def test_the_deciding_line_is_named(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """File and line of the rule, and not of the policy it stands in."""
    recipes = shared / "recipes"
    main(["can-reach", *files(recipes, "01 02"), WEB, POSTGRES, "-o", "json"])
    origin = json.loads(capsys.readouterr().out)["egress"]["decidedBy"]
    text = (recipes / "02-app-egress.yaml").read_text().splitlines()
    assert (Path(origin["file"]).name, origin["rule"]) == ("02-app-egress.yaml", 1)
    assert "the database" in text[origin["line"] - 2]
    main(["can-reach", *files(recipes, "01 02"), WEB, "production/postgres:5433", "-o", "json"])
    denial = json.loads(capsys.readouterr().out)
    assert denial["egress"]["decidedBy"]["rule"] is None
    assert denial["hints"][0]["rule"]["line"] == origin["line"]


def test_ports_and_blocks(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a port: the set. For a block: all, some or none."""
    recipes = shared / "recipes"
    assert main(["can-reach", *files(recipes, "01 02"), WEB, "production/postgres"]) == 0
    assert capsys.readouterr().out.startswith("ALLOW  production/web-api → production/postgres on TCP 5432\n")
    assert main(["can-reach", *files(recipes, "01 02"), WEB, "0.0.0.0/0:443", "-o", "json"]) == 1
    assert json.loads(capsys.readouterr().out)["some"]["allowed"] == ["203.0.113.0/24"]
    assert main(["can-reach", *files(recipes, "01 02"), WEB, "203.0.113.0/24:443"]) == 0


def test_long_forms_say_the_same(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--port`, `--protocol` and `-n` are only other spellings."""
    inputs = files(shared / "recipes", "01 02")
    main(["can-reach", *inputs, WEB, "kube-system/coredns:53/UDP"])
    short = capsys.readouterr().out
    main(
        [
            "can-reach",
            *inputs,
            "web-api",
            "kube-system/coredns",
            "--port",
            "53",
            "--protocol",
            "udp",
            "-n",
            "production",
        ]
    )
    assert capsys.readouterr().out == short
    main(["can-reach", *inputs, "web-api", "coredns:dns"])
    assert capsys.readouterr().out == short
    main(["can-reach", *inputs, WEB, "kube-system/coredns:53/UDP", "--family", "6"])
    assert capsys.readouterr().out == short


def test_names(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name outside the cluster is answered as soon as somebody says what it is."""
    inputs = files(shared / "recipes", "01 02")
    assert main(["can-reach", *inputs, WEB, "api.example.com:443"]) == 2
    assert "give --dns-name api.example.com=ADDRESS" in capsys.readouterr().err
    given = ["--dns-name", "api.example.com=203.0.113.10"]
    assert main(["can-reach", *inputs, WEB, "api.example.com:443", *given]) == 0
    assert "api.example.com (203.0.113.10) TCP 443" in capsys.readouterr().out


NAMED = """
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: p, namespace: shop}
spec:
  endpointSelector: {}
  egress: [{toFQDNs: [{matchName: api.example.com}], toPorts: [{ports: [{port: "443", protocol: TCP}]}]}]
  egressDeny: [{toCIDR: [192.168.0.0/16]}]
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
status: {podIP: 10.0.0.1}
"""


def test_a_name_without_an_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rule speaks of it: then the answer is about every address that it may have, in text and as data."""
    file = tmp_path / "named.yaml"
    file.write_text(NAMED)
    asked = ["can-reach", "-f", str(file), "shop/web", "api.example.com:443", "-q"]
    assert main(asked) == DENY
    assert capsys.readouterr().out.splitlines() == [
        "DENY   shop/web → api.example.com (whatever its address) TCP 443",
        f"  egress   denied by shop/p egressDeny[0]   {file}:8",
        "  ingress  allowed: outside the cluster no NetworkPolicy applies",
        "  some     the answer is not the same for every address that the name may have:",
        "  allowed  the rest",
        "  denied   192.168.0.0/16",
    ]
    assert main([*asked, "-o", "json"]) == DENY
    document = json.loads(capsys.readouterr().out)
    assert complaints(document) == []
    assert document["destination"] == {"kind": "External", "cidrs": ["0.0.0.0/0", "::/0"], "name": "api.example.com"}
    assert document["some"]["denied"] == ["192.168.0.0/16"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["production/nobody", "production/postgres:5432"],
        [WEB, "production/postgres:99999"],
        [WEB, "production/postgres:nosuchport"],
        [WEB, "10.0.0.0/33"],
        [WEB, "svc/production/nothing:80"],
        [WEB, "node/node-z"],
        [WEB, "production/postgres:80", "--port", "81"],
        [WEB, "production/postgres", "--family", "5"],
        [WEB],
        ["svc/production/postgres", WEB],
    ],
)
def test_what_cannot_be_asked_is_2(shared: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A question that could not be asked must be neither yes nor no, and no traceback."""
    assert main(["can-reach", *files(shared / "recipes", ""), *arguments]) == 2
    words = capsys.readouterr()
    assert words.out == ""
    assert words.err
    assert "Traceback" not in words.err


def test_a_broken_policy_is_said_and_strict_refuses(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rest is answered, on standard output alone; --strict fails."""
    broken = tmp_path / "broken.yaml"
    broken.write_text(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x, namespace: production}\n"
        "spec: {podSelector: {}, egress: [{ports: [{port: 0}]}]}\n"
    )
    arguments = ["can-reach", *files(shared / "recipes", "01"), "-f", str(broken), WEB, POSTGRES]
    assert main(arguments) == 1
    words = capsys.readouterr()
    assert words.out.startswith("DENY ")
    assert f"set apart: {broken}:4: spec.egress[0].ports[0].port" in words.err
    assert main([*arguments, "--strict"]) == 2
    assert capsys.readouterr().out == ""


def test_colours_are_only_for_those_who_see_them(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences in a pipe break whoever reads it."""
    arguments = ["can-reach", *files(shared / "recipes", "01"), WEB, POSTGRES]
    main(arguments)
    assert "\x1b" not in capsys.readouterr().out
    main([*arguments, "--color", "always"])
    assert capsys.readouterr().out.startswith("\x1b[")


CLUSTER = """
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Node
metadata: {name: node-b}
status: {addresses: [{type: InternalIP, address: 192.168.50.12}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec: {nodeName: node-a, containers: [{name: web, image: example/web}]}
status: {podIP: 10.1.0.10, podIPs: [{ip: 10.1.0.10}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: to-all, namespace: shop}
spec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}
"""


def test_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The verdict is the plugin's, and the answer says whose it is; without a profile nothing is said."""
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    arguments = ["can-reach", "-f", str(tmp_path), "shop/web", "node/node-b:10250"]
    assert main(arguments) == 0
    assert "  profile  " not in capsys.readouterr().out
    assert main([*arguments, "--profile", "cilium"]) == 1
    assert "\n  profile  this is how cilium judges it\n" in capsys.readouterr().out
    assert main([*arguments, "--profile", "cilium", "-o", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert complaints(document) == []
    assert document["profile"] == "cilium"
    for same in ([], ["--profile", "outgate"]):
        assert main([*arguments, *same, "-o", "json"]) == 0
        assert "profile" not in json.loads(capsys.readouterr().out)


def test_unknown_profile_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The names there are stand in the message."""
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    assert main(["can-reach", "-f", str(tmp_path), "shop/web", "node/node-b:1", "--profile", "flannel"]) == 2
    assert "'aws-vpc-cni'" in capsys.readouterr().err


BY_NAME = [
    *(namespace("a"), pod("a/one", ["10.1.0.10"], app="one")),
    cilium_policy(
        "a/names",
        {
            "endpointSelector": {"matchLabels": {"app": "one"}},
            "egress": [
                {
                    "toFQDNs": [{"matchName": name}],
                    "toPorts": [
                        {
                            "ports": [{"port": "80", "protocol": "TCP"}],
                            "rules": {"http": [{"method": method, "path": "/v1/.*"}]},
                        }
                    ],
                }
                for name, method in (("read.example", "GET"), ("write.example", "PUT"))
            ],
        },
    ),
]


@pytest.mark.parametrize(
    ("name", "request_", "code"),
    [
        ("read.example", "GET /v1/x", ALLOW),
        ("read.example", "GET /v2", DENY),
        ("read.example", "PUT /v1/x", DENY),
        ("write.example", "PUT /v1/x", ALLOW),
        ("write.example", "GET /v1/x", DENY),
        ("other.example", "GET /v1/x", DENY),
    ],
)
def test_requests_by_name(
    name: str, request_: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rule of `toFQDNs` with requests: the name decides whose rule it is, and the request whether it passes."""
    file = tmp_path / "all.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": BY_NAME}))
    known = (f"--dns-name={one}.example=203.0.113.{at}" for at, one in enumerate(("read", "write", "other"), 1))
    assert main(["can-reach", "-f", str(file), *known, "a/one", f"{name}:80", "--http", request_]) == code
    assert ("allowed by a/names egress" in capsys.readouterr().out) is (code == ALLOW)
