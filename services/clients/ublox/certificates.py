"""Device certificates: everything but a revocation only records a wish, which the device meets at a heartbeat."""

from collections.abc import Collection

from schemas.ublox import (
    CertificateDelete,
    CertificateRenew,
    CertificateRevoke,
    CertificateUpdate,
    RootCaTransfer,
)
from services.clients.ublox.caller import Caller


class Certificates:
    """The calls under ``/ztp/devicecertificate``, for up to 100 devices each.

    `serials` are those of certificates, as u-blox writes them: hexadecimal, without leading zeros.

    Each may raise `Busy`: an earlier certificate update of a device is still under way; come back in hours. Without a
    subscription or a free quota each raises `Refused`.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def renew(self, uids: Collection[str], ca_name: str, validity_days: int, *, serials: Collection[str] = ()) -> str:
        """Ask for new certificates for the same keys (``/ztp/devicecertificate/renew``); billed.

        A device that has one sends a DEVICE_CERTIFICATE_RENEWAL_EVENT: whoever answers that with this call loops.
        """
        named = _named(uids, serials)
        return self._caller.write(CertificateRenew, **named, ca_name=ca_name, validity_days=validity_days)

    def update(self, uids: Collection[str], ca_name: str, *, serials: Collection[str] = ()) -> str:
        """Ask for new keys and certificates for them (``/ztp/devicecertificate/update``); billed.

        It takes two heartbeats, between which a device has no certificate; until then all other calls here are `Busy`.
        """
        return self._caller.write(CertificateUpdate, **_named(uids, serials), ca_name=ca_name)

    def delete(self, uids: Collection[str]) -> str:
        """Have certificates and key pairs removed (``/ztp/devicecertificate/delete``); it revokes nothing."""
        return self._caller.write(CertificateDelete, uids)

    def revoke(self, ca_name: str, *, uid: str | None = None, serial: str | None = None) -> str:
        """Revoke one certificate, at once, by its device or its serial number (``/ztp/devicecertificate/revoke``)."""
        return self._caller.write(CertificateRevoke, ca_name=ca_name, rot_public_uid=uid, serial_number=serial)

    def transfer(self, uids: Collection[str], from_ca: str, to_ca: str) -> str:
        """Ask for certificates of another root CA (``/ztp/devicecertificate/rootca/transfer``)."""
        return self._caller.write(RootCaTransfer, uids, from_ca=from_ca, to_ca=to_ca)


def _named(uids: Collection[str], serials: Collection[str]) -> dict[str, tuple[str, ...] | None]:
    return {"rot_public_uids": tuple(uids) or None, "serial_numbers": tuple(serials) or None}
