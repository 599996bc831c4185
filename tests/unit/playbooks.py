"""Operations, events and pieces of TOML that the tests of the playbook share."""

from collections.abc import Mapping
from typing import Any, Final, Literal

import pytest
from pydantic import BaseModel, Field

from schemas.errors import InputError
from schemas.events import Notification
from services.playbook import Playbook, load_playbook

DEVICE: Final = "135700008928c093"


class RotateE2EKey(BaseModel):
    """As the real operation has it."""

    type: Literal["AUTOMATIC", "CONTINUOUS"] = "AUTOMATIC"
    days: int = Field(default=7, ge=1, le=30)
    even_if_set: bool = False


class RenewCertificate(BaseModel):
    """As the real operation has it."""

    validity_days: int = Field(default=365, ge=30, le=3650)
    when: Literal["now", "in time"] = "now"


class Certificate(BaseModel):
    """As the real operations on certificates have it."""

    after_revocation: bool = False


class SetWhitelist(BaseModel):
    """As the real operation has it."""

    listed: bool


class SetProvisioning(BaseModel):
    """As the real operation has it."""


class RollRootCa(BaseModel):
    """As the real operation has it."""

    new_ca: str | None = None


class ReconfigureTap(BaseModel):
    """As the real operation has it."""


class RotateMobileKey(BaseModel):
    """As the real operation has it."""

    at_most_every_days: int = Field(default=30, ge=0)


class RegisterToken(BaseModel):
    """As the real operation has it."""


class Drifting(BaseModel):
    """An operation without a default."""

    share: float


OPERATIONS: Final[Mapping[str, type[BaseModel]]] = {
    "ublox.rotate_e2e_key": RotateE2EKey,
    "ublox.renew_certificate": RenewCertificate,
    "ublox.replace_certificate": Certificate,
    "ublox.revoke_certificate": Certificate,
    "ublox.transfer_root_ca": Certificate,
    "ublox.delete_certificate": Certificate,
    "ublox.set_whitelist": SetWhitelist,
    "ublox.set_provisioning": SetProvisioning,
    "ublox.roll_root_ca": RollRootCa,
    "tap.reconfigure": ReconfigureTap,
    "twon.rotate_mobile_key": RotateMobileKey,
    "centagate.register_token": RegisterToken,
    "test.drift": Drifting,
}


def event(kind: str, payload: Mapping[str, Any] | None = None, *, device: str | None = DEVICE) -> Notification:
    return Notification(event_type=kind, device=device, occurred_at=None, payload=payload or {})


def load(text: str) -> Playbook:
    return load_playbook(text, operations=OPERATIONS)


def load_or_faults(text: str) -> Playbook | list[str]:
    try:
        return load(text)
    except InputError as error:
        return list(error.faults)


def faults_of(text: str) -> str:
    with pytest.raises(InputError) as caught:
        load(text)
    return "\n".join(caught.value.faults)


def one_rule(body: str, *, trigger: str = 'event = "DEVICE_BOOTSTRAP_EVENT"', name: str = "one") -> str:
    return f'[[rules]]\nname = "{name}"\non = {{ {trigger} }}\n{body}\n'


def playbook(*rules: str) -> str:
    return "\n".join(["version = 1", *rules])
