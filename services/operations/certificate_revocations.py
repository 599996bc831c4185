"""What the certificate revocation lists of the account's root CAs say, and whether that can be relied on.

Source: Security Services REST APIs 1.1.29, ``/ztp/rootca/crl/get``: "a standard CRL string". So it is read as RFC 5280
has it: signed by the CA, issued in its name, not from the future and not past its next update.
"""

import base64
import binascii
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from schemas.errors import UpstreamError
from services.operations.bulk import in_halves
from services.operations.certificate_facts import read_pem
from services.operations.contract import Tools

CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""So much may u-blox's clock be before or behind ours."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Revocations:
    """The list of one CA.

    Attributes:
        fault: why nothing that the list says can be relied on; empty when it can.
    """

    ca_name: str
    crl: x509.CertificateRevocationList | None = None
    fault: str = ""

    def lists(self, serial: int) -> bool:
        """Whether the list can be relied on and says that this certificate is revoked."""
        if self.crl is None or self.fault:
            return False
        return self.crl.get_revoked_certificate_by_serial_number(serial) is not None

    def told(self) -> str:
        """The list in a few words."""
        if self.crl is None:
            return f"the revocation list of {self.ca_name}"
        dated = f" of {self.crl.last_update_utc:%d %b %Y %H:%M} UTC"  # an empty list is false, but a list
        return f"the revocation list of {self.ca_name}{dated}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Lists:
    """The lists of several CAs, by name; a CA has a list or an error, where the service gave none."""

    by_name: Mapping[str, Revocations]
    errors: Mapping[str, UpstreamError]


def revocations_of(names: Collection[str], tools: Tools) -> Lists:
    """Ask for the lists of these CAs, and check each."""
    wanted = sorted(set(names))
    sent = in_halves(wanted, tools.ublox.authorities.crls)
    told = [name for name in wanted if name in sent.answers]
    if not told:
        return Lists(by_name={}, errors=sent.errors)
    try:
        roots = {look.name: look.pem for look in tools.ublox.authorities.walk() if look.name in told}
    except UpstreamError as error:
        return Lists(by_name={}, errors={**dict.fromkeys(told, error), **sent.errors})
    now = tools.clock()
    read = {name: read_revocations(name, sent.answers[name].get(name), roots.get(name), now) for name in told}
    return Lists(by_name=read, errors=sent.errors)


def read_revocations(ca_name: str, crl: bytes | None, root_pem: str | None, now: datetime) -> Revocations:
    """Read and check one list."""
    if not crl:
        return Revocations(ca_name=ca_name, fault=f"u-blox gives no revocation list of {ca_name}")
    read = _read(crl)
    if read is None:
        fault = f"the revocation list of {ca_name} cannot be read: a whole CRL as PEM, DER or base64 was expected"
        return Revocations(ca_name=ca_name, fault=fault)
    return Revocations(ca_name=ca_name, crl=read, fault=_fault(ca_name, read, read_pem(root_pem), now))


def _read(crl: bytes) -> x509.CertificateRevocationList | None:
    try:
        if b"-----BEGIN" in crl:
            return x509.load_pem_x509_crl(crl.replace(b"\\n", b"\n"))
        if crl[:1] != _SEQUENCE:
            crl = base64.b64decode(b"".join(crl.split()), validate=True)
        return x509.load_der_x509_crl(crl)
    except (ValueError, binascii.Error):
        return None


_SEQUENCE: Final = b"\x30"
"""With this every DER of a CRL begins; in base64 it is an M."""


def _fault(ca_name: str, crl: x509.CertificateRevocationList, root: x509.Certificate | None, now: datetime) -> str:
    named = f"the revocation list of {ca_name}"
    if root is None:
        return f"u-blox shows no whole certificate of {ca_name}: nobody can tell who signed its revocation list"
    if crl.issuer != root.subject:
        return f"{named} was issued in another name"
    if not _is_signed(crl, root):
        return f"{named} is not signed by the CA"
    if crl.last_update_utc > now + CLOCKS_DIFFER:
        return f"{named} is from the future: {crl.last_update_utc:%d %b %Y %H:%M} UTC"
    if crl.next_update_utc is not None and crl.next_update_utc < now - CLOCKS_DIFFER:
        return f"{named} is out of date since {crl.next_update_utc:%d %b %Y %H:%M} UTC"
    return ""


def _is_signed(crl: x509.CertificateRevocationList, root: x509.Certificate) -> bool:
    try:
        return crl.is_signature_valid(root.public_key())  # type: ignore[arg-type]  # a key that cannot sign is told below
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False
