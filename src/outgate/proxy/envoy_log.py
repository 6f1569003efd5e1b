"""What Envoy says of a refusal: one line of JSON, and how such a line is read.

Written are requests and connections that a filter of ours refused, and requests that Envoy itself could not make sense
of. What is allowed is not written. A line names the digest of the rules that concern the connection; `read_refusal`
turns it back into the rules.

A line is made by Envoy's JSON formatter, which escapes what a client has chosen, so no path or host ends a line or
adds a field to it. It is cut to bounded lengths.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from outgate.proxy.envoy_rules import Json

__all__ = ["REFUSAL", "Refusal", "connection_log", "read_refusal", "request_log"]

_FILE = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
_HTTP, _NETWORK = "envoy.filters.http.rbac", "envoy.filters.network.rbac"
"""Where the filters leave what they decided, whatever their names are."""
_LONGEST = 1024
"""Characters of a path or host in a line."""

REFUSAL: Json = {
    "mappers": [
        {
            "filter": {
                "status_code_filter": {
                    "comparison": {"op": "EQ", "value": {"default_value": 403, "runtime_key": "outgate.refusal"}}
                }
            },
            "body": {"inline_string": "Access denied\r\n"},
        }
    ]
}
"""What a refused request is answered: 403 with these words, as Cilium's proxy does."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One connection or request that was refused.

    `pod` and `destination` are ``address:port``. `rules` are the rules that concern the connection, none of which let
    it through; empty where none concerns it, or it is not known any more. `details` are Envoy's words for why.
    """

    time: str
    pod: str
    destination: str
    rules: tuple[str, ...]
    details: str
    method: str = ""
    path: str = ""
    host: str = ""
    server_name: str = ""


def request_log(path: str) -> Json:
    """The log of refused requests."""
    fields = {
        "of": "request",
        "details": "%RESPONSE_CODE_DETAILS%",
        "concerned": f"%DYNAMIC_METADATA({_HTTP}:shadow_effective_policy_id)%",
        "method": f"%REQ(:METHOD):{_LONGEST}%",
        "path": f"%REQ(:PATH):{_LONGEST}%",
        "host": f"%REQ(:AUTHORITY):{_LONGEST}%",
    }
    refused = {"or_filter": {"filters": [_denied(_HTTP), {"response_flag_filter": {"flags": ["DPE"]}}]}}
    return _log(path, fields, refused)


def connection_log(path: str) -> Json:
    """The log of refused connections."""
    fields = {
        "of": "connection",
        "details": "%CONNECTION_TERMINATION_DETAILS%",
        "concerned": f"%DYNAMIC_METADATA({_NETWORK}:shadow_effective_policy_id)%",
        "server_name": "%REQUESTED_SERVER_NAME%",
    }
    kind = "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"
    refused = {"@type": kind, "expression": "connection.termination_details.startsWith('rbac_access_denied')"}
    return _log(path, fields, {"extension_filter": {"name": "refused", "typed_config": refused}})


def _denied(name: str) -> Json:
    return {
        "metadata_filter": {
            "matcher": {
                "filter": name,
                "path": [{"key": "enforced_engine_result"}],
                "value": {"string_match": {"exact": "denied"}},
            },
            "match_if_key_not_found": False,
        }
    }


def _log(path: str, fields: Mapping[str, str], which: Json) -> Json:
    everywhere = {
        "time": "%START_TIME%",
        "pod": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
        "destination": "%DOWNSTREAM_LOCAL_ADDRESS%",
    }
    return {
        "name": "refusals",
        "filter": which,
        "typed_config": {
            "@type": _FILE,
            "path": path,
            "log_format": {"json_format": {**everywhere, **fields}},
        },
    }


def read_refusal(line: str | bytes, rules: Mapping[str, tuple[str, ...]]) -> Refusal | None:
    """Reads a line of the log; None for one that is none, as when its beginning was lost.

    `rules` are those that a digest stands for (`outgate.proxy.envoy_rules.concerned`).
    """
    try:
        said = json.loads(line)
    except ValueError:
        return None
    if not isinstance(said, dict) or said.get("of") not in ("request", "connection"):
        return None

    def text(key: str) -> str:
        value = said.get(key)
        return value if isinstance(value, str) else ""

    digest = text("concerned").partition(".")[0]
    return Refusal(
        text("time"),
        text("pod"),
        text("destination"),
        rules.get(digest, ()),
        text("details"),
        *(text(key) for key in ("method", "path", "host", "server_name")),
    )
