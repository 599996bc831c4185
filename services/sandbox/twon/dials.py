"""The dials of a device's twin: what a tester may turn to make it slow, broken, absent, forgetful or strict."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from services.sandbox.twon.open_points import OpenPoints

_LONGEST: Final = 86_400
_REQUESTS: Final = r"^(|GET|POST|PUT|DELETE|((GET|POST|PUT|DELETE) )?/api/[a-z/]+)$"


class Offline(StrEnum):
    """How a device is off the network. Its Bluetooth goes on, with the keys that it has."""

    NO = "no"

    SILENT = "silent"
    """Connections are accepted and never answered, not even with a TLS handshake."""

    REFUSED = "refused"
    """Nobody listens."""


class Privilege(StrEnum):
    """A group of privileges of an API account."""

    SYSTEM = "system"
    ACCESS_CONTROL = "access_control"
    SWITCH = "switch"
    IO = "io"


class Deed(StrEnum):
    """What a strike does to a request that has passed the login."""

    REFUSE = "refuse"
    """It is answered with the error `code` and not carried out."""

    HTML = "html"
    """It is answered with a web page and not carried out."""

    TEXT = "text"
    """It is carried out and its JSON answered as ``text/plain``."""

    FORGET = "forget"
    """A PUT is answered with success and not carried out."""

    CUT = "cut"
    """The connection ends instead of an answer, and it is not carried out."""

    CUT_AFTER = "cut_after"
    """It is carried out, then the connection ends instead of an answer."""

    MUTE = "mute"
    """It is never answered nor carried out, and the connection stays."""

    MUTE_AFTER = "mute_after"
    """It is carried out and never answered, and the connection stays."""

    STALE = "stale"
    """Its login counts no more, for its nonce is too old: 401 with ``stale=true``, and it is not carried out."""

    REBOOT = "reboot"
    """The device restarts without having carried it out."""

    REBOOT_AFTER = "reboot_after"
    """The device restarts when it is carried out, before the answer."""


class Strike(BaseModel):
    """A fault that strikes some requests.

    Attributes:
        do: what happens.
        on: a path, a method, or both with a space between; empty means every request of the API.
        skip: so many such requests go by unharmed first.
        times: so many are struck, then it is spent; None never ends.
        share: the part of them that is struck, 0 to 1; those that are not struck count for neither number.
        code: of a refusal.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    do: Deed
    on: Annotated[str, Field(pattern=_REQUESTS)] = ""
    skip: Annotated[int, Field(ge=0)] = 0
    times: Annotated[int, Field(ge=1)] | None = 1
    share: Annotated[float, Field(gt=0, le=1)] = 1
    code: Annotated[int, Field(ge=0, le=999)] = 14


class Dials(OpenPoints):
    """Every dial, with the setting in which the twin behaves as the manual says."""

    seed: int = 1
    """Start of the random generator; turning any dial starts it afresh, so a run can be repeated."""

    latency_ms: float = Field(default=0, ge=0, le=600_000)
    """Holds every answer back so long; the request has taken effect before."""

    offline: Offline = Offline.NO

    strikes: tuple[Strike, ...] = ()
    """Faults; the first that fits a request strikes it. Turning this dial starts their counts afresh."""

    nonce_uses: Annotated[int, Field(ge=1)] = 1000
    """So many requests may use a Digest nonce; then it is stale."""

    nonce_seconds: Annotated[float, Field(gt=0, le=_LONGEST)] = 300
    """How old a nonce may be; then it is stale."""

    https_required: bool = False
    """The transport rule of the services is HTTPS: over plain HTTP all is refused (7)."""

    privileges: frozenset[Privilege] = frozenset(Privilege)
    """What the account may do; a function without its privilege is refused (10)."""

    refused: dict[str, Annotated[int, Field(ge=0, le=999)]] = Field(default={})
    """Error codes by path, such as 4 for a service that is switched off."""

    reboot_seconds: float = Field(default=0.1, ge=0, le=_LONGEST)
    """How long a restart takes; the device cannot be reached meanwhile, not by a phone either."""
