"""The u-blox twin tells registered URLs of events, in the document's words."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.events import EventType, read_notification
from tests.fixtures.ublox import CA, LONG_AGO, Caller, Mailbox, calling, receiving
from tests.support.patience import eventually

SECONDS = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
MINUTES = r"\d{4}-\d\d-\d\dT\d\d:\d\dZ"


@pytest.fixture(scope="module")
def server() -> Iterator[Caller]:
    with calling() as caller:
        yield caller


@pytest.fixture
def twin(server: Caller) -> Caller:
    server.reset()
    return server


@pytest.fixture(scope="module")
def receiver() -> Iterator[Mailbox]:
    with receiving() as mailbox:
        yield mailbox


@pytest.fixture
def mailbox(receiver: Mailbox, twin: Caller) -> Mailbox:
    assert twin.stats()["deliveries"]["waiting"] == 0
    receiver.clear()
    return receiver


def recently() -> str:
    return (datetime.now(UTC) - timedelta(days=1)).isoformat()


def fired(twin: Caller, mailbox: Mailbox, event_type: EventType, **wishes: Any) -> Any:
    """Register for a type, fire one event and give the body that came."""
    twin.register(mailbox.url, event_type)
    twin.control("/fire", type=event_type, **wishes)
    eventually(lambda: mailbox.bodies)
    return mailbox.bodies[-1]


def test_the_token_is_the_whole_authorization_header(twin: Caller, mailbox: Mailbox) -> None:
    fired(twin, mailbox, EventType.ERRORS, devices=twin.devices(1))
    assert mailbox.headers[0]["authorization"] == "Bearer hook-token"
    assert mailbox.headers[0]["content-type"] == "application/json"


def test_a_bootstrap_tells_of_the_device(twin: Caller, mailbox: Mailbox) -> None:
    (uid,) = twin.devices(1)
    body = fired(twin, mailbox, EventType.BOOTSTRAP, devices=[uid])
    core = twin.info(uid)["CORE"]
    assert list(body) == ["ROTPublicUID", "Timestamp", "EventType", "Payload"]
    assert re.fullmatch(SECONDS, body["Timestamp"])
    assert body["Payload"] == {name: value for name, value in core.items() if name not in {"LastSeen", "State"}}


def test_a_properties_change_tells_of_both_sides(twin: Caller, mailbox: Mailbox) -> None:
    body = fired(twin, mailbox, EventType.PROPERTIES_CHANGE, devices=twin.devices(1))
    assert re.fullmatch(SECONDS, body["Timestamp"])
    assert set(body["Payload"]["DesiredProperties"]["Authorizations"][0]) == {"Name", "State", "ModifiedDate"}
    assert set(body["Payload"]["CurrentProperties"]["Authorizations"][0]) == {"Name", "State", "SyncDate"}


def test_an_error_carries_its_text(twin: Caller, mailbox: Mailbox) -> None:
    (uid,) = twin.devices(1)
    body = fired(twin, mailbox, EventType.ERRORS, devices=[uid], error="the aerial fell off")
    assert list(body) == ["ROTPublicUID", "EventType", "Timestamp", "Payload"]
    assert body["Payload"] == {"Error": "the aerial fell off"}
    assert re.fullmatch(MINUTES, body["Timestamp"])


def test_an_expiration_counts_the_days_that_are_left(twin: Caller, mailbox: Mailbox) -> None:
    (uid,) = twin.devices(1, certificate_days_left=30)
    payload = fired(twin, mailbox, EventType.CERTIFICATE_EXPIRATION, devices=[uid])["Payload"]
    ztp = twin.info(uid)["ZTP"]
    same = ("CertificateAuthorityName", "CertificateSerialNumber", "ExpirationDate")
    assert payload == {"DaysToExpiration": 30, **{name: ztp[name] for name in same}}


def test_a_root_expiration_names_no_device(twin: Caller, mailbox: Mailbox) -> None:
    twin.devices(6)
    body = fired(twin, mailbox, EventType.ROOTCA_EXPIRATION)
    assert "ROTPublicUID" not in body
    assert (body["Payload"]["CertificateAuthorityName"], body["Payload"]["ProvisionedDevicesCount"]) == (CA, 6)
    assert re.fullmatch(SECONDS, body["Payload"]["ExpirationDate"])


def test_a_renewal_is_told_after_the_heartbeat(twin: Caller, mailbox: Mailbox) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=3600)
    twin.register(mailbox.url, EventType.CERTIFICATE_RENEWAL)
    twin.renew(uid)
    assert mailbox.bodies == []
    twin.beat(uid)
    eventually(lambda: mailbox.bodies)
    ztp = twin.info(uid)["ZTP"]
    assert mailbox.bodies[0]["Payload"] == {name: ztp[name] for name in ztp if name != "Certificate"}


def test_a_rotation_that_a_device_took_changes_its_properties(twin: Caller, mailbox: Mailbox) -> None:
    """A rule that answers this event with a rotation would loop; the twin lets that be seen."""
    (uid,) = twin.devices(1, heartbeat_seconds=3600)
    twin.register(mailbox.url, EventType.PROPERTIES_CHANGE)
    twin.ask("/e2e/key/rotate", ROTPublicUIDs=[uid], Type="CONTINUOUS")
    twin.beat(uid)
    eventually(lambda: mailbox.bodies)
    assert mailbox.bodies[0]["ROTPublicUID"] == uid


@pytest.mark.parametrize("event_type", [kind for kind in EventType if kind is not EventType.ROOTCA_EXPIRATION])
def test_every_event_can_be_read_back(twin: Caller, mailbox: Mailbox, event_type: EventType) -> None:
    (uid,) = twin.devices(1)
    notification = read_notification(fired(twin, mailbox, event_type, devices=[uid]))
    assert (notification.event_type, notification.device) == (event_type, uid)


def test_many_urls_may_listen_to_one_type(twin: Caller, mailbox: Mailbox) -> None:
    twin.register(mailbox.url, EventType.ERRORS, "one")
    twin.register(f"{mailbox.url}?second", EventType.ERRORS, "two")
    twin.control("/fire", type=EventType.ERRORS, devices=twin.devices(1))
    eventually(lambda: len(mailbox.headers) == 2)
    assert {headers["authorization"] for headers in mailbox.headers} == {"one", "two"}


def test_registrations_are_listed_updated_and_deleted_by_url(twin: Caller, mailbox: Mailbox) -> None:
    for event_type in (EventType.ERRORS, EventType.BOOTSTRAP):
        twin.register(mailbox.url, event_type)
    listed = twin.http.get("/v1/notification/webhook/get", headers=twin.header).json()
    assert {item["NotificationType"] for item in listed} == {EventType.ERRORS, EventType.BOOTSTRAP}
    twin.ask("/notification/webhook/update", NotificationURL=mailbox.url, AuthorizationToken="new")
    twin.control("/fire", type=EventType.BOOTSTRAP, devices=twin.devices(1))
    eventually(lambda: mailbox.headers)
    assert mailbox.headers[0]["authorization"] == "new"
    twin.ask("/notification/webhook/delete", NotificationURL=mailbox.url)
    assert twin.ask("/notification/webhook/get") == []


def test_changes_of_an_unknown_url_are_refused(twin: Caller) -> None:
    url = "https://example.com/nobody"
    assert twin.call("/notification/webhook/update", NotificationURL=url, AuthorizationToken="x").status_code == 400
    assert twin.call("/notification/webhook/delete", NotificationURL=url).status_code == 400
    assert twin.call("/notification/webhook/delete").status_code == 400


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("https://example.com/hook", 200),
        ("http://localhost:1/hook", 200),
        ("http://[::1]:1/hook", 200),
        ("http://example.com/hook", 400),
        ("http://127.0.0.1.example.com/hook", 400),
        ("ftp://127.0.0.1/hook", 400),
        ("https://", 400),
        ("https://[", 400),
    ],
)
def test_only_https_urls_are_accepted_or_this_machine(twin: Caller, url: str, status: int) -> None:
    body = {"NotificationURL": url, "AuthorizationToken": "x", "NotificationType": EventType.ERRORS}
    assert twin.call("/notification/webhook/create", **body).status_code == status


def test_an_unknown_type_is_refused(twin: Caller, mailbox: Mailbox) -> None:
    body = {"NotificationURL": mailbox.url, "AuthorizationToken": "x", "NotificationType": "DEVICE_LOST_EVENT"}
    assert twin.call("/notification/webhook/create", **body).json() == {"message": "Bad Request"}


def test_lost_news_can_still_be_asked_for(twin: Caller, mailbox: Mailbox) -> None:
    uids = twin.devices(101)
    twin.turn(lost_webhooks=1)
    twin.register(mailbox.url, EventType.ERRORS)
    twin.control("/fire", type=EventType.ERRORS, devices=uids)
    twin.control("/fire", type=EventType.CERTIFICATE_EXPIRATION, devices=uids)
    assert twin.stats()["deliveries"]["lost"] == 101
    look = {"FromDate": recently(), "ROTPublicUIDs": uids}
    page = twin.ask("/notification/get", **look, PageNumber=2)
    assert (page["TotalRecords"], len(page["Notifications"])) == (101, 1)
    assert page["Notifications"][0]["NotificationType"] == "DEVICE_ERROR"
    assert twin.ask("/notification/get", **look, NotificationType="DEVICE_INFO_CHANGE")["TotalRecords"] == 0
    assert twin.ask("/notification/get", **look, ToDate=recently())["TotalRecords"] == 0
    assert mailbox.bodies == []


def test_news_older_than_half_a_year_cannot_be_asked_for(twin: Caller) -> None:
    assert twin.call("/notification/get", FromDate=LONG_AGO, ROTPublicUIDs=twin.devices(1)).status_code == 400
    assert twin.call("/notification/get", FromDate="yesterday", ROTPublicUIDs=twin.devices(1)).status_code == 400
