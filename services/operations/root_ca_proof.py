"""What a root CA's certificate says, and whether a proof of possession is one."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

from schemas.ublox import AuthorityLook, RootCaCreate
from services.operations.certificate_facts import read_pem

_ROUNDING: Final = 1.5
"""Days by which a life may differ from what was asked for: leap days, and hours at both ends."""


def is_like(authority: AuthorityLook, validity_days: int, device_validity_days: int) -> bool | None:
    """Whether a root CA has the lives that are asked for, its own and its certificates'; None where it tells none."""
    if authority.device_validity_days not in {None, device_validity_days}:
        return False
    certificate = read_pem(authority.pem)
    if certificate is None:
        return None if authority.ca_validity_days is None else authority.ca_validity_days == validity_days
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return abs(life / timedelta(days=1) - validity_days) <= _ROUNDING


def filled(authority: AuthorityLook, asked: RootCaCreate) -> AuthorityLook:
    """A root CA that was created as asked; what u-blox tells of it counts, and else what it was asked for."""
    return replace(
        authority,
        device_validity_days=authority.device_validity_days or asked.device_validity_days,
        renew_before_days=authority.renew_before_days or asked.renew_before_days,
    )


def end_of(authority: AuthorityLook) -> str:
    """Until when it lives, in words."""
    certificate = read_pem(authority.pem)
    end = authority.promised_until if certificate is None else certificate.not_valid_after_utc
    return "an unknown day" if end is None else f"{end:%d %b %Y}"


def fault_of(proof: str, code: str, authority: AuthorityLook) -> str | None:
    """What is wrong with a proof of possession; None where it is the CA's, and about the code."""
    certificate = read_pem(proof)
    if certificate is None:
        return "the proof of possession is no whole certificate"
    names = [name.value for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [code]:
        return "the proof of possession does not carry the registration code"
    root = read_pem(authority.pem)
    return (
        None if root is None or _signed(certificate, root) else "the proof of possession is not signed by the root CA"
    )


def _signed(certificate: x509.Certificate, root: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
