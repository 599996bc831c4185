"""INVENTED: members of root CAs, their devices and their revocation lists."""

from typing import Any

from services.sandbox.ublox.authorities import Authority
from services.sandbox.ublox.certificates import serial_text
from services.sandbox.ublox.timestamps import with_z

Json = dict[str, Any]


def on_one_line(pem: str) -> str:
    """A PEM as the sample of ``/ztp/rootca/create`` prints it: a line end is a backslash and an n."""
    return pem.rstrip("\n").replace("\n", "\\n")


def root_ca(authority: Authority) -> Json:
    """One item of ``CAs`` of ``/ztp/rootca/get``: the members of the create sample and the renewal lead, if set."""
    lead = authority.renew_before_days
    return {
        "CAName": authority.name,
        "CACertificateValidity": authority.validity_days,
        "DeviceCertificateValidity": authority.device_validity_days,
        **({} if lead is None else {"RenewBeforeExpiration": lead}),
        "Certificate": on_one_line(authority.pem),
        "CreatedDate": with_z(authority.created_at),
    }


def provisioned(uid: str) -> Json:
    """One item of ``Devices`` of ``/ztp/rootca/device/get``."""
    return {"ROTPublicUID": uid}


def crl(authority: Authority, pem: str) -> Json:
    """One item of ``CRLs`` of ``/ztp/rootca/crl/get``: "a standard CRL string as well as serial numbers"."""
    return {
        "CAName": authority.name,
        "CRL": on_one_line(pem),
        "SerialNumbers": [serial_text(serial) for serial in authority.revoked],
    }
