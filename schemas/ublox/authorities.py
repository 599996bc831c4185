"""What we read of root CAs. Source: Security Services REST APIs 1.1.29, the calls under ``/ztp/rootca``."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from schemas.ublox.reading import first_moment, items, read_pem, whole_number, whole_text

_NAMES: Final = ("CAName", "CertificateAuthorityName")


@dataclass(frozen=True, kw_only=True, slots=True)
class AuthorityLook:
    """A root CA as u-blox tells of it; None where it does not say.

    Attributes:
        pem: its certificate as PEM, with real line ends; nobody has looked whether it is whole.
        promised_until: creation and validity added up, which is less exact than the certificate.
        ca_validity_days: the whole life of its certificate.
        device_validity_days: the life of the certificates that it makes, unless its own end comes first.
        renew_before_days: how long before their end those are renewed by themselves.
    """

    name: str
    pem: str | None
    promised_until: datetime | None
    ca_validity_days: int | None = None
    device_validity_days: int | None = None
    renew_before_days: int | None = None
    created_at: datetime | None = None


def read_authority(item: object) -> AuthorityLook | None:
    """Read one item of ``CAs``, or the answer of a creation; None when it names no CA."""
    name = whole_text(item, *_NAMES)
    if name is None:
        return None
    life = whole_number(item, "CACertificateValidity")
    created_at = first_moment(item, "CreatedDate")
    return AuthorityLook(
        name=name,
        pem=read_pem(whole_text(item, "Certificate")),
        promised_until=_sum(created_at, life),
        ca_validity_days=life,
        device_validity_days=whole_number(item, "DeviceCertificateValidity"),
        renew_before_days=whole_number(item, "RenewBeforeExpiration"),
        created_at=created_at,
    )


def read_authorities(document: object) -> list[AuthorityLook]:
    """Read a page of ``/ztp/rootca/get``."""
    looks = (read_authority(item) for item in items(document, "CAs"))
    return [look for look in looks if look is not None]


def read_crls(document: object) -> dict[str, bytes]:
    """Read an answer of ``/ztp/rootca/crl/get``: for each CA its list as PEM or DER.

    The document calls it "a standard CRL string", so PEM and the base64 of DER are both understood. Whether it is whole
    nobody has looked.
    """
    named = (
        (whole_text(item, *_NAMES), whole_text(item, "CRL", "Crl", "CertificateRevocationList"))
        for item in items(document, "CRLs")
    )
    return {name: _crl(text) for name, text in named if name is not None and text is not None}


def _crl(text: str) -> bytes:
    written = (read_pem(text) or "").encode()
    if b"-----BEGIN" in written:
        return written
    try:
        return base64.b64decode(b"".join(written.split()), validate=True)
    except binascii.Error:
        return written


def _sum(begins: datetime | None, days: int | None) -> datetime | None:
    try:
        return begins + timedelta(days=days) if begins and days else None
    except OverflowError:
        return None
