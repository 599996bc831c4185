"""What a certificate says of itself, in the words and forms that progress and reasons use."""

import hashlib
from datetime import timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from schemas.events import parse_timestamp
from schemas.jobs import Job
from schemas.ublox import CertificateLook

_COARSE: Final = timedelta(minutes=1)
"""Some events tell their time in whole minutes."""

NO_KEY: Final = ""
"""Stands for a public key that the service does not show."""


def told(certificate: CertificateLook) -> str:
    """A certificate in a sentence."""
    expires = f", expires {certificate.expires_at:%d %b %Y}" if certificate.expires_at else ""
    return f"serial {certificate.serial:x}{expires}"


def read_pem(pem: str | None) -> x509.Certificate | None:
    """Read a certificate; None where there is none, or none that is whole."""
    if not pem:
        return None
    try:
        return x509.load_pem_x509_certificate(pem.replace("\\n", "\n").encode())
    except ValueError:
        return None


def key_of(certificate: CertificateLook) -> str:
    """The SHA-256 of the certificate's public key as hexadecimal text; `NO_KEY` where the service does not show it."""
    read = read_pem(certificate.pem)
    if read is None:
        return NO_KEY
    try:
        key = read.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return NO_KEY
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def is_younger(certificate: CertificateLook, job: Job) -> bool:
    """Whether the certificate was issued after the wish for a job, or the event that it came of: it was not meant.

    The evidence may be that of a later event, which confirmed something; the job was there before that.
    """
    read = read_pem(certificate.pem)
    try:
        told_at = min(parse_timestamp(job.evidence.get("occurred_at")), job.created_at)
    except ValueError:
        told_at = job.created_at
    return read is not None and read.not_valid_before_utc - told_at > _COARSE
