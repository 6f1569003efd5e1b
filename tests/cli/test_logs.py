"""`outgate logs` as a user runs it: the lines that are wanted, all of them, once, through rotations."""

from __future__ import annotations

import json
import threading
from functools import partial
from pathlib import Path

import msgspec
import pytest

from outgate.agent.log_file import LogFile
from outgate.cli.logs import _DIRECTIONS, _VERDICTS, follow
from outgate.cli.main import main
from outgate.report.packet_log import DIRECTIONS, VERDICTS, LogRecord, Party, PodName, QuestionSaid, RequestSaid
from tests.report.schema import complaints

NAME = "packets.jsonl"
WEB = LogRecord(
    time="2026-11-26T03:00:00.000Z",
    node="node-a",
    verdict="denied",
    direction="egress",
    pod=PodName("shop", "web"),
    peer=Party("Pod", "out", "far"),
    protocol="TCP",
    port=443,
    policy="shop/a,b",
    rule="isolated, nothing allows",
)
CART = msgspec.structs.replace(
    WEB,
    time="2026-11-26T04:00:00.000Z",
    verdict="would-deny",
    direction="ingress",
    pod=PodName("shop", "cart"),
    peer=Party("External", cidrs=("1.1.1.1/32",)),
    policy="shop/c",
)


def write(folder: Path, *records: LogRecord, name: str = NAME) -> None:
    """Lines of a log."""
    (folder / name).write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in records))


def shown(folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> list[str]:
    """The pods of the lines that are shown."""
    assert main(["logs", "--run-dir", str(folder), "-o", "json", *options]) == 0
    return [json.loads(line)["pod"]["name"] for line in capsys.readouterr().out.splitlines()]


def test_both_files_the_oldest_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As text, a line each."""
    write(tmp_path, WEB, name=f"{NAME}.1")
    write(tmp_path, CART)
    assert main(["logs", "--run-dir", str(tmp_path)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("2026-11-26T03:00:00.000Z denied      egress  shop/web ")
    assert "<- 1.1.1.1 " in second
    assert shown(tmp_path, capsys) == ["web", "cart"]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--pod", "shop/web"], ["web"]),
        (["--pod", "out/far"], ["web"]),
        (["-n", "shop"], ["web", "cart"]),
        (["-n", "out"], ["web"]),
        (["-n", "sho"], []),
        (["--verdict", "denied"], ["web"]),
        (["--verdict", "denied", "--verdict", "would-deny"], ["web", "cart"]),
        (["--direction", "ingress"], ["cart"]),
        (["--policy", "shop/b"], ["web"]),
        (["--policy", "a"], ["web"]),
        (["--policy", "shop/a,b"], []),
        (["--since", "2026-11-26T03:30:00Z"], ["cart"]),
        (["--since", "2026-11-26T05:30:00+02:00"], ["cart"]),
        (["--since", "9999d"], ["web", "cart"]),
        (["-n", "shop", "--direction", "egress", "--policy", "c"], []),
    ],
)
def test_only_what_is_wanted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], found: list[str]
) -> None:
    """Each filter takes away, and all of them together."""
    write(tmp_path, WEB, CART)
    assert shown(tmp_path, capsys, *options) == found


@pytest.mark.parametrize(
    "options",
    [
        ["--pod", "web"],
        ["--since", "yesterday"],
        ["--since", "1000000000d"],
        ["--since", "999999999d"],
        ["--verdict", "x"],
        ["--policy", "a/b/c"],
        ["--name", "*.example.com"],
        ["--name", "api.exam ple.com"],
    ],
)
def test_what_cannot_be_meant(tmp_path: Path, options: list[str]) -> None:
    """Code 2 before anything is read."""
    write(tmp_path, WEB)
    assert main(["logs", "--run-dir", str(tmp_path), *options]) == 2


def test_filters_that_leave_nothing_do_not_look_like_peace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name with a slip in it shows nothing, and so does a log of a quiet night."""
    write(tmp_path, WEB, CART)
    for options, said in ((["-n", "shpo"], "note: none of the 2 lines in the log is what was asked for\n"), ([], "")):
        assert main(["logs", "--run-dir", str(tmp_path), *options]) == 0
        assert capsys.readouterr().err == said


def test_nothing_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Code 3; a log without lines is none of that, nor is an agent that has denied nothing yet."""
    assert main(["logs", "--run-dir", str(tmp_path)]) == 3
    assert f"{NAME} is not there" in capsys.readouterr().err
    (tmp_path / "status.json").write_text("{}")
    assert main(["logs", "--run-dir", str(tmp_path)]) == 0
    assert "nothing has been logged" in capsys.readouterr().err
    write(tmp_path)
    assert main(["logs", "--run-dir", str(tmp_path)]) == 0


def test_what_envoy_refused_is_among_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By its time, with what was asked; filters know it, and following shows both logs."""
    said = RequestSaid("DELETE", "/v1/items", "items", rules=("CiliumNetworkPolicy shop/q egress[0]",))
    refused = msgspec.structs.replace(
        WEB,
        time="2026-11-26T03:30:00.000Z",
        verdict="refused",
        policy="shop/q",
        rule=f"{said}: not allowed",
        request=said,
    )
    write(tmp_path, refused, name="requests.jsonl")
    assert shown(tmp_path, capsys) == ["web"]
    write(tmp_path, WEB, CART)
    assert main(["logs", "--run-dir", str(tmp_path)]) == 0
    _, second, _ = capsys.readouterr().out.splitlines()
    assert "refused" in second
    assert "shop/q: DELETE items/v1/items: not allowed" in second
    assert shown(tmp_path, capsys, "--verdict", "refused") == ["web"]
    assert shown(tmp_path, capsys, "--policy", "q") == ["web"]
    lines = follow(tmp_path / NAME, tmp_path / "requests.jsonl")
    assert [msgspec.json.decode(next(lines))["verdict"] for _ in range(3)] == ["denied", "would-deny", "refused"]
    writing = threading.Thread(target=lambda: write(tmp_path, refused, refused, name="requests.jsonl"))
    writing.start()
    assert b"refused" in next(lines)
    writing.join()
    lines.close()


def test_lines_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A disk that was full tears a line; the others are shown, and how many were none."""
    write(tmp_path, WEB)
    with (tmp_path / NAME).open("ab") as file:
        file.write(b'{"time": "20\n\n\xff\xfe\n[]\n')
        file.write(msgspec.json.encode(CART) + b"\n")
    assert main(["logs", "--run-dir", str(tmp_path), "-o", "json"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert err == "note: 3 lines could not be read\n"


def test_following_loses_no_line_and_shows_none_twice(tmp_path: Path) -> None:
    """However often the file is rotated while it is read."""
    file = LogFile(tmp_path / NAME, limit=2000)
    file.add([b"first %d" % number for number in range(5)])
    lines = follow(tmp_path / NAME)
    found = [next(lines) for _ in range(5)]

    def is_read(number: int) -> bool:
        return len(found) > 5 + number

    def write_many() -> None:
        for number in range(300):
            file.add([b"%d " % number + b"x" * 30])
            with turn:
                turn.wait_for(partial(is_read, number - 20))

    turn = threading.Condition()
    writing = threading.Thread(target=write_many)
    writing.start()
    while len(found) < 305:
        line = next(lines)
        with turn:
            found.append(line)
            turn.notify_all()
    writing.join()
    file.close()
    lines.close()
    assert found[:5] == [b"first %d\n" % number for number in range(5)]
    assert [int(line.split()[0]) for line in found[5:]] == list(range(300))


def test_following_begins_before_there_is_a_log(tmp_path: Path) -> None:
    """And with what was rotated away."""
    lines = follow(tmp_path / NAME)
    writing = threading.Thread(target=lambda: (tmp_path / NAME).write_bytes(b"one\n"))
    writing.start()
    assert next(lines) == b"one\n"
    writing.join()
    lines.close()
    (tmp_path / f"{NAME}.1").write_bytes(b"zero\n")
    again = follow(tmp_path / NAME)
    assert [next(again), next(again)] == [b"zero\n", b"one\n"]
    again.close()


def test_half_a_line_is_waited_for(tmp_path: Path) -> None:
    """The writer may be in the middle of it."""
    (tmp_path / NAME).write_bytes(b"whole\nhal")
    lines = follow(tmp_path / NAME)
    assert next(lines) == b"whole\n"

    def write_rest() -> None:
        with (tmp_path / NAME).open("ab") as file:
            file.write(b"f\n")

    writing = threading.Thread(target=write_rest)
    writing.start()
    assert next(lines) == b"half\n"
    writing.join()
    lines.close()


def test_the_choices_are_those_of_the_log() -> None:
    """Written out, so that help loads nothing."""
    assert (_VERDICTS, _DIRECTIONS) == (VERDICTS, DIRECTIONS)


def test_what_was_said_about_a_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Questions of DNS, requests and clients of TLS; the port of a host and the case of a name do not matter."""
    asked = msgspec.structs.replace(WEB, verdict="refused", question=QuestionSaid("api.example.com", "AAAA"))
    other = msgspec.structs.replace(asked, question=QuestionSaid("x.example.com", "A"))
    request = msgspec.structs.replace(CART, verdict="refused", request=RequestSaid("GET", "/", "API.example.com:8080"))
    tls = msgspec.structs.replace(CART, verdict="refused", request=RequestSaid(server_name="api.example.com"))
    write(tmp_path, asked, other, name="questions.jsonl")
    write(tmp_path, request, tls, name="requests.jsonl")
    write(tmp_path, WEB)
    assert shown(tmp_path, capsys, "--name", "Api.Example.com.") == ["web", "cart", "cart"]
    assert shown(tmp_path, capsys, "--verdict", "refused") == ["web", "web", "cart", "cart"]


@pytest.mark.parametrize("record", [
    WEB, CART, msgspec.structs.replace(WEB, pod=None, peer=None, port=None, icmp_type=8, verdict="unknown-pod"),
    msgspec.structs.replace(WEB, request=RequestSaid("GET", "/", "x", rules=("shop/a egress[0]",))),
    msgspec.structs.replace(WEB, question=QuestionSaid("x", "A")),
])  # fmt: skip
def test_every_line_keeps_to_its_schema(record: LogRecord) -> None:
    """For whoever reads it with another program."""
    assert complaints(msgspec.json.decode(msgspec.json.encode(record)), "LogLine") == []
