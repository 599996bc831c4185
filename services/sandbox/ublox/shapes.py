"""INVENTED: every answer whose members, text or status the document does not show. Nothing else is invented.

The document folds arrays and objects away, shows no success body for writes and no text for most refusals. Whoever
learns the real ones mends this file and no other. Group names and member names lean on the webhook samples.
"""

import math
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from services.sandbox.ublox.certificates import Authority, Certificate
from services.sandbox.ublox.devices import Device, Properties, Rotation, Step
from services.sandbox.ublox.fleet import Notice
from services.sandbox.ublox.timestamps import in_minutes, with_offset, with_z

Json = dict[str, Any]

DONE: Final[Json] = {"message": "Success"}
"""What a write answers; the document shows only its refusal."""

NO_SUCH_CALL: Final = "Not Found"
INVALID_SERIALS: Final = "Bad Request. Invalid SerialNumbers"
INVALID_DEVICE_SERIALS: Final = "Bad Request. Invalid DeviceSerialNumbers"
INVALID_TAGS: Final = "Bad Request. Invalid TagNames"
INVALID_CA: Final = "Bad Request. Invalid CAName"
NO_SUBSCRIPTION: Final = "Bad Request. Device Certificate Management subscription is not active"
NO_QUOTA: Final = "Bad Request. Quota exceeded for given ROTPublicUIDs"
UPDATE_UNDER_WAY: Final = "Bad Request. Device certificate update is in progress"
TOO_MANY: Final = "Too Many Requests"
UNAVAILABLE: Final = "Service Unavailable"
CONTINUOUS_SET: Final = "The continuous rotation has been set."

ALL_GROUPS: Final = ("CORE", "PROVISIONING", "ZTP")


def device_info(device: Device, groups: Collection[str], *, default_heartbeat: float) -> Json:
    """One item of ``DeviceInfo`` of ``/device/info/get``, with the groups that ``Options`` asked for."""
    made = {
        "CORE": lambda: _core(device),
        "PROVISIONING": lambda: _provisioning(device, default_heartbeat),
        "ZTP": lambda: _ztp(device.certificate),
    }
    return {"ROTPublicUID": device.uid, **{group: made[group]() for group in ALL_GROUPS if group in groups}}


def _core(device: Device) -> Json:
    return {
        "RotVersion": device.rot_version,
        "SerialNumber": device.serial_number,
        "Version": device.version,
        "DeviceSerialNumber": device.device_serial_number,
        "IMEI": device.imei,
        "DeviceProfileUID": device.profile_uid,
        "TypeNumber": device.type_number,
        "IsBlacklisted": device.blacklisted,
        "LastSeen": with_z(device.last_seen),
    }


def _provisioning(device: Device, default_heartbeat: float) -> Json:
    desired, current = device.desired, device.current
    return {
        "DesiredProperties": {
            "Authorizations": authorizations(device, "ModifiedDate"),
            "NetworkParameters": [network_parameter(desired, default_heartbeat)],
            "E2EKeyRotation": _rotation(desired.rotation),
            "Zerotouch": {"Action": desired.action.value} if desired.action else {},
        },
        "CurrentProperties": {
            "Authorizations": authorizations(device, "SyncDate"),
            "NetworkParameters": [_synced(network_parameter(current, default_heartbeat), current)],
            "E2EKeyRotation": _synced(_rotation(current.rotation), current),
            "Zerotouch": _synced({"Action": current.action.value} if current.action else {}, current),
        },
    }


def authorizations(device: Device, date: str) -> list[Json]:
    """The group that the webhook sample shows; ``DISABLED`` never occurs in the twin."""
    moment = with_offset(device.desired.changed_at if date == "ModifiedDate" else device.current.changed_at)
    return [{"Name": name, "State": "ENABLED", date: moment} for name in device.authorizations]


def network_parameter(properties: Properties, default_heartbeat: float) -> Json:
    """The security heartbeat, in whole seconds."""
    seconds = default_heartbeat if properties.heartbeat is None else properties.heartbeat
    return {"Name": "SecurityHeartbeatInSec", "Value": math.ceil(seconds)}


def _rotation(rotation: Rotation | None) -> Json:
    """The policy; the document has no way to read it back."""
    if rotation is None:
        return {}
    return {"Type": rotation.type} if rotation.days is None else {"Type": rotation.type, "Days": rotation.days}


def _synced(group: Json, properties: Properties) -> Json:
    return {**group, "SyncDate": with_offset(properties.changed_at)} if group else {}


def _ztp(certificate: Certificate | None) -> Json:
    if certificate is None:
        return {}
    return {
        "CertificateAuthorityName": certificate.authority.name,
        "CertificateSerialNumber": certificate.serial_text,
        "CertificateValidity": certificate.validity_days,
        "ExpirationDate": in_minutes(certificate.expires_at),
        "Certificate": certificate.pem,
    }


def root_ca(authority: Authority) -> Json:
    """One item of ``CAs`` of ``/ztp/rootca/get``: the members of the create sample and the renewal lead.

    The sample of ``/ztp/rootca/create`` prints the PEM's line ends as a backslash and an n, so this does too.
    """
    return {
        "CAName": authority.name,
        "CACertificateValidity": authority.validity_days,
        "DeviceCertificateValidity": authority.device_validity_days,
        "RenewBeforeExpiration": authority.renew_before_days,
        "Certificate": authority.pem.rstrip("\n").replace("\n", "\\n"),
        "CreatedDate": with_z(authority.created_at),
    }


def notification(notice: Notice) -> Json:
    """One item of ``Notifications`` of ``/notification/get``, with the payload that the webhook carried."""
    return {
        "ROTPublicUID": notice.uid,
        "NotificationType": notice.kind,
        "Timestamp": notice.document["Timestamp"],
        "Payload": notice.document["Payload"],
    }


def clone(uid: str, found_at: datetime) -> Json:
    """One item of ``ClonedEvents`` of ``/device/clone/get``."""
    return {"ROTPublicUID": uid, "Timestamp": with_z(found_at)}


def suspicious(uid: str) -> Json:
    """One item of ``SuspiciousDevices`` of ``/device/suspicious/get``, with one of the document's four reasons."""
    return {"ROTPublicUID": uid, "Reason": "DUPLICATED_DEV_SERIAL_NUM_SEALING"}


def activity(moment: datetime, step: Step) -> Json:
    """One item of ``Activities`` of ``/device/activity/get``."""
    return {"Timestamp": with_z(moment), "Command": step.value, "Result": "SUCCESS"}


def registrations(hooks: Sequence[tuple[str, str]]) -> list[Json]:
    """The bare array of ``/notification/webhook/get``; tokens are not given away."""
    return [{"NotificationURL": url, "NotificationType": event_type} for event_type, url in hooks]
