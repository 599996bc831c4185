"""Certificates and revocation lists of made-up CAs, with real signatures."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

CA: Final = "ca.example"
OTHER_CA: Final = "other.example"
LONG_AGO: Final = datetime(2026, 1, 1, tzinfo=UTC)
EXPIRY: Final = datetime(2027, 6, 9, tzinfo=UTC)


@cache
def key(name: str) -> ec.EllipticCurvePrivateKey:
    """The key pair of this name."""
    del name  # it is the cache's key
    return ec.generate_private_key(ec.SECP256R1())


@cache
def pem(issuer: str, owner: str, serial: int, since: datetime = LONG_AGO) -> str:
    """A certificate for the key of its owner, which is a CA when it signs for itself."""
    made = x509.CertificateBuilder(named(issuer), named(owner), key(owner).public_key(), serial)
    signed = made.not_valid_before(since).not_valid_after(EXPIRY).sign(key(issuer), SHA256())
    return signed.public_bytes(Encoding.PEM).decode()


def named(name: str) -> x509.Name:
    """A distinguished name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def revocation_list(
    name: str,
    serials: Collection[int],
    at: datetime,
    *,
    signer: str | None = None,
    encoding: Encoding = Encoding.PEM,
    lasts: timedelta = timedelta(days=7),
) -> bytes:
    """The list of a CA, signed by it unless another signs."""
    made = x509.CertificateRevocationListBuilder(named(name), at, at + lasts)
    for serial in serials:
        entry = x509.RevokedCertificateBuilder(serial, at).build()
        made = made.add_revoked_certificate(entry)
    return made.sign(key(signer or name), SHA256()).public_bytes(encoding)
