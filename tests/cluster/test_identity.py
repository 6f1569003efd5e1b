"""A token that is renewed is sent; one that cannot be read for a moment does no harm."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from outgate.cluster.access import Access, Credentials, from_pod
from outgate.cluster.identity import Identity
from outgate.errors import ClusterError


def mounted(tmp_path: Path) -> Access:
    """The account of a pod, whose token is replaced as the kubelet does it: a new folder under an old name."""
    (tmp_path / "ca.crt").write_text("")
    renew(tmp_path, "one")
    found = from_pod({"KUBERNETES_SERVICE_HOST": "192.0.2.1"}, str(tmp_path))
    assert found is not None
    return found


def renew(folder: Path, token: str) -> None:
    """Put another token in place, at once."""
    (folder / f"data-{token}").mkdir()
    (folder / f"data-{token}" / "token").write_text(token)
    (folder / "data-new").symlink_to(f"data-{token}")
    os.replace(folder / "data-new", folder / "data")
    if not (folder / "token").is_symlink():
        (folder / "token").symlink_to("data/token")


def said(identity: Identity) -> str:
    """The token that would be sent."""
    return identity.credentials().headers["Authorization"]


def test_a_new_token_is_read_and_an_old_one_is_not(tmp_path: Path) -> None:
    """Before the server complains: a token is good for an hour, and its successor there after some 50 minutes."""
    identity = Identity(mounted(tmp_path))
    first = identity.credentials()
    assert identity.credentials() is first
    renew(tmp_path, "two")
    assert said(identity) == "Bearer two"
    # Of the same length and the same time it is another file all the same.
    stamp = os.stat(tmp_path / "token").st_mtime_ns
    renew(tmp_path, "six")
    os.utime(tmp_path / "token", ns=(stamp, stamp))
    assert said(identity) == "Bearer six"


def test_a_token_that_cannot_be_read_for_a_moment(tmp_path: Path) -> None:
    """What was good a moment ago may still be; without any there is nothing to send."""
    access = mounted(tmp_path)
    identity = Identity(access)
    assert said(identity) == "Bearer one"
    renew(tmp_path, "")
    assert said(identity) == "Bearer one"
    (tmp_path / "token").unlink()
    assert said(identity) == "Bearer one"
    with pytest.raises(ClusterError):
        Identity(access).credentials()
    renew(tmp_path, "two")
    assert said(identity) == "Bearer two"


def test_what_is_forgotten_is_asked_for_once() -> None:
    """By however many threads: a plugin takes seconds."""
    made: list[Credentials] = []
    started = threading.Barrier(8)

    def identify() -> Credentials:
        made.append(Credentials({"Authorization": f"Bearer {len(made)}"}))
        return made[-1]

    identity = Identity(Access("cluster:x", urlsplit("https://192.0.2.1"), identify, lasting=False))
    found: list[Credentials] = []

    def ask() -> None:
        started.wait(10)
        found.append(identity.credentials())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert found == made * 8
    identity.forget()
    assert said(identity) == "Bearer 1"
