"""Every request example of the document that is complete is accepted.

Of 47 examples those are complete that the document does not fold: no array or object is left empty. The facts are
written anew, with names of our own.
"""

from typing import Any, Final

import pytest

from schemas.ublox import (
    UbloxRequest,
    endpoints,
)

UID = "0002000089282245"
SHORT = 2000089282245
"""A ROTPublicUID as some samples send it: a number, whose leading zeros are lost."""

CODE = "930783746273459058465786283467236543874968549"

COMPLETE: Final[dict[str, dict[str, Any]]] = {
    "/authenticate": {"APIKey": "0d636af8-d001-49ba-86d3-000000000000", "APISecret": "m" * 32},
    "/refreshauthtoken": {"APIKey": "0d636af8-d001-49ba-86d3-000000000000", "RefreshToken": "e" * 1857},
    "/deviceprofile/bootstrapprovisioning/get": {"DeviceProfileUID": "A" * 21},
    "/deviceprofile/bootstrapprovisioning/delete": {"DeviceProfileUID": "A" * 21},
    "/device/list/get": {"Filter": "BLACKLISTED", "PageNumber": 1},
    "/device/whitelist/get": {"PageNumber": 1},
    "/e2e/uplink/symmetrickey/get": {"KeyID": "1101000005B52001443F8C16C7EC"},
    "/e2e/uplink/protectionparameters/get": {"EncryptedHeader": "1101000089282257621f7593c47f0000"},
    "/e2e/uplink/integrityparameters/get": {"EncryptedHeader": "2900000f0008002f312401"},
    "/e2e/downlink/protectionparameters/get": {"ROTPublicUID": SHORT},
    "/e2e/downlink/integrityparameters/get": {"ROTPublicUID": SHORT},
    "/device/activity/get": {
        "FromDate": "2020-02-01T00:00:00+00:00",
        "ToDate": "2020-03-01T23:59:00+00:00",
        "ROTPublicUID": "0000200456789544",
        "PageNumber": 1,
    },
    "/device/usage/get": {"FromDate": "2020-02-01"},
    "/device/rotpublicuid/get": {"DeviceProfileUID": "mbYbAX-CoEqE97TMFBsUKQ", "PageNumber": 1},
    "/ztp/rootca/create": {
        "CAName": "example.com",
        "CACertificateValidity": 3650,
        "DeviceCertificateValidity": 3650,
        "RenewBeforeExpiration": 180,
    },
    "/ztp/rootca/update": {"CAName": "example.com", "RenewBeforeExpiration": 180},
    "/ztp/rootca/get": {"PageNumber": 1},
    "/ztp/rootca/device/get": {"CAName": "acme.example.com"},
    "/ztp/rootca/popcertificate/generate": {"CAName": "example.com", "RegistrationCode": CODE},
    "/ztp/rootca/delete": {"CAName": "example.com"},
    "/ztp/devicecertificate/revoke": {"ROTPublicUID": "0002000089280087", "CAName": "example.com"},
    "/notification/webhook/create": {
        "NotificationURL": "https://example.com",
        "AuthorizationToken": "Bearer eiuytreuihkjfghdlyreuiyt",
        "NotificationType": "DEVICE_BOOTSTRAP_EVENT",
    },
    "/notification/webhook/update": {"NotificationURL": "https://example.com", "AuthorizationToken": "Bearer eiuytr"},
    "/tag/create": {"TagName": "downtown"},
    "/tag/delete": {"TagName": "downtown"},
    "/tag/get": {"PageNumber": 1},
}

FOLDED: Final[dict[str, dict[str, Any]]] = {
    "/deviceprofile/get": {"TagNames": ["downtown"], "PageNumber": 1},
    "/deviceprofile/bootstrapprovisioning/set": {
        "DeviceProfileUID": "A" * 21,
        "Provisioning": {"authorizations": {"LocalDPR": True}},
    },
    "/device/whitelist/add": {"ROTPublicUIDs": [UID], "Action": "ADD"},
    "/device/provisioning/set": {"ROTPublicUIDs": [UID], "Provisioning": {"heartbeat_seconds": 86400}},
    "/device/provisioning/get": {"ROTPublicUIDs": [UID]},
    "/device/provisioning/delete": {"ROTPublicUIDs": [UID]},
    "/e2e/key/rotate": {"ROTPublicUIDs": [UID], "Type": "AUTOMATIC", "Days": 1},
    "/device/info/get": {"ROTPublicUIDs": [UID], "Options": ["CORE"]},
    "/notification/get": {
        "FromDate": "2020-02-01T00:00:00+00:00",
        "ToDate": "2020-03-01T23:59:00+00:00",
        "ROTPublicUIDs": [UID],
        "NotificationType": "DEVICE_INFO_CHANGE",
    },
    "/device/clone/get": {
        "FromDate": "2020-02-01T00:00:00+00:00",
        "ToDate": "2020-03-01T23:59:00+00:00",
        "ROTPublicUIDs": [UID],
    },
    "/device/suspicious/get": {"ROTPublicUIDs": [UID]},
    "/ztp/rootca/crl/get": {"CANames": ["example.com"]},
    "/ztp/devicecertificate/renew": {
        "ROTPublicUIDs": [UID],
        "CAName": "example.com",
        "DeviceCertificateValidity": 1000,
    },
    "/ztp/devicecertificate/update": {"ROTPublicUIDs": [UID], "CAName": "example.com"},
    "/ztp/devicecertificate/delete": {"ROTPublicUIDs": [UID]},
    "/ztp/devicecertificate/rootca/transfer": {
        "ROTPublicUIDs": [UID],
        "FromCA": "examplefrom.com",
        "ToCA": "exampleto.com",
    },
    "/tag/assign": {"TagNames": ["downtown"], "ROTPublicUIDs": [UID]},
    "/tag/remove": {"TagNames": ["downtown"], "ROTPublicUIDs": [UID]},
}
"""Examples with something in what the document leaves empty; ``Provisioning`` by our names, for it is empty too."""

NO_BODY: Final = {"/apiversion", "/notification/webhook/get"}
INCOMPLETE: Final = {"/notification/webhook/delete"}
"""Its example is empty although its field is required."""


def request_at(path: str) -> type[UbloxRequest]:
    return next(endpoint.request for endpoint in endpoints() if endpoint.path == path)


def test_every_endpoint_has_its_example_here() -> None:
    assert sorted([*COMPLETE, *FOLDED, *NO_BODY, *INCOMPLETE]) == sorted(endpoint.path for endpoint in endpoints())
    print(f"{len(COMPLETE)} complete examples, {len(FOLDED)} folded ones")


@pytest.mark.parametrize("path", [*COMPLETE, *FOLDED])
def test_an_example_is_accepted_and_goes_out_as_it_came_in(path: str) -> None:
    example = COMPLETE.get(path) or FOLDED[path]
    sent = request_at(path).model_validate(example).body()
    canonical = {**example, **({"ROTPublicUID": UID} if example.get("ROTPublicUID") == SHORT else {})}
    if "Provisioning" in example:
        assert set(sent["Provisioning"]) <= {"Authorizations", "NetworkParameters"}
        canonical["Provisioning"] = sent["Provisioning"]
    assert {name: _plain(value) for name, value in sent.items() if name in example} == canonical
    assert sent.keys() - example.keys() <= {"PageNumber", "KeyLength"}  # what is always sent


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("path", sorted(NO_BODY))
def test_a_call_without_a_documented_body_sends_an_empty_one(path: str) -> None:
    assert request_at(path)().body() == {}
