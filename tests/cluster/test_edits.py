"""Mending files: what the edits say, and nothing else, whatever the text looks like."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from outgate.checks.edit import Edit
from outgate.cluster.edits import mend
from outgate.cluster.files import documents_of
from outgate.cluster.reading import Unreadable
from outgate.model import Place
from outgate.model.parse import parse

POLICY = """\
# Source: chart/templates/p.yaml
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: %s, namespace: shop}
spec:
  podSelector: {}   # all of them
  policyTypes: [Egress]
  egress:
    - ports: [{port: 53, protocol: UDP}]
"""
TWO = POLICY % "a" + "---\n# another\n" + POLICY % "b"


def places(text: str) -> list[Place]:
    """The places of the policies of a text."""
    parsed = parse(documents_of(text.encode(), "f.yaml", Unreadable()))
    assert not parsed.errors
    return [policy.place for policy in parsed.snapshot.policies]


def test_one_document_of_several() -> None:
    """The others are not touched, nor are comments."""
    _, second = places(TWO)
    edit = Edit.add_item(second / "spec" / "egress" / 0 / "ports", {"port": 53, "protocol": "TCP"})
    mended = mend("f.yaml", TWO.encode(), [edit])
    assert mended.refused == ()
    first, _, rest = mended.after.decode().partition("---\n")
    assert first == POLICY % "a"
    assert rest == "# another\n" + (POLICY % "b").replace(
        "protocol: UDP}]", "protocol: UDP}, {port: 53, protocol: TCP}]"
    )


def test_items_of_lists_in_yaml_and_json() -> None:
    """Each item is an object of its own."""
    value = yaml.safe_load(POLICY % "a")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop"}, "spec": {}}
    whole = {"apiVersion": "v1", "kind": "List", "items": [pod, value]}
    typed = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicyList",
        "items": [{k: v for k, v in value.items() if k not in ("kind", "apiVersion")}],
    }
    for one in (whole, typed):
        for text in (
            json.dumps(one),
            json.dumps(one, indent=2),
            yaml.safe_dump(one),
            yaml.safe_dump(one, default_flow_style=True),
        ):
            (place,) = places(text)
            mended = mend("f", text.encode(), [Edit.replace(place / "spec" / "policyTypes", ["Ingress", "Egress"])])
            assert mended.refused == (), text
            after = yaml.safe_load(mended.after)
            one_item = after["items"][-1]
            assert one_item["spec"].pop("policyTypes") == ["Ingress", "Egress"]
            before = yaml.safe_load(text)
            before["items"][-1]["spec"].pop("policyTypes")
            assert after == before


def test_a_file_that_has_changed_is_left_alone() -> None:
    """The place is of another text."""
    first, _ = places(TWO)
    mended = mend("f.yaml", (POLICY % "c").encode(), [Edit.replace(first / "spec" / "egress", [])])
    assert mended.before == mended.after
    assert "not mended" in mended.refused[0].message


def test_texts_that_are_not_edited() -> None:
    """What an alias stands for would change in two places; what is not in UTF-8 is no text of ours."""
    text = (POLICY % "a").replace("policyTypes: [Egress]", "policyTypes: &t [Egress]") + "x: *t\n"
    document = next(iter(documents_of(text.encode(), "f.yaml", Unreadable(), whole=True)))
    mended = mend("f.yaml", text.encode(), [Edit.add_item(Place(document, ("spec", "policyTypes")), "Ingress")])
    assert mended.before == mended.after
    assert "too unusual" in mended.refused[0].message
    assert mend("f", b"\xff\xfe", [Edit.remove(Place(document))]).refused[0].message == "only a text in UTF-8 is edited"


KEYS = st.sampled_from(["a", "b", "spec", "x.y/z", "on", "1", "true", "with space", "q'uo\"te", "tr#y"])
SCALARS = st.one_of(st.integers(-5, 70000), st.booleans(), st.none(), KEYS, st.text("ab :#-'\"\n", max_size=6))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def collections(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    """Every mapping and list in a value, with its path."""
    found = [(at, value)] if isinstance(value, dict | list) else []
    if isinstance(value, dict | list):
        steps = value.items() if isinstance(value, dict) else enumerate(value)
        for step, inner in steps:
            found += collections(inner, (*at, step))
    return found


@given(VALUES.filter(lambda value: isinstance(value, dict)), VALUES, st.data())
def test_whatever_the_text_the_value_is_right_or_nothing_is_done(
    value: dict[str, Any], new: Any, data: st.DataObject
) -> None:
    """For every layout that PyYAML and JSON can write: the edit, exactly, or a refusal and the same bytes."""
    layout = data.draw(st.sampled_from(["block", "flow", "json", "indented"]))
    if layout == "json":
        text = json.dumps(value, indent=data.draw(st.sampled_from([None, 1, 4])))
    else:
        text = yaml.safe_dump(
            value, default_flow_style=layout == "flow", indent=4 if layout == "indented" else 2, sort_keys=False
        )
    documents = list(documents_of(text.encode(), "f", Unreadable(), whole=True))
    if len(documents) != 1 or documents[0].value != value:
        return
    at, collection = data.draw(st.sampled_from(collections(value)))
    place = Place(documents[0], at)
    edit = Edit.add_key(place, "added", new) if isinstance(collection, dict) else Edit.add_item(place, new)
    mended = mend("f", text.encode(), [edit])
    if mended.refused:
        assert mended.after == mended.before
        return
    after = next(iter(documents_of(mended.after, "f", Unreadable(), whole=True))).value
    expected = json.loads(json.dumps(value))
    here = expected
    for step in at:
        here = here[step]
    if isinstance(here, dict):
        here["added"] = new
    else:
        here.append(new)
    assert after == expected
