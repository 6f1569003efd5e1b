"""The configuration as Envoy itself reads it (`--mode validate`), and what stands in it."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from outgate.host.envoy import binary
from outgate.model.cilium import HttpMatch
from outgate.proxy.envoy import Proxying, Redirection, bootstrap, rule_files
from outgate.proxy.envoy_rules import REQUESTS
from outgate.proxy.redirect import Allowance, Redirect
from tests.lab.proxied import needs_envoy
from tests.policy.asks import asks

HOSTILE = '"}\n%REQ(:PATH)% ${x} {{y}} \N{SNOWMAN} \\'


def redirect(*rules: HttpMatch, rule: str = HOSTILE) -> Redirect:
    """One pod, one place."""
    return Redirect(
        (ipaddress.ip_address("10.1.0.11"), ipaddress.ip_address("fd00::1")),
        (ipaddress.ip_network("203.0.113.0/24"),),
        ((80, 80), (8000, 65535)),
        (Allowance(rule, rules), Allowance("tls", (), ("**.example.com",))),
    )


def validate(folder: Path, proxying: Proxying, redirects: list[Redirect]) -> subprocess.CompletedProcess[str]:
    """What Envoy says of it. It does not read discovered filters then, so they are put in as the defaults."""
    configuration: dict[str, Any] = json.loads(bootstrap(proxying))
    rules = {name: json.loads(content)["resources"][0] for name, content in rule_files(redirects).files.items()}
    (folder / "rules").mkdir()

    def put(value: Any) -> None:
        if isinstance(value, dict):
            if "config_discovery" in value:
                value["config_discovery"]["default_config"] = rules[f"{value['name']}.json"]["typed_config"]
            for inner in value.values():
                put(inner)
        elif isinstance(value, list):
            for inner in value:
                put(inner)

    put(configuration["static_resources"])
    for name, content in rule_files(redirects).files.items():
        (folder / "rules" / name).write_bytes(content)
    (folder / "bootstrap.json").write_text(json.dumps(configuration))
    argv = [binary(), "--mode", "validate", "-c", str(folder / "bootstrap.json"), "--disable-hot-restart", "-l", "warn"]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


@needs_envoy
@pytest.mark.parametrize("redirection", Redirection)
def test_envoy_takes_it(tmp_path: Path, redirection: Redirection) -> None:
    """With rules of every kind, and text that means something in JSON, in Envoy's formats and in nothing."""
    rules = [
        asks(),
        asks("GET|POST", r"/v\d+/.*", r"a\.example(:80)?", ["X-A: %REQ(X)%", "X-B", f"X-C {HOSTILE[3:-2]}"]),
        asks(path=f"/{HOSTILE[4]}.*" + "(?:[^/]{10}){90}"),
    ]
    done = validate(tmp_path, Proxying(str(tmp_path), redirection=redirection), [redirect(*rules)])
    assert (done.returncode, done.stderr) == (0, "")


@needs_envoy
def test_envoy_can_refuse_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the rules were not read at all, the test above would pass on anything."""
    monkeypatch.setattr("outgate.proxy.envoy_rules.can_be_met", lambda _: True)
    broken = redirect(asks(path="/x**"))
    done = validate(tmp_path, Proxying(str(tmp_path)), [broken])
    assert done.returncode == 1
    assert "bad repetition operator" in done.stderr


def test_versions_are_digests() -> None:
    """The same rules have the same version in every process; others have another."""
    one, other = rule_files([redirect(asks("GET"))]), rule_files([redirect(asks("PUT"))])
    assert one == rule_files([redirect(asks("GET"))])
    assert one.version != other.version
    assert {json.loads(content)["version_info"] for content in one.files.values()} == {one.version}


def test_names_of_rules_stay_outside() -> None:
    """They are told to whoever reads the log."""
    made = rule_files([redirect(asks())])
    assert not any(b"SNOWMAN" in content or b"2603" in content for content in made.files.values())
    assert (HOSTILE,) in made.concerned.values()
    policies = json.loads(made.files[f"{REQUESTS}.json"])["resources"][0]["typed_config"]["rules"]["policies"]
    assert {name.split(".")[0] for name in policies} <= set(made.concerned)


def test_where_it_listens() -> None:
    """On any address: only so does Envoy ask the socket for its own, which by TPROXY is the destination."""
    (listener,) = json.loads(bootstrap(Proxying("/x")))["static_resources"]["listeners"]
    assert listener["address"]["socket_address"]["address"] == "0.0.0.0"
    assert listener["transparent"] is True
