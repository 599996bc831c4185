"""What we read of root CAs. Source: Security Services REST APIs 1.1.29, the calls under ``/ztp/rootca``."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Final

from schemas.ublox.reading import first_moment, items, read_pem, read_serial, values_of, whole_number, whole_text

_NAMES: Final = ("CAName", "CertificateAuthorityName")
_REVOKED: Final = ("SerialNumbers", "CertificateSerialNumbers")
_SERIAL: Final = ("SerialNumber", "CertificateSerialNumber")


@dataclass(frozen=True, kw_only=True, slots=True)
class AuthorityLook:
    """A root CA as u-blox tells of it; None where it does not say.

    Attributes:
        pem: its certificate as PEM, with real line ends; nobody has looked whether it is whole.
        promised_until: creation and validity added up, which is less exact than the certificate.
        ca_validity_days: the whole life of its certificate.
        device_validity_days: the life of the certificates that it makes, unless its own end comes first.
        renew_before_days: how long before their end those are renewed by themselves.
        raw: the item as sent.
    """

    name: str
    pem: str | None
    promised_until: datetime | None
    ca_validity_days: int | None = None
    device_validity_days: int | None = None
    renew_before_days: int | None = None
    created_at: datetime | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class CrlLook:
    """What u-blox tells of the certificates that a root CA has revoked; nobody has looked whether it is true.

    Attributes:
        ca_name: of the CA.
        crl: its revocation list, PEM or DER.
        serials: of the revoked certificates, as told beside the list; nobody has signed these.
        raw: the item as sent.
    """

    ca_name: str
    crl: bytes | None = None
    serials: frozenset[int] = frozenset()
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


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
        raw=item if isinstance(item, dict) else {},
    )


def read_authorities(document: object) -> list[AuthorityLook]:
    """Read a page of ``/ztp/rootca/get``."""
    looks = (read_authority(item) for item in items(document, "CAs"))
    return [look for look in looks if look is not None]


def read_revoked(document: object) -> dict[str, CrlLook]:
    """Read an answer of ``/ztp/rootca/crl/get``: "a standard CRL string as well as serial numbers", by CA.

    PEM and the base64 of DER are both understood of the string.
    """
    looks = (_revoked(item) for item in items(document, "CRLs"))
    return {look.ca_name: look for look in looks if look is not None}


def _revoked(item: object) -> CrlLook | None:
    name = whole_text(item, *_NAMES)
    if name is None:
        return None
    text = whole_text(item, "CRL", "CertificateRevocationList")
    return CrlLook(
        ca_name=name,
        crl=None if text is None else _crl(text),
        serials=frozenset(_serials(item)),
        raw=item if isinstance(item, dict) else {},
    )


def _serials(item: object) -> Iterator[int]:
    """Read plain serials, or objects that have one; the CA's own stands in no list."""
    lists = (told for key in _REVOKED for told in values_of(item, key) if isinstance(told, list))
    for each in chain.from_iterable(lists):
        own = chain(*(values_of(each, key) for key in _SERIAL)) if isinstance(each, dict) else (each,)
        yield from (serial for told in own if (serial := read_serial(told)) is not None)


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
