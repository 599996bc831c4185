"""Service APIs: the rotation of end-to-end keys, and the parameters that a customer's server decrypts with."""

from typing import Annotated, Final, Literal

from pydantic import Field

from services.sandbox.ublox import protection, shapes
from services.sandbox.ublox.bodies import Body, Json, Refusal, Request, Selection, Uid, read
from services.sandbox.ublox.devices import Device, Rotation
from services.sandbox.ublox.twin import Twin

SECONDS_PER_DAY: Final = 86_400
KEY_ID_BYTES: Final = 14
HEADER_BYTES: Final = frozenset({11, 12, 16})
"""16 is the document's, 12 is its word for v2, and 11 is what the sample of the integrity call has."""


class Rotate(Selection):
    """``/e2e/key/rotate``."""

    Type: Literal["CONTINUOUS", "AUTOMATIC"]
    Days: Annotated[int, Field(ge=1, le=30)] = 7


class KeyWish(Body):
    """``/e2e/uplink/symmetrickey/get``; the sample's answer has 128 bits, the prose says that 256 are the default."""

    KeyID: str
    KeyLength: Literal[128, 256] = 256


class HeaderWish(Body):
    """``/e2e/uplink/protectionparameters/get`` and ``integrityparameters/get``."""

    EncryptedHeader: str


class DownlinkWish(Body):
    """``/e2e/downlink/protectionparameters/get`` and ``integrityparameters/get``."""

    ROTPublicUID: Uid


def rotate(twin: Twin, body: Request) -> Json:
    """``/e2e/key/rotate``: sets the policy, and a shorter heartbeat where the days are fewer than it."""
    wish = read(Rotate, body)
    devices = twin.chosen(wish)
    automatic = wish.Type == "AUTOMATIC"
    rotation = Rotation(type=wish.Type, days=wish.Days if automatic else None)
    longest = wish.Days * SECONDS_PER_DAY if automatic else None
    adjusted = [_wish_rotation(twin, device, rotation, longest) for device in devices]
    twin.plan(devices)
    twin.tally.action("rotations", (device.uid for device in devices))
    return {"Message": _rotation_text(rotation, adjusted=any(adjusted))}


def _wish_rotation(twin: Twin, device: Device, rotation: Rotation, longest: float | None) -> bool:
    wished = device.desired.heartbeat
    adjusted = longest is not None and longest < (twin.dials.heartbeat_seconds if wished is None else wished)
    device.wish_rotation(rotation, heartbeat=longest if adjusted else wished, now=twin.clock())
    return adjusted


def _rotation_text(rotation: Rotation, *, adjusted: bool) -> str:
    """The sample's success text; the one for CONTINUOUS is not shown there."""
    if rotation.days is None:
        return shapes.CONTINUOUS_SET
    span = f"{rotation.days} day{'s' * (rotation.days > 1)}"
    text = f"The automatic rotation has been set. The key will be rotated every {span}."
    return f"{text} The Security heartbeat has been adjusted to {span}." if adjusted else text


def symmetric_key(twin: Twin, body: Request) -> Json:
    """``/e2e/uplink/symmetrickey/get``: the session key of a KeyID; billed."""
    wish = read(KeyWish, body)
    key_id = _bytes(wish.KeyID, frozenset({KEY_ID_BYTES}), shapes.INVALID_KEY_ID)
    device = _sender(twin, key_id, shapes.INVALID_KEY_ID)
    twin.bill(device, shapes.SYMMETRIC_KEY_USE)
    return protection.symmetric_key(device, key_id, bits=wish.KeyLength)


def uplink_protection(twin: Twin, body: Request) -> Json:
    """``/e2e/uplink/protectionparameters/get``: billed."""
    header = _bytes(read(HeaderWish, body).EncryptedHeader, HEADER_BYTES, shapes.INVALID_HEADER)
    device = _sender(twin, header, shapes.INVALID_HEADER)
    twin.bill(device, shapes.PROTECTION_USE)
    return protection.uplink_protection(device, header)


def uplink_integrity(twin: Twin, body: Request) -> Json:
    """``/e2e/uplink/integrityparameters/get``."""
    header = _bytes(read(HeaderWish, body).EncryptedHeader, HEADER_BYTES, shapes.INVALID_HEADER)
    return protection.uplink_integrity(_sender(twin, header, shapes.INVALID_HEADER), header)


def downlink_protection(twin: Twin, body: Request) -> Json:
    """``/e2e/downlink/protectionparameters/get``."""
    (device,) = twin.named([read(DownlinkWish, body).ROTPublicUID])
    return protection.downlink_protection(device, twin.clock())


def downlink_integrity(twin: Twin, body: Request) -> Json:
    """``/e2e/downlink/integrityparameters/get``."""
    (device,) = twin.named([read(DownlinkWish, body).ROTPublicUID])
    return protection.downlink_integrity(device, twin.clock())


def _bytes(text: str, lengths: frozenset[int], fault: str) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        raise Refusal(400, fault) from None
    if len(value) not in lengths or len(text) != 2 * len(value):
        raise Refusal(400, fault)
    return value


def _sender(twin: Twin, header: bytes, fault: str) -> Device:
    """The device whose UID ends in the six bytes from the third on, as in the samples of KeyID and EncryptedHeader."""
    ending = header[2:8].hex()
    found = next((device for uid, device in twin.fleet.devices.items() if uid.endswith(ending)), None)
    if found is None or found.uid in twin.dials.refused_devices:
        raise Refusal(400, fault)
    return found
