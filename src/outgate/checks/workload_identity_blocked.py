"""Workloads that cannot get the credentials of their cloud.

What it does:
    Finds workloads that have an account of a cloud, and whose policies do not let them reach what hands out its
    credentials:

    - EKS Pod Identity (AWS_CONTAINER_CREDENTIALS_FULL_URI): the agent at the address that the variable names
    - IAM roles for service accounts (AWS_WEB_IDENTITY_TOKEN_FILE, or the annotation eks.amazonaws.com/role-arn), and
      Azure workload identity: TCP 443 to any address at all outside of the cluster; a workload with a proxy is left out
    - GKE (iam.gke.io/gcp-service-account): the metadata server, by any of the addresses that it has on GKE
    - kiam and kube2iam (iam.amazonaws.com/role): the metadata service, or port 8181 of nodes; it needs the nodes

Why it matters:
    "Unable to load credentials", or a timeout while a token is fetched: the library tries one source after the other
    and names the last. Who has closed the metadata service, as is right, has closed this as well, where it is at the
    same address, or beside it.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: uploader, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: uploader}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock:
                cidr: 0.0.0.0/0
                except: [169.254.0.0/16]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: uploader, namespace: shop, labels: {app: uploader}}
    spec:
      serviceAccountName: uploader
      containers:
        - name: main
          image: uploader
          env:
            - name: AWS_CONTAINER_CREDENTIALS_FULL_URI
              value: http://169.254.170.23/v1/credentials

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: uploader, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: uploader}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock:
                cidr: 0.0.0.0/0
                except: [169.254.0.0/16]
        - to:
            - ipBlock: {cidr: 169.254.170.23/32}
          ports:
            - {protocol: TCP, port: 80}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: uploader, namespace: shop, labels: {app: uploader}}
    spec:
      serviceAccountName: uploader
      containers:
        - name: main
          image: uploader
          env:
            - name: AWS_CONTAINER_CREDENTIALS_FULL_URI
              value: http://169.254.170.23/v1/credentials

When to ignore:
    For workloads whose account is left over from a time when they used it.

References:
    - https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
    - https://cloud.google.com/kubernetes-engine/docs/how-to/workload-identity
    - https://azure.github.io/azure-workload-identity/docs/
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

from outgate.analysis.exposure_places import Door
from outgate.analysis.groups import Group
from outgate.checks.check import Check
from outgate.checks.doors import denied, doors_at, endpoint_of, leaves, narrowed, opening
from outgate.checks.finding import Finding, Related, Severity
from outgate.checks.survey import Isolated, Survey, by_blamed, isolation_place, some, subject_of
from outgate.model import Direction, ServiceAccount
from outgate.model.hints import PROXIES
from outgate.packets import Address
from outgate.records import dataclass

__all__ = ["CHECK"]

_METADATA = ipaddress.ip_address("169.254.169.254")
_GKE_SERVER = ipaddress.ip_address("169.254.169.252")
"""Where GKE's metadata server is after translation, at port 987 or 988."""
_KIAM_PORT = 8181
_HTTPS = 443


@dataclass(frozen=True, slots=True)
class _Need:
    """What a workload must reach; without doors, anything outside at TCP 443."""

    what: str
    doors: tuple[Door, ...] = ()
    exact: bool = False
    """Whether the doors are all that a rule has to open, and no more."""


def _find(survey: Survey) -> Iterator[Finding]:
    needs = _Needs(survey)
    for needed in (needs.pod_identity, needs.token_exchange, needs.gke, needs.kiam):
        yield from _of(survey, needs, needed)


def _of(survey: Survey, needs: _Needs, needed: Callable[[Group], _Need | None]) -> Iterator[Finding]:
    """The workloads that need one thing and do not get there."""

    def lacks(whom: Isolated, group: Group) -> bool:
        need = needed(group)
        if need is None:
            return False
        return denied(survey, group, need.doors) is not None if need.doors else not leaves(survey, whom, _HTTPS)

    for policy, many in by_blamed(narrowed(survey, Direction.EGRESS, lacks)):
        groups = [group for one in many for group in one.groups]
        need = needed(groups[0])
        assert need is not None
        accounts = dict.fromkeys(filter(None, map(needs.account, groups)))
        yield Finding(
            CHECK.name,
            CHECK.severity,
            f"{policy} isolates {some(groups)} for egress, and no policy lets "
            f"{'it' if len(groups) == 1 else 'them'} reach {need.what}",
            subject_of(policy),
            isolation_place(policy, Direction.EGRESS),
            tuple(Related(one.place, f"ServiceAccount {one} is one of a cloud") for one in accounts)[:3],
            denied(survey, groups[0], need.doors),
            f"allow {need.what} for these pods alone",
            opening(survey, many, need.doors) if need.exact else (),
        )


class _Needs:
    """What the workloads of a survey need for their credentials."""

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self.accounts = {(one.namespace, one.name): one for one in survey.snapshot.accounts if one.identities}
        self.nodes = tuple(
            door
            for node in survey.snapshot.nodes.values()
            for address in node.addresses
            for door in doors_at(survey, address, _KIAM_PORT)
        )

    def account(self, group: Group) -> ServiceAccount | None:
        """The account of a workload, where it is one of a cloud."""
        return self.accounts.get((group.namespace, group.pods[0].hints.account))

    def pod_identity(self, group: Group) -> _Need | None:
        """The agent of EKS Pod Identity, or whatever else the variable names by an address."""
        doors: list[Door] = []
        for url in group.pods[0].hints.values("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
            host, port = endpoint_of(url)
            address = _address(host)
            if address is not None and port:
                doors += doors_at(self.survey, address, port)
        shown = some(list(dict.fromkeys(map(str, doors))))
        return _Need(f"the credentials agent at {shown}", tuple(doors), exact=True) if doors else None

    def token_exchange(self, group: Group) -> _Need | None:
        """STS of AWS, or the login of Azure: outside, under a name."""
        hints = group.pods[0].hints
        if any(hints.values(*PROXIES)):
            return None
        aws = any(True for _ in hints.values("AWS_WEB_IDENTITY_TOKEN_FILE")) or self._is(group, "eks.amazonaws.com/")
        azure = any(True for _ in hints.values("AZURE_FEDERATED_TOKEN_FILE")) or (
            self._is(group, "azure.workload.identity/")
            and group.pods[0].labels.get("azure.workload.identity/use") == "true"
        )
        if not aws and not azure:
            return None
        return _Need(f"{'AWS STS' if aws else 'the login of Azure'} at TCP {_HTTPS} of any address outside")

    def gke(self, group: Group) -> _Need | None:
        """The metadata server of GKE: before translation, after it, and on the node after that of Dataplane V2."""
        if not self._is(group, "iam.gke.io/"):
            return None
        places = [(_METADATA, 80), (_GKE_SERVER, 987), (_GKE_SERVER, 988)]
        doors = [door for address, port in places for door in doors_at(self.survey, address, port)]
        nodes = {address for pod in group.pods for address in self._node_of(pod.node)}
        doors += [door for address in sorted(nodes, key=str) for door in doors_at(self.survey, address, 988)]
        return _Need("GKE's metadata server", tuple(doors))

    def kiam(self, group: Group) -> _Need | None:
        """An agent on the node that answers in the place of the metadata service."""
        if not group.pods[0].hints.annotation("iam.amazonaws.com/role") or not self.nodes:
            return None
        return _Need(
            "the metadata service or the agent in its place", (*doors_at(self.survey, _METADATA, 80), *self.nodes)
        )

    def _node_of(self, name: str) -> tuple[Address, ...]:
        node = self.survey.snapshot.nodes.get(name)
        return node.addresses if node is not None else ()

    def _is(self, group: Group, prefix: str) -> bool:
        account = self.account(group)
        return account is not None and any(name.startswith(prefix) for name, _ in account.identities)


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


CHECK = Check("workload-identity-blocked", Severity.ERROR, _find, __doc__, fixable=True)
