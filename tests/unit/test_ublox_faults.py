"""Every error that the document shows, and every refusal that its prose tells of, is understood."""

import json
from typing import Final

import pytest

from schemas.errors import Busy, OurFault, Refused, UpstreamError
from schemas.ublox import endpoints
from services.clients.answers import Answer
from services.clients.ublox.faults import fault

BAD: Final = "Bad Request"
UNKNOWN: Final = "Bad Request. Invalid ROTPublicUIDs"
BARRED: Final = "Not Authorized."
BORNE: Final = "Request aborted. This tag is currently assigned to ROTPublicUID(s)"

SHOWN: Final = {
    "/deviceprofile/bootstrapprovisioning/set": ("message", BAD),
    "/deviceprofile/bootstrapprovisioning/delete": ("message", BAD),
    "/device/whitelist/add": ("Message", BAD),
    "/device/provisioning/set": ("Message", BAD),
    "/device/provisioning/delete": ("message", BAD),
    "/ztp/rootca/update": ("message", BARRED),
    "/ztp/rootca/delete": ("message", BARRED),
    "/ztp/devicecertificate/renew": ("message", BARRED),
    "/ztp/devicecertificate/update": ("message", BARRED),
    "/ztp/devicecertificate/delete": ("message", BARRED),
    "/ztp/devicecertificate/revoke": ("message", BARRED),
    "/ztp/devicecertificate/rootca/transfer": ("message", BARRED),
    "/notification/webhook/create": ("message", BARRED),
    "/notification/webhook/update": ("message", BARRED),
    "/notification/webhook/delete": ("message", BARRED),
    "/tag/create": ("message", BARRED),
    "/tag/delete": ("message", BORNE),
    "/tag/assign": ("message", UNKNOWN),
    "/tag/remove": ("message", BARRED),
}
"""The 19 endpoints whose only sample is an error, with the key and the text of it; no status is shown."""


def told(path: str, status: int, text: str, key: str = "message") -> UpstreamError:
    """What we make of an answer."""
    body = json.dumps({key: text}).encode()
    made = fault(Answer.read(method="POST", path=path, status=status, body=body))
    assert made is not None
    assert (made.status, made.call, made.sent) == (status, path, True)
    assert text in str(made)
    return made


@pytest.mark.parametrize(("path", "key", "text"), [(path, *sample) for path, sample in SHOWN.items()])
def test_a_documented_error_is_understood(path: str, key: str, text: str) -> None:
    assert type(told(path, 400, text, key)) is Refused
    barred = text == BARRED
    assert type(told(path, 403, text, key)) is (OurFault if barred else Refused)
    assert type(told(path, 401, text, key)) is OurFault


@pytest.mark.parametrize("path", [endpoint.path for endpoint in endpoints()])
@pytest.mark.parametrize("text", [BAD, UNKNOWN, BARRED])
def test_the_general_errors_are_understood_of_every_endpoint(path: str, text: str) -> None:
    assert type(told(path, 400, text)) is Refused
    assert isinstance(told(path, 403, text), OurFault if text == BARRED else Refused)


@pytest.mark.parametrize("path", [endpoint.path for endpoint in endpoints() if endpoint.guarded])
@pytest.mark.parametrize("status", [400, 403, 409])
@pytest.mark.parametrize(
    "text",
    [
        "Bad Request. Device certificate update is in progress",
        "This API cannot be called, device certificate update process is still on-going.",
        "An update is pending for ROTPublicUID(s)",
        "UPDATE UNDER WAY",
    ],
)
def test_an_update_under_way_is_a_matter_of_hours_for_every_guarded_call(path: str, status: int, text: str) -> None:
    assert type(told(path, status, text)) is Busy


def test_the_guarded_calls_are_four_and_a_second_update_waits_as_well() -> None:
    assert sum(endpoint.guarded for endpoint in endpoints()) == 4
    assert type(told("/ztp/devicecertificate/update", 400, "Update in progress")) is Busy


def test_nothing_else_is_busy_with_an_update() -> None:
    assert type(told("/e2e/key/rotate", 400, "in progress")) is Refused


@pytest.mark.parametrize("path", [endpoint.path for endpoint in endpoints() if endpoint.subscribed])
@pytest.mark.parametrize("status", [400, 403])
def test_a_missing_subscription_and_a_spent_quota_are_told_in_words(path: str, status: int) -> None:
    inactive = told(path, status, "Device Certificate Management subscription is not active or has expired")
    assert type(inactive) is Refused
    assert "an active Device Certificate Management subscription is needed" in str(inactive)
    spent = told(path, status, "Quota for given ROTPublicUIDs is exceeded")
    assert type(spent) is Refused
    assert "the quota of the subscription is spent" in str(spent)


@pytest.mark.parametrize("status", [400, 403, 409])
@pytest.mark.parametrize(
    ("path", "text", "advice"),
    [
        ("/tag/delete", BORNE, "remove it from them first"),
        ("/ztp/rootca/delete", "This Root CA is set in current or desired properties of device(s)", "transfer them"),
        ("/ztp/rootca/delete", "Root CA is linked to device profile(s)", "transfer them"),
        ("/ztp/rootca/delete", "The certificate is in use", "transfer them"),
    ],
)
def test_what_is_in_use_is_refused_with_what_to_do(status: int, path: str, text: str, advice: str) -> None:
    refused = told(path, status, text)
    assert type(refused) is Refused
    assert advice in str(refused)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (UNKNOWN, "does not know a device"),
        ("Bad Request. Invalid SerialNumbers", "does not know a serial number"),
        ("Bad Request. Invalid DeviceSerialNumbers", "does not know a serial number"),
        ("Bad Request. Invalid TagNames", "does not know a tag"),
        ("Bad Request. Invalid CAName", "does not know a root CA"),
    ],
)
def test_an_unknown_name_is_told_in_words(text: str, hint: str) -> None:
    assert hint in str(told("/ztp/devicecertificate/renew", 400, text))


def test_a_success_is_no_error_whatever_it_says() -> None:
    body = b'{"Message": "Bad Request"}'
    assert fault(Answer.read(method="POST", path="/e2e/key/rotate", status=200, body=body)) is None
