"""A probe of the cluster itself: does a policy that denies really cut a connection off?

    result = probe(client, Plan.of(token), wait=time.sleep, clock=time.monotonic)

    control            the client reaches the server             else nothing is concluded
    deny egress        it no longer does                         else: not enforced
    no policy          it does again                             else nothing is concluded
    deny ingress       it no longer does                         else: not enforced
    no policy          it does again                             else nothing is concluded
    no server          it no longer does                         asked only where something was not enforced: a client
                                                                 that notices nothing would look the same

Everything is made in a namespace of its own and goes with it. The namespace is removed however the probe ends: by
its end, by an error, by an interrupt. It is removed by its uid, so that nobody else's can be; where removing fails,
that is said, with the command that does it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from outgate.analysis.doctor_probe import Outcome, ProbeResult, Step, Tried
from outgate.cluster.canary_objects import CLIENT, PROBE_LABEL, SERVER, client_pod, deny, namespace, server_pod
from outgate.cluster.client import Answer, Client
from outgate.cluster.writes import create, remove
from outgate.errors import ClusterError
from outgate.model import Direction

__all__ = ["Plan", "probe"]

PAUSE = 1.0
"""Seconds between two looks at a pod."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be made. `token` is random, and goes into the namespace's name and its label."""

    token: str
    image: str
    patience: float = 90.0
    """Seconds that each step is waited for."""

    @property
    def namespace(self) -> str:
        """The name of the namespace."""
        return f"outgate-probe-{self.token}"


class _InconclusiveError(Exception):
    """Why nothing can be concluded."""


def probe(
    client: Client,
    plan: Plan,
    *,
    wait: Callable[[float], None],
    clock: Callable[[], float],
    say: Callable[[str], None] = lambda _: None,
) -> ProbeResult:
    """What a canary pair shows. An interrupt (KeyboardInterrupt) passes through, after everything was removed."""
    canary = _Canary(client, plan, wait, clock, say)
    reason = ""
    try:
        canary.run()
    except _InconclusiveError as why:
        reason = str(why)
    except ClusterError as error:
        reason = error.message
    except BaseException:
        # An interrupt, or a bug: what was made is removed before anybody hears of it, over a connection on which no
        # answer is waited for.
        client.close()
        canary.clean_up()
        raise
    left = canary.clean_up()
    tried = tuple(canary.tried)
    if reason:
        # A denial that was not obeyed stands only where all that followed was seen.
        tried = tuple(one for one in tried if one.outcome is Outcome.ENFORCING)
    return ProbeResult(plan.namespace, plan.image, tuple(canary.steps), tried, reason, left)


@dataclass
class _Canary:
    client: Client
    plan: Plan
    wait: Callable[[float], None]
    clock: Callable[[], float]
    say: Callable[[str], None]
    steps: list[Step] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)
    _begun: bool = False
    _uid: str = ""

    # ---- the steps ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """All steps in their order. Raises _InconclusiveError, ClusterError."""
        self._namespace()
        self._create_pod(server_pod(self.plan.image))
        address = self._address()
        self._create_pod(client_pod(self.plan.image, address))
        if not self._see("without a policy the client reaches the server", ready=True):
            raise _InconclusiveError("the positive control failed: without any policy the client reaches no server")
        for direction in Direction:
            self._deny(direction)
        if any(one.outcome is Outcome.NOT_ENFORCING for one in self.tried):
            self._checked(remove(self.client, self._path("pods", SERVER), at_once=True), "delete the server", 404)
            if not self._see("without the server the client notices that it is gone", ready=False):
                raise _InconclusiveError("the client does not even notice that the server is gone")

    def _deny(self, direction: Direction) -> None:
        word, policy = direction.value.lower(), deny(direction)
        path = f"/apis/networking.k8s.io/v1/namespaces/{self.plan.namespace}/networkpolicies"
        self._checked(create(self.client, path, policy), "create a NetworkPolicy", 409)
        seen = self._see(f"with {word} denied the client no longer reaches the server", ready=False)
        name = policy["metadata"]["name"]
        self._checked(remove(self.client, f"{path}/{name}"), "delete a NetworkPolicy", 404)
        seconds = self.steps[-1].seconds
        if not self._see("without the policy the client reaches the server again", ready=True):
            raise _InconclusiveError(f"after {word} was allowed again the client does not reach the server any more")
        outcome = Outcome.ENFORCING if seen else Outcome.NOT_ENFORCING
        self.tried.append(Tried(direction, outcome, seconds if seen else 0.0))

    # ---- what is made ------------------------------------------------------------------------------------------------

    def _path(self, plural: str, name: str = "") -> str:
        path = f"/api/v1/namespaces/{self.plan.namespace}/{plural}"
        return f"{path}/{name}" if name else path

    @property
    def _own(self) -> str:
        return f"/api/v1/namespaces/{self.plan.namespace}"

    def _namespace(self) -> None:
        self.say(f"making namespace {self.plan.namespace} with two pods of {self.plan.image}; it is removed afterwards")
        self._begun = True
        answer = create(self.client, "/api/v1/namespaces", namespace(self.plan.namespace, self.plan.token))
        if answer.status in {200, 201, 409}:
            # Of a request that was sent twice the second is told that it is there; so is one whose name another has.
            there = answer if answer.status != 409 else self.client.get(self._own)
            value = _object(there)
            if value.get("metadata", {}).get("labels", {}).get(PROBE_LABEL) == self.plan.token:
                self._uid = _text(value["metadata"].get("uid"))
                return
            self._begun = not (answer.status == 409 and there.status == 200)
            raise _InconclusiveError(f"namespace {self.plan.namespace} cannot be told to be ours")
        self._begun = answer.status >= 500
        self._checked(answer, "create a namespace")

    def _create_pod(self, pod: Mapping[str, Any]) -> None:
        """Make a pod, as soon as the namespace has the service account that every pod gets."""
        end = self.clock() + self.plan.patience
        while True:
            answer = create(self.client, self._path("pods"), pod)
            missing = answer.status in {403, 404} and "serviceaccount" in answer.words.lower()
            if not missing or self.clock() >= end:
                break
            self.wait(PAUSE)
        self._checked(answer, f"create the {pod['metadata']['name']} pod", 409)

    def _checked(self, answer: Answer, what: str, *also: int) -> None:
        if answer.status not in {200, 201, 202, *also}:
            raise _InconclusiveError(f"these credentials or this cluster do not let us {what}: {_refusal(answer)}")

    # ---- what is seen ------------------------------------------------------------------------------------------------

    def _address(self) -> str:
        """Where the server is, once it runs."""
        begin = self.clock()
        while True:
            status = self._status(SERVER)
            address = _text(status.get("podIP"))
            if status.get("phase") == "Running" and address:
                self.steps.append(Step("the server runs", True, self.clock() - begin))
                return address
            if status.get("phase") in ("Failed", "Succeeded") or self.clock() - begin >= self.plan.patience:
                self.steps.append(Step("the server runs", False, self.clock() - begin))
                raise _InconclusiveError(f"the server pod does not run: {_why(status)}")
            self.wait(PAUSE)

    def _see(self, words: str, *, ready: bool) -> bool:
        """Wait until the client is ready, or is not, and write down whether that came about."""
        begin = self.clock()
        while True:
            status = self._status(CLIENT)
            running = status.get("phase") == "Running"
            if status.get("phase") in ("Failed", "Succeeded"):
                raise _InconclusiveError(f"the client pod has ended: {_why(status)}")
            found = running and _ready(status) is ready
            took = self.clock() - begin
            if found or took >= self.plan.patience:
                self.steps.append(Step(words, found, took))
                self.say(f"{words}: {'yes' if found else 'no'}, after {took:.1f} s")
                if not running:
                    raise _InconclusiveError(f"the client pod does not run: {_why(status)}")
                return found
            self.wait(PAUSE)

    def _status(self, name: str) -> dict[str, Any]:
        answer = self.client.get(self._path("pods", name))
        self._checked(answer, f"see the {name} pod")
        status = _object(answer).get("status")
        return status if isinstance(status, dict) else {}

    # ---- the end -----------------------------------------------------------------------------------------------------

    def clean_up(self) -> str:
        """Remove the namespace; empty where it is gone or going, else why it is not."""
        if not self._begun:
            return ""
        try:
            left = self._remove()
        except ClusterError as error:
            left = error.message
        except BaseException:
            self._say_left("interrupted while it was removed")
            raise
        if left:
            self._say_left(left)
        else:
            self.say(f"namespace {self.plan.namespace} is removed")
        return left

    def _remove(self) -> str:
        if not self._uid:
            # Whether it was made at all was never heard.
            answer = self.client.get(self._own)
            if answer.status == 404:
                return ""
            metadata = _object(answer).get("metadata", {})
            if metadata.get("labels", {}).get(PROBE_LABEL) != self.plan.token:
                return f"it cannot be told whether it was made: {_refusal(answer)}"
            self._uid = _text(metadata.get("uid"))
        answer = remove(self.client, self._own, uid=self._uid)
        # 409: it is another's by now, or it is going already.
        return "" if answer.status in {200, 202, 404, 409} else _refusal(answer)

    def _say_left(self, why: str) -> None:
        command = f"{self.client.access.kubectl} delete namespace {self.plan.namespace}"
        self.say(f"warning: namespace {self.plan.namespace} may still be there ({why}); remove it with: {command}")


def _object(answer: Answer) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(answer.body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    metadata = value.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("labels", {}), dict):
        value["metadata"] = {}
    return value


def _refusal(answer: Answer) -> str:
    return f"{answer.status}: {answer.words}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _ready(status: Mapping[str, Any]) -> bool:
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in _mappings(status, "conditions"))


def _why(status: Mapping[str, Any]) -> str:
    """What keeps a pod from running, as its status tells."""
    for one in _mappings(status, "containerStatuses"):
        for state in ("waiting", "terminated"):
            states = one.get("state")
            told = states.get(state) if isinstance(states, dict) else None
            if isinstance(told, dict):
                return " ".join(filter(None, (_text(told.get("reason")), _text(told.get("message")))))
    for one in _mappings(status, "conditions"):
        if one.get("status") == "False" and one.get("message"):
            return _text(one["message"])
    return _text(status.get("message")) or f"phase {_text(status.get('phase')) or 'unknown'}"


def _mappings(status: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = status.get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
