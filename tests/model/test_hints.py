"""Hints: what tells whom a pod will talk to, and never a password."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.model.hints import NO_HINTS, VARIABLES, Hints, hints_of, trimmed


def hints(*containers: dict[str, Any], **spec: Any) -> Hints:
    """The hints of a pod with these containers."""
    return hints_of({}, {"containers": list(containers), **spec})


def variable(name: str, value: str | None) -> dict[str, str]:
    """One entry of an environment."""
    return {"name": name} if value is None else {"name": name, "value": value}


def test_nothing_said() -> None:
    """The server gives a pod that names no account the one that is called default."""
    assert hints_of({}, {}) == NO_HINTS
    assert hints({"name": "app", "env": [variable("HOME", "/x")]}) == NO_HINTS
    assert (NO_HINTS.account, NO_HINTS.token) == ("default", None)
    assert list(NO_HINTS.values("HTTP_PROXY")) == []
    assert NO_HINTS.annotation("x") == ""


def test_the_account() -> None:
    """By its name, or by the old one."""
    assert hints(serviceAccountName="a", serviceAccount="b").account == "a"
    assert hints(serviceAccount="b", automountServiceAccountToken=False) == Hints("b", False)


def test_variables_of_all_containers() -> None:
    """Each name and value once, and only those that are kept."""
    env = [variable("no_proxy", "a,b"), variable("SECRET", "s"), variable("HTTPS_PROXY", None)]
    found = hints({"env": env}, {"env": env}, initContainers=[{"name": "x", "env": [variable("no_proxy", "c")]}])
    assert found.variables == (("HTTPS_PROXY", ""), ("no_proxy", "a,b"), ("no_proxy", "c"))
    assert list(found.values("no_proxy", "NO_PROXY")) == ["a,b", "c"]


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://proxy.corp:3128", "http://proxy.corp:3128"), ("proxy:3128/", "proxy:3128"),
        ("http://me:pw@proxy:3128/pw?pw#pw", "http://proxy:3128"), ("me:pw@proxy", "proxy"),
        ("http://me:p@w/pw@proxy:1", "http://proxy:1"), ("me:pw://x@proxy:1", ""), ("http://", ""), ("", ""),
        ("socks5h://[fd00::1]:1080", "socks5h://[fd00::1]:1080"), ("http://pw pw", "http://pw"),
        ("http://169.254.170.23/v1/credentials", "http://169.254.170.23"),
    ],
)  # fmt: skip
def test_of_a_url_only_who_is_meant(url: str, kept: str) -> None:
    """The user, the password and the path are nobody's business."""
    assert hints({"env": [variable("HTTP_PROXY", url)]}).variables == (("HTTP_PROXY", kept),)


@given(st.text(), st.text(alphabet="abc@:/#?[] ", min_size=1))
def test_no_password_is_kept(user: str, password: str) -> None:
    """However badly it is escaped: what stands before the last "@" is gone."""
    url = f"http://{user}:{password}s3cret@proxy:3128"
    ((_, kept),) = hints({"env": [variable("ALL_PROXY", url)]}).variables
    assert "s3cret" not in kept


def test_some_are_kept_by_name_alone() -> None:
    """Where the token of a cloud lies is a path in the pod; that there is one is enough."""
    assert hints({"env": [variable("AWS_WEB_IDENTITY_TOKEN_FILE", "/x")]}).variables == (
        ("AWS_WEB_IDENTITY_TOKEN_FILE", ""),
    )


def test_sidecars_and_what_runs_before() -> None:
    """A native sidecar is an init container that stays."""
    stays = {"name": "linkerd-proxy", "restartPolicy": "Always"}
    found = hints({"name": "istio-proxy"}, {"name": "app"}, initContainers=[stays, {"name": "migrate"}])
    assert (found.sidecars, found.before) == (("istio-proxy", "linkerd-proxy"), ("migrate",))


def test_annotations() -> None:
    """Those that are known; of what is no string nothing is made."""
    said = {"linkerd.io/inject": "enabled", "sidecar.istio.io/inject": True, "iam.amazonaws.com/role": "", "x": "y"}
    found = hints_of({"annotations": said}, {})
    assert found.annotations == (("linkerd.io/inject", "enabled"),)
    assert found.annotation("linkerd.io/inject") == "enabled"


def test_trimming_keeps_the_hints_and_no_more() -> None:
    """What is saved has what the hints are made of: made again, they are the same."""
    env = [variable("SECRET", "s"), variable("HTTP_PROXY", "http://me:pw@p"), variable("NO_PROXY", None), {"name": 5}]
    spec = {
        "containers": [{"name": "app", "env": env, "ports": []}, {"name": "istio-proxy", "env": env[:1]}],
        "initContainers": [{"name": "first"}],
    }
    made = trimmed({"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}})
    inner = made["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert inner == {
        "containers": [
            {"ports": [], "env": [{"name": "HTTP_PROXY", "value": "http://p"}, {"name": "NO_PROXY"}]},
            {"name": "istio-proxy"},
        ],
        "initContainers": [{"name": "first"}],
    }
    assert hints_of({}, inner) == hints_of({}, spec)
    assert trimmed(made) == made
    assert spec["containers"][0]["env"] == env  # type: ignore[index]
    assert "SECRET" not in VARIABLES
