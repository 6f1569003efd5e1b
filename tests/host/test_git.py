"""Files at a revision: what git holds is what is read, byte for byte, and nothing of the work tree is touched."""

from __future__ import annotations

import os
import posixpath
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.errors import InvalidInput, KernelError
from outgate.host import git, process

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

ALONE = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_NAME": "A" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "a@example.com" for who in ("AUTHOR", "COMMITTER")},
}


def run(folder: Path, *words: str) -> None:
    """A git command in a folder, with no configuration but its own."""
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, env={**os.environ, **ALONE})


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Files below a folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def commit(folder: Path, *words: str) -> None:
    """All that is there, as a commit."""
    run(folder, "add", "-A", "-f")
    run(folder, "commit", "-q", "--allow-empty", "-m", "x", *words)


def any_yaml(steps: Sequence[str]) -> bool:
    """The rule that these tests use for what is read from a folder."""
    return steps[-1].endswith(".yaml") and not any(step.startswith(".") for step in steps)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two commits: the first has `a.yaml` with the word old, the second with new, beside a folder with more."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "project"
    folder.mkdir()
    run(folder, "init", "-q", "-b", "main")
    write(folder, {"a.yaml": b"old\n"})
    commit(folder)
    run(folder, "tag", "v1.0")
    write(folder, {"a.yaml": b"new\n", "k8s/b.yaml": b"b", "k8s/app:v1.yaml": b"colon", "k8s/.x.yaml": b"hidden"})
    write(folder, {"k8s/.h/c.yaml": b"hidden", "k8s/readme.md": b"no", "k8s/deep/d.yaml": b"d"})
    commit(folder)
    monkeypatch.chdir(folder)
    return folder


def read(text: str) -> dict[str, bytes]:
    """What a text means, by name."""
    return dict(git.files_at(text, any_yaml).files)


def error(text: str) -> tuple[str, str]:
    """The one thing that is wrong with a text, and what to do about it."""
    with pytest.raises(InvalidInput) as caught:
        git.files_at(text, any_yaml)
    (one,) = caught.value.errors
    return str(one), caught.value.hint


def test_the_file_is_that_of_the_revision(repository: Path) -> None:
    """Whatever lies in the work tree or the index, and without a change to either."""
    write(repository, {"a.yaml": b"not committed\n", "k8s/new.yaml": b"not committed"})
    run(repository, "add", "a.yaml")
    index = (repository / ".git" / "index").read_bytes()
    assert read("git:HEAD~1:a.yaml") == {"git:HEAD~1:a.yaml": b"old\n"}
    assert read("git:v1.0:a.yaml") == {"git:v1.0:a.yaml": b"old\n"}
    assert read("git:main:a.yaml") == {"git:main:a.yaml": b"new\n"}
    assert (repository / ".git" / "index").read_bytes() == index
    assert (repository / "a.yaml").read_bytes() == b"not committed\n"


@pytest.mark.usefixtures("repository")
def test_a_folder_is_walked_as_on_disk() -> None:
    """Files before folders, each by name; what the rule does not choose is left out."""
    assert list(read("git:main:k8s/")) == [
        "git:main:k8s/app:v1.yaml",
        "git:main:k8s/b.yaml",
        "git:main:k8s/deep/d.yaml",
    ]
    assert read("git:main:k8s") == read("git:main:k8s/") == read("git:main:./k8s//deep/..")
    assert next(iter(read("git:HEAD:"))) == "git:HEAD:a.yaml"
    # Hidden is what is below the folder that was named, and not the folder itself.
    assert read("git:main:k8s/.h") == {"git:main:k8s/.h/c.yaml": b"hidden"}


@pytest.mark.usefixtures("repository")
def test_a_file_that_is_named_is_read_whatever_it_is_called() -> None:
    """With a colon in it, hidden, or with another ending."""
    assert read("git:main:k8s/app:v1.yaml") == {"git:main:k8s/app:v1.yaml": b"colon"}
    assert read("git:main:k8s/readme.md") == {"git:main:k8s/readme.md": b"no"}


def test_paths_are_no_patterns(repository: Path) -> None:
    """A star in a path is a letter: it must not match what nobody named."""
    write(repository, {"s/*.yaml": b"star", "s/other.yaml": b"other", ":(top)x.yaml": b"magic"})
    commit(repository)
    assert read("git:HEAD:s/*.yaml") == {"git:HEAD:s/*.yaml": b"star"}
    assert read("git:HEAD::(top)x.yaml") == {"git:HEAD::(top)x.yaml": b"magic"}


def test_from_a_folder_below(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths begin at the top, as git's do; `./` and `../` begin here, and the name printed can be typed anywhere."""
    monkeypatch.chdir(repository / "k8s")
    assert read("git:HEAD:a.yaml") == read("git:HEAD:../a.yaml") == {"git:HEAD:a.yaml": b"new\n"}
    assert read("git:HEAD:./b.yaml") == {"git:HEAD:k8s/b.yaml": b"b"}
    assert list(read("git:HEAD:.")) == list(read("git:HEAD:k8s"))
    words, hint = error("git:HEAD:b.yaml")
    assert words == "git:HEAD:b.yaml: HEAD has no b.yaml"
    assert hint.endswith("from the current folder it is git:HEAD:./b.yaml")


def test_links_and_submodules_are_passed_over_and_said(repository: Path) -> None:
    """A link's bytes are a path and no manifest; what they lead to may not even be in the repository."""
    (repository / "k8s" / "link.yaml").symlink_to("b.yaml")
    (repository / "k8s" / "link.txt").symlink_to("b.yaml")
    number = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    commit(repository)
    run(repository, "update-index", "--add", "--cacheinfo", f"160000,{number},k8s/vendored")
    run(repository, "commit", "-q", "-m", "x")
    found = git.files_at("git:HEAD:k8s", any_yaml)
    assert "git:HEAD:k8s/link.yaml" not in dict(found.files)
    assert [name for name, _ in found.passed_over] == ["git:HEAD:k8s/link.yaml", "git:HEAD:k8s/vendored"]
    assert error("git:HEAD:k8s/link.yaml") == (
        "git:HEAD:k8s/link.yaml: k8s/link.yaml is a symbolic link at HEAD, to b.yaml",
        "name the file that it leads to",
    )
    assert "is a submodule at HEAD" in error("git:HEAD:k8s/vendored")[0]


@pytest.mark.parametrize("text", ["git:", "git::", "git:main", "git::a.yaml", "git"])
@pytest.mark.usefixtures("repository")
def test_what_is_not_written_so(text: str) -> None:
    """Half a text is answered with a whole one."""
    words, hint = error(text)
    assert "names no revision" in words or "names no path" in words
    assert "git:main:deploy/" in hint


@pytest.mark.parametrize("revision", ["--output=x", "-h", "--all", "-"])
def test_a_revision_is_never_an_option(repository: Path, revision: str) -> None:
    """`git rev-parse --output=FILE` and its like would write where nobody asked."""
    assert "none begins with a dash" in error(f"git:{revision}:a.yaml")[0]
    assert not (repository / "x").exists()


@pytest.mark.usefixtures("repository")
def test_an_unknown_revision_is_answered_with_near_ones() -> None:
    """Most often it is a typing mistake, or a clone that has not fetched it."""
    assert error("git:mian:a.yaml") == (
        "git:mian:a.yaml: there is no revision mian in this repository",
        "did you mean main?",
    )
    assert "v1.0" in error("git:v1.1:a.yaml")[1]
    assert "shallow" in error("git:0123456789abcdef:a.yaml")[1]
    # A blob is something and no tree.
    assert "no revision" in error("git:HEAD^{blob}:a.yaml")[0]


@pytest.mark.usefixtures("repository")
def test_an_unknown_path_is_answered_with_near_ones() -> None:
    """The path is what was mistyped, or it did not exist then."""
    assert error("git:HEAD:k8s/bb.yaml") == (
        "git:HEAD:k8s/bb.yaml: HEAD has no k8s/bb.yaml",
        "did you mean k8s/b.yaml or k8s/.x.yaml?",
    )
    assert error("git:HEAD~1:k8s")[0] == "git:HEAD~1:k8s: HEAD~1 has no k8s"
    assert "is a file and no folder" in error("git:HEAD:a.yaml/")[0]
    assert "leads out of the repository" in error("git:HEAD:../a.yaml")[0]
    assert "without a slash" in error("git:HEAD:/a.yaml")[0]
    assert "control character" in error("git:HE\nAD:a.yaml")[0]
    assert "control character" in error("git:HEAD:a\0.yaml")[0]


def test_a_folder_without_manifests(repository: Path) -> None:
    """As on disk: an empty input would allow everything."""
    write(repository, {"empty/readme.md": b""})
    commit(repository)
    assert "no manifest at HEAD" in error("git:HEAD:empty")[0]


def test_outside_of_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is wrong, and the message must not be about the path."""
    monkeypatch.delenv("GIT_DIR", raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    words, hint = error("git:HEAD:a.yaml")
    assert words == "git:HEAD:a.yaml: the current folder is in no git repository"
    assert hint


def test_a_repository_without_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HEAD names nothing yet."""
    run(tmp_path, "init", "-q")
    monkeypatch.chdir(tmp_path)
    assert "no branch and no tag yet" in error("git:HEAD:a.yaml")[1]


@pytest.mark.usefixtures("repository")
def test_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container image with Outgate in it may well have no git."""
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(process, "_SYSTEM_PATH", ())
    with pytest.raises(KernelError, match="the command git is not installed") as caught:
        git.files_at("git:HEAD:a.yaml", any_yaml)
    assert "apt install git" in caught.value.hint


STEPS = st.text(st.sampled_from("ab.:*é \n-"), min_size=1, max_size=4).filter(lambda step: step not in {".", ".."})
PATHS = st.lists(STEPS, min_size=1, max_size=3).map("/".join)


@settings(max_examples=15)
@given(st.dictionaries(PATHS, st.binary(max_size=40), min_size=1, max_size=5))
def test_any_files_come_back_as_they_were(files: dict[str, bytes]) -> None:
    """Whatever they are called and hold, against the obvious reader: the files on disk."""
    folders = {posixpath.dirname(path)[:i] for path in files for i in range(1, len(path))}
    files = {path: data for path, data in files.items() if path not in folders}
    with TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        folder = Path(place)
        run(folder, "init", "-q")
        try:
            write(folder, files)
        except OSError:
            return  # one of them is a folder of another
        commit(folder)
        patch.chdir(folder)
        patch.delenv("GIT_DIR", raising=False)
        found = git.files_at("git:HEAD:", lambda _: True).files
        wanted = [*sorted(files, key=git._as_walked)]
        assert [data for _, data in found] == [files[path] for path in wanted]
        for path, data in files.items():
            assert [data for _, data in git.files_at(f"git:HEAD:./{path}", lambda _: False).files] == [data]
