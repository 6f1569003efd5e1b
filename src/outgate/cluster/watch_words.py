"""Why there are no news: what an answer that is neither list nor watch means, what is said of it, when to ask again."""

from __future__ import annotations

import msgspec

from outgate.cluster.access import Access
from outgate.cluster.lists import Resource
from outgate.cluster.stream import Answer, seconds_asked

__all__ = ["AbsentError", "GoneError", "PauseError", "check", "stream_error"]


class GoneError(Exception):
    """The server no longer knows how it was at our version, or does not know it yet: all must be asked for anew."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = str(code)
        """The status that said so."""


class AbsentError(Exception):
    """The kind is not installed in the cluster, and so there are none of it."""


class PauseError(Exception):
    """There are no news for now. `words` say why."""

    def __init__(
        self, words: str, *, asked: float = 0.0, slow: bool = False, renew: bool = False, code: str = "unreadable"
    ) -> None:
        super().__init__(words)
        self.words = words
        self.asked = asked
        """Seconds after which the server wants to be asked again."""
        self.slow = slow
        """Only somebody who changes something can mend it."""
        self.renew = renew
        """Other credentials may mend it."""
        self.code = code
        """The status of the answer, or in a word why there is none."""


class _Details(msgspec.Struct):
    retryAfterSeconds: int = 0  # noqa: N815 - the name in the text


class _Status(msgspec.Struct):
    """metav1.Status, as an event of type ERROR has it."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: _Details | None = None


_STATUS = msgspec.json.Decoder(_Status)
_AHEAD = "Too large resource version"
"""What a server says that was set back to an earlier state, by a restored backup, or that lags behind another."""


def check(access: Access, resource: Resource, verb: str, answer: Answer) -> None:
    """Nothing where the answer is good.

    Raises:
        AbsentError, GoneError, PauseError: it is not.
    """
    status = answer.status
    if status == 200:
        return
    if status == 410 or _AHEAD in answer.words:
        raise GoneError(status)
    what = f"{access.name}: the {verb} of {resource.full} is answered with {status}: {answer.words}"
    if status == 401:
        words = f"{access.name}: the server does not accept these credentials (401): {answer.words}"
        raise PauseError(f"{words}; {access.kubectl} auth whoami shows who they are", renew=True, code="401")
    if status == 403:
        raise PauseError(_missing(access, resource, verb, answer), slow=True, code="403")
    if status == 404 and resource.custom:
        # A server that does not know its definitions yet does not say this, but 503: "the request has been made before
        # all known HTTP paths have been installed".
        raise AbsentError
    if status == 404:
        words = f"{access.name}: the server has no {resource.full} (404): {answer.words}"
        raise PauseError(words, slow=True, code="404")
    raise PauseError(what, asked=seconds_asked(answer.retry_after, 0.0), code=str(status))


def _missing(access: Access, resource: Resource, verb: str, answer: Answer) -> str:
    scope, flag = (" in all namespaces", " -A") if resource.namespaced else ("", "")
    return (
        f"{access.name}: these credentials may not {verb} {resource.full}{scope} (403): {answer.words}; a ClusterRole "
        f"with the verbs list and watch on {resource.full} is missing, or its binding; "
        f"check with: {access.kubectl} auth can-i {verb} {resource.full}{flag}"
    )


def stream_error(access: Access, resource: Resource, text: msgspec.Raw | bytes) -> GoneError | PauseError:
    """What an event of type ERROR means."""
    try:
        said = _STATUS.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        said = _Status(message="it does not say which")
    if said.code == 410 or _AHEAD in said.message:
        return GoneError(said.code)
    words = Answer(said.code, bytes(text)).words
    asked = max(said.details.retryAfterSeconds, 0) if said.details is not None else 0
    words = f"{access.name}: the watch of {resource.full} ends with an error ({said.code}): {words}"
    return PauseError(words, asked=float(asked), code=str(said.code or "unreadable"))
