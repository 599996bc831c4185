"""The dials of a Tap's twin: what a tester may turn to make it slow, broken, forgetful or absent."""

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.clients.tap.errors import LocalProtocolError
from services.clients.tap.events import Method, Request
from services.clients.tap.paths import Path

Share = Annotated[float, Field(ge=0, le=1)]
"""A part of the requests: 0 is never, 1 is always."""

_LONGEST: Final = 86_400


def _known_place(text: str) -> str:
    """Check ``/1024//16`` or ``PUT /1024//16``.

    Raises:
        ValueError: it is neither.
    """
    method, _, path = text.rpartition(" ")
    if method and method not in Method.__members__:
        raise ValueError(f"{method!r} is no method")
    try:
        return f"{method} {Path.parse(path)}".strip()
    except LocalProtocolError as error:
        raise ValueError(str(error)) from None


Place = Annotated[str, AfterValidator(_known_place)]
"""A path, of any method or, with the method before it, of one."""

Code = Annotated[int, Field(ge=0, le=255)]


class Dials(BaseModel):
    """Every dial, with the setting in which the twin behaves as the notes say."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    seed: int = 1
    """Start of the random generator; turning any dial starts it afresh, so a run can be repeated."""

    delay_ms: float = Field(default=0, ge=0, le=600_000)
    """Holds every answer back so long; the request has taken effect before."""

    split_rate: Share = 0
    """Share of the answers that come in two pieces (over TCP only; a relay message is whole)."""

    split_gap_ms: float = Field(default=40, ge=0, le=60_000)
    """Between the two pieces."""

    drop_rate: Share = 0
    """Share of the requests at which the line breaks instead of an answer."""

    drops_after_acting: bool = True
    """Whether such a request has taken effect."""

    mute_rate: Share = 0
    """Share of the requests that take effect and are never answered, though the line stays."""

    wrong_crc_rate: Share = 0
    """Share of the answers whose checksum is wrong: of the sealed frame, and of the relay packet around a clear one."""

    busy_rate: Share = 0
    """Share of the requests, those of a login apart, that are answered BUSY and not carried out (notes §4)."""

    refused: dict[Place, Code] = {}
    """Result codes by place: that request is answered so and not carried out."""

    reboot_at_write: int | None = Field(default=None, ge=1)
    """The Tap restarts in the middle of the n-th write from now on, without an answer; then the dial is spent."""

    reboot_before_write: bool = False
    """True: that write is lost. False: it has taken effect."""

    reboot_seconds: float = Field(default=0.1, ge=0, le=_LONGEST)
    """How long a restart takes; the Tap cannot be reached meanwhile."""

    unreachable_seconds: float = Field(default=0, ge=0, le=_LONGEST)
    """Turned, the Tap is away for so long from that moment, with its memory intact; turned to 0, it is back."""

    locked_out: bool = False
    """Every login is refused as one too many."""

    lockout_after: int = Field(default=5, ge=0, le=1000)
    """So many failed logins of one user in a row lock that user out; 0 never does."""

    lockout_seconds: float = Field(default=30, ge=0, le=_LONGEST)
    """How long a user stays locked out."""

    initialize_nfc_only: bool = False
    """The vendor's page allows ``/1024//47`` over NFC only, its own client calls it anywhere; True follows the page."""

    relay_echoes: bool = True
    """Whether an answer on the relay carries the reference of its request, or one that the Tap counts itself."""

    networks: frozenset[str] | None = None
    """The Wi-Fi networks that exist: from a restart on, a Tap that joins another cannot be reached over TCP."""

    def refusal(self, request: Request) -> int | None:
        """Give the result code with which this request is refused, or None."""
        if not self.refused:
            return None
        by_method = self.refused.get(str(request))
        return self.refused.get(str(request.path)) if by_method is None else by_method
