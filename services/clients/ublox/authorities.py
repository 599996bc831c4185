"""The account's root CAs."""

from collections.abc import Collection, Iterator

from cryptography import x509

from schemas.errors import OurFault
from schemas.ublox import (
    AuthorityLook,
    CrlGet,
    CrlLook,
    ProofOfPossession,
    RootCaCreate,
    RootCaDelete,
    RootCaDeviceGet,
    RootCaGet,
    RootCaUpdate,
    check_lead,
    first_uid,
    read_authority,
    read_pem,
    read_revoked,
)
from schemas.ublox.reading import whole_text
from services.clients.ublox.caller import Caller, document_of


class Authorities:
    """The calls under ``/ztp/rootca``."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def walk(self, name: str | None = None) -> Iterator[AuthorityLook]:
        """Walk through the account's root CAs, or ask for the one of a name (``/ztp/rootca/get``)."""
        return self._caller.walk(self._caller.ask(RootCaGet, ca_name=name), read_authority, lambda look: look.name)

    def create(
        self, name: str, ca_validity_days: int, device_validity_days: int, renew_before_days: int | None = None
    ) -> AuthorityLook:
        """Create a root CA (``/ztp/rootca/create``); twice the same name is refused.

        What the answer says of its life counts: the sample of the document answers with less than was asked for.
        """
        request = self._caller.ask(
            RootCaCreate,
            ca_name=name,
            ca_validity_days=ca_validity_days,
            device_validity_days=device_validity_days,
            renew_before_days=renew_before_days,
        )
        told = read_authority(document_of(self._caller.call(request)))
        return told or AuthorityLook(name=name, pem=None, promised_until=None)

    def set_renewal_lead(self, name: str, days: int, *, device_validity_days: int | None = None) -> str:
        """Say how long before their end certificates are renewed by themselves (``/ztp/rootca/update``).

        Args:
            name: of the CA.
            days: 1 to 365.
            device_validity_days: how long the CA's certificates live; `days` must be fewer. Without it u-blox is asked.

        Raises:
            OurFault: certificates would be renewed before they are made, or nobody knows how long they live.
        """
        request = self._caller.ask(RootCaUpdate, ca_name=name, renew_before_days=days)
        life = device_validity_days or self._device_life(name)
        if life is None:
            raise _wrong_lead(f"u-blox does not tell how long device certificates of {name} live, so say it")
        try:
            check_lead(days, life)
        except ValueError as error:
            raise _wrong_lead(error) from None
        return self._caller.call(request).message

    def crls(self, names: Collection[str] = ()) -> dict[str, bytes]:
        """Ask for the revocation lists of CAs, PEM or DER by name (``/ztp/rootca/crl/get``); of all without a name.

        They are as told: whoever relies on one reads it and checks who signed it.
        """
        return {name: look.crl for name, look in self.revoked(names).items() if look.crl is not None}

    def revoked(self, names: Collection[str] = ()) -> dict[str, CrlLook]:
        """Ask for the same, with the serial numbers that u-blox tells beside each list."""
        request = self._caller.ask(CrlGet, ca_names=tuple(names) or None)
        return read_revoked(self._caller.call(request).json())

    def devices(self, name: str) -> Iterator[str]:
        """Walk through the devices that have a certificate of a CA (``/ztp/rootca/device/get``)."""
        return self._caller.walk(self._caller.ask(RootCaDeviceGet, ca_name=name), first_uid, str)

    def proof_of_possession(self, name: str, code: str) -> str:
        """Have the CA sign a certificate for a registration code (``/ztp/rootca/popcertificate/generate``).

        Returns:
            PEM with real line ends, which can be read as a certificate.

        Raises:
            OurFault: the answer holds no whole certificate.
        """
        request = self._caller.ask(ProofOfPossession, ca_name=name, registration_code=code)
        answer = self._caller.call(request)
        pem = read_pem(whole_text(answer.json(), "PoPCertificate", "Certificate")) or ""
        try:
            x509.load_pem_x509_certificate(pem.encode())
        except ValueError:
            text = f"{answer.text}, but PoPCertificate is no whole certificate in PEM"
            raise OurFault(text, call=answer.path, status=answer.status) from None
        return pem

    def _device_life(self, name: str) -> int | None:
        return next((look.device_validity_days for look in self.walk(name) if look.name == name), None)

    def delete(self, name: str) -> str:
        """Delete a root CA (``/ztp/rootca/delete``).

        Raises:
            Refused: a device has it or is to get it, or a profile is linked to it.
        """
        return self._caller.write(RootCaDelete, ca_name=name)


def _wrong_lead(reason: object) -> OurFault:
    return OurFault(f"{RootCaUpdate.path} would be wrong: {reason}", call=RootCaUpdate.path, sent=False)
