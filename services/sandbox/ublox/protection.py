"""INVENTED: the keys of end-to-end protection, in the members and lengths of the document's samples.

Nothing decrypts with them; the same question gets the same key until the rotation policy changes it.
"""

import hashlib
from base64 import b64encode
from datetime import datetime, timedelta
from typing import Any, Final

from services.sandbox.ublox.devices import Device
from services.sandbox.ublox.shapes import uid_as_sampled

Json = dict[str, Any]

_KEY_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_EPOCH: Final = datetime.fromisoformat("2020-01-01T00:00:00+00:00")
_UPLINK_SUITE: Final = "AES_128_CCM"
_DOWNLINK_SUITE: Final = "AES_128_CS1_HMAC_SHA256"


def symmetric_key(device: Device, key_id: bytes, *, bits: int) -> Json:
    """The sample has these two members."""
    return {"Key": _made(device, "session", key_id, size=bits // 8), "ROTPublicUID": uid_as_sampled(device.uid)}


def uplink_protection(device: Device, header: bytes) -> Json:
    """What decrypts one message of a device."""
    return {
        "Nonce": _made(device, "nonce", header, size=_NONCE_BYTES),
        "MACLength": 128,
        "CipherSuite": _UPLINK_SUITE,
        "Key": _made(device, "uplink", header),
        "KIV": _made(device, "kiv", header),
        "ROTPublicUID": uid_as_sampled(device.uid),
    }


def uplink_integrity(device: Device, header: bytes) -> Json:
    """What checks one message of a device."""
    return {
        "MACLength": 128,
        "CipherSuite": _UPLINK_SUITE,
        "AuthenticationKey": _made(device, "uplink-authentication", header),
        "AuthKeyLength": 128,
        "KIV": _made(device, "kiv", header),
        "ROTPublicUID": uid_as_sampled(device.uid),
    }


def downlink_protection(device: Device, now: datetime) -> Json:
    """What encrypts a message to a device. The sample's AESIV has lost its padding."""
    period = _period(device, now)
    return {
        "MACLength": 128,
        "KeyLength": 128,
        "CipherSuite": _DOWNLINK_SUITE,
        "AuthenticationKey": _made(device, "authentication", period),
        "AuthKeyLength": 128,
        "EncryptionKey": _made(device, "encryption", period),
        "KIV": _made(device, "kiv", period),
        "AESIV": _made(device, "aesiv", period).rstrip("="),
        "ROTPublicUID": uid_as_sampled(device.uid),
    }


def downlink_integrity(device: Device, now: datetime) -> Json:
    """What authenticates a message to a device."""
    period = _period(device, now)
    return {
        "MACLength": 128,
        "CipherSuite": _DOWNLINK_SUITE,
        "AuthenticationKey": _made(device, "authentication", period),
        "AuthKeyLength": 128,
        "KIV": _made(device, "kiv", period),
        "ROTPublicUID": uid_as_sampled(device.uid),
    }


def _period(device: Device, now: datetime) -> bytes:
    """CONTINUOUS: another key for every call; AUTOMATIC: one for so many days; else always the same."""
    rotation = device.current.rotation
    if rotation is None:
        return b"0"
    if rotation.days is None:
        device.keys_derived += 1
        return b"call %d" % device.keys_derived
    return b"period %d" % ((now - _EPOCH) // timedelta(days=rotation.days))


def _made(device: Device, purpose: str, salt: bytes, *, size: int = _KEY_BYTES) -> str:
    return b64encode(hashlib.sha256(f"{device.uid} {purpose} ".encode() + salt).digest()[:size]).decode()
