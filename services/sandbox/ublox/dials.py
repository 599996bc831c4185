"""The dials of the twin: what a tester may turn to make the service slow, broken or forgetful."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from schemas.events import canonical_uid

Share = Annotated[float, Field(ge=0, le=1)]
"""A part of the calls or deliveries: 0 is never, 1 is always."""

Uids = frozenset[Annotated[str, AfterValidator(canonical_uid)]]


class Scheme(StrEnum):
    """How the ``Authorization`` header must look: the document says bearer, u-blox's own script sends a bare token."""

    BOTH = "both"
    BEARER = "bearer"
    BARE = "bare"


class SilencePeriod(BaseModel):
    """A time in which a device sends no heartbeat; ``until`` is not part of it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True, serialize_by_alias=True)

    uid: Annotated[str, AfterValidator(canonical_uid)]
    start: AwareDatetime = Field(alias="from")
    end: AwareDatetime = Field(alias="until")

    @model_validator(mode="after")
    def _in_order(self) -> "SilencePeriod":
        if self.end <= self.start:
            raise ValueError("until must come after from")
        return self


class Dials(BaseModel):
    """Every dial, with the setting in which the twin behaves as the document says."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    seed: int = 1
    """Start of the random generator; turning any dial starts it afresh, so a run can be repeated."""

    latency_ms: float = Field(default=0, ge=0, le=600_000)
    """Waits so long before a call takes effect."""

    error_rate: Share = 0
    """Share of the calls that are answered 503."""

    errors_after_acting: bool = False
    """True: a call that is answered 503 took effect all the same."""

    hang_seconds: float = Field(default=0, ge=0, le=86_400)
    """The call takes effect at once and its answer is held back so long."""

    hang_rate: Share = 1
    """Share of the calls whose answer is held back while `hang_seconds` is not 0."""

    unauthorized_rate: Share = 0
    """Share of the authorised calls that are answered 401 although the token is good."""

    rate_limit: int | None = Field(default=None, ge=0)
    """Calls per second; the rest is answered 429."""

    retry_after_seconds: int = Field(default=1, ge=0)
    """What a 429 says in ``Retry-After``."""

    authorization: Scheme = Scheme.BOTH
    token_life_seconds: int = Field(default=3600, ge=0, le=86_400)
    """Life of an AuthToken; 0 makes tokens that are over when they arrive."""

    refused_devices: Uids = frozenset()
    """Every call that names one of them is refused as a whole."""

    silent_devices: Uids = frozenset()
    """They never send a heartbeat."""

    silences: tuple[SilencePeriod, ...] = ()
    """Devices that send none for a time."""

    heartbeat_seconds: float = Field(default=2, ge=0.01, le=31_536_000)
    """Heartbeat of every device that has no interval of its own."""

    subscription_active: bool = True
    """The Device Certificate Management subscription."""

    certificate_quota: int | None = Field(default=None, ge=0)
    """How many certificates may be renewed or updated for each device."""

    automatic_renewal: bool = False
    """Whether devices renew at the first heartbeat after their CA's ``RenewBeforeExpiration`` has come."""

    most_authorities: int = Field(default=15, ge=0)
    """Root CAs that ``/ztp/rootca/create`` makes at most; u-blox's guide names 15."""

    cloned_devices: Uids = frozenset()
    suspicious_devices: Uids = frozenset()
    """What ``/device/clone/get`` and ``/device/suspicious/get`` tell of."""

    lost_webhooks: Share = 0
    doubled_webhooks: Share = 0
    webhook_retries: int = Field(default=0, ge=0, le=10)
    """Further tries after a delivery that was not answered 2xx; the document promises none."""
