"""Wishes and a Tap that the tests of the plan share."""

from typing import Any

from pydantic import SecretStr

from schemas.references import EnvironmentReference, SecretReference
from schemas.tap import ADMIN
from services.clients.tap.enumerations import HostProtocol
from services.operations.tap_plan import Actual

ADMINS: list[dict[str, Any]] = [
    {"name": "admin", "password": {"env": "ADMIN_PASSWORD"}},
    {"name": "supervisor", "password": {"env": "SUPERVISOR_PASSWORD"}},
]
ALL = HostProtocol.NFC | HostProtocol.WIFI | HostProtocol.BLE | HostProtocol.MQTT
HERE = Actual(firmware="1.113", version="1.0.0", transport=HostProtocol.WIFI, available=ALL, groups=frozenset({ADMIN}))


def reveal(reference: SecretReference) -> SecretStr:
    assert isinstance(reference, EnvironmentReference)
    pem = reference.env.startswith("PEM")
    return SecretStr(f"-----BEGIN {reference.env}" if pem else f"secret of {reference.env}")
