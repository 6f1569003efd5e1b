"""What says how the network works is read, and what may be a secret is not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.model.switches import (
    SETTINGS,
    bare_annotations,
    bare_containers,
    container_of,
    node_switches,
    settings,
    switches,
)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--enable-network-policy=true"], ("--enable-network-policy=true",)),
        (["-enable-network-policy"], ("--enable-network-policy=true",)),
        (["/bin/sh", "-c", "exec cni --run-firewall=false --token=abc"], ("--run-firewall=false",)),
        (["--proxy-mode", "ipvs", "--run-firewall", "secret"], ("--proxy-mode=ipvs", "--run-firewall=true")),
        (["--proxy-mode"], ("--proxy-mode=",)),
        (["--enable-np='true'", "--enable-np='true'"], ("--enable-np=true",)),
        # A value that is no word is none of a switch.
        (["--run-firewall=$(SECRET)", "--run-firewall=" + "x" * 33], ()),
        (["--enable-network-policy-extra=true", "enable-network-policy=true", "---run-firewall"], ()),
        ([""], ()),
        ([], ()),
    ],
)
def test_arguments(arguments: list[str], found: tuple[str, ...]) -> None:
    """As programs take them: one dash or two, with and without a value, alone or within a script."""
    assert switches(arguments) == found


@given(st.lists(st.text(alphabet="-=abc enable-network-policy\"'"), max_size=6))
def test_what_was_found_is_found_again(arguments: list[str]) -> None:
    """A saved snapshot says what the cluster said."""
    found = switches(arguments)
    assert switches(found) == found


PROXY = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nipvs:\n  strictARP: true\nmode: {}\nmodeX: other\n"


@pytest.mark.parametrize(
    ("name", "data", "found"),
    [
        ("cilium-config", {"enable-policy": "never", "password": "x"}, {"enable-policy": "never"}),
        ("cilium-config", {"enable-policy": " default\n"}, {"enable-policy": "default"}),
        ("cilium-config", {"enable-policy": "two words"}, {}),
        ("cilium-config", {"enable-policy": 1}, {}),
        ("cilium-config", None, {}),
        ("cilium-config", ["enable-policy"], {}),
        ("kube-proxy", {"config.conf": PROXY.format("ipvs")}, {"config.conf": 'mode: "ipvs"'}),
        ("kube-proxy", {"config.conf": PROXY.format('""')}, {"config.conf": 'mode: ""'}),
        ("kube-proxy", {"config.conf": "clientConnection: {}", "kubeconfig.conf": "token: x"}, {}),
    ],
)
def test_config_maps(name: str, data: object, found: dict[str, str]) -> None:
    """Known keys with words as values; what was kept is read again as the same."""
    assert settings(name, data) == found
    assert settings(name, found) == found


def test_every_config_map_has_keys() -> None:
    """One without any would be read for nothing."""
    assert all(SETTINGS.values())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('["server"]', ()),
        ('["server","--token","abc","--disable-network-policy"]', ("--disable-network-policy=true",)),
        ('["agent","--disable-network-policy"]', None),
        ('["server",5]', ()),
        ("[]", None),
        ("{}", None),
        ("[", None),
        ("[" * 100_000, None),
        ("", None),
    ],
)
def test_servers_of_k3s(text: str, found: tuple[str, ...] | None) -> None:
    """They enforce themselves, and write down how they were started; agents do not decide."""
    annotations = {"k3s.io/node-args": text, "other": "secret"}
    assert node_switches(annotations) == found
    assert node_switches(bare_annotations(annotations)) == found
    assert "secret" not in json.dumps(bare_annotations(annotations))
    assert "abc" not in json.dumps(bare_annotations(annotations))


def test_containers_keep_what_is_known_by_name() -> None:
    """The image whose tag decides, the container whose presence does; of others that they were seen."""
    known = {
        "name": "aws-eks-nodeagent",
        "image": "registry.example/kindest/kindnetd:v20240813-c6f155d6@sha256:00",
        "args": ["--enable-network-policy=true", "--password=x"],
        "ports": [{"containerPort": 1}],
    }
    other = {"name": "mine", "image": "registry.example/secret:1", "command": ["run"], "args": ["--password=x"]}
    assert container_of(known) == (
        "aws-eks-nodeagent",
        "kindnetd:v20240813-c6f155d6",
        ("--enable-network-policy=true",),
    )
    assert container_of(other) == container_of({}) == ("", "", ())
    bare = bare_containers([known, other, {"ports": []}])
    assert bare == [
        {
            "ports": [{"containerPort": 1}],
            "args": ["--enable-network-policy=true"],
            "name": "aws-eks-nodeagent",
            "image": "kindnetd:v20240813-c6f155d6",
        },
        {"args": []},
        {"ports": []},
    ]
    assert bare_containers(bare) == bare
