"""Zero Touch Provisioning APIs, ``/ztp/devicecertificate/*``: the certificates on the devices.

Each call checks everything first and then changes everything, so a refused call has changed nothing. Invented: a later
wish takes the place of an earlier one that the device has not seen, but for an update, which bars all others.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from services.sandbox.ublox import shapes
from services.sandbox.ublox.authorities import Authority
from services.sandbox.ublox.bodies import Body, CaName, Json, Named, Refusal, Request, Texts, Uid, Uids, read
from services.sandbox.ublox.calls.authorities import need_subscription
from services.sandbox.ublox.devices import Action, CertificateWish, Device
from services.sandbox.ublox.twin import Twin


class Update(Named):
    """``/ztp/devicecertificate/update``."""

    ROTPublicUIDs: Uids | None = None
    SerialNumbers: Texts | None = None


class Renew(Update):
    """``/ztp/devicecertificate/renew``."""

    DeviceCertificateValidity: Annotated[int, Field(ge=30, le=3650)]


class Delete(Body):
    """``/ztp/devicecertificate/delete``."""

    ROTPublicUIDs: Uids


class Revoke(Named):
    """``/ztp/devicecertificate/revoke``."""

    ROTPublicUID: Uid | None = None
    SerialNumber: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{1,40}$")] | None = None


class Transfer(Delete):
    """``/ztp/devicecertificate/rootca/transfer``."""

    FromCA: CaName
    ToCA: CaName


def renew(twin: Twin, body: Request) -> Json:
    """``/ztp/devicecertificate/renew``: same key, new serial number and expiry, at the next heartbeat."""
    wish = read(Renew, body)
    devices, authority = _admitted(twin, wish), _living(twin, wish.CAName)
    _bar_updating(devices)
    _need_certificates(devices, authority)
    _need_quota(twin, devices)
    days = wish.DeviceCertificateValidity
    begun = _wish(twin, devices, CertificateWish(action=Action.RENEW, authority=authority, validity_days=days))
    _count_quota(begun)
    twin.tally.action("renewals", (device.uid for device in begun))
    twin.tally.action("renewal_requests", (device.uid for device in devices))
    return shapes.DONE


def update(twin: Twin, body: Request) -> Json:
    """``/ztp/devicecertificate/update``: new key too; the first heartbeat removes, the second installs.

    No guard forbids it while one is under way; it is the same one then.
    """
    wish = read(Update, body)
    devices, authority = _admitted(twin, wish), _living(twin, wish.CAName)
    _need_certificates([device for device in devices if not device.updating], authority)
    _need_quota(twin, devices)
    days = authority.device_validity_days
    begun = _wish(twin, devices, CertificateWish(action=Action.UPDATE, authority=authority, validity_days=days))
    _count_quota(begun)
    twin.tally.action("updates", (device.uid for device in begun))
    return shapes.DONE


def delete(twin: Twin, body: Request) -> Json:
    """``/ztp/devicecertificate/delete``: certificate and key go at the next heartbeat; nothing is revoked."""
    devices = _admitted(twin, read(Delete, body))
    _bar_updating(devices)
    _need_quota(twin, devices)
    held = [device for device in devices if device.certificate is not None or device.wish is not None]
    begun = _wish(twin, held, CertificateWish(action=Action.DELETE))
    twin.tally.action("deletions", (device.uid for device in begun))
    return shapes.DONE


def revoke(twin: Twin, body: Request) -> Json:
    """``/ztp/devicecertificate/revoke``: on the CA's list at once; the device keeps what it has.

    By serial number any certificate that the CA ever signed can be meant. Revoking twice changes nothing.
    """
    wish = read(Revoke, body)
    if (wish.ROTPublicUID is None) == (wish.SerialNumber is None):
        raise Refusal
    need_subscription(twin)
    authority = _known(twin, wish.CAName)
    if wish.SerialNumber is not None:
        serial = int(wish.SerialNumber, 16)
        if serial not in authority.issued:
            raise Refusal(400, shapes.INVALID_SERIALS)
        devices = twin.named([authority.issued[serial]])
        _bar_updating(devices)
    else:
        devices = twin.named([wish.ROTPublicUID])
        _bar_updating(devices)
        _need_certificates(devices, authority)
        serial = devices[0].certificate.serial if devices[0].certificate else 0
    _need_quota(twin, devices)
    if authority.revoke(serial, twin.clock()):
        twin.tally.action("revocations", (device.uid for device in devices))
    return shapes.DONE


def transfer(twin: Twin, body: Request) -> Json:
    """``/ztp/devicecertificate/rootca/transfer``: a certificate of another CA at the next heartbeat."""
    wish = read(Transfer, body)
    if wish.FromCA == wish.ToCA:
        raise Refusal
    devices, source, target = _admitted(twin, wish), _known(twin, wish.FromCA), _living(twin, wish.ToCA)
    _bar_updating(devices)
    _need_certificates(devices, source)
    _need_quota(twin, devices)
    days = target.device_validity_days
    begun = _wish(twin, devices, CertificateWish(action=Action.TRANSFER, authority=target, validity_days=days))
    twin.tally.action("transfers", (device.uid for device in begun))
    return shapes.DONE


def _admitted(twin: Twin, wish: Body) -> list[Device]:
    need_subscription(twin)
    return twin.chosen(wish)


def _known(twin: Twin, name: str) -> Authority:
    authority = twin.fleet.authorities.get(name)
    if authority is None:
        raise Refusal(400, shapes.INVALID_CA)
    return authority


def _living(twin: Twin, name: str) -> Authority:
    """A CA that can still sign."""
    authority = _known(twin, name)
    if authority.expires_at <= twin.clock():
        raise Refusal(400, shapes.INVALID_CA)
    return authority


def _bar_updating(devices: Sequence[Device]) -> None:
    if any(device.updating for device in devices):
        raise Refusal(400, shapes.UPDATE_UNDER_WAY)


def _need_certificates(devices: Sequence[Device], authority: Authority) -> None:
    if any(device.certificate is None or device.certificate.authority is not authority for device in devices):
        raise Refusal(400, shapes.INVALID_CA)


def _need_quota(twin: Twin, devices: Sequence[Device]) -> None:
    """Invented: renewals and updates use the quota up; every call needs some."""
    quota = twin.dials.certificate_quota
    if quota is not None and any(device.actions_begun >= quota for device in devices):
        raise Refusal(400, shapes.NO_QUOTA)


def _count_quota(devices: Sequence[Device]) -> None:
    for device in devices:
        device.actions_begun += 1


def _wish(twin: Twin, devices: Sequence[Device], wish: CertificateWish) -> list[Device]:
    """Wish the same of all; gives those for which it was not wished already."""
    now = twin.clock()
    begun = [device for device in devices if device.wish_certificate(wish, now)]
    twin.plan(devices)
    return begun
