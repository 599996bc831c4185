"""What 2N's manual leaves open, how the twin decides it, and the dials that turn each decision the other way.

Decided here without a dial, for nothing that we do depends on them:

* Error codes 8 and 9 come with HTTP status 401, all others with 200; the manual allows both for every code.
* HTTPS required (7) is checked before the login, the path (2), the method (3), the service (4) and the privileges (10)
  after it, in this order.
* An authorization whose ``nc`` was used before with its nonce is refused with a fresh challenge, without ``stale``.
* A body that is not JSON is a processing error (14); JSON of the wrong shape is an invalid value (12) of its member.
* ``key`` and ``keys`` in one PUT collide (17). A PUT with neither leaves the keys alone; ``{}`` changes nothing.
* An empty object in ``keys`` is an invalid key like any other. A key that stands twice in the list is kept twice.
* ``ctime`` 0 is the 1970 of the web page, so it is as good as none.
* From 2.50 on an ECC key is SEC1 on the curve P-256, in Base64. Before, only RSA is known.
* A write of the configuration is one ``ConfigurationChanged`` event.
* Parameters travel in the query or in an urlencoded body; the twin reads no multipart body.
* Firmware below 2.50 keeps 500 events, later firmware 10 000: the manuals of 2.16 and of today say these numbers.
* ``MobKeyEntered`` wants the privilege Access Control; without it the event is left out in silence.
* A channel lives for at least a second; the manual names the most (3600) and the usual (90) only.
* A phone with an unknown key leaves a ``MobKeyEntered`` with ``valid`` false, one without a key for the location none.
* A phone is moved to the primary key within the visit. Where the first place is empty, nobody is moved.
"""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

RSA_BITS: Final = 1024
"""The manual says "use 1024-bit keys"; what a device does with others is not said. The twin drops them in silence."""

UNAUTHORIZED_CODES: Final = frozenset({8, 9})
"""Error codes that come with HTTP status 401."""


class InvalidKey(StrEnum):
    """What becomes of the place of a key that was dropped in silence."""

    CLOSED_UP = "closed_up"
    """The keys behind it move forward."""

    HOLE = "hole"
    """Its place is empty, also the first."""

    FORMER = "former"
    """Its place keeps what stood there before."""


class SingleKey(StrEnum):
    """What becomes of the former primary when a PUT brings ``key`` alone."""

    SHIFTED = "shifted"
    """It is the first secondary, and the oldest key falls out, as the web page's "generate" does."""

    OVERWRITTEN = "overwritten"
    """It is gone."""

    UNKNOWN = "unknown"
    """The firmware does not know the member and leaves everything as it is."""


class FifthKey(StrEnum):
    """What becomes of a list of more than four keys."""

    REFUSED = "refused"
    """The PUT is refused (12)."""

    CUT_OFF = "cut_off"
    """The first four are taken."""


class PublicEncoding(StrEnum):
    """What the bytes of an RSA ``publicKey`` are."""

    SPKI = "spki"
    PKCS1 = "pkcs1"


class OpenPoints(BaseModel):
    """The decisions that somebody may want to see turned the other way."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    invalid_key: InvalidKey = InvalidKey.CLOSED_UP
    single_key: SingleKey = SingleKey.SHIFTED
    fifth_key: FifthKey = FifthKey.REFUSED
    public_encoding: PublicEncoding = PublicEncoding.SPKI

    ctime_shift: Annotated[int, Field(ge=-(2**31), le=2**31)] = 0
    """Seconds by which a returned ``ctime`` differs from the one sent: +148 and +1851 in the manual's own samples."""
