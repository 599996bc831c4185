"""Root CAs and device certificates: real X.509, written only when somebody wants to see it.

Source: Zero Touch Provisioning APIs. A fleet of ten thousand has ten thousand serial numbers at once, and a signature
only for those certificates whose PEM was asked for.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

AUTHORITY_AGE: Final = timedelta(days=400)
"""How long a new CA claims to exist, so that certificates which are about to expire are inside its life."""

_SECONDS_PER_DAY: Final = 86_400


@cache
def device_key(generation: int) -> ec.EllipticCurvePrivateKey:
    """The key pair of every device that has had so many key changes.

    One pair per process and generation is enough: a renewal keeps it, an update moves to the next one.
    """
    del generation  # it is the cache's key
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(kw_only=True, slots=True)
class Authority:
    """A root CA of the account."""

    name: str
    created_at: datetime
    expires_at: datetime
    device_validity_days: int = 365
    renew_before_days: int = 30
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    _root: x509.Certificate | None = None

    @property
    def validity_days(self) -> int:
        """Whole days of its life."""
        return (self.expires_at - self.created_at).days

    @property
    def root(self) -> x509.Certificate:
        """Its self-signed certificate."""
        if self._root is None:
            self._root = self._signed_root()
        return self._root

    @property
    def pem(self) -> str:
        """Its certificate as text."""
        return self.root.public_bytes(Encoding.PEM).decode()

    def _signed_root(self) -> x509.Certificate:
        usage = _usage(digital_signature=False, signs_certificates=True)
        return (
            x509.CertificateBuilder(self.subject, self.subject, self.key.public_key(), x509.random_serial_number())
            .not_valid_before(self.created_at)
            .not_valid_after(self.expires_at)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .sign(self.key, SHA256())
        )

    @property
    def subject(self) -> x509.Name:
        """Its distinguished name, which is the issuer of every certificate below."""
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])


@dataclass(kw_only=True, slots=True)
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
        return f"{self.serial:x}"

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
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.uid)])
        public_key = device_key(self.key_generation).public_key()
        return (
            x509.CertificateBuilder(self.authority.subject, subject, public_key, self.serial)
            .not_valid_before(self.issued_at)
            .not_valid_after(self.expires_at)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True, signs_certificates=False), critical=True)
            .sign(self.authority.key, SHA256())
        )


def days_left(expires_at: datetime, now: datetime) -> int:
    """Days until then, a begun day counted whole, never below 0."""
    return max(0, -int(-(expires_at - now).total_seconds() // _SECONDS_PER_DAY))


def _usage(*, digital_signature: bool, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
