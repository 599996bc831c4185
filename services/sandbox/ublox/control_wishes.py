"""The bodies of the calls of the twin's own face."""

from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from schemas.events import EventType, canonical_uid
from services.sandbox.controls import Wish
from services.sandbox.ublox import notices
from services.sandbox.ublox.authorities import AUTHORITY_AGE
from services.sandbox.ublox.fleet import MOST_DEVICES
from services.sandbox.ublox.recruits import CA_DAYS_LEFT, DEFAULT_CA, DEFAULT_PROFILE, Recruits

Uid = Annotated[str, AfterValidator(canonical_uid)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]{1,45}$")]
Beats = Annotated[float, Field(ge=0.01, le=31_536_000)]
Life = Annotated[float, Field(ge=1, le=3650)]


def _rising(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] > limits[1]:
        raise ValueError("the first limit must not be greater than the second")
    return limits


class Recruit(Wish):
    """Body of ``POST /_twin/devices``, as `Recruits` says; `ca_days_left` counts only for a CA that does not exist yet.

    Without ``certificate_days`` and ``certificate_days_range`` a certificate has 365 days left; with one of them it is
    new, unless ``certificate_days_left`` says otherwise.
    """

    count: Annotated[int, Field(ge=1, le=MOST_DEVICES)]
    first: Uid | None = None
    heartbeat_seconds: Beats | Annotated[list[Beats], Field(min_length=1)] | None = None
    heartbeat_range: Annotated[tuple[Beats, Beats], AfterValidator(_rising)] | None = None
    certificate_days: Life | None = None
    certificate_days_range: Annotated[tuple[Life, Life], AfterValidator(_rising)] | None = None
    certificate_days_left: Annotated[float, Field(ge=-3650, le=3650)] | None = None
    ca_name: Name = DEFAULT_CA
    ca_days_left: Annotated[float, Field(gt=0, le=3650)] = CA_DAYS_LEFT
    tags: frozenset[Annotated[str, Field(min_length=1, max_length=255)]] = frozenset()
    blacklisted: bool = False
    bootstrapping: bool = False
    profile_uid: str | None = DEFAULT_PROFILE
    seed: int = 1

    @model_validator(mode="after")
    def _agreeing(self) -> "Recruit":
        beats = self.heartbeat_seconds
        if isinstance(beats, list) and len(beats) != self.count:
            raise ValueError("heartbeat_seconds must be one figure, or as many as there are devices")
        if beats is not None and self.heartbeat_range is not None:
            raise ValueError("give heartbeat_seconds or heartbeat_range")
        if self.certificate_days is not None and self.certificate_days_range is not None:
            raise ValueError("give certificate_days or certificate_days_range")
        return self

    def recruits(self) -> Recruits:
        """The same in the twin's own words."""
        beats, left = self.heartbeat_seconds, self.certificate_days_left
        new = self.certificate_days is not None or self.certificate_days_range is not None
        wishes = self.model_dump() | {
            "heartbeat_seconds": tuple(beats) if isinstance(beats, list) else beats,
            "certificate_days_left": 365 if left is None and not new else left,
        }
        return Recruits(**wishes)


class Found(Wish):
    """Body of ``POST /_twin/authorities``: a CA that has been there for long and ends at a given time."""

    name: Name
    expires_at: AwareDatetime
    age_days: Annotated[int, Field(ge=1, le=3650)] = AUTHORITY_AGE.days
    device_validity_days: Annotated[int, Field(ge=1, le=3650)] = 365
    renew_before_days: Annotated[int, Field(ge=1, le=365)] | None = 30


class NewProfile(Wish):
    """Body of ``POST /_twin/profiles``: makes a device profile, or says anew what it is, and seals it into devices."""

    uid: Annotated[str, Field(min_length=1, max_length=64)]
    name: Annotated[str, Field(min_length=1, max_length=255)]
    ca_name: Name | None = None
    devices: list[Uid] = Field(default_factory=list)


class Forward(Wish):
    """Body of ``POST /_twin/clock``."""

    forward_seconds: Annotated[float, Field(ge=0, le=3_155_760_000)]


class Chosen(Wish):
    """Body of ``POST /_twin/heartbeat`` and ``/_twin/bootstrap``: an ad-hoc heartbeat, as one started on the device
    itself, or a device that registers anew.
    """

    devices: list[Uid]


class Fire(Wish):
    """Body of ``POST /_twin/fire``; `rate` in events per second spreads them out, else they go at once."""

    type: EventType
    devices: list[Uid] = Field(default_factory=list)
    rate: Annotated[float, Field(gt=0, le=100_000)] | None = None
    error: str = notices.SAMPLE_ERROR
    ca_name: Name = DEFAULT_CA
