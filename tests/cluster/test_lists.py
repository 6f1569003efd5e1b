"""Lists: whole, whatever happens between two pages, and equal to what a file with the same objects says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.cluster import lists as module
from outgate.cluster.client import Answer, Client
from outgate.cluster.lists import RESOURCES, RefusedError, Resource, discovery, is_missing, listed
from outgate.errors import ClusterError
from outgate.model.parse import parse
from outgate.model.parse_shapes import OBJECTS
from outgate.testing import clusters, namespace, pod
from tests.cluster.apiserver import ApiServer, Asked, Reply, Shelf, access_to, status

PODS = next(one for one in RESOURCES if one.kind == "Pod")
POLICIES = next(one for one in RESOURCES if one.kind == "NetworkPolicy")
NAMESPACES = next(one for one in RESOURCES if one.kind == "Namespace")
SEVEN = [pod(f"shop/web-{n}", [f"10.1.0.{n}"], app="web") for n in range(7)]


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    """One server for all tests of this file; each gives it its own answers."""
    with ApiServer(Shelf([])) as one:
        yield one


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three objects a page."""
    monkeypatch.setattr(module, "PAGE", 3)


def ask(server: ApiServer, answer: Any, resource: Resource = PODS) -> list[str]:
    """The places of what is listed."""
    server.answer, server.asked = answer, []
    with Client(access_to(server), wait=lambda _: None) as client:
        return [document.file for document in listed(client, resource)]


ALL = [f"cluster:test/pods/shop/web-{n}" for n in range(7)]


@pytest.mark.usefixtures("small_pages")
def test_all_pages_are_read(server: ApiServer) -> None:
    """Each object once, in the server's order, and each knows its place."""
    assert ask(server, Shelf(SEVEN)) == ALL
    assert [one.query for one in server.asked] == [
        {"limit": "3"},
        {"limit": "3", "continue": "3"},
        {"limit": "3", "continue": "6"},
    ]


def expiring(times: int) -> Any:
    """Trouble: the second page has expired, so many times."""
    left = [times]

    def trouble(asked: Asked) -> Reply | None:
        if "continue" not in asked.query or left[0] == 0:
            return None
        left[0] -= 1
        return status(410, "Expired", "The provided continue parameter is too old to display a consistent list result.")

    return trouble


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("times", [1, 2, module.RESTARTS, 1000])
def test_a_list_that_expires_is_begun_again(server: ApiServer, times: int) -> None:
    """Nothing of the first pages may be counted twice; in the end it is asked for in one piece."""
    assert ask(server, Shelf(SEVEN, expiring(times))) == ALL
    assert (server.asked[-1].query == {}) is (times >= module.RESTARTS)


def test_a_list_that_always_expires(server: ApiServer) -> None:
    """Even in one piece: that is no answer."""
    with pytest.raises(ClusterError, match=r"the list of pods expires again and again \(410\)"):
        ask(server, lambda _: status(410, "Expired", "gone"))


def test_a_list_that_goes_round(server: ApiServer) -> None:
    """A token that leads back to itself would fill the memory."""
    page = {"metadata": {"continue": "x"}, "items": []}
    with pytest.raises(ClusterError, match="goes round in a circle"):
        ask(server, lambda _: Reply(body=page))


@pytest.mark.usefixtures("small_pages")
def test_trouble_between_two_pages(server: ApiServer) -> None:
    """A busy moment and a cut connection are got over; the list is still whole."""
    moods = iter([None, status(429, "TooManyRequests", "later", Retry_After="1"), None, Reply(raw=b""), None])
    assert ask(server, Shelf(SEVEN, lambda _: next(moods))) == ALL


@pytest.mark.parametrize("code", [403, 404])
def test_a_kind_that_is_not_given(server: ApiServer, code: int) -> None:
    """Whether that is the end is for others to say."""
    with pytest.raises(RefusedError) as caught:
        ask(server, lambda _: status(code, "Forbidden", 'User "me" cannot list resource "pods"'))
    assert (caught.value.resource, caught.value.answer.status) == (PODS, code)
    with pytest.raises(RefusedError):
        ask(server, lambda _: Reply(404, "404 page not found\n"))


@pytest.mark.parametrize("code", [302, 400, 429, 500, 503])
def test_other_failures_are_said_in_the_words_of_the_server(server: ApiServer, code: int) -> None:
    """With the list that was asked for, and never a part of the list."""
    with pytest.raises(ClusterError, match=f"the list of pods is answered with {code}: the words") as caught:
        ask(server, lambda _: status(code, "x", "the words"))
    assert bool(caught.value.hint) is (code != 400)


@pytest.mark.parametrize(
    "body",
    ["", "<html>log in</html>", "[]", "{}", '{"items": 5}', '{"items": [5]}', '{"items": [', b"\xff", "[" * 100_000],
)
def test_what_is_no_list(server: ApiServer, body: str | bytes) -> None:
    """A portal that wants a login answers everything with 200."""
    with pytest.raises(ClusterError, match="is answered with something that is no list"):
        ask(server, lambda _: Reply(body=body))


@pytest.mark.parametrize("body", ['{"items": null}', '{"items": [], "metadata": null}', '{"items": []}'])
def test_an_empty_list(server: ApiServer, body: str) -> None:
    """Go writes an empty list as null."""
    assert ask(server, lambda _: Reply(body=body)) == []


def test_an_object_of_a_strange_type_is_set_apart_later(server: ApiServer) -> None:
    """A newer server may say things in a new way; one such object must not take the others with it."""
    strange = pod("shop/strange", [], app="x")
    strange["spec"] = {"hostNetwork": "yes"}
    server.answer = Shelf([*SEVEN[:2], strange])
    with Client(access_to(server)) as client:
        parsed = parse(listed(client, PODS))
    assert [one.name for one in parsed.snapshot.pods] == ["web-0", "web-1"]
    assert [error.file for error in parsed.errors] == ["cluster:test/pods/shop/strange"]
    assert "cannot unmarshal string into Go struct field" in parsed.errors[0].message


def test_what_a_server_stores_is_not_judged_again(server: ApiServer) -> None:
    """A block that older rules let in is in force; a field that we do not know may be a new one."""
    sloppy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "old", "namespace": "shop"},
        "spec": {"podSelector": {}, "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.1/8"}}]}], "newField": 1},
    }
    server.answer = Shelf([sloppy])
    with Client(access_to(server)) as client:
        parsed = parse(listed(client, POLICIES))
    assert parsed.errors == ()
    (policy,) = parsed.snapshot.policies
    assert str(policy.egress[0].place) == "cluster:test/networkpolicies/shop/old"
    assert policy.egress[0].place.path == "spec.egress[0]"


def test_places_of_what_has_no_namespace(server: ApiServer) -> None:
    """One step less."""
    assert ask(server, Shelf([namespace("shop")]), NAMESPACES) == ["cluster:test/namespaces/shop"]


def test_everything_that_the_model_reads_is_asked_for() -> None:
    """Except Endpoints, which the server makes into slices as well."""
    versions = [version for one in RESOURCES for version in one.versions]
    assert {(one.api_version, one.kind) for one in versions} == set(OBJECTS) - {("v1", "Endpoints")}
    assert {one.kind for one in RESOURCES if len(one.versions) > 1} == {"ClusterNetworkPolicy", "CiliumCIDRGroup"}
    assert PODS.path == "/api/v1/pods"
    assert POLICIES.path == "/apis/networking.k8s.io/v1/networkpolicies"
    assert (PODS.full, POLICIES.full) == ("pods", "networkpolicies.networking.k8s.io")


@settings(max_examples=40)
@given(clusters(), st.integers(1, 4))
def test_a_live_cluster_and_a_file_with_the_same_objects_are_equal(
    server: ApiServer, manifests: list[dict[str, Any]], page: int
) -> None:
    """Whatever the pages: the two doors lead into the same house."""
    shelf = Shelf(manifests)
    server.answer = shelf
    with pytest.MonkeyPatch.context() as patch, Client(access_to(server)) as client:
        patch.setattr(module, "PAGE", page)
        live = parse(document for resource in RESOURCES for document in listed(client, resource))
    from outgate.model.place import Document

    printed = [
        {**item, "apiVersion": resource.api_version, "kind": resource.kind}
        for resource in RESOURCES
        for item in shelf._lists[resource.path]
    ]
    assert live.errors == ()
    assert live.snapshot == parse([Document("x", one) for one in printed], stored=True).snapshot


def test_the_recorded_session(server: ApiServer, shared: Path) -> None:
    """A real server's pages, as they were."""
    recorded = json.loads((shared / "conformance" / "apiserver_session.json").read_text())
    bodies = {one["request"]["path"]: one["response"] for one in recorded if "body" in one["response"]}

    def answer(asked: Asked) -> Reply:
        if asked.path != "/api/v1/namespaces":
            found = bodies.get(asked.path) or bodies[f"{asked.path}?fieldSelector=spec.nodeName%3Dnode-a"]
            return Reply(found["status"], found["body"])
        pages = [body for path, body in bodies.items() if path.startswith("/api/v1/namespaces?")]
        last = dict(pages[1]["body"], metadata={"resourceVersion": "208"})
        return Reply(200, last if "continue" in asked.query else pages[0]["body"])

    assert ask(server, answer, NAMESPACES) == [
        f"cluster:test/namespaces/{name}" for name in ("default", "kube-node-lease", "kube-public", "kube-system")
    ]
    assert ask(server, answer, PODS) == []
    with pytest.raises(RefusedError) as caught:
        ask(server, answer, Resource("policy.networking.k8s.io/v1alpha2", "x", "clusternetworkpolicies"))
    assert caught.value.answer.words == "404 page not found"


HEADS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 204 \r\n\r\n",
        b"HTTP/1.1 999 x\r\nRetry-After: \xff\r\n\r\n",
        b"HTTP/0.9",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200,
        b"",
    ]
)
PARTS = st.sampled_from([b'{"items": []}', b'{"items": [{}]}', b'{"metadata": {"continue": 5}}', b"\r\n", b"5\r\n"])


@settings(max_examples=60)
@given(HEADS, st.lists(PARTS | st.binary(max_size=12), max_size=4))
def test_whatever_answers_there_is_an_error_and_no_traceback(
    server: ApiServer, head: bytes, parts: list[bytes]
) -> None:
    """Whoever listens at the port may be anybody."""
    said = ""
    try:
        assert ask(server, lambda _: Reply(raw=head + b"".join(parts))) in ([], ["cluster:test/pods"])
    except (ClusterError, RefusedError) as error:
        said = str(error)
    assert said.isprintable()


def test_of_environments_only_what_is_looked_at_is_kept(server: ApiServer) -> None:
    """Those of a hundred thousand pods are half of what the server prints, and full of secrets."""
    one = pod("shop/web", ["10.1.0.10"])
    one["spec"]["containers"][0]["env"] = [
        {"name": "PASSWORD", "value": "s3cret"},
        {"name": "HTTPS_PROXY", "value": "http://me:s3cret@proxy:3128"},
    ]
    server.answer = Shelf([one])
    with Client(access_to(server)) as client:
        (document,) = listed(client, PODS)
    assert isinstance(document.value, dict)
    assert document.value["spec"]["containers"] == [
        {"ports": [], "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}]}
    ]


@pytest.mark.parametrize(
    ("answer", "missing"),
    [
        (Answer(404, b"404 page not found"), True),
        (Answer(200, b'{"resources": []}'), True),
        (Answer(200, b'{"resources": [{"name": "adminnetworkpolicies"}]}'), True),
        (Answer(200, b'{"resources": [{"name": "clusternetworkpolicies/status"}]}'), True),
        (Answer(200, b'{"resources": [{"name": "x"}, {"name": "clusternetworkpolicies"}]}'), False),
        # What does not say it says nothing.
        (Answer(403, b"{}"), False), (Answer(500, b""), False), (Answer(200, b"<html>"), False),
        (Answer(200, b'{"resources": 5}'), False), (Answer(200, b"[]"), False),
    ],
)  # fmt: skip
def test_whether_a_kind_is_missing(answer: Answer, missing: bool) -> None:
    """By what discovery says, and by nothing less."""
    (resource,) = (one for one in RESOURCES if one.kind == "ClusterNetworkPolicy")
    assert is_missing(answer, resource) is missing
    assert discovery(resource) == "/apis/policy.networking.k8s.io/v1alpha2"
