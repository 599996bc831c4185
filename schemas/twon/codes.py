"""The error codes of the 2N HTTP API: manual 2.x, chapter 2.3, and what clients of devices have met beyond it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from schemas.errors import OurFault, Refused, TryAgain, UpstreamError


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorCode:
    """What an error code means, and what to do.

    Attributes:
        kind: the error of ours that it becomes.
        advice: what a person can do; may be empty.
    """

    meaning: str
    kind: type[UpstreamError]
    advice: str = ""


_MODEL: Final = "the model does not have it, a licence is missing, or the service is disabled on the device"

ERROR_CODES: Final[Mapping[int, ErrorCode]] = {
    1: ErrorCode(meaning="function not supported", kind=Refused, advice=_MODEL),
    2: ErrorCode(meaning="invalid path", kind=OurFault, advice="the firmware may be too old for this function"),
    3: ErrorCode(meaning="invalid method", kind=OurFault),
    4: ErrorCode(meaning="function disabled", kind=Refused, advice=_MODEL),
    7: ErrorCode(meaning="HTTPS required", kind=OurFault, advice="let the device's address start with https://"),
    8: ErrorCode(
        meaning="wrong authentication method",
        kind=OurFault,
        advice="set this device's auth to what its service asks for: digest, basic or none",
    ),
    9: ErrorCode(
        meaning="authorization required", kind=OurFault, advice="check user and password of the device's API account"
    ),
    10: ErrorCode(
        meaning="insufficient privileges",
        kind=OurFault,
        advice="grant the API account the Access Control privilege, monitoring and control, in the device's settings",
    ),
    11: ErrorCode(meaning="missing parameter", kind=OurFault),
    12: ErrorCode(meaning="invalid parameter value", kind=OurFault),
    13: ErrorCode(meaning="parameter too big", kind=OurFault),
    14: ErrorCode(meaning="processing error", kind=TryAgain, advice="the device uses this code for many causes"),
    15: ErrorCode(meaning="no data available", kind=TryAgain),
    17: ErrorCode(meaning="parameter collision", kind=OurFault),
    18: ErrorCode(meaning="rejected", kind=Refused),
    19: ErrorCode(meaning="file version unsupported", kind=OurFault),
}
"""Every code that a source lists, of 1 to 19; none of them says that an earlier change is still under way."""

UNLISTED: Final = ErrorCode(meaning="a code that no document lists", kind=Refused)
