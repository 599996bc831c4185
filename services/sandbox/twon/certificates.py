"""Self-signed certificates such as devices leave the factory with, one for each."""

import ipaddress
import ssl
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_LIFE: Final = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a device shows in the TLS handshake.

    Attributes:
        pem: the certificate, for a client that trusts it by a CA file.
        fingerprint: SHA-256 of its DER, 64 lower-case hexadecimal digits.
    """

    pem: str
    fingerprint: str
    context: ssl.SSLContext = field(repr=False)


def make_identity(serial: str, host: str) -> Identity:
    """Make the certificate of a device.

    Args:
        serial: its common name.
        host: the address in its alternative names, beside ``localhost``.
    """
    key, now = _key(), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, serial)])
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    with suppress(ValueError):
        names.append(x509.IPAddress(ipaddress.ip_address(host)))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM).decode()
    return Identity(pem, certificate.fingerprint(SHA256()).hex(), _context(pem))


@cache
def _key() -> ec.EllipticCurvePrivateKey:
    """One per process: a thousand devices would take a while."""
    return ec.generate_private_key(ec.SECP256R1())


def _context(pem: str) -> ssl.SSLContext:
    private = _key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:  # the ssl module reads files only
        file = Path(folder) / "identity.pem"
        file.write_text(pem + private, encoding="ascii")
        context.load_cert_chain(file)
    return context
