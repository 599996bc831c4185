"""What the errors of the protocol mean for whoever asked: the result code decides (Tap protocol notes §4)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from schemas.errors import OurFault, Refused, TryAgain, UpstreamError
from services.clients.tap.errors import DeviceRefusal, LocalProtocolError, RemoteProtocolError, TapError
from services.clients.tap.status import Status

PAUSE: Final = 5.0
"""Seconds to leave a Tap alone that is busy; no document names a figure."""

PASSING: Final = frozenset(
    {
        Status.BUSY,
        Status.INTERNAL_SERVER_ERROR,
        Status.SERVICE_UNAVAILABLE,
        Status.UNABLE_TO_CONNECT_TO_TARGET,
        Status.TARGET_POWER_FAILURE,
        Status.DEVICE_UNAVAILABLE,
        Status.TARGET_PROTOCOL_BUSY,
        Status.TARGET_PROTOCOL_DATA,
        Status.TARGET_PROTOCOL_COM,
        Status.TARGET_PROTOCOL_LOST_COM,
    }
)
"""Codes of passing trouble."""

OURS: Final[Mapping[int, str]] = {
    Status.BAD_REQUEST: "the Tap does not understand us",
    Status.UNAUTHORIZED: "log in as somebody who may do this",
}
"""Codes that blame the request or whoever is logged in; any other failure is a refusal for good."""


def upstream_error(error: TapError, call: str) -> UpstreamError:
    """Name what to do about an error of the protocol.

    Args:
        error: of the protocol core.
        call: what was called, such as ``PUT /1024//25``.
    """
    match error:
        case DeviceRefusal():
            return refusal(str(error), error.status, call=call)
        case LocalProtocolError():
            return OurFault(str(error), call=call, sent=False)
        case RemoteProtocolError():
            return Refused(f"{call}: an answer that means nothing: {error}", call=call)
        case _:
            return OurFault(str(error), call=call)


def refusal(text: str, status: int, *, call: str) -> UpstreamError:
    """Name what to do about a result code that is not a success, or is BUSY."""
    if status in PASSING:
        return TryAgain(text, call=call, status=status, retry_after=PAUSE)
    if status in OURS:
        return OurFault(f"{text} ({OURS[status]})", call=call, status=status)
    return Refused(text, call=call, status=status)


@contextmanager
def told_as_upstream(call: str) -> Iterator[None]:
    """Turn the errors of the protocol core into ours.

    Raises:
        TryAgain: passing trouble.
        Refused: the Tap says no for good, or what it says means nothing.
        OurFault: the request cannot be made like this, or not by this user.
    """
    try:
        yield
    except TapError as error:
        raise upstream_error(error, call) from None
