"""Reading the input of a verb, with what has to be said about it on standard error.

Not a verb: the half of each verb that is the same. A broken object is set apart and said, and the rest of the work
goes on; what an answer does not rest on must not be silent.

Here the doors come together, because only here both are known: `outgate.host` starts git and credential plugins, and
`outgate.cluster` reads what they say.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from outgate.cli.options import chosen_kubeconfig
from outgate.errors import InputError, InvalidInput, UsageError, one_line

if TYPE_CHECKING:
    from outgate.cluster import Loaded, Source
    from outgate.cluster.access import Access
    from outgate.cluster.client import Client
    from outgate.model import Document, Snapshot
    from outgate.model.parse import Keep
    from outgate.packets import Address

    Visit = Callable[[Client], Sequence[Document]]

__all__ = [
    "NO_INPUT",
    "cluster_of",
    "dns_names",
    "find_cluster",
    "note",
    "open_cluster",
    "open_inputs",
    "read_input",
    "read_side",
    "say_audited",
    "say_if_empty",
    "say_profile",
]

NO_INPUT = (
    "give manifests with -f FILE, -f FOLDER, or -f - for standard input; "
    "a git revision with -f git:REV:PATH; or a live cluster with --context NAME or -f cluster"
)
"""What to do where no input is given."""

MOST_LINES = 20
"""Errors that are listed one by one; `outgate validate` lists all of them."""


def note(words: str, quiet: bool = False) -> None:
    """One line on standard error, where notes go."""
    if not quiet:
        click.echo(one_line(words), err=True)


def read_input(
    filename: Sequence[str],
    *,
    namespace: str | None,
    strict: bool,
    quiet: bool = False,
    keep: Keep | None = None,
    checks: bool = False,
    visit: Visit | None = None,
) -> Loaded:
    """The objects of the input. `keep` is told each of them that is used.

    With `checks` a live cluster is asked for what only checks look at as well. `visit` may ask it for more, while the
    connection to it stands; what it returns is read too.

    Raises:
        InvalidInput: something cannot be opened, or, with `strict`, any error.
        ClusterError: the cluster that was asked for gives no answer.
    """
    from outgate.cluster import load
    from outgate.cluster.others import not_enforced, passed_over

    if not filename:
        raise UsageError("no input", hint=NO_INPUT)
    # What a server has printed is read as the server reads it: an answer is about what is in force.
    sources = open_inputs(filename, quiet=quiet, checks=checks, visit=visit)
    loaded = load(sources, strict=strict, namespace=namespace or "default", stored=None, keep=keep)
    if loaded.errors and loaded.objects == len(loaded.refused) + sum(loaded.skipped.values()):
        # An answer about the rest would be one about nothing, and "no connection is allowed" sounds like good news.
        raise InvalidInput(loaded.errors, hint="nothing else is in the input, so there is no answer")
    for error in loaded.errors[:MOST_LINES]:
        note(f"set apart: {error}", quiet)
    if loaded.errors:
        more = len(loaded.errors) - MOST_LINES
        rest = f" and {more} more errors" if more > 0 else ""
        count = len(loaded.refused) + len(loaded.unreadable)
        # Said even with -q: an answer that leaves a policy out is another answer.
        note(f"note: {_things(count)} not part of the answer{rest}; see outgate validate")
    for words in passed_over(loaded.skipped):
        note(f"note: {words}")
    closed = tuple(not_enforced(loaded.snapshot))
    for rule in closed[:MOST_LINES]:
        note(f"warning: {rule}", quiet)
    if len(closed) > MOST_LINES:
        note(f"warning: and {len(closed) - MOST_LINES} more such rules", quiet)
    if not loaded.objects and not loaded.errors:
        note("note: the input has no objects", quiet)
    for warning in loaded.warnings[:MOST_LINES]:
        note(f"warning: {warning}", quiet)
    return loaded


def say_profile(profile: str, quiet: bool) -> None:
    """That an answer is another network plugin's: formats for people and spreadsheets have no place for it."""
    if profile != "outgate":
        note(f"note: this is how {profile} judges it", quiet)


def say_audited(names: tuple[str, ...], quiet: bool, side: str = "") -> None:
    """That an enforcer does not do as the answer says (`outgate.analysis.audited`): a note, and in no document."""
    if names:
        from outgate.analysis.audited import audited_words

        note(f"note: {side}{audited_words(names)}", quiet)


def say_if_empty(snapshot: Snapshot, namespace: str) -> None:
    """That nobody is in a namespace: what is said of it is then true of nothing. Also with -q."""
    if not snapshot.pods_by_namespace.get(namespace):
        note(f"note: namespace {namespace} has no pods and no workloads in the input")


def read_side(text: str, *, namespace: str | None, strict: bool, quiet: bool = False) -> Loaded:
    """The objects of one positional input: FILE, DIR, ``-``, ``git:REV:PATH``, ``cluster`` or ``cluster:CONTEXT``.

    Raises as `read_input` does.
    """
    if not text:
        raise UsageError("an input is empty", hint="give a file, a folder, -, git:REV:PATH, cluster or cluster:CONTEXT")
    return read_input((text,), namespace=namespace, strict=strict, quiet=quiet)


def open_inputs(
    texts: Sequence[str], *, quiet: bool = False, checks: bool = False, visit: Visit | None = None
) -> list[str | Source]:
    """The inputs as `outgate.cluster.load` takes them: what is no file is fetched, and what is missing of it is said.

    Raises:
        InvalidInput: a revision or a context that there is not, or a broken kubeconfig.
        ClusterError: the cluster gives no answer.
        KernelError: git is not installed, or failed.
    """
    found: list[str | Source] = []
    clusters = 0
    for text in dict.fromkeys(texts):
        door, colon, rest = text.partition(":")
        if door == "git" and colon:
            found += _from_git(text, quiet)
        elif door == "cluster":
            if not colon and os.path.exists(text):
                raise UsageError(
                    "cluster may mean the live cluster or what lies here under that name",
                    hint="write ./cluster for the file or folder, and cluster: for the live cluster",
                )
            clusters += 1
            if clusters > 1:
                raise UsageError("an input has one live cluster at most", hint="outgate diff compares two")
            found.append(_from_cluster(rest, visit, checks=checks))
        else:
            found.append(text)
    return found


def _from_git(text: str, quiet: bool) -> list[Source]:
    from outgate.cluster import Text, is_manifest
    from outgate.host.git import files_at

    revision = files_at(text, is_manifest)
    for name, why in revision.passed_over:
        note(f"note: {name} is not read: it is {why}", quiet)
    return [Text(name, data) for name, data in revision.files]


def cluster_of(texts: Sequence[str]) -> str | None:
    """The context of the live cluster among the inputs, empty for the current one; None where there is none."""
    return next((text.partition(":")[2] for text in texts if text.partition(":")[0] == "cluster"), None)


def open_cluster(context: str) -> Client:
    """A connection to the cluster of that context, or of the current one. Raises as `open_inputs` does."""
    from outgate.cluster.client import Client

    return Client(find_cluster(context))


def find_cluster(context: str) -> Access:
    """How the cluster of that context, or of the current one, is reached. Raises as `open_inputs` does."""
    from outgate.cluster.live import find_access

    return find_access(context or None, chosen_kubeconfig(), os.environ, _run_plugin)


def _from_cluster(context: str, visit: Visit | None, *, checks: bool) -> Source:
    from outgate.cluster import Objects
    from outgate.cluster.live import fetch

    with open_cluster(context) as client:
        fetched = fetch(client, checks=checks)
        more = visit(client) if visit is not None else ()
        for words in fetched.notes:
            # Said even with -q: an answer without the Services is another answer.
            note(f"note: {words}")
        return Objects(client.access.name, (*fetched.documents, *more))


def _run_plugin(argv: Sequence[str], environment: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    from outgate.host import process

    done = process.read(argv, environment=environment)
    return done.code, done.stdout, done.stderr


def _things(count: int) -> str:
    return "1 object was refused and is" if count == 1 else f"{count} objects were refused and are"


def dns_names(texts: Sequence[str], option: str = "--dns-name") -> dict[str, tuple[Address, ...]]:
    """What ``--dns-name NAME=ADDRESS`` says; a name may be given several times.

    Raises UsageError with everything that is wrong.
    """
    if not texts:
        return {}
    from outgate.policy.names import canonical, not_a_name

    names: dict[str, tuple[Address, ...]] = {}
    wrong: list[InputError] = []
    for text in texts:
        name, equals, address = (part.strip() for part in text.partition("="))
        found = _read_address(address)
        problem = not_a_name(name)
        if not (name and equals) or found is None:
            problem = "write it NAME=ADDRESS, as in example.com=203.0.113.10"
        elif isinstance(found, ipaddress.IPv6Address):
            problem = problem or _odd_address(found)
        if problem or found is None:
            wrong.append(InputError(f"{option} {text}", 0, "", problem))
            continue
        names[canonical(name)] = (*names.get(canonical(name), ()), found)
    if wrong:
        raise UsageError(wrong)
    return names


def _read_address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _odd_address(address: ipaddress.IPv6Address) -> str:
    """What no answer of DNS is, and `ipaddress` takes: it would be an address that no rule means."""
    if address.scope_id is not None:
        return "an answer of DNS has no zone; write the address alone"
    if address.ipv4_mapped is not None:
        return f"packets go to the IPv4 address inside; write {address.ipv4_mapped}"
    return ""
