"""From a kubeconfig, or from the account of the pod that Outgate runs in, to what a connection needs.

An `Access` says where the API server is and how it proves who it is; `Access.identify` gives the `Credentials` that
prove who we are. They are asked for again when the server no longer accepts them: a token file is written anew every
hour, and a credential plugin (``exec``) makes tokens that last minutes. The file of the certificates that the server's
is held against changes, too: a new authority is in it, beside the old one, before a server shows what it has signed.

A plugin is a program. This room starts none: whoever opens the door passes the function that does.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from outgate.cluster.kubeconfig import Entry, Kubeconfig
from outgate.errors import ClusterError, KernelError, Unsupported
from outgate.records import dataclass

__all__ = ["Access", "Credentials", "Runner", "from_context", "from_pod"]

_AUTHORITY = "certificate-authority"
_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
_CLIENT_API = "client.authentication.k8s.io"
_VERSIONS = (f"{_CLIENT_API}/v1", f"{_CLIENT_API}/v1beta1")
_EXTENSION = f"{_CLIENT_API}/exec"

Runner = Callable[[Sequence[str], Mapping[str, str]], tuple[int, bytes, bytes]]
"""Runs a command with an addition to the environment; its code and both its outputs. Raises KernelError."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are. None of it is ever printed."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Access:
    """One API server, and how to speak to it."""

    name: str
    """What places and messages call it: ``cluster:CONTEXT``, or ``cluster`` inside a pod."""
    url: SplitResult
    identify: Callable[[], Credentials]
    authority: bytes | None = field(default=None, repr=False)
    """The certificates that the server's is held against, in PEM; None for those of the system."""
    verify: bool = True
    server_name: str = ""
    """The name that the certificate must have, where it is not that of the address."""
    lasting: bool = True
    """False where `identify` may give other credentials when it is asked again."""
    kubectl: str = "kubectl"
    """The beginning of a kubectl command that speaks to the same server."""
    stamp: Callable[[], object] = lambda: None
    """Something that is another one when `identify` would give others, and costs little; None where it says nothing."""
    authority_now: Callable[[], bytes] | None = field(default=None, repr=False)
    """What `authority` is by now, where it stands in a file: asked for each new connection. None: it stays as it is."""


def from_context(config: Kubeconfig, name: str, run: Runner, *, kubeconfig: str = "") -> Access:
    """The access that a context gives. `kubeconfig` is the file that was named, if one was.

    Raises:
        UnknownName: there is no such context.
        InvalidInput: something in it cannot be used.
        Unsupported: it asks for something that Outgate does not do.
    """
    context = config.context(name)
    cluster = config.referred(context, "cluster")
    if cluster is None:
        raise context.wrong("cluster", "the context names no cluster")
    user = config.referred(context, "user") or Entry(context.document, context.at, {})
    if cluster.text("proxy-url"):
        raise Unsupported(
            f"{name}: Outgate does not speak through the proxy that proxy-url names",
            hint="run it where the API server can be reached directly, or save what is there with kubectl get",
        )
    verify, authority = not cluster.flag("insecure-skip-tls-verify"), cluster.material(_AUTHORITY)
    if not verify and authority is not None:
        words = "this contradicts the certificate authority beside it, and kubectl refuses both together"
        raise cluster.wrong("insecure-skip-tls-verify", words, "take one of them out")
    file = f" --kubeconfig {kubeconfig}" if kubeconfig else ""
    files = _renewed_files(user)
    return Access(
        f"cluster:{name}",
        _server(cluster),
        _identity(user, cluster, run),
        authority,
        verify,
        cluster.text("tls-server-name"),
        lasting=not (files or user.inner("exec")),
        kubectl=f"kubectl{file} --context {name}",
        stamp=_stamp_of(*files),
        authority_now=None if cluster.text(f"{_AUTHORITY}-data") else _now(cluster.file(_AUTHORITY), authority),
    )


def from_pod(environment: Mapping[str, str], folder: str = _ACCOUNT) -> Access | None:
    """The access of the service account of the pod around us; None where we run in no pod."""
    host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
    token, authority = os.path.join(folder, "token"), os.path.join(folder, "ca.crt")
    if not host or not os.path.exists(token):
        return None

    def identify() -> Credentials:
        said = _content(token).decode(errors="replace").strip()
        if not _is_plain(said):
            raise ClusterError(f"the service account of this pod cannot be used: {token} holds no token")
        return Credentials({"Authorization": f"Bearer {said}"})

    bracketed = f"[{host}]" if ":" in host else host
    url = urlsplit(f"https://{bracketed}:{port}")
    known = _content(authority)
    now = _now(authority, known)
    return Access("cluster", url, identify, known, lasting=False, stamp=_stamp_of(token), authority_now=now)


def _renewed_files(user: Entry) -> list[str]:
    """The files that somebody writes anew before what is in them runs out: tokens, and the kubelet's certificates."""
    named = [user.file("tokenFile")]
    named += [user.file(name) for name in ("client-certificate", "client-key") if not user.text(f"{name}-data")]
    return [file for file in named if file]


def _stamp_of(*files: str) -> Callable[[], object]:
    """What tells files from those that stood there before; None without any, and where one is not there.

    A token is renewed as a new file under the old name; its time alone would not do, as two may be written in one tick.
    """

    def stamp() -> object:
        try:
            found = [os.stat(file) for file in files]
        except (OSError, ValueError):
            return None
        return tuple((one.st_mtime_ns, one.st_ino, one.st_size) for one in found) or None

    return stamp


def _now(file: str, known: bytes | None) -> Callable[[], bytes] | None:
    """What is in a file whenever it is asked; where it cannot be read then or is empty, what was in it before."""
    if known is None:
        return None
    last = known

    def read() -> bytes:
        nonlocal last
        with contextlib.suppress(OSError), open(file, "rb") as opened:
            last = opened.read() or last
        return last

    return read


def _content(file: str) -> bytes:
    try:
        with open(file, "rb") as opened:
            return opened.read()
    except OSError as error:
        words = f"the service account of this pod cannot be used: {file}: {(error.strerror or str(error)).lower()}"
        raise ClusterError(words, hint="see automountServiceAccountToken of the pod") from error


def _server(cluster: Entry) -> SplitResult:
    text = cluster.text("server")
    if not text:
        raise cluster.wrong("server", "the cluster has no server")
    try:
        url = urlsplit(text if "://" in text else f"https://{text}")
        good = url.scheme in {"https", "http"} and url.hostname and (url.port or True)
    except ValueError:
        good = False
    if not good or url.username is not None or not all("!" <= letter <= "~" for letter in text):
        raise cluster.wrong("server", "this is no address of an API server, as in https://192.0.2.1:6443")
    return url


def _identity(user: Entry, cluster: Entry, run: Runner) -> Callable[[], Credentials]:
    """How this user proves who it is: with all that its entry has, as client-go sends it."""
    if user.inner("auth-provider") is not None:
        words = "auth-provider is no longer part of kubectl for the large clouds, and not of Outgate"
        raise user.wrong("auth-provider", words, "configure the provider's credential plugin (exec) instead")
    certificate, key = user.material("client-certificate"), user.material("client-key")
    if (certificate is None) != (key is None):
        given, missing = ("certificate", "key") if key is None else ("key", "certificate")
        raise user.wrong("", f"there is a client {given} and no client {missing}")
    fixed = _impersonation(user)
    name, password = user.text("username"), user.text("password")
    if name or password:
        fixed["Authorization"] = f"Basic {_base64(f'{name}:{password}')}"
    if user.text("token"):
        fixed["Authorization"] = f"Bearer {_plain(user, 'token', user.text('token'))}"
    plugin, token_file = user.inner("exec"), user.file("tokenFile")

    def identify() -> Credentials:
        headers = dict(fixed)
        certificate, key = user.material("client-certificate"), user.material("client-key")
        if token_file:
            # "If both Token and TokenFile are specified, the TokenFile will be periodically read and [...] takes
            # precedence over Token."
            said = user.content("tokenFile", token_file).decode(errors="replace").strip()
            headers["Authorization"] = f"Bearer {_plain(user, 'tokenFile', said)}"
        if plugin is None or "Authorization" in headers:
            return Credentials(headers, certificate, key)
        token, made, secret = _from_plugin(plugin, cluster, run)
        if token:
            headers["Authorization"] = f"Bearer {_plain(plugin, 'command', token)}"
        return Credentials(headers, made or certificate, secret if made else key)

    return identify


def _impersonation(user: Entry) -> dict[str, str]:
    headers = {}
    if user.text("as"):
        headers["Impersonate-User"] = _plain(user, "as", user.text("as"))
    if user.text("as-uid"):
        headers["Impersonate-Uid"] = _plain(user, "as-uid", user.text("as-uid"))
    for field_name in ("as-groups", "as-user-extra"):
        if user.values.get(field_name):
            words = f"{field_name} is not supported: what the answer holds depends on it"
            raise user.wrong(field_name, words, "use the credentials of the user that is meant")
    return headers


def _plain(entry: Entry, name: str, text: str) -> str:
    """A value that goes into a header, where a line break would begin another header."""
    if not _is_plain(text):
        raise entry.wrong(name, "this holds nothing that can be sent: it is empty or has characters that are not ASCII")
    return text


def _is_plain(text: str) -> bool:
    return bool(text) and all(" " <= letter <= "~" for letter in text)


def _base64(text: str) -> str:
    import base64  # noqa: PLC0415 - few users still have a password

    return base64.b64encode(text.encode()).decode()


def _from_plugin(plugin: Entry, cluster: Entry, run: Runner) -> tuple[str, bytes | None, bytes | None]:
    """The token, or the certificate and its key, that a credential plugin makes."""
    version, command = plugin.text("apiVersion"), plugin.text("command")
    if version not in _VERSIONS:
        words = f"the plugin's apiVersion must be {' or '.join(_VERSIONS)}"
        raise plugin.wrong("apiVersion", words, "newer versions of the plugin write it (update-kubeconfig or the like)")
    if not command:
        raise plugin.wrong("command", "the plugin has no command")
    if plugin.text("interactiveMode") == "Always":
        words = "the plugin wants to ask at the terminal, and Outgate gives it none"
        raise plugin.wrong("interactiveMode", words, "log in with kubectl first, or use another credential")
    if "/" in command:
        command = plugin.file("command")
    environment = {one.text("name"): one.text("value") for one in plugin.several("env")}
    environment["KUBERNETES_EXEC_INFO"] = json.dumps(_exec_info(plugin, cluster, version))
    try:
        code, said, complained = run([command, *plugin.texts("args")], environment)
    except KernelError as error:
        hint = plugin.text("installHint") or error.hint
        raise ClusterError(f"the credential plugin could not be run: {error.message}", hint=hint) from error
    if code != 0:
        words = complained.decode(errors="replace").strip() or "it said nothing"
        hint = "run the plugin by itself, or any kubectl command, to see what it wants; most often a login"
        raise ClusterError(f"the credential plugin {command} failed with code {code}: {words}", hint=hint)
    return _plugin_answer(command, said, version)


def _exec_info(plugin: Entry, cluster: Entry, version: str) -> dict[str, object]:
    spec: dict[str, object] = {"interactive": False}
    if plugin.flag("provideClusterInfo"):
        authority = cluster.material("certificate-authority")
        told = {
            "server": cluster.text("server"),
            "tls-server-name": cluster.text("tls-server-name"),
            "insecure-skip-tls-verify": cluster.flag("insecure-skip-tls-verify"),
            "certificate-authority-data": _base64(authority.decode(errors="replace")) if authority else "",
            "config": next(
                (
                    one.values.get("extension")
                    for one in cluster.several("extensions")
                    if one.text("name") == _EXTENSION
                ),
                None,
            ),
        }
        spec["cluster"] = {name: value for name, value in told.items() if value}
    return {"apiVersion": version, "kind": "ExecCredential", "spec": spec}


def _plugin_answer(command: str, said: bytes, version: str) -> tuple[str, bytes | None, bytes | None]:
    def wrong(words: str) -> ClusterError:
        # Not the command line: it may hold a secret.
        hint = "run it by itself: it must print an ExecCredential in JSON on standard output, and nothing else there"
        return ClusterError(f"the credential plugin {command} {words}", hint=hint)

    try:
        answer: Any = json.loads(said)
    except (ValueError, RecursionError):
        # What it said may hold a token, so it is not repeated here.
        raise wrong("did not answer in JSON") from None
    if not isinstance(answer, dict) or answer.get("kind") != "ExecCredential":
        raise wrong("did not answer with an ExecCredential")
    if answer.get("apiVersion") != version:
        raise wrong(f"answered in another version than {version}, which the kubeconfig asks for")
    status = answer.get("status")
    if not isinstance(status, dict):
        raise wrong("gave no status")
    texts = [status.get(name) or "" for name in ("token", "clientCertificateData", "clientKeyData")]
    if not all(isinstance(one, str) for one in texts):
        raise wrong("gave credentials that are no strings")
    token, certificate, key = texts
    if bool(certificate) != bool(key):
        raise wrong("gave half of a client certificate")
    if not token and not certificate:
        raise wrong("gave neither a token nor a certificate")
    return token, certificate.encode() or None, key.encode() or None
