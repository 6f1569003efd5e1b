"""The schemas of Cilium's policies and CIDR groups, as the API server has them (the CRDs of Cilium 1.19).

These are the checks that come before anything is stored. What the agent then makes of the object is another matter:
`outgate.model.validate_cilium`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from outgate.model.cilium_kinds import CILIUM_KINDS, GROUP
from outgate.model.structural import Schema
from outgate.model.validate_cilium_words import is_dns_name, is_dns_pattern, is_port, is_server_name

__all__ = ["CILIUM_DEFINITIONS", "CILIUM_RULES", "ENTITIES"]

ENTITIES = (
    "all", "world", "cluster", "host", "init", "ingress", "unmanaged", "remote-node", "health", "none",
    "kube-apiserver",
)  # fmt: skip
"""What the schema lets into ``toEntities``, in its order."""

_TEXT = Schema("string")
_NAME = Schema("string", fewest=1)
_CIDR = Schema("string", format="cidr")


def _fields(
    properties: Mapping[str, Schema],
    required: tuple[str, ...] = (),
    one_of: tuple[str, ...] = (),
    any_of: tuple[str, ...] = (),
) -> Schema:
    return Schema("object", properties, required=required, one_of=one_of, any_of=any_of)


def _listed(one: Schema, most: int | None = None) -> Schema:
    return Schema("array", items=one, most=most)


def _word(*enum: str) -> Schema:
    return Schema("string", enum=enum)


_TEXTS = _listed(_TEXT)

_LABEL_VALUE = Schema("string", most=63, pattern="^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
_SELECTOR = _fields(
    {
        "matchLabels": Schema("object", values=_LABEL_VALUE),
        "matchExpressions": _listed(
            _fields(
                {"key": _TEXT, "operator": _word("In", "NotIn", "Exists", "DoesNotExist"), "values": _TEXTS},
                required=("key", "operator"),
            )
        ),
    }
)

_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_CIDR_SET = _listed(
    _fields(
        {
            "cidr": _CIDR,
            "cidrGroupRef": Schema("string", most=253, pattern=_SUBDOMAIN),
            "cidrGroupSelector": _SELECTOR,
            "except": _listed(_CIDR),
        },
        one_of=("cidr", "cidrGroupRef", "cidrGroupSelector"),
    )
)

_NAMES = _listed(
    _fields(
        {
            "matchName": Schema("string", most=255, pattern="^([-a-zA-Z0-9_]+[.]?)+$", matches=is_dns_name),
            "matchPattern": Schema("string", most=255, pattern="^([-a-zA-Z0-9_*]+[.]?)+$", matches=is_dns_pattern),
        },
        one_of=("matchName", "matchPattern"),
    )
)

# One of the names has a blank in it by mistake, so that nobody can use "ExtendedEchoReply".
_ICMP_PATTERN = (
    "^([0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5]|"
    "EchoReply|DestinationUnreachable|Redirect|Echo|RouterAdvertisement|RouterSelection|TimeExceeded|"
    "ParameterProblem|Timestamp|TimestampReply|Photuris|ExtendedEchoRequest|ExtendedEcho Reply|PacketTooBig|"
    "ParameterProblem|EchoRequest|MulticastListenerQuery|MulticastListenerReport|MulticastListenerDone|"
    "RouterSolicitation|RouterAdvertisement|NeighborSolicitation|NeighborAdvertisement|RedirectMessage|"
    "RouterRenumbering|ICMPNodeInformationQuery|ICMPNodeInformationResponse|InverseNeighborDiscoverySolicitation|"
    "InverseNeighborDiscoveryAdvertisement|HomeAgentAddressDiscoveryRequest|HomeAgentAddressDiscoveryReply|"
    "MobilePrefixSolicitation|MobilePrefixAdvertisement|DuplicateAddressRequestCodeSuffix|"
    "DuplicateAddressConfirmationCodeSuffix)$"
)
_ICMPS = _listed(
    _fields(
        {
            "fields": _listed(
                _fields(
                    {
                        "family": Schema("string", enum=("IPv4", "IPv6"), default="IPv4"),
                        "type": Schema("int-or-string", pattern=_ICMP_PATTERN),
                    },
                    required=("type",),
                ),
                most=40,
            )
        }
    )
)

_PORT_PATTERN = (
    "^(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[0-9]{1,4})"
    "|([a-zA-Z0-9]-?)*[a-zA-Z](-?[a-zA-Z0-9])*$"
)
_PORTS = _listed(
    _fields(
        {
            "port": Schema("string", pattern=_PORT_PATTERN, matches=is_port),
            "endPort": Schema("integer", fewest=0, most=65535),
            "protocol": _word("TCP", "UDP", "SCTP", "VRRP", "IGMP", "ANY"),
        }
    ),
    most=40,
)

_SECRET = _fields({"namespace": _TEXT, "name": _TEXT}, required=("name",))
_TLS = _fields({"secret": _SECRET, "trustedCA": _TEXT, "certificate": _TEXT, "privateKey": _TEXT}, required=("secret",))
_LISTENER = _fields(
    {
        "envoyConfig": _fields(
            {"kind": _word("CiliumEnvoyConfig", "CiliumClusterwideEnvoyConfig"), "name": _NAME},
            required=("name",),
        ),
        "name": _NAME,
        "priority": Schema("integer", fewest=1, most=100),
    },
    required=("envoyConfig", "name"),
)

_HTTP = _fields(
    {
        "path": _TEXT,
        "method": _TEXT,
        # "format: idn-hostname" is none that Kubernetes knows, so it checks nothing.
        "host": _TEXT,
        "headers": _TEXTS,
        "headerMatches": _listed(
            _fields(
                {
                    "mismatch": _word("LOG", "ADD", "DELETE", "REPLACE"),
                    "name": _NAME,
                    "secret": _SECRET,
                    "value": _TEXT,
                },
                required=("name",),
            )
        ),
    }
)
_KAFKA = _fields(
    {
        "apiKey": _TEXT,
        "apiVersion": _TEXT,
        "clientID": _TEXT,
        "role": _word("produce", "consume"),
        "topic": Schema("string", most=255),
    }
)
_L7 = _fields(
    {
        "http": _listed(_HTTP),
        "kafka": _listed(_KAFKA),
        "dns": _NAMES,
        "l7": _listed(Schema("object", values=_TEXT)),
        "l7proto": _TEXT,
    },
    one_of=("http", "kafka", "dns", "l7proto"),
)
_SERVER_NAME = Schema("string", pattern=r"^(\*?\*\.)?([-a-zA-Z0-9_]+\.?)+$", matches=is_server_name)

_TO_PORTS = _listed(
    _fields(
        {
            "ports": _PORTS,
            "terminatingTLS": _TLS,
            "originatingTLS": _TLS,
            "serverNames": _listed(_SERVER_NAME),
            "listener": _LISTENER,
            "rules": _L7,
        }
    )
)
_TO_PORTS_DENY = _listed(_fields({"ports": _PORTS}))

_GROUPS = _listed(
    _fields(
        {
            "aws": _fields(
                {
                    "labels": Schema("object", values=_TEXT),
                    "region": _TEXT,
                    "securityGroupsIds": _TEXTS,
                    "securityGroupsNames": _TEXTS,
                }
            )
        }
    )
)
_SERVICES = _listed(
    _fields(
        {
            "k8sService": _fields({"namespace": _TEXT, "serviceName": _TEXT}),
            "k8sServiceSelector": _fields({"namespace": _TEXT, "selector": _SELECTOR}, required=("selector",)),
        }
    )
)
_AUTHENTICATION = _fields({"mode": _word("disabled", "required", "test-always-fail")}, required=("mode",))


def _rule(side: str, *, deny: bool) -> Schema:
    """A rule of one of the four sections; what a rule that denies may not have is unknown there."""
    fields: dict[str, Schema] = {
        f"{side}Endpoints": _listed(_SELECTOR),
        # The field is gone, and only an empty list of it is let through.
        f"{side}Requires": _listed(_SELECTOR, most=0),
        f"{side}CIDR": _listed(_CIDR),
        f"{side}CIDRSet": _CIDR_SET,
        f"{side}Entities": _listed(_word(*ENTITIES)),
        f"{side}Groups": _GROUPS,
        f"{side}Nodes": _listed(_SELECTOR),
        "toPorts": _TO_PORTS_DENY if deny else _TO_PORTS,
        "icmps": _ICMPS,
    }
    if side == "to":
        fields["toServices"] = _SERVICES
    if not deny:
        fields["authentication"] = _AUTHENTICATION
        if side == "to":
            fields["toFQDNs"] = _NAMES
    return _fields(fields)


def _is_printable(text: str) -> bool:
    return not any(unicodedata.category(one).startswith("C") for one in text)


_POLICY_SPEC = _fields(
    {
        "endpointSelector": _SELECTOR,
        "nodeSelector": _SELECTOR,
        "ingress": _listed(_rule("from", deny=False)),
        "ingressDeny": _listed(_rule("from", deny=True)),
        "egress": _listed(_rule("to", deny=False)),
        "egressDeny": _listed(_rule("to", deny=True)),
        "enableDefaultDeny": _fields({"egress": Schema("boolean"), "ingress": Schema("boolean")}),
        "labels": _listed(_fields({"key": _TEXT, "value": _TEXT, "source": _TEXT}, required=("key",))),
        "description": _TEXT,
        "log": _fields({"value": Schema("string", most=32, pattern=r"^\PC*$", matches=_is_printable)}),
    },
    one_of=("endpointSelector", "nodeSelector"),
    any_of=("ingress", "ingressDeny", "egress", "egressDeny"),
)
CILIUM_RULES: Mapping[str, Schema] = {
    section: one.items
    for section, one in _POLICY_SPEC.properties.items()
    if section.startswith(("ingress", "egress")) and one.items is not None
}
"""The rules of each section."""

# ``spec``, and each of ``specs``, of both kinds of policy; and the groups, which are the same in both versions.
_OPAQUE = Schema("object")
_POLICY = _fields({"metadata": _OPAQUE, "spec": _POLICY_SPEC, "specs": _listed(_POLICY_SPEC)})
_GROUP_SPEC = _fields({"externalCIDRs": _listed(_CIDR)}, required=("externalCIDRs",))
_GROUP = _fields({"metadata": _OPAQUE, "spec": _GROUP_SPEC}, required=("spec",))

CILIUM_DEFINITIONS: Mapping[tuple[str, str], Schema] = {
    (version, kind): _GROUP if kind == GROUP else _POLICY for version, kind in CILIUM_KINDS
}
"""The whole objects, by ``apiVersion`` and ``kind``. Their status is for the server to drop."""
