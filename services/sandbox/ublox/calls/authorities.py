"""Zero Touch Provisioning APIs, ``/ztp/rootca/*``: the root CAs of the account."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from services.sandbox.ublox import shapes
from services.sandbox.ublox.authorities import Authority
from services.sandbox.ublox.bodies import Body, CaName, Json, Named, Paged, Refusal, Request, Texts, page, read
from services.sandbox.ublox.timestamps import with_z
from services.sandbox.ublox.twin import Twin

Lead = Annotated[int, Field(ge=1, le=365)]


class NewAuthority(Body):
    """``/ztp/rootca/create``."""

    CAName: CaName
    CACertificateValidity: Annotated[int, Field(ge=1825, le=3650)]
    DeviceCertificateValidity: Annotated[int, Field(ge=30, le=3650)]
    RenewBeforeExpiration: Lead | None = None


class LeadChange(Named):
    """``/ztp/rootca/update``."""

    RenewBeforeExpiration: Lead


class AuthoritiesWish(Paged):
    """``/ztp/rootca/get``."""

    CAName: str | None = None


class CrlWish(Body):
    """``/ztp/rootca/crl/get``."""

    CANames: Texts | None = None


class HoldersWish(Named, Paged):
    """``/ztp/rootca/device/get``."""


class PopWish(Named):
    """``/ztp/rootca/popcertificate/generate``; X.509 has room for 64 characters in a CN."""

    RegistrationCode: Annotated[str, Field(pattern=r"^[\x20-\x7e]{1,64}$")]


def create(twin: Twin, body: Request) -> Json:
    """``/ztp/rootca/create``: the members of the sample."""
    wish, known = read(NewAuthority, body), twin.fleet.authorities
    if wish.DeviceCertificateValidity > wish.CACertificateValidity:
        raise Refusal(400, shapes.VALIDITY_TOO_LONG)
    if wish.RenewBeforeExpiration is not None:
        need_subscription(twin)
    if wish.CAName in known:
        raise Refusal(400, shapes.CA_TAKEN)
    if len(known) >= twin.dials.most_authorities:
        raise Refusal(400, shapes.TOO_MANY_CAS)
    now = twin.clock().replace(microsecond=0)
    authority = twin.fleet.found(
        Authority(
            name=wish.CAName,
            created_at=now,
            expires_at=now + timedelta(days=wish.CACertificateValidity),
            device_validity_days=wish.DeviceCertificateValidity,
            renew_before_days=wish.RenewBeforeExpiration,
        )
    )
    return {
        "CAName": authority.name,
        "CACertificateValidity": authority.validity_days,
        "DeviceCertificateValidity": authority.device_validity_days,
        "Certificate": shapes.on_one_line(authority.pem),
        "CreatedDate": with_z(authority.created_at),
    }


def set_lead(twin: Twin, body: Request) -> Json:
    """``/ztp/rootca/update``: when the certificates of a CA are renewed of themselves, if the dial lets them."""
    wish = read(LeadChange, body)
    need_subscription(twin)
    authority = _named(twin, wish.CAName)
    authority.renew_before_days = wish.RenewBeforeExpiration
    twin.plan(twin.fleet.signed_by(authority))
    return shapes.DONE


def authorities(twin: Twin, body: Request) -> Json:
    """``/ztp/rootca/get``: every CA in pages, or the one that is named."""
    wish = read(AuthoritiesWish, body)
    wanted = list(twin.fleet.authorities.values()) if wish.CAName is None else [_named(twin, wish.CAName)]
    return page("CAs", [shapes.root_ca(authority) for authority in wanted], wish.PageNumber)


def crls(twin: Twin, body: Request) -> Json:
    """``/ztp/rootca/crl/get``: the lists of the named CAs, or of all; signed now."""
    wish = read(CrlWish, body)
    need_subscription(twin)
    names = list(twin.fleet.authorities) if wish.CANames is None else wish.CANames
    wanted, now = [_named(twin, name) for name in names], twin.clock().replace(microsecond=0)
    return {"CRLs": [shapes.crl(authority, authority.crl(now)) for authority in wanted]}


def holders(twin: Twin, body: Request) -> Json:
    """``/ztp/rootca/device/get``: who has a certificate of this CA; what is only desired is not told here."""
    wish = read(HoldersWish, body)
    devices = twin.fleet.signed_by(_named(twin, wish.CAName))
    return page("Devices", [shapes.provisioned(device.uid) for device in devices], wish.PageNumber)


def prove_possession(twin: Twin, body: Request) -> Json:
    """``/ztp/rootca/popcertificate/generate``: signed by the CA, with the code as its CN."""
    wish, now = read(PopWish, body), twin.clock()
    authority = _named(twin, wish.CAName)
    if authority.expires_at <= now:
        raise Refusal(400, shapes.INVALID_CA)
    pem = authority.proof_of_possession(wish.RegistrationCode, now)
    return {"CAName": authority.name, "PoPCertificate": shapes.on_one_line(pem)}


def delete(twin: Twin, body: Request) -> Json:
    """``/ztp/rootca/delete``: not while a device has it or shall get it, nor while a profile is linked to it."""
    authority = _named(twin, read(Named, body).CAName)
    if any(device.refers_to(authority) for device in twin.fleet.devices.values()):
        raise Refusal(400, shapes.CA_IN_USE)
    if any(profile.ca_name == authority.name for profile in twin.fleet.profiles.values()):
        raise Refusal(400, shapes.CA_LINKED)
    del twin.fleet.authorities[authority.name]
    return shapes.DONE


def need_subscription(twin: Twin) -> None:
    """Refuse what needs the Device Certificate Management subscription when there is none."""
    if not twin.dials.subscription_active:
        raise Refusal(400, shapes.NO_SUBSCRIPTION)


def _named(twin: Twin, name: str) -> Authority:
    authority = twin.fleet.authorities.get(name)
    if authority is None:
        raise Refusal(400, shapes.INVALID_CA)
    return authority
