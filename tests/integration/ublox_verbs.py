"""Every verb of the client, with what it is to ask by the document."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from schemas.events import EventType
from schemas.ublox import (
    EVERY,
    Authorization,
    NoticeType,
    Provisioning,
    RotationPolicy,
    RotationType,
    Selector,
    WhitelistAction,
)
from services.clients.ublox import Ublox
from tests.integration.ublox_account import UID

OTHER: Final = "135700008928c093"
KEY_ID: Final = "1101000005B52001443F8C16C7EC"
HEADER: Final = "1101000089282257621f7593c47f0000"
KEY: Final = "oCa2JO0sqs4F4L//fMScNA=="
PROFILE: Final = "AyvylmHVdUiHQzUaCjOmC"
CA: Final = "example.com"
CODE: Final = "930783746273459058465786283467236543874968549"
WISH: Final = Provisioning(authorizations={Authorization.ZERO_TOUCH: True})
WRITTEN: Final = {"Authorizations": [{"Name": "ZTPV1", "State": "ENABLED"}]}
WEEKLY: Final = RotationPolicy(type=RotationType.AUTOMATIC, days=7)
CREATED: Final = {"CAName": CA, "CACertificateValidity": 3650, "DeviceCertificateValidity": 365}
HOOK: Final = "https://keys.example/h"
TOKEN: Final = SecretStr("Bearer x")

Verb = Callable[[Ublox, datetime], Any]


def _walked(verb: Verb) -> Verb:
    return lambda ublox, now: list(verb(ublox, now))


VERBS: Final[list[tuple[str, Verb, dict[str, Any]]]] = [
    ("/deviceprofile/get", _walked(lambda u, _: u.profiles.walk(["roof"])), {"TagNames": ["roof"], "PageNumber": 1}),
    ("/deviceprofile/get", _walked(lambda u, _: u.profiles.walk(name="P")), {"ProfileName": "P", "PageNumber": 1}),
    (
        "/deviceprofile/bootstrapprovisioning/set",
        lambda u, _: u.profiles.set_bootstrap_provisioning(PROFILE, WISH),
        {"DeviceProfileUID": PROFILE, "Provisioning": WRITTEN},
    ),
    (
        "/deviceprofile/bootstrapprovisioning/get",
        lambda u, _: u.profiles.bootstrap_provisioning(PROFILE),
        {"DeviceProfileUID": PROFILE},
    ),
    (
        "/deviceprofile/bootstrapprovisioning/delete",
        lambda u, _: u.profiles.delete_bootstrap_provisioning(PROFILE),
        {"DeviceProfileUID": PROFILE},
    ),
    ("/device/list/get", _walked(lambda u, _: u.devices.walk()), {"Filter": "ALL", "PageNumber": 1}),
    (
        "/device/whitelist/add",
        lambda u, _: u.devices.change_whitelist([UID], WhitelistAction.DELETE),
        {"ROTPublicUIDs": [UID], "Action": "DELETE"},
    ),
    (
        "/device/whitelist/add",
        lambda u, _: u.devices.change_whitelist([], WhitelistAction.ADD, imeis=["862618583984360"]),
        {"ROTPublicUIDs": [], "IMEIs": ["862618583984360"], "Action": "ADD"},
    ),
    ("/device/whitelist/get", _walked(lambda u, _: u.devices.whitelist()), {"PageNumber": 1}),
    (
        "/device/provisioning/set",
        lambda u, _: u.provisioning.set(Selector(tags=("roof",)), WISH),
        {"TagNames": ["roof"], "Provisioning": WRITTEN},
    ),
    ("/device/provisioning/get", lambda u, _: u.provisioning.get([UID]), {"ROTPublicUIDs": [UID]}),
    ("/device/provisioning/delete", lambda u, _: u.provisioning.delete([UID]), {"ROTPublicUIDs": [UID]}),
    (
        "/e2e/key/rotate",
        lambda u, _: u.e2e.rotate(Selector(tags=("roof",)), WEEKLY),
        {"TagNames": ["roof"], "Type": "AUTOMATIC", "Days": 7},
    ),
    (
        "/e2e/uplink/symmetrickey/get",
        lambda u, _: u.e2e.symmetric_key(KEY_ID, 128),
        {"KeyID": KEY_ID, "KeyLength": 128},
    ),
    (
        "/e2e/uplink/protectionparameters/get",
        lambda u, _: u.e2e.uplink_protection(HEADER),
        {"EncryptedHeader": HEADER},
    ),
    ("/e2e/uplink/integrityparameters/get", lambda u, _: u.e2e.uplink_integrity(HEADER), {"EncryptedHeader": HEADER}),
    ("/e2e/downlink/protectionparameters/get", lambda u, _: u.e2e.downlink_protection(UID), {"ROTPublicUID": UID}),
    ("/e2e/downlink/integrityparameters/get", lambda u, _: u.e2e.downlink_integrity(UID), {"ROTPublicUID": UID}),
    (
        "/device/info/get",
        lambda u, _: u.information.look(Selector(serials=("123234354",))),
        {"DeviceSerialNumbers": ["123234354"], "Options": ["CORE", "PROVISIONING", "ZTP"]},
    ),
    (
        "/notification/get",
        _walked(lambda u, now: u.information.notices([UID], now, now, NoticeType.ERROR)),
        {
            "FromDate": "2026-05-10T12:00:00+00:00",
            "ToDate": "2026-05-10T12:00:00+00:00",
            "ROTPublicUIDs": [UID],
            "NotificationType": "DEVICE_ERROR",
            "PageNumber": 1,
        },
    ),
    (
        "/device/clone/get",
        lambda u, now: u.information.clones(Selector(profile_uid=PROFILE), now),
        {"FromDate": "2026-05-10T12:00:00+00:00", "DeviceProfileUID": PROFILE, "PageNumber": 1},
    ),
    ("/device/suspicious/get", lambda u, _: u.information.suspects([UID]), {"ROTPublicUIDs": [UID], "PageNumber": 1}),
    (
        "/device/activity/get",
        _walked(lambda u, now: u.information.activity(UID, now)),
        {"FromDate": "2026-05-10T12:00:00+00:00", "ROTPublicUID": UID, "PageNumber": 1},
    ),
    (
        "/device/usage/get",
        lambda u, now: u.information.usage(now, until=date(2026, 5, 10)),
        {"FromDate": "2026-05-10", "ToDate": "2026-05-10"},
    ),
    (
        "/device/rotpublicuid/get",
        _walked(lambda u, _: u.information.uids_of(tags=["roof"])),
        {"TagNames": ["roof"], "PageNumber": 1},
    ),
    ("/apiversion", lambda u, _: u.version(), {}),
    (
        "/ztp/rootca/create",
        lambda u, _: u.authorities.create(CA, 3650, 365, 90),
        {**CREATED, "RenewBeforeExpiration": 90},
    ),
    (
        "/ztp/rootca/update",
        lambda u, _: u.authorities.set_renewal_lead(CA, 90, device_validity_days=365),
        {"CAName": CA, "RenewBeforeExpiration": 90},
    ),
    ("/ztp/rootca/get", _walked(lambda u, _: u.authorities.walk(CA)), {"CAName": CA, "PageNumber": 1}),
    ("/ztp/rootca/crl/get", lambda u, _: u.authorities.crls([CA]), {"CANames": [CA]}),
    ("/ztp/rootca/crl/get", lambda u, _: u.authorities.crls(), {}),
    ("/ztp/rootca/device/get", _walked(lambda u, _: u.authorities.devices(CA)), {"CAName": CA, "PageNumber": 1}),
    (
        "/ztp/rootca/popcertificate/generate",
        lambda u, _: u.authorities.proof_of_possession(CA, CODE),
        {"CAName": CA, "RegistrationCode": CODE},
    ),
    ("/ztp/rootca/delete", lambda u, _: u.authorities.delete(CA), {"CAName": CA}),
    (
        "/ztp/devicecertificate/renew",
        lambda u, _: u.certificates.renew((), CA, 365, serials=["0A"]),
        {"CAName": CA, "DeviceCertificateValidity": 365, "SerialNumbers": ["a"]},
    ),
    (
        "/ztp/devicecertificate/update",
        lambda u, _: u.certificates.update([UID], CA),
        {"CAName": CA, "ROTPublicUIDs": [UID]},
    ),
    ("/ztp/devicecertificate/delete", lambda u, _: u.certificates.delete([UID]), {"ROTPublicUIDs": [UID]}),
    (
        "/ztp/devicecertificate/revoke",
        lambda u, _: u.certificates.revoke(CA, serial="073068C914DE40CCAEE84E03A66B4858"),
        {"CAName": CA, "SerialNumber": "73068c914de40ccaee84e03a66b4858"},
    ),
    (
        "/ztp/devicecertificate/rootca/transfer",
        lambda u, _: u.certificates.transfer([UID], "old-ca", "new-ca"),
        {"FromCA": "old-ca", "ToCA": "new-ca", "ROTPublicUIDs": [UID]},
    ),
    (
        "/notification/webhook/create",
        lambda u, _: u.webhooks.create(HOOK, token=TOKEN, event_type=EventType.ERRORS),
        {"NotificationURL": HOOK, "AuthorizationToken": "Bearer x", "NotificationType": "DEVICE_ERRORS_EVENT"},
    ),
    (
        "/notification/webhook/update",
        lambda u, _: u.webhooks.change_token(HOOK, token=TOKEN),
        {"NotificationURL": HOOK, "AuthorizationToken": "Bearer x"},
    ),
    ("/notification/webhook/delete", lambda u, _: u.webhooks.delete(HOOK), {"NotificationURL": HOOK}),
    ("/notification/webhook/get", lambda u, _: u.webhooks.walk(), {}),
    ("/tag/create", lambda u, _: u.tags.create("roof"), {"TagName": "roof"}),
    ("/tag/delete", lambda u, _: u.tags.delete("roof"), {"TagName": "roof"}),
    ("/tag/get", _walked(lambda u, _: u.tags.walk()), {"PageNumber": 1}),
    (
        "/tag/assign",
        lambda u, _: u.tags.assign(["roof"], profile_uids=[PROFILE], sync=True),
        {"TagNames": ["roof"], "DeviceProfileUIDs": [PROFILE], "SyncRequired": True},
    ),
    (
        "/tag/remove",
        lambda u, _: u.tags.remove([EVERY], uids=[UID]),
        {"TagNames": ["{*}"], "ROTPublicUIDs": [UID]},
    ),
]


def proof(name: str) -> str:
    """A certificate with the name in it."""
    key = ec.generate_private_key(ec.SECP256R1())
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begins = datetime(2026, 1, 1, tzinfo=UTC)
    made = x509.CertificateBuilder(named, named, key.public_key(), 1, begins, begins + timedelta(days=30))
    return made.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()
