"""INVENTED: members of devices, their properties, profiles and the whitelist.

Group names and member names lean on the webhook samples.
"""

import math
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

from services.sandbox.ublox.certificates import Certificate
from services.sandbox.ublox.devices import Device, Properties, Rotation
from services.sandbox.ublox.registers import UNATTRIBUTED, Profile
from services.sandbox.ublox.timestamps import in_minutes, with_offset, with_z

Json = dict[str, Any]

ALL_GROUPS: Final = ("CORE", "PROVISIONING", "ZTP")


def device_info(
    device: Device,
    groups: Collection[str],
    *,
    default_heartbeat: float,
    last_seen: datetime | None = None,
    blacklisted: bool = False,
) -> Json:
    """One item of ``DeviceInfo`` of ``/device/info/get``, with the groups that ``Options`` asked for."""
    made = {
        "CORE": lambda: _core(device, last_seen or device.last_seen, blacklisted=blacklisted),
        "PROVISIONING": lambda: provisioning(device, default_heartbeat),
        "ZTP": lambda: _ztp(device.certificate),
    }
    return {"ROTPublicUID": device.uid, **{group: made[group]() for group in ALL_GROUPS if group in groups}}


def _core(device: Device, last_seen: datetime, *, blacklisted: bool) -> Json:
    return {
        "RotVersion": device.rot_version,
        "SerialNumber": device.serial_number,
        "Version": device.version,
        "DeviceSerialNumber": device.device_serial_number,
        "IMEI": device.imei,
        "DeviceProfileUID": device.profile_uid or UNATTRIBUTED,
        "TypeNumber": device.type_number,
        "IsBlacklisted": blacklisted,
        "State": device.state.value,
        "LastSeen": with_z(last_seen),
    }


def provisioning(device: Device, default_heartbeat: float) -> Json:
    """Desired and current properties, also without a PEM the dearest part of an answer."""
    desired, current = device.desired, device.current
    return {
        "DesiredProperties": {
            "Authorizations": authorizations(device, "ModifiedDate"),
            "NetworkParameters": [network_parameter(desired, default_heartbeat)],
            "E2EKeyRotation": _rotation(desired.rotation),
            "Zerotouch": zerotouch(device, "ModifiedDate") if device.wish else {},
        },
        "CurrentProperties": {
            "Authorizations": authorizations(device, "SyncDate"),
            "NetworkParameters": [_synced(network_parameter(current, default_heartbeat), current)],
            "E2EKeyRotation": _synced(_rotation(current.rotation), current),
            "Zerotouch": zerotouch(device, "SyncDate"),
        },
    }


def desired_provisioning(device: Device, default_heartbeat: float) -> Json:
    """One item of the bare array of ``/device/provisioning/get``: what is to be set."""
    return {
        "ROTPublicUID": device.uid,
        "DesiredProperties": {
            "Authorizations": authorizations(device, "ModifiedDate"),
            "NetworkParameters": [network_parameter(device.desired, default_heartbeat)],
        },
    }


def authorizations(device: Device, date: str) -> list[Json]:
    """The group that the webhook sample shows; ``DISABLED`` occurs in prose only."""
    properties = device.desired if date == "ModifiedDate" else device.current
    return _states(properties.authorizations, date, properties.changed_at)


def _states(granted: Mapping[str, bool], date: str, moment: datetime) -> list[Json]:
    written = with_offset(moment)
    return [
        {"Name": name, "State": "ENABLED" if enabled else "DISABLED", date: written}
        for name, enabled in granted.items()
    ]


def zerotouch(device: Device, date: str) -> Json:
    """The group that tells which certificate action waits (desired) or was done last (current), and with which CA."""
    if date == "ModifiedDate":
        wish, certificate = device.wish, None
        action, authority = (wish.action, wish.authority) if wish else (None, None)
    else:
        action, certificate = device.current.action, device.certificate
        authority = certificate.authority if certificate else None
    if action is None:
        return {}
    moment = device.desired.changed_at if date == "ModifiedDate" else device.current.changed_at
    named = {"CAName": authority.name} if authority else {}
    return {"Action": action.value, **named, date: with_offset(moment)}


def network_parameter(properties: Properties, default_heartbeat: float) -> Json:
    """The security heartbeat, in whole seconds."""
    return _heartbeat(default_heartbeat if properties.heartbeat is None else properties.heartbeat)


def _heartbeat(seconds: float) -> Json:
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


def uid_as_sampled(uid: str) -> int | str:
    """A UID as the samples of ``/e2e`` print it: a number without its leading zeros, where its digits are all decimal.

    The key of ``/device/usage/get`` has lost them too.
    """
    return int(uid) if uid.isdecimal() else uid


def state_change(device: Device) -> Json:
    """The payload of a ``DEVICE_STATE_CHANGE`` of ``/notification/get``."""
    return {"State": device.state.value}


def profile(one: Profile) -> Json:
    """One item of ``DeviceProfiles`` of ``/deviceprofile/get``."""
    linked = {"CAName": one.ca_name} if one.ca_name else {}
    return {
        "DeviceProfileUID": one.uid,
        "ProfileName": one.name,
        "TagNames": sorted(one.tags),
        **linked,
        "CreatedDate": with_z(one.created_at),
    }


def bootstrap_provisioning(one: Profile) -> Json:
    """``DesiredProperties`` of ``/deviceprofile/bootstrapprovisioning/get``; empty when nothing was set."""
    if one.changed_at is None:
        return {}
    parameters = [] if one.heartbeat is None else [_heartbeat(one.heartbeat)]
    return {
        "Authorizations": _states(one.authorizations or {}, "ModifiedDate", one.changed_at),
        "NetworkParameters": parameters,
    }


def whitelisted(uid: str | None, imei: str | None, added_at: datetime) -> Json:
    """One item of ``DeviceWhitelist`` of ``/device/whitelist/get``."""
    named = {"ROTPublicUID": uid} if uid else {"IMEI": imei}
    return {**named, "AddedDate": with_z(added_at)}
