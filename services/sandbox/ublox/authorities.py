"""Root CAs: real X.509 keys, the roots, what they sign, and what they revoke.

Source: Zero Touch Provisioning APIs, ``/ztp/rootca/create``, ``crl/get`` and ``popcertificate/generate``. A root is
signed when somebody first wants to see it.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

AUTHORITY_AGE: Final = timedelta(days=400)
"""How long a CA that was there before the twin claims to exist, so that certificates which are about to expire are
inside its life."""

CRL_LIFE: Final = timedelta(days=7)
"""Until when a list says that the next one will be there; the document does not tell."""

POP_LIFE: Final = timedelta(days=30)
"""Life of a proof of possession; the document does not tell."""


@dataclass(kw_only=True, slots=True, eq=False)
class Authority:
    """A root CA of the account."""

    name: str
    created_at: datetime
    expires_at: datetime
    device_validity_days: int = 365
    renew_before_days: int | None = 30
    """Days before its end when a certificate is renewed of itself; None when nobody has set it."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    issued: dict[int, str] = field(default_factory=dict)
    """The device of every certificate that it ever signed, by serial number."""

    revoked: dict[int, datetime] = field(default_factory=dict)
    _root: x509.Certificate | None = None

    @property
    def validity_days(self) -> int:
        """Whole days of its life."""
        return (self.expires_at - self.created_at).days

    @property
    def subject(self) -> x509.Name:
        """Its distinguished name, which is the issuer of every certificate below."""
        return name_of(self.name)

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

    def revoke(self, serial: int, now: datetime) -> bool:
        """Put a serial number on the list; False when it was there already."""
        if serial in self.revoked:
            return False
        self.revoked[serial] = now
        return True

    def crl(self, now: datetime) -> str:
        """The list of what is revoked, signed now, as PEM."""
        builder = x509.CertificateRevocationListBuilder(self.subject, now, now + CRL_LIFE)
        for serial, moment in self.revoked.items():
            entry = x509.RevokedCertificateBuilder(serial, moment.replace(microsecond=0)).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.key, SHA256()).public_bytes(Encoding.PEM).decode()

    def proof_of_possession(self, code: str, now: datetime) -> str:
        """A certificate that carries a registration code as its CN, as PEM."""
        certificate = (
            x509.CertificateBuilder(
                self.subject,
                name_of(code),
                ec.generate_private_key(ec.SECP256R1()).public_key(),
                x509.random_serial_number(),
            )
            .not_valid_before(now.replace(microsecond=0))
            .not_valid_after(min(now + POP_LIFE, self.expires_at).replace(microsecond=0))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(self.key, SHA256())
        )
        return certificate.public_bytes(Encoding.PEM).decode()

    def _signed_root(self) -> x509.Certificate:
        usage = key_usage(digital_signature=False, signs_certificates=True)
        return (
            x509.CertificateBuilder(self.subject, self.subject, self.key.public_key(), x509.random_serial_number())
            .not_valid_before(self.created_at)
            .not_valid_after(self.expires_at)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .sign(self.key, SHA256())
        )


def name_of(common_name: str) -> x509.Name:
    """A distinguished name of one part."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def key_usage(*, digital_signature: bool, signs_certificates: bool) -> x509.KeyUsage:
    """What a key may be used for."""
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
