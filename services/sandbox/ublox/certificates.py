"""Device certificates: real X.509, written only when somebody wants to see it.

Source: Zero Touch Provisioning APIs. A fleet of ten thousand has ten thousand serial numbers at once, and a signature
only for those certificates whose PEM was asked for.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from services.sandbox.ublox.authorities import Authority, key_usage, name_of

_SECONDS_PER_DAY: Final = 86_400


@cache
def device_key(generation: int) -> ec.EllipticCurvePrivateKey:
    """The key pair of every device that has had so many key changes.

    One pair per process and generation is enough: a renewal keeps it, an update moves to the next one.
    """
    del generation  # it is the cache's key
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(kw_only=True, slots=True, eq=False)
class Certificate:
    """A device certificate: its facts now, its PEM on demand."""

    authority: Authority
    uid: str
    serial: int
    key_generation: int
    issued_at: datetime
    expires_at: datetime
    _pem: str | None = None

    @property
    def serial_text(self) -> str:
        """The serial number as the webhook sample writes it: lower-case, leading zeros dropped."""
        return serial_text(self.serial)

    @property
    def validity_days(self) -> int:
        """Whole days of its life."""
        return (self.expires_at - self.issued_at).days

    @property
    def pem(self) -> str:
        """The certificate as text, signed at the first look."""
        if self._pem is None:
            self._pem = self._signed().public_bytes(Encoding.PEM).decode()
        return self._pem

    def _signed(self) -> x509.Certificate:
        public_key = device_key(self.key_generation).public_key()
        return (
            x509.CertificateBuilder(self.authority.subject, name_of(self.uid), public_key, self.serial)
            .not_valid_before(self.issued_at)
            .not_valid_after(self.expires_at)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(digital_signature=True, signs_certificates=False), critical=True)
            .sign(self.authority.key, SHA256())
        )


def serial_text(serial: int) -> str:
    """A serial number as the webhook sample writes it: lower-case, leading zeros dropped."""
    return f"{serial:x}"


def days_left(expires_at: datetime, now: datetime) -> int:
    """Days until then, a begun day counted whole, never below 0."""
    return max(0, -int(-(expires_at - now).total_seconds() // _SECONDS_PER_DAY))
