"""The kubeconfig: which cluster, and as whom, as kubectl reads it.

Several files count as one (``KUBECONFIG``): "Never change the value or map key. The first file to set a particular
value or map key wins. Even if the second file has non-conflicting entries under red-user, discard them." A file that
is not there is passed over, unless it was named with ``--kubeconfig``, which reads that file and no other. Relative
paths inside a file begin at the file.

Messages name the file, the line and the field and never the value: half of the values here are secrets.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from difflib import get_close_matches
from typing import Any, Final

from outgate.cluster.reading import Unreadable
from outgate.cluster.yamltext import read_yaml
from outgate.errors import InputError, InvalidInput, UnknownName
from outgate.model.place import Document, Path, spell
from outgate.records import dataclass

__all__ = ["Entry", "Kubeconfig", "kubeconfig_files", "read_kubeconfig"]

_SECTIONS: Final = (("clusters", "cluster"), ("users", "user"), ("contexts", "context"))


@dataclass(frozen=True, slots=True)
class Entry:
    """One mapping of a kubeconfig, and where it stands. Its fields are read with their type and refused without."""

    document: Document
    at: Path
    values: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A field that is a string; empty where it is not given."""
        value = self.values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.wrong(name, "this must be a string")
        return value

    def flag(self, name: str) -> bool:
        """A field that is true or false; false where it is not given."""
        value = self.values.get(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise self.wrong(name, "this must be true or false")
        return value

    def texts(self, name: str) -> list[str]:
        """A field that is a list of strings."""
        value = self.values.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.wrong(name, "this must be a list of strings")
        return value

    def inner(self, name: str) -> Entry | None:
        """A field that is a mapping."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong(name, "this must be a mapping")
        return Entry(self.document, (*self.at, name), value)

    def several(self, name: str) -> list[Entry]:
        """A field that is a list of mappings."""
        value = self.values.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(name, "this must be a list")
        found = []
        for i, one in enumerate(value):
            if not isinstance(one, dict):
                raise self.wrong(name, f"entry {i} must be a mapping")
            found.append(Entry(self.document, (*self.at, name, i), one))
        return found

    def file(self, name: str) -> str:
        """A field that names a file; a relative one begins at the kubeconfig. Empty where it is not given."""
        path = self.text(name)
        return os.path.join(os.path.dirname(os.path.abspath(self.document.file)), path) if path else ""

    def material(self, name: str) -> bytes | None:
        """What the field NAME-data holds in base64, else the file that the field NAME names; None without either.

        "CertificateAuthorityData overrides CertificateAuthority", and so with the others.
        """
        data = self.text(f"{name}-data")
        if data:
            try:
                return base64.b64decode("".join(data.split()), validate=True)
            except ValueError:
                raise self.wrong(f"{name}-data", "this is not base64") from None
        file = self.file(name)
        return self.content(name, file) if file else None

    def content(self, name: str, file: str) -> bytes:
        """The bytes of a file that the field names."""
        try:
            with open(file, "rb") as opened:
                return opened.read()
        except (OSError, ValueError) as error:
            words = (getattr(error, "strerror", None) or str(error)).lower()
            raise self.wrong(name, f"{file} cannot be read: {words}") from error

    def wrong(self, name: str, words: str, hint: str = "") -> InvalidInput:
        """The error of a field, with its place."""
        path = (*self.at, name) if name else self.at
        return InvalidInput([InputError(self.document.file, self.document.locate(path), spell(path), words)], hint=hint)


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """All files as one. Entries are by name; `current` is the context of ``current-context``, or empty."""

    files: tuple[str, ...] = ()
    """Those that were there."""
    current: str = ""
    clusters: Mapping[str, Entry] = field(default_factory=dict)
    users: Mapping[str, Entry] = field(default_factory=dict)
    contexts: Mapping[str, Entry] = field(default_factory=dict)

    def context(self, name: str) -> Entry:
        """The context of that name. Raises UnknownName with the near ones."""
        found = self.contexts.get(name)
        if found is not None:
            return found
        where = " or ".join(self.files) or "any kubeconfig"
        near = get_close_matches(name, self.contexts) or list(self.contexts)[:12]
        hint = f"the contexts are: {', '.join(near)}" if near else "there is no context at all; see kubectl config view"
        raise UnknownName(f"there is no context {name} in {where}", hint=hint)

    def referred(self, context: Entry, section: str) -> Entry | None:
        """The cluster or user that a context names; None where it names none."""
        name = context.text(section)
        if not name:
            return None
        known = self.clusters if section == "cluster" else self.users
        if name not in known:
            raise context.wrong(section, f"there is no {section} {name}", _listed(known))
        return known[name]


def _listed(known: Mapping[str, Entry]) -> str:
    return f"there are: {', '.join(list(known)[:12])}" if known else ""


def kubeconfig_files(named: str | None, environment: Mapping[str, str]) -> list[str]:
    """The files to look into: the one that was named, those of ``KUBECONFIG``, or ``~/.kube/config``."""
    if named:
        return [named]
    listed = [file for file in environment.get("KUBECONFIG", "").split(os.pathsep) if file]
    if listed:
        return list(dict.fromkeys(listed))
    home = environment.get("HOME", "")
    return [os.path.join(home, ".kube", "config")] if home else []


def read_kubeconfig(files: Sequence[str], *, needed: bool = False) -> Kubeconfig:
    """The files as one; with `needed`, each of them has to be there.

    Raises:
        InvalidInput: a file cannot be read or is no kubeconfig.
    """
    found: list[str] = []
    current = ""
    sections: dict[str, dict[str, Entry]] = {section: {} for section, _ in _SECTIONS}
    for file in files:
        top = _document(file, needed)
        if top is None:
            continue
        found.append(file)
        current = current or top.text("current-context")
        for section, field_name in _SECTIONS:
            for one in top.several(section):
                name = one.text("name")
                if not name:
                    raise one.wrong("name", f"every entry of {section} needs a name")
                inner = one.inner(field_name) or Entry(one.document, (*one.at, field_name), {})
                sections[section].setdefault(name, inner)
    return Kubeconfig(tuple(found), current, sections["clusters"], sections["users"], sections["contexts"])


def _document(file: str, needed: bool) -> Entry | None:
    try:
        with open(file, "rb") as opened:
            data = opened.read()
    except FileNotFoundError as error:
        if not needed:
            return None
        raise _cannot(file, error) from error
    except (OSError, ValueError) as error:
        raise _cannot(file, error) from error
    unreadable = Unreadable()
    documents = list(read_yaml(data, file, unreadable))
    if unreadable.errors:
        raise InvalidInput(unreadable.errors)
    if not documents:
        return None
    value = documents[0].value
    if not isinstance(value, dict) or value.get("kind", "Config") != "Config":
        raise InvalidInput([InputError(file, 1, "", "this is no kubeconfig: kind must be Config")])
    return Entry(documents[0], (), value)


def _cannot(file: str, error: Exception) -> InvalidInput:
    words = (getattr(error, "strerror", None) or str(error)).lower()
    return InvalidInput([InputError(file.replace("\0", "\\0"), 0, "", f"this kubeconfig cannot be read: {words}")])
