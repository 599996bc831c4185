"""The six events, exactly as the samples of ``/notification/webhook/create`` write them."""

from datetime import datetime
from typing import Any, Final

from schemas.events import EventType
from services.sandbox.ublox.authorities import Authority
from services.sandbox.ublox.certificates import Certificate, days_left
from services.sandbox.ublox.devices import Device
from services.sandbox.ublox.registers import UNATTRIBUTED
from services.sandbox.ublox.shapes import authorizations, zerotouch
from services.sandbox.ublox.timestamps import in_minutes, without_zone

Document = dict[str, Any]

SAMPLE_ERROR: Final = "Invalid KeySetId for device"

LOGGED_AS: Final = {
    EventType.BOOTSTRAP: "DEVICE_INFO_CHANGE",
    EventType.PROPERTIES_CHANGE: "DEVICE_PROPERTIES_CHANGE",
    EventType.ERRORS: "DEVICE_ERROR",
}
"""How ``/notification/get`` calls the same news; it has no word for certificates and root CAs."""

STATE_CHANGE: Final = "DEVICE_STATE_CHANGE"
"""``/notification/get`` alone tells of it."""


def bootstrap(device: Device, now: datetime, *, blacklisted: bool = False) -> Document:
    """The device registered with the server."""
    payload = {
        "RotVersion": device.rot_version,
        "SerialNumber": device.serial_number,
        "Version": device.version,
        "DeviceSerialNumber": device.device_serial_number,
        "IMEI": device.imei,
        "DeviceProfileUID": device.profile_uid or UNATTRIBUTED,
        "TypeNumber": device.type_number,
        "IsBlacklisted": blacklisted,
    }
    return _timed_first(device, EventType.BOOTSTRAP, now, payload)


def properties_change(device: Device, now: datetime) -> Document:
    """Desired properties became current; the sample shows the authorizations and no other group."""
    payload = {
        "DesiredProperties": {"Authorizations": authorizations(device, "ModifiedDate")},
        "CurrentProperties": {"Authorizations": authorizations(device, "SyncDate")},
    }
    return _timed_first(device, EventType.PROPERTIES_CHANGE, now, payload)


def zerotouch_change(device: Device, now: datetime) -> Document:
    """A certificate came, went or moved to another CA without having been renewed."""
    payload = {
        "DesiredProperties": {"Zerotouch": zerotouch(device, "ModifiedDate")},
        "CurrentProperties": {"Zerotouch": zerotouch(device, "SyncDate")},
    }
    return _timed_first(device, EventType.PROPERTIES_CHANGE, now, payload)


def error(device: Device, now: datetime, text: str) -> Document:
    """The device failed to act, or could not be reached."""
    return _typed_first(device, EventType.ERRORS, now, {"Error": text})


def renewal(device: Device, certificate: Certificate, now: datetime) -> Document:
    """A device certificate was renewed."""
    payload = {
        "CertificateAuthorityName": certificate.authority.name,
        "CertificateSerialNumber": certificate.serial_text,
        "CertificateValidity": certificate.validity_days,
        "ExpirationDate": in_minutes(certificate.expires_at),
    }
    return _typed_first(device, EventType.CERTIFICATE_RENEWAL, now, payload)


def expiration(device: Device, certificate: Certificate, now: datetime) -> Document:
    """A device certificate comes to its end."""
    payload = {
        "CertificateAuthorityName": certificate.authority.name,
        "CertificateSerialNumber": certificate.serial_text,
        "DaysToExpiration": days_left(certificate.expires_at, now),
        "ExpirationDate": in_minutes(certificate.expires_at),
    }
    return _typed_first(device, EventType.CERTIFICATE_EXPIRATION, now, payload)


def root_expiration(authority: Authority, now: datetime, provisioned: int) -> Document:
    """A root CA comes to its end; it names no device."""
    return {
        "EventType": EventType.ROOTCA_EXPIRATION.value,
        "Timestamp": in_minutes(now),
        "Payload": {
            "CertificateAuthorityName": authority.name,
            "DaysToExpiration": days_left(authority.expires_at, now),
            "ExpirationDate": without_zone(authority.expires_at),
            "ProvisionedDevicesCount": provisioned,
        },
    }


def _timed_first(device: Device, event_type: EventType, now: datetime, payload: Document) -> Document:
    return {
        "ROTPublicUID": device.uid,
        "Timestamp": without_zone(now),
        "EventType": event_type.value,
        "Payload": payload,
    }


def _typed_first(device: Device, event_type: EventType, now: datetime, payload: Document) -> Document:
    return {
        "ROTPublicUID": device.uid,
        "EventType": event_type.value,
        "Timestamp": in_minutes(now),
        "Payload": payload,
    }
