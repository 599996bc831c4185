"""The u-blox twin keeps profiles, the whitelist, provisioning, tags and usage as the document says."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from schemas.events import EventType
from services.sandbox.ublox.clock import VirtualClock
from services.sandbox.ublox.registers import UNATTRIBUTED
from services.sandbox.ublox.twin import Twin
from tests.fixtures.ublox import CA, Caller, Mailbox, calling, receiving

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROFILE = "AyvylmHVdUiHQzUaCjOmCA"
STRANGER = "135700008928c093"
DAY = 86_400


@pytest.fixture
def twin() -> Iterator[Caller]:
    with calling(Twin(clock=VirtualClock(START))) as caller:
        yield caller


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with receiving() as mailbox:
        yield mailbox


def states(twin: Caller, uid: str, side: str = "Current") -> dict[str, str]:
    group = twin.info(uid)["PROVISIONING"][f"{side}Properties"]["Authorizations"]
    return {item["Name"]: item["State"] for item in group}


def heartbeat(twin: Caller, uid: str, side: str = "Current") -> int:
    (item,) = twin.info(uid)["PROVISIONING"][f"{side}Properties"]["NetworkParameters"]
    assert item["Name"] == "SecurityHeartbeatInSec"
    value: int = item["Value"]
    return value


def wished(seconds: int | None = None, **authorizations: str) -> dict[str, Any]:
    """The object Provisioning."""
    groups: dict[str, Any] = {}
    if authorizations:
        groups["Authorizations"] = [{"Name": name, "State": state} for name, state in authorizations.items()]
    if seconds is not None:
        groups["NetworkParameters"] = [{"Name": "SecurityHeartbeatInSec", "Value": seconds}]
    return groups


def listed(twin: Caller) -> list[str]:
    items = twin.ask("/device/whitelist/get", PageNumber=1)["DeviceWhitelist"]
    return [item.get("ROTPublicUID", item.get("IMEI")) for item in items]


def uploaded(twin: Caller, content: str) -> httpx.Response:
    headers = {**twin.header, "Content-Type": "application/octet-stream"}
    return twin.http.post("/v1/device/whitelist/add", content=content.encode(), headers=headers)


def tagged(twin: Caller, tag: str) -> list[str]:
    uids: list[str] = twin.ask("/device/rotpublicuid/get", TagNames=[tag])["ROTPublicUIDs"]
    return uids


def test_profiles_are_found_by_exact_name_by_tag_or_all_together(twin: Caller) -> None:
    twin.control("/profiles", uid=PROFILE, name="Meters", ca_name=CA)
    twin.ask("/tag/create", TagName="north")
    twin.ask("/tag/assign", TagNames=["North"], DeviceProfileUIDs=[PROFILE])
    assert len(twin.ask("/deviceprofile/get")["DeviceProfiles"]) == 2
    (found,) = twin.ask("/deviceprofile/get", ProfileName="Meters")["DeviceProfiles"]
    assert (found["DeviceProfileUID"], found["CAName"]) == (PROFILE, CA)
    assert twin.ask("/deviceprofile/get", ProfileName="meters")["TotalRecords"] == 0
    assert twin.ask("/deviceprofile/get", TagNames=["NORTH"])["DeviceProfiles"] == [found]
    assert twin.call("/deviceprofile/get", TagNames=["north"], ProfileName="Meters").status_code == 400


def test_what_a_profile_says_is_given_to_new_devices_only(twin: Caller) -> None:
    twin.control("/profiles", uid=PROFILE, name="Meters", ca_name=CA)
    (old,) = twin.devices(1, profile_uid=PROFILE, heartbeat_seconds=DAY)
    wish = {"DeviceProfileUID": PROFILE, "Provisioning": wished(3600, ZTPV1="ENABLED", LocalC2C="DISABLED")}
    twin.ask("/deviceprofile/bootstrapprovisioning/set", **wish)
    kept = twin.ask("/deviceprofile/bootstrapprovisioning/get", DeviceProfileUID=PROFILE)
    assert kept["DeviceProfileUID"] == PROFILE
    assert kept["DesiredProperties"]["NetworkParameters"][0]["Value"] == 3600
    (new,) = twin.devices(1, profile_uid=PROFILE, bootstrapping=True)
    assert states(twin, new) == {"ZTPV1": "ENABLED", "LocalC2C": "DISABLED"}
    assert heartbeat(twin, new) == 3600
    assert twin.info(new)["ZTP"]["CertificateAuthorityName"] == CA
    assert states(twin, old) == {"LocalDPR": "ENABLED", "ZTPV1": "ENABLED"}
    twin.ask("/deviceprofile/bootstrapprovisioning/delete", DeviceProfileUID=PROFILE)
    assert twin.ask("/deviceprofile/bootstrapprovisioning/get", DeviceProfileUID=PROFILE)["DesiredProperties"] == {}
    (bare,) = twin.devices(1, profile_uid=PROFILE, bootstrapping=True)
    assert (states(twin, bare), twin.info(bare)["ZTP"]) == ({}, {})
    assert twin.call("/deviceprofile/bootstrapprovisioning/get", DeviceProfileUID="nobody").status_code == 400


def test_a_device_that_is_not_whitelisted_ends_allocated_and_without_authorizations(
    twin: Caller, mailbox: Mailbox
) -> None:
    twin.register(mailbox.url, EventType.BOOTSTRAP)
    twin.control("/profiles", uid=PROFILE, name="Meters", ca_name=CA)
    wish = {"DeviceProfileUID": PROFILE, "Provisioning": wished(ZTPV1="ENABLED")}
    twin.ask("/deviceprofile/bootstrapprovisioning/set", **wish)
    (bad,) = twin.devices(1, profile_uid=PROFILE, bootstrapping=True, blacklisted=True)
    (good,) = twin.devices(1, profile_uid=PROFILE, bootstrapping=True)
    assert [twin.info(uid)["CORE"]["State"] for uid in (bad, good)] == ["ALLOCATED", "ACTIVATED"]
    assert (states(twin, bad), twin.info(bad)["ZTP"]) == ({}, {})
    twin.forward(seconds=1)
    told = {body["ROTPublicUID"]: body["Payload"]["IsBlacklisted"] for body in mailbox.bodies}
    assert told == {bad: True, good: False}
    look = {"FromDate": "2026-02-01T00:00:00+00:00", "ROTPublicUIDs": [bad], "NotificationType": "DEVICE_STATE_CHANGE"}
    assert twin.ask("/notification/get", **look)["Notifications"][0]["Payload"] == {"State": "ALLOCATED"}


def test_a_device_that_was_allocated_is_activated_when_it_bootstraps_again(twin: Caller) -> None:
    (uid,) = twin.devices(1, bootstrapping=True, blacklisted=True)
    twin.ask("/device/whitelist/add", ROTPublicUIDs=[uid], Action="ADD")
    assert twin.info(uid)["CORE"]["State"] == "ALLOCATED"
    twin.control("/bootstrap", devices=[uid])
    assert twin.info(uid)["CORE"]["State"] == "ACTIVATED"


def test_devices_come_and_go_on_the_whitelist(twin: Caller) -> None:
    (uid,) = twin.devices(1)
    twin.ask("/device/whitelist/add", ROTPublicUIDs=[STRANGER], Action="ADD")
    assert listed(twin) == [uid, STRANGER]
    twin.ask("/device/whitelist/add", ROTPublicUIDs=[uid], Action="DELETE")
    assert listed(twin) == [STRANGER]
    assert twin.ask("/device/list/get", Filter="BLACKLISTED")["ROTPublicUIDs"] == [uid]
    assert twin.info(uid)["CORE"]["IsBlacklisted"] is True


def test_a_device_can_be_whitelisted_by_its_imei(twin: Caller) -> None:
    (uid,) = twin.devices(1, blacklisted=True)
    imei = twin.info(uid)["CORE"]["IMEI"]
    twin.ask("/device/whitelist/add", IMEIs=[imei], Action="ADD")
    assert (twin.info(uid)["CORE"]["IsBlacklisted"], listed(twin)) == (False, [imei])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ROTPublicUIDs": [], "Action": "ADD"},
        {"ROTPublicUIDs": ["x"]},
        {"ROTPublicUIDs": [STRANGER], "Action": "DROP"},
    ],
)
def test_a_wrong_change_of_the_whitelist_is_refused_under_a_capital_message(twin: Caller, body: Any) -> None:
    answer = twin.call("/device/whitelist/add", **body)
    assert answer.status_code == 400
    assert answer.json()["Message"].startswith("Bad Request")
    assert listed(twin) == []


def test_the_whitelist_takes_a_file_also_with_the_row_of_the_document(twin: Caller) -> None:
    (uid,) = twin.devices(1)
    rows = f"Id,Type,Action\r\n00020001003ffff,ROTPublicUID,ADD\r\n{uid.upper()},ROTPublicUID,DELETE\r\n"
    assert uploaded(twin, rows).status_code == 200
    assert listed(twin) == ["000020001003ffff"]
    assert twin.stats()["devices_named"]["/device/whitelist/add"] == 2


@pytest.mark.parametrize(
    "content",
    [
        "",
        "Id,Type,Action\n",
        f"{STRANGER},ROTPublicUID,ADD\n",
        "Id,Type,Action\n862618583984360,IMEI,ADD\n",
        f"Id,Type,Action\n{STRANGER},ROTPublicUID,DROP\n",
        f"Id,Type,Action\n{STRANGER},ROTPublicUID\n",
        f"Id,Type,Action\n{STRANGER},ROTPublicUID,ADD\nno uid,ROTPublicUID,ADD\n",
    ],
)
def test_a_wrong_file_is_refused_as_a_whole(twin: Caller, content: str) -> None:
    answer = uploaded(twin, content)
    assert (answer.status_code, set(answer.json())) == (400, {"Message"})
    assert listed(twin) == []


def test_provisioning_is_desired_at_once_and_current_after_the_heartbeat(twin: Caller, mailbox: Mailbox) -> None:
    twin.register(mailbox.url, EventType.PROPERTIES_CHANGE)
    (uid,) = twin.devices(1, heartbeat_seconds=DAY)
    wish = wished(7200, LocalC2C="ENABLED", LocalDPR="DISABLED")
    twin.ask("/device/provisioning/set", ROTPublicUIDs=[uid], Provisioning=wish)
    after = {"LocalDPR": "DISABLED", "ZTPV1": "ENABLED", "LocalC2C": "ENABLED"}
    assert (states(twin, uid, "Desired"), heartbeat(twin, uid, "Desired")) == (after, 7200)
    assert (states(twin, uid), heartbeat(twin, uid)) == ({"LocalDPR": "ENABLED", "ZTPV1": "ENABLED"}, DAY)
    (item,) = twin.ask("/device/provisioning/get", ROTPublicUIDs=[uid])
    assert item["ROTPublicUID"] == uid
    twin.forward(days=1)
    assert (states(twin, uid), heartbeat(twin, uid)) == (after, 7200)
    (body,) = mailbox.bodies
    told = {one["Name"]: one["State"] for one in body["Payload"]["CurrentProperties"]["Authorizations"]}
    assert told == after
    assert twin.stats()["billed"] == {"LocalC2C": 1}


def test_forgotten_provisioning_leaves_what_is_there_and_the_usual_heartbeat(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=DAY, tags=["t"])
    twin.ask("/device/provisioning/set", TagNames=["t"], Provisioning=wished(LocalC2C="ENABLED"))
    twin.ask("/device/provisioning/delete", TagNames=["t"])
    twin.forward(days=1)
    assert states(twin, uid) == {"LocalDPR": "ENABLED", "ZTPV1": "ENABLED"}
    assert heartbeat(twin, uid) == 2
    assert twin.stats()["billed"] == {}


def test_a_wish_may_be_written_as_an_object_of_names(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=DAY)
    wish = {"Authorizations": {"LocalC2C": "ENABLED"}, "SecurityHeartbeatInSec": 600}
    twin.ask("/device/provisioning/set", ROTPublicUIDs=[uid], Provisioning=wish)
    assert (states(twin, uid, "Desired")["LocalC2C"], heartbeat(twin, uid, "Desired")) == ("ENABLED", 600)


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"Zerotouch": {}},
        wished(Evaluation="ENABLED"),
        wished(LocalDPR="ON"),
        wished(0),
        {"NetworkParameters": [{"Name": "Speed", "Value": 1}]},
        {"Authorizations": [{"Name": "LocalDPR"}]},
        {"Authorizations": "LocalDPR"},
        {"Authorizations": [{"Name": "LocalDPR", "State": "ENABLED"}, {"Name": "LocalDPR", "State": "DISABLED"}]},
    ],
)
def test_what_cannot_be_set_is_refused_under_a_capital_message(twin: Caller, wish: Any) -> None:
    (uid,) = twin.devices(1)
    answer = twin.call("/device/provisioning/set", ROTPublicUIDs=[uid], Provisioning=wish)
    assert (answer.status_code, answer.json()) == (400, {"Message": "Bad Request"})


def test_devices_without_a_sealed_profile_go_by_a_name_of_their_own(twin: Caller) -> None:
    mine, bare = twin.devices(1), twin.devices(1, profile_uid=None)
    own = twin.info(mine[0])["CORE"]["DeviceProfileUID"]
    for profile, uids in ((own, mine), (UNATTRIBUTED, bare)):
        assert twin.ask("/device/rotpublicuid/get", DeviceProfileUID=profile)["ROTPublicUIDs"] == uids
    assert twin.info(bare[0])["CORE"]["DeviceProfileUID"] == UNATTRIBUTED
    twin.turn(suspicious_devices=[*mine, *bare], cloned_devices=[*mine, *bare])
    look = {"DeviceProfileUID": UNATTRIBUTED}
    assert twin.ask("/device/suspicious/get", **look)["TotalRecords"] == 1
    assert twin.ask("/device/clone/get", FromDate="2026-02-01T00:00:00+00:00", **look)["TotalRecords"] == 1
    assert twin.call("/device/rotpublicuid/get", DeviceProfileUID="nobody").status_code == 400
    assert twin.call("/device/rotpublicuid/get").status_code == 400


def test_a_profile_may_be_sealed_after_the_bootstrap(twin: Caller) -> None:
    uids = twin.devices(2, profile_uid=None)
    twin.control("/profiles", uid=PROFILE, name="Meters", devices=uids[:1])
    assert [twin.info(uid)["CORE"]["DeviceProfileUID"] for uid in uids] == [PROFILE, UNATTRIBUTED]
    assert twin.ask("/device/rotpublicuid/get", DeviceProfileUID=PROFILE)["ROTPublicUIDs"] == uids[:1]


def test_a_clone_is_told_of_with_the_time_when_it_was_found(twin: Caller) -> None:
    (uid,) = twin.devices(1)
    twin.turn(cloned_devices=[uid])
    look = {"ROTPublicUIDs": [uid], "FromDate": START.isoformat()}
    first = twin.ask("/device/clone/get", **look)["ClonedEvents"]
    twin.forward(days=1)
    assert twin.ask("/device/clone/get", **look)["ClonedEvents"] == first
    later = {**look, "FromDate": (START + timedelta(hours=1)).isoformat()}
    assert twin.ask("/device/clone/get", **later)["TotalRecords"] == 0


def test_tags_know_no_case_and_are_assigned_and_removed(twin: Caller) -> None:
    one, two = twin.devices(2)
    for name in ("Downtown", "Harbour"):
        twin.ask("/tag/create", TagName=name)
    assert twin.call("/tag/create", TagName="DOWNTOWN").status_code == 400
    assert [item["TagName"] for item in twin.ask("/tag/get")["Tags"]] == ["Downtown", "Harbour"]
    twin.ask("/tag/assign", TagNames=["downtown", "HARBOUR"], ROTPublicUIDs=[one, two])
    twin.ask("/tag/remove", TagNames=["Downtown"], ROTPublicUIDs=[two])
    twin.ask("/tag/remove", TagNames=["Downtown"], ROTPublicUIDs=[two])  # not there any more: ignored
    assert (tagged(twin, "downtown"), tagged(twin, "harbour")) == ([one], [one, two])


def test_a_tag_in_use_is_not_deleted(twin: Caller) -> None:
    (uid,) = twin.devices(1, tags=["t"])
    answer = twin.call("/tag/delete", TagName="T")
    assert answer.status_code == 400
    assert answer.json() == {"message": "Request aborted. This tag is currently assigned to ROTPublicUID(s)"}
    twin.ask("/tag/remove", TagNames=["t"], ROTPublicUIDs=[uid])
    twin.ask("/tag/delete", TagName="t")
    assert twin.ask("/tag/get")["TotalRecords"] == 0
    assert twin.call("/tag/delete", TagName="t").status_code == 400


@pytest.mark.parametrize("wildcard", ["*", "{*}"])
def test_a_wildcard_stands_for_all_on_one_side_and_is_refused_on_both(twin: Caller, wildcard: str) -> None:
    one, two = twin.devices(2, tags=["a", "b"])
    both = {"TagNames": [wildcard], "ROTPublicUIDs": [wildcard]}
    assert twin.call("/tag/remove", **both).status_code == 400
    twin.ask("/tag/remove", TagNames=[wildcard], ROTPublicUIDs=[one])
    assert (tagged(twin, "a"), tagged(twin, "b")) == ([two], [two])
    twin.ask("/tag/remove", TagNames=["a"], ROTPublicUIDs=[wildcard])
    assert (tagged(twin, "a"), tagged(twin, "b")) == ([], [two])


def test_a_tag_of_a_profile_reaches_its_devices_only_when_that_is_asked_for(twin: Caller) -> None:
    twin.control("/profiles", uid=PROFILE, name="Meters")
    (uid,) = twin.devices(1, profile_uid=PROFILE)
    twin.ask("/tag/create", TagName="a")
    wish = {"TagNames": ["a"], "DeviceProfileUIDs": [PROFILE]}
    twin.ask("/tag/assign", **wish)
    assert tagged(twin, "a") == []
    twin.ask("/tag/assign", **wish, SyncRequired=True)
    assert tagged(twin, "a") == [uid]
    twin.ask("/tag/remove", **wish, SyncRequired=True)
    assert tagged(twin, "a") == []


@pytest.mark.parametrize(
    "body",
    [
        {"TagNames": ["a"]},
        {"TagNames": [], "ROTPublicUIDs": [STRANGER]},
        {"TagNames": ["a"], "ROTPublicUIDs": [STRANGER]},
        {"TagNames": ["nobody"], "DeviceProfileUIDs": [PROFILE]},
        {"TagNames": ["a"], "DeviceProfileUIDs": ["nobody"]},
        {"TagNames": ["a"], "DeviceProfileUIDs": [PROFILE], "ROTPublicUIDs": [STRANGER]},
    ],
)
def test_a_wrong_assignment_is_refused(twin: Caller, body: Any) -> None:
    twin.control("/profiles", uid=PROFILE, name="Meters")
    twin.ask("/tag/create", TagName="a")
    for path in ("/tag/assign", "/tag/remove"):
        assert twin.call(path, **body).status_code == 400


@pytest.mark.parametrize("name", ["", "x" * 256, *(f"a{symbol}b" for symbol in '^`~<>"{}|,\\')])
def test_a_tag_may_not_have_every_symbol(twin: Caller, name: str) -> None:
    assert twin.call("/tag/create", TagName=name).status_code == 400


def test_usage_is_told_by_device_after_five_minutes_and_for_sixty_days(twin: Caller) -> None:
    uid, other = twin.devices(2, heartbeat_seconds=60, tags=["t"])
    twin.renew(uid)
    twin.forward(minutes=2)
    today = {"FromDate": "2026-03-01"}
    assert twin.ask("/device/usage/get", **today) == {}
    twin.forward(minutes=5)
    used = {str(int(uid)): {"ZTPDeviceCertificateRenewal": 1}}
    for way in ({}, {"ROTPublicUIDs": [uid, other]}, {"TagNames": ["T"]}):
        assert twin.ask("/device/usage/get", **today, **way) == used
    assert twin.ask("/device/usage/get", **today, ROTPublicUIDs=[other]) == {}
    assert twin.ask("/device/usage/get", FromDate="2026-02-01", ToDate="2026-02-28") == {}
    assert twin.call("/device/usage/get", **today, ROTPublicUIDs=[uid], TagNames=["t"]).status_code == 400
    twin.forward(days=60)
    assert twin.ask("/device/usage/get", **today) == used
    twin.forward(days=1)
    assert twin.call("/device/usage/get", **today).status_code == 400


@pytest.mark.parametrize("day", ["2026-03-01T00:00:00", "01.03.2026", "2026-02-30", 20260301])
def test_a_day_of_usage_is_year_month_and_day(twin: Caller, day: Any) -> None:
    assert twin.call("/device/usage/get", FromDate=day).status_code == 400
