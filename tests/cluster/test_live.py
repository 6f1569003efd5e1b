"""Which cluster is asked, and what is said of what it does not give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from outgate.cluster import lists, live
from outgate.cluster.client import Client
from outgate.cluster.lists import RESOURCES
from outgate.cluster.live import Fetched, fetch, find_access
from outgate.errors import ClusterError, InvalidInput, UnknownName, UsageError
from outgate.model.parse import parse
from outgate.testing import cluster_policy, namespace, node, pod, policy, service
from tests.cluster.apiserver import ApiServer, Asked, Reply, Shelf, access_to, status
from tests.model.test_validate_cluster_policy import old

CLUSTER = [
    namespace("shop"),
    node("node-a", ["192.168.50.11"]),
    pod("shop/web", ["10.1.0.10"], app="web"),
    service("shop/web", "10.96.0.10", [{"port": 80}], app="web"),
    policy("shop/deny", {"podSelector": {}, "policyTypes": ["Egress"]}),
]
CONFIG = """\
kind: Config
current-context: CURRENT
clusters: [{name: c, cluster: {server: "https://192.0.2.1"}}]
contexts: [{name: dev, context: {cluster: c}}, {name: prod, context: {cluster: c}}]
"""


def nobody(_argv: Sequence[str], _environment: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    """No plugin is expected to run."""
    raise AssertionError


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    """One server for all tests of this file."""
    with ApiServer(Shelf([])) as one:
        yield one


def fetched(
    server: ApiServer, trouble: Callable[[Asked], Reply | None] = lambda _: None, *, checks: bool = False
) -> Fetched:
    """All of the cluster above, as far as the trouble lets it through."""
    server.answer = Shelf(CLUSTER, trouble)
    with Client(access_to(server, "cluster:prod", kubectl="kubectl --context prod"), wait=lambda _: None) as client:
        return fetch(client, checks=checks)


def refusing(plural: str, code: int) -> Callable[[Asked], Reply | None]:
    """Trouble: one list is refused."""
    words = f'{plural} is forbidden: User "me" cannot list resource "{plural}" at the cluster scope'
    return lambda asked: status(code, "x", words) if asked.path.endswith(f"/{plural}") else None


def test_all_of_a_cluster(server: ApiServer) -> None:
    """Every object is there, once."""
    found = fetched(server)
    assert found.notes == ()
    snapshot = parse(found.documents).snapshot
    assert [str(one) for one in snapshot.pods] == ["shop/web"]
    assert [str(one) for one in snapshot.policies] == ["shop/deny"]
    assert [str(one) for one in snapshot.services] == ["shop/web"]
    assert list(snapshot.nodes) == ["node-a"]
    assert snapshot.namespaces["shop"].declared


def test_a_kind_that_is_refused_is_said(server: ApiServer) -> None:
    """An answer without the Services is another answer, but one; the command that checks it goes with it."""
    found = fetched(server, refusing("services", 403))
    (note,) = found.notes
    assert note.startswith("cluster:prod does not let these credentials list services; they are not part of the answer")
    assert note.endswith("(check with: kubectl --context prod auth can-i list services -A)")
    assert len(found.documents) == len(CLUSTER) - 1
    (note,) = fetched(server, refusing("nodes", 403)).notes
    assert note.endswith("auth can-i list nodes)")


def test_a_kind_that_the_server_does_not_have_is_said(server: ApiServer) -> None:
    """An old server has no EndpointSlices."""
    assert fetched(server, refusing("endpointslices", 404)).notes == (
        "cluster:prod has no endpointslices.discovery.k8s.io; they are not part of the answer",
    )


def test_what_only_checks_look_at_is_asked_for_checks_alone(server: ApiServer) -> None:
    """Nobody who asks about a connection must be told that they may not list webhooks."""
    assert fetched(server, refusing("rolebindings", 403)).notes == ()
    (note,) = fetched(server, refusing("rolebindings", 403), checks=True).notes
    assert "list rolebindings.rbac.authorization.k8s.io; they are not part" in note


CUSTOM = ("clusternetworkpolicies", "adminnetworkpolicies", "baselineadminnetworkpolicies")


def served(*plurals: str, rights: bool = True) -> Callable[[Asked], Reply | None]:
    """Trouble: of network-policy-api these kinds alone are installed, and perhaps nobody may list anything of it."""

    def answer(asked: Asked) -> Reply | None:
        steps = asked.path.removeprefix("/apis/").split("/")
        if steps[0] != "policy.networking.k8s.io":
            return None
        here = [one.plural for one in RESOURCES if one.path.startswith(f"{asked.path}/") and one.plural in plurals]
        if len(steps) == 2 and here:
            return Reply(body={"kind": "APIResourceList", "resources": [{"name": one} for one in here]})
        if len(steps) == 3 and not rights:
            return status(403, "Forbidden", "no")
        return None if steps[-1] in plurals else Reply(404, "404 page not found")

    return answer


@pytest.mark.parametrize("rights", [True, False])
def test_no_policies_of_the_cluster_are_installed(server: ApiServer, rights: bool) -> None:
    """Said once for all kinds, as a note; who has no rights is told 403, and is told the truth all the same."""
    found = fetched(server, served(rights=rights))
    assert found.notes == ("no ClusterNetworkPolicy is installed in this cluster (cluster:prod)",)
    assert len(found.documents) == len(CLUSTER)


@pytest.mark.parametrize("plural", CUSTOM)
def test_one_kind_is_enough(server: ApiServer, plural: str) -> None:
    """The others are nothing that anybody misses; of the one that is there it is said if it is not shown."""
    assert fetched(server, served(plural)).notes == ()
    (note,) = fetched(server, served(plural, rights=False)).notes
    assert f"does not let these credentials list {plural}.policy.networking.k8s.io" in note


def test_policies_of_the_cluster_that_are_not_shown(server: ApiServer) -> None:
    """As of every kind: which, and how to check it."""
    notes = fetched(server, served(*CUSTOM, rights=False)).notes
    assert [one.split()[7] for one in notes] == [f"{one}.policy.networking.k8s.io;" for one in CUSTOM]
    assert all(one.endswith("networking.k8s.io)") for one in notes)


def test_policies_of_the_cluster_are_read(server: ApiServer) -> None:
    """With a place, and as a server holds them: what is not known closes, with a warning."""
    server.answer = Shelf([cluster_policy("a", egress=[{"action": "Deny", "to": [{"newer": 1}]}]), old()])
    with Client(access_to(server, "cluster:prod"), wait=lambda _: None) as client:
        parsed = parse(fetch(client).documents)
    assert [one.name for one in parsed.snapshot.cluster_policies] == ["p", "a"]
    (warning,) = parsed.warnings
    assert (warning.file, warning.path) == ("cluster:prod/clusternetworkpolicies/a", "spec.egress[0].to[0]")


@pytest.mark.parametrize("rights", [True, False])
@pytest.mark.parametrize("plural", ["clusternetworkpolicies", "ciliumcidrgroups"])
def test_a_kind_in_another_version(server: ApiServer, plural: str, rights: bool) -> None:
    """A server has one of the versions at least, and under each it has all objects: it is asked until one is there."""
    resource = next(one for one in RESOURCES if one.plural == plural)
    *others, last = resource.versions
    spec = cluster_policy("a")["spec"] if "network" in plural else {"externalCIDRs": ["192.0.2.0/24"]}
    item = {"metadata": {"name": "a"}, "spec": spec}

    def answer(asked: Asked) -> Reply | None:
        if asked.path in {one.path for one in others} or asked.path in {f"/apis/{one.api_version}" for one in others}:
            return Reply(404, "404 page not found")
        if asked.path == f"/apis/{last.api_version}":
            return Reply(body={"kind": "APIResourceList", "resources": [{"name": plural}]})
        if asked.path == last.path:
            found = {"kind": "x", "apiVersion": "v1", "metadata": {"resourceVersion": "2"}, "items": [item]}
            return Reply(body=found) if rights else status(403, "Forbidden", "no")
        return None

    found = fetched(server, answer)
    if not rights:
        (note,) = found.notes
        assert f"list {plural}." in note
        return
    assert found.notes == ()
    snapshot = parse(found.documents).snapshot
    names = [one.name for one in snapshot.cluster_policies] + [one.name for one in snapshot.cidr_groups]
    assert names == ["a"]


@pytest.mark.parametrize("plural", ["namespaces", "pods", "networkpolicies"])
def test_without_these_there_is_no_answer(server: ApiServer, plural: str) -> None:
    """Without policies everything would be allowed. The permission is named, and how to check it."""
    full = {one.plural: one.full for one in RESOURCES}[plural]
    with pytest.raises(ClusterError) as caught:
        fetched(server, refusing(plural, 403))
    assert caught.value.exit_code == 3
    assert f"may not list {full}" in caught.value.message
    assert 'User "me" cannot list' in caught.value.message
    assert f"kubectl --context prod auth can-i list {full}" in caught.value.hint
    with pytest.raises(ClusterError, match=f"the server has no {full}"):
        fetched(server, refusing(plural, 404))


def test_the_context_that_is_named(tmp_path: Path) -> None:
    """Before the current one; and one that there is not is no reason to ask another cluster."""
    file = tmp_path / "config"
    file.write_text(CONFIG.replace("CURRENT", "dev"))
    environment = {"KUBECONFIG": str(file)}
    assert find_access("prod", None, environment, nobody).name == "cluster:prod"
    assert find_access(None, None, environment, nobody).name == "cluster:dev"
    named = find_access(None, str(file), {}, nobody)
    assert (named.name, named.kubectl) == ("cluster:dev", f"kubectl --kubeconfig {file} --context dev")
    with pytest.raises(UnknownName, match="there is no context test"):
        find_access("test", None, environment, nobody)
    with pytest.raises(InvalidInput, match="cannot be read"):
        find_access(None, str(tmp_path / "missing"), environment, nobody)


def test_no_current_context(tmp_path: Path) -> None:
    """Nobody guesses between dev and prod."""
    file = tmp_path / "config"
    file.write_text(CONFIG.replace("CURRENT", '""'))
    with pytest.raises(UsageError, match="has no current-context") as caught:
        find_access(None, str(file), {}, nobody)
    assert caught.value.hint == "choose one with --context: dev, prod"


def test_inside_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last resort: with a kubeconfig, that counts."""
    inside = find_access.__globals__["from_pod"]
    (tmp_path / "token").write_text("t")
    (tmp_path / "ca.crt").write_text("PEM")
    monkeypatch.setattr(live, "from_pod", lambda environment: inside(environment, str(tmp_path)))
    environment = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "HOME": str(tmp_path)}
    assert find_access(None, None, environment, nobody).name == "cluster"
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(CONFIG.replace("CURRENT", "dev"))
    assert find_access(None, None, environment, nobody).name == "cluster:dev"


def test_nowhere(tmp_path: Path) -> None:
    """No kubeconfig and no pod: what was looked at is named, and nobody asks localhost."""
    with pytest.raises(ClusterError, match=r"no context in .*\.kube/config, and this is no pod") as caught:
        find_access(None, None, {"HOME": str(tmp_path)}, nobody)
    assert "--context" in caught.value.hint
    with pytest.raises(ClusterError, match="KUBECONFIG and HOME are not set"):
        find_access(None, None, {}, nobody)


def test_the_role_of_the_documents_is_enough(repository: Path) -> None:
    """Whoever grants it must not be told afterwards that something is missing; nor grant more than is read."""
    text = (repository / "docs" / "inputs.md").read_text(encoding="utf-8")
    role = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])
    granted = {f"{one}.{rule['apiGroups'][0]}".rstrip(".") for rule in role["rules"] for one in rule["resources"]}
    assert {tuple(rule["verbs"]) for rule in role["rules"]} == {("list",)}
    assert granted >= {resource.full for resource in RESOURCES}
    assert granted <= {resource.full for resource in lists._KNOWN}
