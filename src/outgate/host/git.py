"""Files as they were at a revision of a git repository, read without touching the work tree.

A revision is resolved once to a tree, and everything else is asked by object number, so a branch that moves meanwhile
cannot give half of one state and half of another. Paths never travel as patterns (``GIT_LITERAL_PATHSPECS``), and a
revision that begins with a dash is refused before git could take it for an option; git itself allows no such name.

`git ls-tree` and `git cat-file` read objects and nothing else: no hook, filter or setting of the repository runs.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple

from outgate.errors import InputError, InvalidInput, KernelError
from outgate.host.process import Output, read

__all__ = ["Revision", "files_at"]

_ENVIRONMENT: Mapping[str, str] = {"GIT_LITERAL_PATHSPECS": "1", "GIT_OPTIONAL_LOCKS": "0"}
_WRITE_IT = "write it git:REVISION:PATH, as in git:main:deploy/ or git:HEAD~1:k8s/app.yaml"

_LINK = "120000"
_SUBMODULE = "160000"


class _Entry(NamedTuple):
    """One line of `git ls-tree`."""

    mode: str
    kind: str
    number: str
    path: str


@dataclass(frozen=True, slots=True)
class Revision:
    """What was found: `files` as (name, bytes), and the names `passed_over`, with the reason."""

    files: tuple[tuple[str, bytes], ...]
    passed_over: tuple[tuple[str, str], ...] = ()


def files_at(text: str, chosen: Callable[[Sequence[str]], bool]) -> Revision:
    """The files that ``git:REVISION:PATH`` means, in the order in which a folder on disk is read.

    PATH counts from the top of the repository, as in ``git show REVISION:PATH``, and from the current folder where it
    begins with ``./`` or ``../``. It may hold colons. A file that is named is read whatever it is called; of a folder,
    those for which `chosen` says yes, given the steps of the path below it.

    Raises:
        InvalidInput: it is not written so, there is no repository, no such revision or no such path.
        KernelError: git is not installed, or failed.
    """
    revision, path = _split(text)
    prefix = _prefix(text)
    tree = _tree(text, revision)
    top = _from_top(text, path, prefix)
    if not top:
        entries = _below(tree, "")
    else:
        entry = _entry(text, revision, tree, top, prefix)
        if entry.kind == "blob":
            if path.endswith("/"):
                raise _wrong(text, f"{top} is a file and no folder at {revision}")
            return Revision(tuple(_contents(revision, [entry])))
        entries = _below(entry.number, top)
    return _folder(text, revision, top, entries, chosen)


def _folder(
    text: str, revision: str, top: str, entries: Sequence[_Entry], chosen: Callable[[Sequence[str]], bool]
) -> Revision:
    skip = top.count("/") + 1 if top else 0
    wanted, passed_over = [], []
    for entry in sorted(entries, key=lambda entry: _as_walked(entry.path)):
        name = f"git:{revision}:{entry.path}"
        if entry.mode == _SUBMODULE:
            passed_over.append((name, "a submodule, whose files are in a repository of their own"))
        elif not chosen(entry.path.split("/")[skip:]):
            continue
        elif entry.mode == _LINK:
            passed_over.append((name, "a symbolic link, and links are not followed in a revision"))
        else:
            wanted.append(entry)
    if not wanted:
        raise _wrong(text, f"this folder has no manifest at {revision}: no file that ends in .yaml, .yml or .json")
    return Revision(tuple(_contents(revision, wanted)), tuple(passed_over))


def _as_walked(path: str) -> list[tuple[bool, str]]:
    """Sorts as a folder on disk is walked: its files first, then its folders."""
    *folders, name = path.split("/")
    return [*((True, folder) for folder in folders), (False, name)]


def _split(text: str) -> tuple[str, str]:
    """The revision and the path; no revision of git's has a colon, so all the others belong to the path."""
    _, _, rest = text.partition(":")
    revision, colon, path = rest.partition(":")
    if not colon or not revision:
        raise _wrong(text, f"this names {'no path' if revision else 'no revision'}", _WRITE_IT)
    if revision.startswith("-"):
        raise _wrong(text, f"{revision} is no revision: none begins with a dash", _WRITE_IT)
    if any(ord(letter) < 32 for letter in revision) or "\0" in path:
        raise _wrong(text.replace("\0", "\\0"), "there is a control character in it")
    if path.startswith("/"):
        raise _wrong(text, "a path in a revision begins at the top of the repository, without a slash", _WRITE_IT)
    return revision, path


def _prefix(text: str) -> str:
    """Where the current folder is in its repository: empty at the top, or a path that ends in a slash."""
    done = _git("rev-parse", "--show-prefix")
    if done.code == 0:
        return done.stdout.decode(errors="surrogateescape").removesuffix("\n")
    said = _said(done)
    if "not a git repository" in said:
        hint = "change to a folder of the repository, or set GIT_DIR"
        raise _wrong(text, "the current folder is in no git repository", hint)
    # The next most common: "detected dubious ownership", and git says itself what to do about it.
    raise _wrong(text, f"git does not open the repository: {said}")


def _tree(text: str, revision: str) -> str:
    done = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{tree}}")
    found = done.stdout.decode(errors="replace").strip()
    if done.code == 0 and found:
        return found
    known = _git("for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags", "refs/remotes")
    names = known.stdout.decode(errors="replace").split()
    if near := get_close_matches(revision, names):
        hint = f"did you mean {' or '.join(near)}?"
    elif not names:
        hint = "the repository has no branch and no tag yet"
    else:
        hint = "git branch -a and git tag list the names; a shallow clone has to fetch older revisions first"
    raise _wrong(text, f"there is no revision {revision} in this repository", hint)


def _from_top(text: str, path: str, prefix: str) -> str:
    """The path from the top of the repository, empty for the top itself."""
    relative = path in {".", ".."} or path.startswith(("./", "../"))
    top = posixpath.normpath(posixpath.join(prefix, path) if relative else path or ".")
    if top == ".." or top.startswith("../"):
        raise _wrong(text, "this path leads out of the repository")
    return "" if top == "." else top


def _entry(text: str, revision: str, tree: str, top: str, prefix: str) -> _Entry:
    found = next(_listed(_checked("ls-tree", "-z", "--full-tree", tree, "--", top), ""), None)
    if found is None:
        raise _wrong(text, f"{revision} has no {top}", _elsewhere(revision, tree, top, prefix))
    if found.mode == _SUBMODULE:
        raise _wrong(text, f"{top} is a submodule at {revision}", "run outgate in the submodule's own repository")
    if found.mode == _LINK:
        target = next(_contents(revision, [found]))[1].decode(errors="replace")
        raise _wrong(text, f"{top} is a symbolic link at {revision}, to {target}", "name the file that it leads to")
    return found


def _elsewhere(revision: str, tree: str, top: str, prefix: str) -> str:
    """Where the path may have been meant: below the current folder, or a name that is spelt nearly so."""
    here = posixpath.normpath(posixpath.join(prefix, top))
    if prefix and next(_listed(_checked("ls-tree", "-z", "--full-tree", tree, "--", here), ""), None) is not None:
        return f"paths begin at the top of the repository; from the current folder it is git:{revision}:./{top}"
    folder, _, name = top.rpartition("/")
    place = ("--", f"{folder}/") if folder else ()
    beside = {entry.path for entry in _listed(_checked("ls-tree", "-z", "--full-tree", tree, *place), "")}
    near = get_close_matches(name, [path.rpartition("/")[2] for path in beside])
    names = " or ".join(posixpath.join(folder, one) for one in near)
    return f"did you mean {names}?" if near else f"git ls-tree -r {revision} lists what there is"


def _below(tree: str, top: str) -> list[_Entry]:
    return list(_listed(_checked("ls-tree", "-rz", "--full-tree", tree), f"{top}/" if top else ""))


def _listed(listing: bytes, prefix: str) -> Iterator[_Entry]:
    """The entries of ``ls-tree -z``: MODE SP TYPE SP OBJECT TAB PATH NUL."""
    for line in listing.split(b"\0"):
        if line:
            head, _, path = line.partition(b"\t")
            mode, kind, number = head.decode().split()
            yield _Entry(mode, kind, number, prefix + path.decode(errors="surrogateescape"))


def _contents(revision: str, entries: Sequence[_Entry]) -> Iterator[tuple[str, bytes]]:
    """Each file's name and bytes, all from one `git cat-file --batch`: OBJECT SP TYPE SP SIZE LF, the bytes, LF."""
    asked = "".join(f"{entry.number}\n" for entry in entries)
    told = memoryview(_checked("cat-file", "--batch", input=asked.encode()))
    at = 0
    for entry in entries:
        name = _printable(f"git:{revision}:{entry.path}")
        end = bytes(told[at : at + 200]).find(b"\n")
        words = bytes(told[at : at + max(end, 0)]).split()
        if len(words) != 3:
            hint = "the repository is a partial or a damaged clone; try git fsck"
            raise InvalidInput([InputError(name, 0, "", "its bytes are missing in this repository")], hint=hint)
        start = at + end + 1
        size = int(words[2])
        yield name, bytes(told[start : start + size])
        at = start + size + 1


def _printable(name: str) -> str:
    """A name whose bytes are not UTF-8, or that would break a line of output, in a form that can be printed."""
    text = name.encode(errors="surrogateescape").decode(errors="replace")
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def _checked(*arguments: str, input: bytes | None = None) -> bytes:
    done = _git(*arguments, input=input)
    if done.code != 0:
        raise KernelError(f"git {arguments[0]} failed with code {done.code}: {_said(done)}")
    return done.stdout


def _git(*arguments: str, input: bytes | None = None) -> Output:
    return read(["git", *arguments], input=input, environment=_ENVIRONMENT)


def _said(done: Output) -> str:
    words = done.stderr.decode(errors="replace").strip()
    return words.removeprefix("fatal: ") or "it said nothing"


def _wrong(text: str, words: str, hint: str = "") -> InvalidInput:
    return InvalidInput([InputError(_printable(text), 0, "", words)], hint=hint)
