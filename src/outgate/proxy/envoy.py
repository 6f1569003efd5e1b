"""The configuration of Envoy: one listener that looks into redirected connections and hands them on as they were.

    pod ──► listener ──► TLS?  ──► names ─────────► the same bytes ──┐
              (ends as the         connections ──► HTTP ──► requests ┴──► original destination,
               pod sees them)                                             with the pod's address

**Where it connects** is the destination of the accepted connection, and nothing that a request says: not its host, not
an absolute target, not the name after CONNECT. The listener is `transparent`, so the address of an accepted socket *is*
the destination after the translation of services; it is put into the connection's state as the address for the
`ORIGINAL_DST` cluster. SO_ORIGINAL_DST would answer the address of the service; it is what there is where connections
come by DNAT (`Redirection.DNAT`).

**Who it connects as** is the pod (`original_src`): what stands behind sees the address that its policies are about.
Those sockets carry `upstream_mark`, by which the kernel knows them.

**What is judged is what is sent on.** Paths are normalised (RFC 3986, 6), slashes that follow each other are merged,
and a path with an escaped slash or backslash is answered with a redirect to its unescaped form, which is then judged
like any other. Cilium's proxy does the same three by default (its option `http-normalize-path`). A path with a fragment
is refused, and one with ``..;`` after all that. Of upgrades, websockets and CONNECT pass where the rules let their
request through; behind them nothing is looked into.

**Nothing is shared between pods.** A connection to a destination is kept for a while, and used again by the same pod
alone: the address that it has is part of what Envoy keeps it by. A pool for each connection of a pod would be stricter,
but Envoy keeps such a pool, and its connection, after the pod's connection has ended.

The kernel's part. The first packet from a pod to a destination that a redirect names comes to the listener by TPROXY in
prerouting, after the translation of services; later ones, and those of connections that the proxy holds towards
destinations (``socket transparent 1``), are delivered. All get `deliver_mark`, which a routing rule sends to the local
table. What the proxy sends
has `upstream_mark` in the output hook: it is judged there as the pod's, by addresses and ports. Whatever a redirect
names and still comes to the forward hook is dropped there, so that nothing passes while the proxy is not there.
tests/lab/proxied.py has the rules as text, and docs/decisions/0017 their reasons.

Everything is JSON made of typed values. Text of a manifest is a string in it and nothing else, and no counter is named
by any.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from outgate.proxy import envoy_log, envoy_rules
from outgate.proxy.envoy_rules import CONNECTIONS, DENY_ALL, NAMES, REQUESTS, Json
from outgate.proxy.redirect import Redirect

__all__ = ["ADMIN", "BOOTSTRAP", "LOG", "RULES", "Proxying", "Redirection", "RuleFiles", "bootstrap", "rule_files"]

BOOTSTRAP = "bootstrap.json"
"""The file that Envoy is started with. This and the next three are names in its directory."""
ADMIN = "admin.sock"
"""The socket of the administration interface."""
LOG = "denied.pipe"
"""Where refusals are written: a named pipe, or a file where there is none."""
RULES = "rules"
"""The directory into which files of rules are moved."""

_CLUSTER = "original"
_RUNTIME: Json = {
    # Instructions of an expression that Envoy takes. Its default of 100 is met by ordinary ones (cilium#41314).
    "re2.max_program_size.error_level": 1_000_000,
    # With several lines of one header, one that matches would be enough, whatever the others say to who is behind.
    "envoy.reloadable_features.rbac_match_headers_individually": False,
    "envoy.reloadable_features.strict_chunk_parsing": True,
}
_TWO_WAYS = ".*/[.]{1,2}(;|%3[bB]).*"
"""Paths that servers read in two ways: some take ``..;`` for ``..`` (a parameter of a segment, RFC 3986, 3.3). Envoy
1.40 does, too, and not where the dots are escaped: then it sends ``..;`` on, which was judged as a name."""
_TYPES = "type.googleapis.com/envoy."


class Redirection(enum.Enum):
    """How connections come to the listener."""

    TPROXY = "tproxy"
    DNAT = "dnat"


@dataclass(frozen=True, slots=True)
class Proxying:
    """What the proxy of a node is told once. `directory` is where its files are, as Envoy sees it.

    Times are in seconds, sizes in bytes.
    """

    directory: str
    port: int = 15001
    addresses: tuple[str, ...] = ("0.0.0.0", "::")  # noqa: S104 -- only so Envoy asks an accepted socket for its address
    redirection: Redirection = Redirection.TPROXY
    deliver_mark: int = 0x100
    """The bit of a packet's mark that means: to the proxy, or to a connection of its."""
    upstream_mark: int = 0x200
    """The bit of a packet's mark that means: sent by the proxy in a pod's name."""
    connections: int = 20_000
    """At most so many connections of pods at once; further ones are closed."""
    buffer: int = 256 * 1024
    """How much of one connection is held, in each direction, when the other end does not read."""
    connect_timeout: float = 10.0
    idle_timeout: float = 3600.0
    kept: float = 4.0
    """How long a connection to a destination is kept for the next request; many servers close theirs after five."""
    header_timeout: float = 60.0
    """From the first byte of a request to the end of its header."""
    header_kilobytes: int = 64
    header_count: int = 200

    def path(self, *names: str) -> str:
        """Something in the directory, as Envoy sees it."""
        return "/".join((self.directory, *names))


@dataclass(frozen=True, slots=True)
class RuleFiles:
    """Rules as Envoy reads them: files to be moved into the directory `RULES`, each by a rename.

    Envoy takes each file by itself. So while rules change, a request may meet the new list of connections and the old
    one of requests: it passes where both let it, and each is one of the two states.
    """

    version: str
    """A digest of what they say; Envoy names it when it has taken a file."""
    files: Mapping[str, bytes]
    concerned: Mapping[str, tuple[str, ...]]
    """The rules that each digest in the log stands for."""


def rule_files(redirects: Sequence[Redirect]) -> RuleFiles:
    """The rules about all redirected connections of a node."""
    made = {
        REQUESTS: envoy_rules.requests(redirects),
        CONNECTIONS: envoy_rules.connections(redirects),
        NAMES: envoy_rules.names(redirects),
    }
    version = hashlib.blake2b(_written(made), digest_size=16).hexdigest()
    files = {f"{name}.json": _written(_discovered(name, one, version)) for name, one in made.items()}
    return RuleFiles(version, files, envoy_rules.concerned(redirects))


def _discovered(name: str, configuration: Json, version: str) -> Json:
    resource = {
        "@type": _TYPES + "config.core.v3.TypedExtensionConfig",
        "name": name,
        "typed_config": configuration,
    }
    return {"version_info": version, "resources": [resource]}


def bootstrap(proxying: Proxying) -> bytes:
    """The file that Envoy is started with; it never changes afterwards."""
    return _written(
        {
            "node": {"id": "outgate", "cluster": "outgate"},
            "admin": {"address": {"pipe": {"path": proxying.path(ADMIN), "mode": 0o600}}},
            "static_resources": {"listeners": [_listener(proxying)], "clusters": [_cluster(proxying)]},
            "layered_runtime": {"layers": [{"name": "static", "static_layer": _RUNTIME}]},
            "overload_manager": {"resource_monitors": [_connection_limit(proxying.connections)]},
        }
    )


def _written(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()


def _typed(kind: str, /, **fields: object) -> Json:
    return {"@type": _TYPES + kind, **fields}


def _seconds(value: float) -> str:
    return f"{value:g}s"


def _connection_limit(most: int) -> Json:
    name = "envoy.resource_monitors.global_downstream_max_connections"
    kind = "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    return {"name": name, "typed_config": _typed(kind, max_active_downstream_connections=most)}


def _socket(address: str, port: int) -> Json:
    return {"socket_address": {"address": address, "port_value": port}}


def _listener(proxying: Proxying) -> Json:
    first, *others = proxying.addresses
    return {
        "name": "outgate",
        "stat_prefix": "outgate",
        "address": _socket(first, proxying.port),
        "additional_addresses": [{"address": _socket(one, proxying.port)} for one in others],
        "transparent": proxying.redirection is Redirection.TPROXY,
        "per_connection_buffer_limit_bytes": proxying.buffer,
        # Who says nothing for this long is neither TLS nor HTTP; protocols in which the server begins end here.
        "listener_filters_timeout": _seconds(proxying.header_timeout),
        "listener_filters": list(_listener_filters(proxying)),
        "filter_chains": [
            {
                "filter_chain_match": {"transport_protocol": "tls"},
                "filters": [*_begin(proxying, NAMES), _tcp_proxy(proxying)],
            },
            {
                "filter_chain_match": {"transport_protocol": "raw_buffer"},
                "filters": [*_begin(proxying, CONNECTIONS), _http(proxying)],
            },
        ],
        "access_log": [envoy_log.connection_log(proxying.path(LOG))],
    }


def _listener_filters(proxying: Proxying) -> Sequence[Json]:
    source = _typed("extensions.filters.listener.original_src.v3.OriginalSrc", mark=proxying.upstream_mark)
    inspector = _typed("extensions.filters.listener.tls_inspector.v3.TlsInspector")
    destination = _typed("extensions.filters.listener.original_dst.v3.OriginalDst")
    filters = [
        {"name": "envoy.filters.listener.original_src", "typed_config": source},
        {"name": "envoy.filters.listener.tls_inspector", "typed_config": inspector},
    ]
    if proxying.redirection is Redirection.DNAT:
        filters.insert(0, {"name": "envoy.filters.listener.original_dst", "typed_config": destination})
    return filters


def _begin(proxying: Proxying, name: str) -> Sequence[Json]:
    """The filters before the one that speaks the protocol: who may begin, and where it leads."""
    state = {
        "object_key": "envoy.network.transport_socket.original_dst_address",
        "format_string": {"text_format_source": {"inline_string": "%DOWNSTREAM_LOCAL_ADDRESS%"}},
    }
    kind = "extensions.filters.network.set_filter_state.v3.Config"
    return (
        _discovering(proxying, name),
        {"name": "destination", "typed_config": _typed(kind, on_new_connection=[state])},
    )


def _discovering(proxying: Proxying, name: str) -> Json:
    return {
        "name": name,
        "config_discovery": {
            "config_source": {
                "path_config_source": {
                    "path": proxying.path(RULES, f"{name}.json"),
                    "watched_directory": {"path": proxying.path(RULES)},
                },
                "initial_fetch_timeout": "0s",
                "resource_api_version": "V3",
            },
            "default_config": DENY_ALL[name],
            "apply_default_config_without_warming": True,
            "type_urls": [str(DENY_ALL[name]["@type"])],
        },
    }


def _tcp_proxy(proxying: Proxying) -> Json:
    kind = "extensions.filters.network.tcp_proxy.v3.TcpProxy"
    settings = _typed(kind, stat_prefix="tls", cluster=_CLUSTER, idle_timeout=_seconds(proxying.idle_timeout))
    return {"name": "tls", "typed_config": settings}


def _http(proxying: Proxying) -> Json:
    router = _typed("extensions.filters.http.router.v3.Router", suppress_envoy_headers=True)
    settings = _typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="http",
        codec_type="AUTO",
        route_config=_routes(),
        http_filters=[_discovering(proxying, REQUESTS), {"name": "router", "typed_config": router}],
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action="UNESCAPE_AND_REDIRECT",
        upgrade_configs=[{"upgrade_type": "websocket"}, {"upgrade_type": "CONNECT"}],
        # Nobody is internal: headers by which Envoys tell each other what to do (`x-envoy-retry-on`) are taken away.
        # Without the remote address, x-forwarded-for and x-forwarded-proto go on as the pod sent them.
        use_remote_address=False,
        internal_address_config={"cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]},
        generate_request_id=False,
        server_header_transformation="PASS_THROUGH",
        proxy_100_continue=True,
        stream_idle_timeout=_seconds(proxying.idle_timeout),
        request_headers_timeout=_seconds(proxying.header_timeout),
        max_request_headers_kb=proxying.header_kilobytes,
        common_http_protocol_options={
            "idle_timeout": _seconds(proxying.idle_timeout),
            "max_headers_count": proxying.header_count,
        },
        http2_protocol_options={"max_concurrent_streams": 128},
        access_log=[envoy_log.request_log(proxying.path(LOG))],
        local_reply_config=envoy_log.REFUSAL,
    )
    return {"name": "http", "typed_config": settings}


def _routes() -> Json:
    onward = {"cluster": _CLUSTER, "timeout": "0s"}
    # Envoy joins several Host lines by commas; who is behind may read the first, the last, or none of them.
    several = {"name": ":authority", "string_match": {"contains": ","}}
    refused = [
        {"match": match, "direct_response": {"status": 400}}
        for match in ({"prefix": "/", "headers": [several]}, {"safe_regex": {"regex": _TWO_WAYS}})
    ]
    matches: tuple[Json, ...] = ({"connect_matcher": {}}, {"prefix": "/"})
    everywhere = {
        "name": "any",
        "domains": ["*"],
        "routes": [*refused, *({"match": match, "route": onward} for match in matches)],
    }
    return {"name": "outgate", "virtual_hosts": [everywhere]}


def _cluster(proxying: Proxying) -> Json:
    most = {
        "max_connections": proxying.connections,
        "max_pending_requests": proxying.connections,
        "max_requests": proxying.connections * 128,
        "max_retries": 0,
    }
    options = _typed(
        "extensions.upstreams.http.v3.HttpProtocolOptions",
        # What came as HTTP/2 goes on as HTTP/2.
        use_downstream_protocol_config={"http_protocol_options": {}, "http2_protocol_options": {}},
        common_http_protocol_options={"idle_timeout": _seconds(proxying.kept)},
    )
    return {
        "name": _CLUSTER,
        "type": "ORIGINAL_DST",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": _seconds(proxying.connect_timeout),
        "per_connection_buffer_limit_bytes": proxying.buffer,
        "circuit_breakers": {"thresholds": [most]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
    }
