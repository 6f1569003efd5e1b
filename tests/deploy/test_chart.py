"""The Helm chart: values and schema agree, what is misspelt is refused, and each value reaches what it is for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate import __version__
from tests.deploy.chart import CASES, CHART, Refused, Release, containers, lint_chart, render, rendered
from tests.deploy.contract import AGENT_RUN, variable
from tests.house.sources import ROOT

SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))


def schema_nodes(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every property of the schema, by its dotted path."""
    for name, inner in node.get("properties", {}).items():
        yield f"{path}{name}", inner
        yield from schema_nodes(inner, f"{path}{name}.")


def value_paths(values: Mapping[str, Any], known: set[str], path: str = "") -> Iterator[str]:
    """The dotted paths of values.yaml, as deep as the schema names fields."""
    for name, value in values.items():
        if f"{path}{name}" not in known:
            # Below an open map (labels, resources.requests) the names are the user's.
            assert path.rstrip(".") in known, f"{path}{name} is not in the schema"
            continue
        yield f"{path}{name}"
        if isinstance(value, dict):
            yield from value_paths(value, known, f"{path}{name}.")


def environment(release: Release) -> dict[str, str]:
    """The environment of the agent."""
    agent = next(one for one in release.daemonset()["containers"] if one["name"] == "agent")
    return {item["name"]: item.get("value", "") for item in agent["env"]}


class TestSchema:
    """`values.schema.json` beside `values.yaml`."""

    def test_says_what_each_value_is(self) -> None:
        """A field without a description helps nobody who writes values in an editor."""
        assert [path for path, node in schema_nodes(SCHEMA) if len(node.get("description", "")) < 8] == []
        assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"

    def test_is_closed_wherever_it_names_fields(self) -> None:
        """An open object takes a misspelt name in silence."""
        objects = [("", SCHEMA), *schema_nodes(SCHEMA)]
        assert [path for path, node in objects if "properties" in node and node["additionalProperties"]] == []

    def test_has_the_fields_of_the_values_and_no_other(self) -> None:
        """One that is only in the schema has no default that a reader finds."""
        known = {path for path, _ in schema_nodes(SCHEMA)}
        # Helm's own, and what has no default because an unset one means something.
        unset = {"global", "resources.claims", "updateStrategy.rollingUpdate.maxSurge"}
        assert known - set(value_paths(VALUES, known)) == unset

    def test_each_value_has_its_comment(self) -> None:
        """values.yaml is what people read instead of a manual."""
        lines = (CHART / "values.yaml").read_text(encoding="utf-8").splitlines()
        bare = [
            line
            for above, line in zip(["", *lines], lines, strict=False)
            if re.match(r"( {2})?[a-zA-Z]+:( [^ ]|$)", line) and not above.lstrip().startswith("#")
        ]
        # What opens a group is explained by its members; the others are Kubernetes' own words.
        groups = {
            "bootUnit:",
            "cni:",
            "image:",
            "events:",
            "kubernetes:",
            "serviceAccount:",
            "rbac:",
            "serviceMonitor:",
            "names:",
            "http:",
            "  image:",
        }
        kubernetes = {
            "  requests:",
            "  limits:",
            "    requests:",
            "    limits:",
            "  type: RollingUpdate",
            "  rollingUpdate:",
            '  servicePort: ""',
        }
        assert [line for line in bare if line not in groups | kubernetes | {"dashboards:"}] == []

    @pytest.mark.parametrize(
        ("values", "word"),
        [
            ({"mode": "Enforce"}, "mode"),
            ({"Mode": "enforce"}, "Mode"),
            ({"image": {"tags": "1"}}, "tags"),
            ({"image": {"digest": "sha256:12"}}, "digest"),
            ({"markMask": 0xFFFF0000}, "markMask"),
            ({"markMask": "ffff0000"}, "markMask"),
            ({"logGroup": 65536}, "logGroup"),
            ({"listen": "9765"}, "listen"),
            ({"bootUnit": {"nft": "/usr/sbin/nft; reboot"}}, "nft"),
            ({"cni": {"binDir": "opt/cni/bin"}}, "binDir"),
            ({"updateStrategy": {"rollingUpdate": {"maxSurge": 1}}}, "maxSurge"),
            ({"names": {"mode": "on"}}, "mode"),
            ({"names": {"mode": False}}, "mode"),
            ({"names": {"clusterCIDRs": "10.0.0.0/8"}}, "clusterCIDRs"),
            ({"names": {"clusterCIDRs": ["10.0.0.0"]}}, "clusterCIDRs"),
            ({"http": {"enabled": "yes"}}, "enabled"),
            ({"http": {"image": "envoy"}}, "image"),
            ({"http": {"image": {"tag": ""}}}, "tag"),
            ({"serviceMonitor": {"enabled": True}}, "Prometheus can reach"),
            ({"serviceMonitor": {"enabled": True}, "listen": ""}, "Prometheus can reach"),
            ({"serviceMonitor": {"enabled": True}, "listen": "[::1]:9765"}, "Prometheus can reach"),
        ],
        ids=str,
    )
    def test_refuses(self, values: dict[str, Any], word: str) -> None:
        """What is misspelt or cannot work is refused before anything is installed, with the value's name."""
        with pytest.raises(Refused, match=word):
            render(values)

    def test_takes_what_helm_adds(self) -> None:
        """As a part of another chart it is given `global`."""
        assert render({"global": {"imageRegistry": "x"}}).objects == rendered("default").objects


def test_helm_finds_nothing_to_complain_of() -> None:
    """The report of `helm lint --strict`, without the wish for a picture."""
    report = lint_chart()
    assert report["errors"] == []
    assert [message for message in report["messages"] if "icon" not in message["error"]] == []


def test_versions_agree() -> None:
    """Chart, agent and image are released with one number, which stands in several files."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
    assert f"ARG VERSION={__version__}\n" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


@st.composite
def settings_of_the_agent(draw: st.DrawFn) -> dict[str, Any]:
    """Values for what the agent is told, whatever the combination."""
    return {
        "mode": draw(st.sampled_from(["audit", "enforce"])),
        "newPods": draw(st.sampled_from(["closed", "open"])),
        "established": draw(st.sampled_from(["cut", "keep"])),
        "deny": draw(st.sampled_from(["drop", "reject"])),
        "markMask": draw(st.integers(0, 2**32 - 1).map(hex)),
        "logGroup": draw(st.integers(0, 65535)),
        "logAllowed": draw(st.booleans()),
        "interfacePrefix": draw(st.text("abcdefghijklmnopqrstuvwxyz0123456789-._:#'\"", min_size=1, max_size=15)),
        "listen": draw(st.sampled_from(["127.0.0.1:1", "0.0.0.0:65535", "[::]:9765", "[::1]:80", "localhost:9", ""])),
        "events": {"enabled": draw(st.booleans())},
        "names": {
            "mode": draw(st.sampled_from(["off", "closed", "forward"])),
            "clusterCIDRs": draw(st.lists(st.sampled_from(["10.0.0.0/8", "fd00::/64", "192.0.2.1/32"]), max_size=3)),
        },
        "http": {"enabled": draw(st.booleans())},
    }


@settings(max_examples=50)
@given(settings_of_the_agent())
def test_settings_reach_the_agent(values: dict[str, Any]) -> None:
    """Each as the variable of its option, as text, whatever YAML would make of it."""

    def text(value: Any) -> str:
        value = value["enabled"] if isinstance(value, dict) else value
        return str(value).lower() if isinstance(value, bool) else str(value)

    def option(name: str) -> str:
        return "--" + re.sub("[A-Z]", lambda capital: "-" + capital[0].lower(), name)

    release = render(values)
    nested = {"names": values["names"]["mode"], "envoy": "sidecar" if values["http"]["enabled"] else "off"}
    if blocks := values["names"]["clusterCIDRs"]:
        # As click splits what stands in a variable of an option that may be repeated.
        nested["clusterCidr"] = " ".join(blocks)
    flat = {name: value for name, value in values.items() if name not in {"names", "http"}} | nested
    expected = {variable(option(name)): text(value) for name, value in flat.items()}
    assert {name: value for name, value in environment(release).items() if name != "NODE_NAME"} == expected
    # By text, since the reader of YAML above is another than Kubernetes': a string must look like one to each.
    assert set(expected) <= {variable(known) for known in AGENT_RUN}


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [
        ("127.0.0.1:9765", "127.0.0.1", 9765),
        ("127.9.9.9:1", "127.9.9.9", 1),
        ("[::1]:9765", "::1", 9765),
        ("localhost:9765", "localhost", 9765),
        ("0.0.0.0:9765", None, 9765),
        ("[::]:443", None, 443),
        ("", None, None),
    ],
)
def test_probes_ask_where_the_agent_listens(listen: str, host: str | None, port: int | None) -> None:
    """A kubelet asks a pod's address unless told otherwise, and nobody would answer there."""
    (agent,) = render({"listen": listen}).daemonset()["containers"]
    probes = {name: agent[name]["httpGet"] for name in agent if name.endswith("Probe")}
    if port is None:
        assert (probes, "ports" in agent) == ({}, False)
        return
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startupProbe": "/livez",
        "livenessProbe": "/livez",
        "readinessProbe": "/readyz",
    }
    assert {(probe.get("host"), probe["port"]) for probe in probes.values()} == {(host, "metrics")}
    # "If hostNetwork is specified, this must match ContainerPort" (core/v1, ContainerPort.hostPort).
    assert agent["ports"] == [{"name": "metrics", "containerPort": port, "hostPort": port, "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ({}, f"outgate/outgate:{__version__}"),
        ({"tag": "1.2"}, "outgate/outgate:1.2"),
        ({"registry": "registry.example:5000", "repository": "o"}, f"registry.example:5000/o:{__version__}"),
        ({"digest": "sha256:" + "a" * 64, "tag": "1.2"}, "outgate/outgate@sha256:" + "a" * 64),
    ],
)
def test_image(image: dict[str, str], reference: str) -> None:
    """In every container of every pod, the test's too."""
    for mode in ("audit", "remove"):
        release = render({"image": image, "mode": mode, "bootUnit": {"install": True}, "cni": {"install": True}})
        images = {container["image"] for pod in release.pods() for container in containers(pod)}
        assert images == {reference}


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ({}, "envoyproxy/envoy:distroless-v1.40.0"),
        ({"registry": "registry.example", "tag": "v2"}, "registry.example/envoyproxy/envoy:v2"),
        ({"digest": "sha256:" + "b" * 64}, "envoyproxy/envoy@sha256:" + "b" * 64),
    ],
)
def test_image_of_envoy(image: dict[str, str], reference: str) -> None:
    """Its own reference, in its own container, and the agent's image in all others."""
    (pod, _) = render({"http": {"enabled": True, "image": image}, "image": {"tag": "1"}}).pods()
    assert {one["image"] for one in containers(pod) if one["name"] == "envoy"} == {reference}
    assert {one["image"] for one in containers(pod) if one["name"] != "envoy"} == {"outgate/outgate:1"}


@given(st.from_regex(r"[a-z]([-a-z0-9]{0,51}[a-z0-9])?", fullmatch=True))
@settings(max_examples=30)
def test_names_fit(release_name: str) -> None:
    """Helm takes release names of up to 53 characters, and a label's value ends at 63."""
    release = render({**CASES["monitored"], "bootUnit": {"install": True}}, name=release_name)
    for item in release.objects:
        assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", item["metadata"]["name"])
        for value in item["metadata"]["labels"].values():
            assert re.fullmatch(r"[A-Za-z0-9][-A-Za-z0-9_.]{0,62}", value)


@pytest.mark.parametrize("case", CASES)
def test_objects_know_each_other(case: str) -> None:
    """A selector, a role or a volume that names nothing is found out when it is too late."""
    release = rendered(case)
    spec = release.of("DaemonSet")["spec"]
    wanted, given_labels = spec["selector"]["matchLabels"], spec["template"]["metadata"]["labels"]
    assert wanted.items() <= given_labels.items()
    for pod in release.pods():
        volumes = {volume["name"] for volume in pod.get("volumes", [])}
        mounted = {mount["name"] for one in containers(pod) for mount in one.get("volumeMounts", [])}
        assert mounted <= volumes
    made = {(item["kind"], item["metadata"]["name"]) for item in release.objects}
    for item in release.objects:
        if item["kind"] == "ClusterRoleBinding":
            (subject,) = item["subjects"]
            assert {("ClusterRole", item["roleRef"]["name"]), ("ServiceAccount", subject["name"])} <= made
            assert subject["name"] == release.daemonset()["serviceAccountName"]
        elif item["kind"] == "Service":
            assert item["spec"]["selector"].items() <= given_labels.items()
            monitor = release.of("ServiceMonitor")["spec"]
            assert monitor["selector"]["matchLabels"].items() <= item["metadata"]["labels"].items()
            assert {end["port"] for end in monitor["endpoints"]} == {port["name"] for port in item["spec"]["ports"]}


def test_the_test_pod_is_no_agent() -> None:
    """A Service or a DaemonSet that took it for one would count it."""
    release = rendered("default")
    wanted = release.of("DaemonSet")["spec"]["selector"]["matchLabels"]
    assert not wanted.items() <= release.of("Pod")["metadata"]["labels"].items()
    assert release.of("Pod")["metadata"]["annotations"]["helm.sh/hook"] == "test"


@pytest.mark.parametrize(
    ("case", "words"),
    [("default", "denies nothing"), ("enforce", "Outgate enforces"), ("remove", "taken off every node")],
)
def test_notes_say_what_was_installed(case: str, words: str) -> None:
    """The first thing that is read after `helm install`."""
    notes = rendered(case).files["NOTES.txt"]
    assert words in notes
    assert "{{" not in notes
