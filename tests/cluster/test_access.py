"""Who we are, and to whom: from every kind of entry that a kubeconfig may have, and from a pod's account."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.cluster.access import Access, from_context, from_pod
from outgate.cluster.kubeconfig import read_kubeconfig
from outgate.errors import ClusterError, InvalidInput, KernelError, OutgateError, Unsupported

SECRET = "s3cret"
V1 = "client.authentication.k8s.io/v1"


def nobody(_argv: Sequence[str], _environment: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    """No plugin is expected to run."""
    raise AssertionError


def access(tmp_path: Path, user: object, cluster: Mapping[str, object] | None = None, run: Any = nobody) -> Access:
    """The access of a context `x` with this user."""
    file = tmp_path / "config"
    config = {
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.1:6443", **(cluster or {})}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    }
    file.write_text(json.dumps(config))
    return from_context(read_kubeconfig([str(file)]), "x", run)


def headers(tmp_path: Path, user: object) -> Mapping[str, str]:
    """What is sent."""
    return access(tmp_path, user).identify().headers


def failure(call: Any) -> OutgateError:
    """The error, in which no secret may be."""
    with pytest.raises(OutgateError) as caught:
        call()
    assert SECRET not in f"{caught.value} {caught.value.hint}"
    return caught.value


def test_every_kind_of_credential(tmp_path: Path) -> None:
    """As client-go sends them; a token goes before a password."""
    (tmp_path / "token").write_text(f"{SECRET}-file\n")
    assert headers(tmp_path, {}) == {}
    assert headers(tmp_path, {"token": SECRET}) == {"Authorization": f"Bearer {SECRET}"}
    assert headers(tmp_path, {"tokenFile": "token"}) == {"Authorization": f"Bearer {SECRET}-file"}
    assert headers(tmp_path, {"token": "old", "tokenFile": "token"}) == {"Authorization": f"Bearer {SECRET}-file"}
    basic = base64.b64encode(f"me:{SECRET}".encode()).decode()
    assert headers(tmp_path, {"username": "me", "password": SECRET}) == {"Authorization": f"Basic {basic}"}
    assert headers(tmp_path, {"username": "me", "password": "x", "token": SECRET}) == {
        "Authorization": f"Bearer {SECRET}"
    }
    assert headers(tmp_path, {"as": "admin", "token": SECRET})["Impersonate-User"] == "admin"


def test_a_client_certificate(tmp_path: Path) -> None:
    """In the file or beside it."""
    (tmp_path / "key").write_bytes(b"KEY")
    given = {"client-certificate-data": base64.b64encode(b"CERT").decode(), "client-key": "key"}
    credentials = access(tmp_path, given).identify()
    assert (credentials.certificate, credentials.key) == (b"CERT", b"KEY")
    error = failure(lambda: access(tmp_path, {"client-key": "key"}))
    assert "users[0].user: there is a client key and no client certificate" in str(error)


def test_certificates_in_files_are_read_again(tmp_path: Path) -> None:
    """The kubelet renews its own, and whoever shares them."""
    for name in ("cert", "key"):
        (tmp_path / name).write_text(f"{name} 1")
    one = access(tmp_path, {"client-certificate": "cert", "client-key": "key"})
    assert one.lasting is False
    before = one.stamp()
    assert before is not None
    (tmp_path / "cert").write_text("cert two")
    (tmp_path / "key").write_text("key two")
    assert one.stamp() != before
    assert (one.identify().certificate, one.identify().key) == (b"cert two", b"key two")
    (tmp_path / "key").unlink()
    assert one.stamp() is None
    data = {f"client-{name}-data": base64.b64encode(b"x").decode() for name in ("certificate", "key")}
    assert access(tmp_path, data).lasting is True


def test_secrets_are_not_printed(tmp_path: Path) -> None:
    """A traceback or a debugger shows objects as they print themselves."""
    one = access(tmp_path, {"token": SECRET, "client-key-data": "AAAA", "client-certificate-data": "AAAA"})
    assert SECRET not in repr(one) + repr(one.identify())


def test_a_token_file_is_read_again(tmp_path: Path) -> None:
    """It is written anew every hour."""
    token = tmp_path / "token"
    token.write_text("one")
    one = access(tmp_path, {"tokenFile": "token"})
    assert one.lasting is False
    assert one.identify().headers["Authorization"] == "Bearer one"
    stamp = one.stamp()
    assert one.stamp() == stamp
    token.write_text("two")
    assert one.stamp() != stamp
    assert one.identify().headers["Authorization"] == "Bearer two"
    token.unlink()
    assert one.stamp() is None
    assert "users[0].user.tokenFile" in str(failure(one.identify))
    # What no file says is looked at when it is refused, and not before.
    assert access(tmp_path, {"token": SECRET}).stamp() is None


@pytest.mark.parametrize("token", ["a\r\nX-Other: 1", "a\nb", "é", "a\0"])
def test_a_token_is_one_header(tmp_path: Path, token: str) -> None:
    """A line break in it would begin another one."""
    assert "this holds nothing that can be sent" in str(failure(lambda: access(tmp_path, {"token": token})))


def test_how_the_server_is_verified(tmp_path: Path) -> None:
    """Always, unless the kubeconfig says otherwise; and then not half."""
    data = {"certificate-authority-data": base64.b64encode(b"PEM").decode()}
    plain = access(tmp_path, {}, {**data, "tls-server-name": "kubernetes"})
    assert (plain.verify, plain.authority, plain.server_name) == (True, b"PEM", "kubernetes")
    assert access(tmp_path, {}, {"insecure-skip-tls-verify": True}).verify is False
    error = failure(lambda: access(tmp_path, {}, {**data, "insecure-skip-tls-verify": True}))
    assert "contradicts the certificate authority" in str(error)


@pytest.mark.parametrize(
    ("server", "host", "port"),
    [
        ("https://192.0.2.1:6443", "192.0.2.1", 6443),
        ("192.0.2.1:6443", "192.0.2.1", 6443),
        ("https://api.example.com", "api.example.com", None),
        ("http://[2001:db8::1]:8080/k8s/c-1", "2001:db8::1", 8080),
    ],
)
def test_addresses_of_servers(tmp_path: Path, server: str, host: str, port: int | None) -> None:
    """As kubectl reads them: https where nothing is said."""
    url = access(tmp_path, {}, {"server": server}).url
    assert (url.hostname, url.port) == (host, port)
    assert url.scheme == ("http" if server.startswith("http:") else "https")


@pytest.mark.parametrize(
    "server", ["", "ftp://x", "https://", "https://x:port", "https://x:70000", "https://me:s3cret@x", "https://a b", "https://a\n"]
)  # fmt: skip
def test_what_is_no_address(tmp_path: Path, server: str) -> None:
    """Said with the line of the field."""
    error = failure(lambda: access(tmp_path, {}, {"server": server}))
    assert isinstance(error, InvalidInput)
    assert error.errors[0].path == "clusters[0].cluster.server"


def test_what_is_not_supported_is_named(tmp_path: Path) -> None:
    """A proxy that is passed by would reach another network; a user that is not the one meant sees other things."""
    error = failure(lambda: access(tmp_path, {}, {"proxy-url": "socks5://127.0.0.1:1080"}))
    assert isinstance(error, Unsupported)
    assert "proxy-url" in str(error)
    assert "auth-provider" in str(failure(lambda: access(tmp_path, {"auth-provider": {"name": "gcp"}})))
    assert "as-groups" in str(failure(lambda: access(tmp_path, {"as": "x", "as-groups": ["y"]})))


def test_a_context_without_a_cluster(tmp_path: Path) -> None:
    """Is no way to any server."""
    (tmp_path / "config").write_text("kind: Config\ncontexts: [{name: x, context: {}}]")
    config = read_kubeconfig([str(tmp_path / "config")])
    assert "the context names no cluster" in str(failure(lambda: from_context(config, "x", nobody)))


def test_the_kubectl_that_is_shown_asks_the_same_server(tmp_path: Path) -> None:
    """A command to check a permission is of no use against another cluster."""
    file = tmp_path / "config"
    access(tmp_path, {})
    one = from_context(read_kubeconfig([str(file)]), "x", nobody, kubeconfig=str(file))
    assert one.kubectl == f"kubectl --kubeconfig {file} --context x"
    assert one.name == "cluster:x"


# ---- credential plugins ----------------------------------------------------------------------------------------------


class Plugin:
    """Stands for a plugin that answers so."""

    def __init__(self, status: object, code: int = 0, complaint: bytes = b"", version: str = V1) -> None:
        self.answer = json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status}).encode()
        self.code, self.complaint = code, complaint
        self.ran: list[tuple[list[str], dict[str, str]]] = []

    def __call__(self, argv: Sequence[str], environment: Mapping[str, str]) -> tuple[int, bytes, bytes]:
        """Run, in name only."""
        self.ran.append((list(argv), dict(environment)))
        return self.code, self.answer, self.complaint


EXEC = {"apiVersion": V1, "command": "aws", "args": ["eks", "get-token"], "interactiveMode": "IfAvailable"}


def test_a_plugin_gives_a_token(tmp_path: Path) -> None:
    """It is asked when credentials are, with its arguments and its environment; never by a shell."""
    plugin = Plugin({"token": SECRET, "expirationTimestamp": "2026-01-01T00:00:00Z"})
    given = {"exec": {**EXEC, "args": ["$(x)"], "env": [{"name": "AWS_PROFILE", "value": "prod"}]}}
    one = access(tmp_path, given, run=plugin)
    assert (plugin.ran, one.lasting) == ([], False)
    assert one.identify().headers == {"Authorization": f"Bearer {SECRET}"}
    one.identify()
    assert len(plugin.ran) == 2
    argv, environment = plugin.ran[0]
    assert argv == ["aws", "$(x)"]
    assert environment["AWS_PROFILE"] == "prod"
    info = json.loads(environment["KUBERNETES_EXEC_INFO"])
    assert info == {"apiVersion": V1, "kind": "ExecCredential", "spec": {"interactive": False}}


def test_a_plugin_gives_a_certificate(tmp_path: Path) -> None:
    """In PEM, in the answer itself; v1beta1 is still spoken."""
    version = "client.authentication.k8s.io/v1beta1"
    plugin = Plugin({"clientCertificateData": "CERT", "clientKeyData": "KEY"}, version=version)
    credentials = access(tmp_path, {"exec": {**EXEC, "apiVersion": version}}, run=plugin).identify()
    assert (credentials.headers, credentials.certificate, credentials.key) == ({}, b"CERT", b"KEY")


def test_a_plugin_that_wants_to_know_the_cluster(tmp_path: Path) -> None:
    """`provideClusterInfo` gives it what the kubeconfig says of it, and its own extension."""
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}
    cluster = {"certificate-authority-data": "UEVN", "extensions": [{"name": "other", "extension": 1}, extension]}
    plugin = Plugin({"token": SECRET})
    access(tmp_path, {"exec": {**EXEC, "provideClusterInfo": True}}, cluster, plugin).identify()
    assert json.loads(plugin.ran[0][1]["KUBERNETES_EXEC_INFO"])["spec"]["cluster"] == {
        "server": "https://192.0.2.1:6443",
        "certificate-authority-data": "UEVN",
        "config": {"audience": "x"},
    }


def test_a_plugin_beside_the_kubeconfig(tmp_path: Path) -> None:
    """A command with a slash begins at the file, and one without is looked for in PATH."""
    plugin = Plugin({"token": SECRET})
    access(tmp_path, {"exec": {**EXEC, "command": "./bin/login"}}, run=plugin).identify()
    assert plugin.ran[0][0][0] == f"{tmp_path}/./bin/login"


def test_a_token_makes_the_plugin_unnecessary(tmp_path: Path) -> None:
    """As in client-go: what is there is used."""
    assert access(tmp_path, {"token": SECRET, "exec": EXEC}).identify().headers["Authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"apiVersion": "client.authentication.k8s.io/v1alpha1"}, "users[0].user.exec.apiVersion"),
        ({"apiVersion": None}, "must be client.authentication.k8s.io/v1 or"),
        ({"command": ""}, "the plugin has no command"),
        ({"interactiveMode": "Always"}, "wants to ask at the terminal"),
        ({"args": "one two"}, "must be a list of strings"),
        ({"env": [1]}, "must be a mapping"),
    ],
)
def test_a_plugin_that_is_not_configured_well(tmp_path: Path, change: Mapping[str, object], words: str) -> None:
    """Before anything is run."""
    assert words in str(failure(access(tmp_path, {"exec": {**EXEC, **change}}).identify))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "did not answer in JSON"),
        (b"s3cret", "did not answer in JSON"),
        (b"[" * 100_000, "did not answer in JSON"),
        (b"[]", "did not answer with an ExecCredential"),
        (b'{"kind": "ExecCredential"}', "another version"),
        (json.dumps({"apiVersion": V1, "kind": "ExecCredential"}).encode(), "gave no status"),
        (json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": {}}).encode(), "neither a token nor"),
        (json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": {"token": 5}}).encode(), "no strings"),
        (
            json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": {"clientKeyData": "s3cret"}}).encode(),
            "half of a client certificate",
        ),
    ],
)
def test_a_plugin_that_answers_badly(tmp_path: Path, answer: bytes, words: str) -> None:
    """Whatever it prints, it is named and not repeated: it may be half a token."""
    plugin = Plugin({})
    plugin.answer = answer
    error = failure(access(tmp_path, {"exec": EXEC}, run=plugin).identify)
    assert isinstance(error, ClusterError)
    assert error.message.startswith("the credential plugin aws ")
    assert words in error.message
    assert "by itself" in error.hint


def test_a_plugin_that_fails(tmp_path: Path) -> None:
    """Most often the login has run out, and its own words say so."""
    plugin = Plugin({}, code=255, complaint=b"The SSO session has expired\n")
    error = failure(access(tmp_path, {"exec": EXEC}, run=plugin).identify)
    assert error.message == "the credential plugin aws failed with code 255: The SSO session has expired"
    assert "login" in error.hint


def test_a_plugin_that_is_not_there(tmp_path: Path) -> None:
    """The kubeconfig may say itself where it comes from."""

    def missing(_argv: Sequence[str], _environment: Mapping[str, str]) -> tuple[int, bytes, bytes]:
        raise KernelError("the command aws is not installed")

    one = access(tmp_path, {"exec": {**EXEC, "installHint": "get it from example.com"}}, run=missing)
    error = failure(one.identify)
    assert (error.message, error.hint) == (
        "the credential plugin could not be run: the command aws is not installed",
        "get it from example.com",
    )
    assert error.exit_code == 3


# ---- inside a pod ----------------------------------------------------------------------------------------------------


def test_the_account_of_a_pod(tmp_path: Path) -> None:
    """The address is in the environment, the rest in a folder; the token is read whenever it is needed."""
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    assert from_pod(environment, str(tmp_path)) is None
    (tmp_path / "token").write_text("one\n")
    assert from_pod({}, str(tmp_path)) is None
    assert "ca.crt" in str(failure(lambda: from_pod(environment, str(tmp_path))))
    (tmp_path / "ca.crt").write_text("PEM")
    one = from_pod(environment, str(tmp_path))
    assert one is not None
    assert (one.name, one.url.geturl(), one.authority, one.verify) == ("cluster", "https://[fd00::1]:443", b"PEM", True)
    assert one.identify().headers == {"Authorization": "Bearer one"}
    (tmp_path / "token").write_text("two")
    assert one.identify().headers == {"Authorization": "Bearer two"}
    for useless in (b"", b"a\nb", b"\xff"):
        (tmp_path / "token").write_bytes(useless)
        assert "holds no token" in str(failure(one.identify))
    (tmp_path / "token").unlink()
    assert isinstance(failure(one.identify), ClusterError)


WORDS = st.sampled_from(["", "x", "c", "u", "https://192.0.2.1", "UEVN", "é\n", V1, "ExecCredential", "Always", "./x"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)
CLUSTER_FIELDS = "server certificate-authority certificate-authority-data insecure-skip-tls-verify proxy-url extensions"
USER_FIELDS = "token tokenFile username password client-key-data client-certificate-data as as-groups auth-provider"
EXEC_FIELDS = "apiVersion command args env interactiveMode provideClusterInfo installHint"


def fields(names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Some of these fields, with anything in them."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names.split(), VALUES))


@given(
    fields(CLUSTER_FIELDS) | VALUES,
    fields(USER_FIELDS) | st.fixed_dictionaries({"exec": fields(EXEC_FIELDS) | VALUES}) | VALUES,
    st.fixed_dictionaries({}, optional={"cluster": WORDS | VALUES, "user": WORDS | VALUES}) | VALUES,
    st.binary(max_size=5) | st.just(json.dumps({"kind": "ExecCredential", "apiVersion": V1, "status": {}}).encode()),
)
def test_whatever_a_kubeconfig_holds_is_an_access_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, cluster: object, user: object, context: object, said: bytes
) -> None:
    """It is written by many programs, and mended by hand in a hurry."""
    config = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": context}],
    }
    file = tmp_path_factory.mktemp("any") / "config"
    file.write_text(json.dumps(config))
    try:
        one = from_context(read_kubeconfig([str(file)]), "x", lambda _argv, _environment: (0, said, b""))
        one.identify()
    except OutgateError:
        return
    assert one.url.hostname


def test_an_authority_that_is_changed_is_read_anew(tmp_path: Path) -> None:
    """A cluster changes it every few years, and every agent of it would have to be started again on that day."""
    environment, file = {"KUBERNETES_SERVICE_HOST": "fd00::1"}, tmp_path / "ca.crt"
    (tmp_path / "token").write_text("one")
    file.write_text("OLD")
    inside = from_pod(environment, str(tmp_path))
    named = access(tmp_path, {}, {"certificate-authority": str(file)})
    both = {"certificate-authority": str(file), "certificate-authority-data": "UEVN"}
    given = access(tmp_path, {}, both)
    assert inside is not None
    assert given.authority_now is None, "what is in the kubeconfig is not in a file"
    assert access(tmp_path, {}).authority_now is None
    for one in (inside, named):
        assert one.authority_now is not None
        file.write_text("OLD")
        assert one.authority_now() == b"OLD"
        # As kubelet does it: another file under the old name.
        (tmp_path / "new").write_text("OLD NEW")
        (tmp_path / "new").rename(file)
        assert one.authority_now() == b"OLD NEW"
        # While it is being written, the last one counts.
        file.write_text("")
        assert one.authority_now() == b"OLD NEW"
        file.unlink()
        assert one.authority_now() == b"OLD NEW"
