"""End-to-end keys. u-blox's own library dropped these services in 2023: expect the calls to be gone."""

from schemas.ublox import (
    DownlinkIntegrityGet,
    DownlinkProtectionGet,
    EndToEndKeys,
    KeyRotate,
    RotationPolicy,
    SymmetricKeyGet,
    UplinkIntegrityGet,
    UplinkProtectionGet,
    read_keys,
)
from schemas.ublox.requests.base import UbloxRequest
from services.clients.ublox.caller import Caller, Which


class EndToEnd:
    """The calls under ``/e2e``."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def rotate(self, which: Which, policy: RotationPolicy) -> str:
        """Set the rotation policy of up to 100 devices (``/e2e/key/rotate``) and give the answer's text.

        Where the policy's days are fewer than the security heartbeat's, that is shortened.
        """
        return self._caller.write(KeyRotate, which, type=policy.type, days=policy.days)

    def symmetric_key(self, key_id: str, length: int = 256) -> EndToEndKeys:
        """Ask for the session key of a key identity (``/e2e/uplink/symmetrickey/get``); billed.

        Args:
            key_id: 14 octets as hexadecimal digits.
            length: 128 or 256 bits.
        """
        return self._keys(self._caller.ask(SymmetricKeyGet, key_id=key_id, key_length=length))

    def uplink_protection(self, header: str) -> EndToEndKeys:
        """Ask for what decrypts uplink data (``/e2e/uplink/protectionparameters/get``); billed.

        Args:
            header: the first 16 octets of the encrypted data (11 or 12 in v2) as hexadecimal digits.
        """
        return self._keys(self._caller.ask(UplinkProtectionGet, encrypted_header=header))

    def uplink_integrity(self, header: str) -> EndToEndKeys:
        """Ask for what verifies uplink data (``/e2e/uplink/integrityparameters/get``)."""
        return self._keys(self._caller.ask(UplinkIntegrityGet, encrypted_header=header))

    def downlink_protection(self, uid: str) -> EndToEndKeys:
        """Ask for what encrypts data for a device (``/e2e/downlink/protectionparameters/get``)."""
        return self._keys(self._caller.ask(DownlinkProtectionGet, rot_public_uid=uid))

    def downlink_integrity(self, uid: str) -> EndToEndKeys:
        """Ask for what signs data for a device (``/e2e/downlink/integrityparameters/get``)."""
        return self._keys(self._caller.ask(DownlinkIntegrityGet, rot_public_uid=uid))

    def _keys(self, request: UbloxRequest) -> EndToEndKeys:
        return read_keys(self._caller.call(request).json())
