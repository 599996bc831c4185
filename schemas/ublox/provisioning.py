"""What may be set on devices and profiles, as we ask for it and as we read it.

Source: Security Services REST APIs 1.1.29, ``/device/provisioning/set``, ``/deviceprofile/bootstrapprovisioning/set``
and the sample of ``DEVICE_PROPERTIES_CHANGE_EVENT``. The document folds the object ``Provisioning`` away: its members'
names come from prose and from that sample, ``DISABLED`` and the place of the heartbeat are taken from nowhere better.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.ublox.reading import Index, as_whole, first_uid, items, mappings, values_of
from schemas.ublox.words import LONGEST_DAYS

HEARTBEAT: Final = "SecurityHeartbeatInSec"


class Authorization(StrEnum):
    """What can be enabled and disabled; ``Evaluation`` may be told of, but not set."""

    DATA_PROTECTION = "LocalDPR"
    CHIP_TO_CHIP = "LocalC2C"
    KEY_PAIRING = "LocalC2CKeyPairing"
    ZERO_TOUCH = "ZTPV1"


class AuthorizationState(StrEnum):
    """How an authorization is written; the samples show only the first."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"


class Provisioning(BaseModel):
    """The authorizations and the security heartbeat to be set; what is not named stays as it is.

    Attributes:
        authorizations: True enables, False disables.
        heartbeat_seconds: the security heartbeat; the document has no bounds for it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    authorizations: dict[Authorization, bool] = Field(default_factory=dict)
    heartbeat_seconds: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.authorizations and self.heartbeat_seconds is None:
            raise ValueError(
                "name an authorization or the heartbeat; to take everything back there is a call of its own"
            )
        return self

    def written(self) -> dict[str, Any]:
        """Give the object as it is sent."""
        body: dict[str, Any] = {}
        if self.authorizations:
            state = {True: AuthorizationState.ENABLED.value, False: AuthorizationState.DISABLED.value}
            body["Authorizations"] = [
                {"Name": name.value, "State": state[enabled]} for name, enabled in self.authorizations.items()
            ]
        if self.heartbeat_seconds is not None:
            body["NetworkParameters"] = [{"Name": HEARTBEAT, "Value": self.heartbeat_seconds}]
        return body


@dataclass(frozen=True, kw_only=True, slots=True)
class ProvisioningLook:
    """What is set, or shall be; None and absent names are what the answer does not say.

    Attributes:
        raw: as sent.
    """

    authorizations: Mapping[str, bool] = field(default_factory=dict)
    heartbeat: timedelta | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def read_properties(group: object) -> ProvisioningLook:
    """Read a group of properties, such as ``DesiredProperties``, whatever its shape."""
    index = Index(group)
    return ProvisioningLook(
        authorizations=dict(reversed(list(_authorizations(index)))),
        heartbeat=next(_heartbeats(index), None),
        raw=group if isinstance(group, dict) else {},
    )


def read_provisioning(document: object) -> dict[str, ProvisioningLook]:
    """Read the bare array of ``/device/provisioning/get``, by ROTPublicUID; items that name no device are skipped."""
    named = ((first_uid(item), item) for item in items(document, "Provisioning"))
    return {uid: read_properties(_desired(item)) for uid, item in named if uid is not None}


def _desired(item: object) -> object:
    return next(values_of(item, "DesiredProperties"), item)


def _authorizations(group: Index) -> Iterator[tuple[str, bool]]:
    """Read items of Name and State, or names with their states."""
    for found in values_of(group, "Authorizations"):
        for mapping in mappings(found):
            own = {name.lower(): value for name, value in mapping.items()}
            pairs = [(own["name"], own.get("state"))] if "name" in own else list(mapping.items())
            for name, told in pairs:
                state = _enabled(told)
                if isinstance(name, str) and state is not None:
                    yield name, state


def _enabled(told: object) -> bool | None:
    if isinstance(told, bool):
        return told
    states = {AuthorizationState.ENABLED.value: True, AuthorizationState.DISABLED.value: False}
    return states.get(told.upper()) if isinstance(told, str) else None


def _heartbeats(group: Index) -> Iterator[timedelta]:
    """Read the heartbeat as a member of that name, or as an item of Name and Value."""
    for own in group.lowered:
        told = own.get("value") if own.get("name") == HEARTBEAT else own.get(HEARTBEAT.lower())
        seconds = as_whole(told)
        if seconds and seconds <= LONGEST_DAYS * 86_400:
            yield timedelta(seconds=seconds)
