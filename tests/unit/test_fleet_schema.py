"""The inventory's words: what a site may hold, every fault in words, and what is found by a device's UID."""

from collections.abc import Iterable
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.errors import InputError
from schemas.fleet import CentagateToken, Fleet, FleetTap, TwonDevice, cross_faults
from schemas.references import EnvironmentReference

UID = "135700008928c093"
PLACE = {"env": "P"}
PRINT = "AB:" * 31 + "AB"


def door(**more: object) -> dict[str, object]:
    return {"serial": "54-1046-0745", "address": "https://door", "location": "Lobby", "password": PLACE, **more}


def tap(**more: object) -> dict[str, object]:
    return {"serial": "A1", "address": "tcp://tap", "password": PLACE, "configuration": "tap.toml", **more}


def sms(username: str = "alice") -> dict[str, object]:
    return {"username": username, "type": "sms", "phone": PLACE}


def site(name: str, **things: object) -> dict[str, object]:
    return {"name": name, **things}


def fleet(*sites: dict[str, object]) -> Fleet:
    return Fleet.model_validate({"sites": sites})


def told(error: ValidationError) -> str:
    return str(error.errors(include_url=False))


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"serial": "541046-0745"}, "should match pattern"),
        ({"serial": "٥٤-1046-0745"}, "should match pattern"),
        ({"address": "ftp://door"}, "expected an address such as https://192.168.1.60"),
        ({"address": "https://door/api"}, "expected an address such as"),
        ({"address": "https://me:hunter2@door"}, "expected no user or password inside the address"),
        ({"address": "https://door:99999"}, "expected an address such as"),
        ({"address": "https://a b"}, "expected an address such as"),
        ({"address": "http://door"}, "address http:// sends everything in clear; expected https://, or in_clear"),
        ({"address": "http://door", "in_clear": 1}, "valid boolean"),
        ({"address": "http://door", "in_clear": True, "fingerprint": PRINT}, "fingerprint has a meaning for https://"),
        ({"fingerprint": PRINT, "ca_file": "ca.pem"}, "ca_file expected one of fingerprint and ca_file, not both"),
        ({"fingerprint": PRINT[:-2]}, "expected the SHA-256 of the device's certificate"),
        ({"location": ""}, "at least 1 character"),
        ({"location": "x" * 128}, "at most 127 characters"),
        ({"location": "Lobby\n"}, "expected printable characters without blanks around them"),
        ({"password": None}, 'password is missing; expected where it stands, or auth = "none" instead of digest'),
        ({"password": None, "auth": "basic"}, 'or auth = "none" instead of basic'),
        ({"auth": "none"}, 'password has no meaning with auth = "none"'),
        ({"auth": "ntlm"}, "'digest', 'basic' or 'none'"),
        ({"managed_by": "us"}, "'keyturn', 'my2n' or 'access-commander'"),
        ({"user": "a:b"}, "should match pattern"),
        ({"colour": "red"}, "Extra inputs are not permitted"),
    ],
)
def test_a_2n_device_is_refused_in_words(more: dict[str, object], fault: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TwonDevice.model_validate(door(**more))
    assert fault in told(caught.value)


def test_a_2n_device_is_read_into_one_spelling() -> None:
    device = TwonDevice.model_validate(door(address="HTTPS://Door:443/", fingerprint=PRINT))
    assert (device.address, device.fingerprint) == ("https://door", "ab" * 32)
    assert (device.user, device.auth, device.managed_by, device.may_write) == ("admin", "digest", "keyturn", False)
    assert TwonDevice.model_validate(door(address="https://[FE80::1]:8443")).address == "https://[fe80::1]:8443"
    plain = door(address="http://door:80", in_clear=True, auth="none", password=None)
    assert TwonDevice.model_validate(plain).address == "http://door"


@pytest.mark.parametrize(
    ("token", "fault"),
    [
        ({"username": "a", "type": "sms", "serial": PLACE}, "serial has no meaning for a token of type sms"),
        ({"username": "a", "type": "otp", "phone": PLACE}, "phone has no meaning for a token of type otp"),
        ({"username": "a", "type": "otp"}, "serial is missing; a token of type otp has one"),
        ({"username": "a", "type": "sms"}, "phone is missing"),
        ({"username": "a", "type": "push", "phone": PLACE}, "'sms' or 'otp'"),
        ({"username": "a/b", "type": "sms", "phone": PLACE}, "without blanks and slashes"),
        ({"username": "", "type": "sms", "phone": PLACE}, "at least 1 character"),
        ({"username": "a", "type": "sms", "phone": "+999123456"}, "expected where the secret stands"),
    ],
)
def test_a_token_is_refused_in_words(token: dict[str, object], fault: str) -> None:
    with pytest.raises(ValidationError) as caught:
        CentagateToken.model_validate(token)
    assert fault in told(caught.value)
    assert "+999123456" not in str(caught.value)


def test_a_token_knows_its_key_and_its_number() -> None:
    otp = CentagateToken.model_validate({"username": "alice", "type": "otp", "serial": {"env": "S"}})
    assert (otp.key, otp.number) == ("alice/otp", EnvironmentReference(env="S"))


def test_a_tap_over_a_broker_needs_a_relay_and_no_other_has_one() -> None:
    for more, fault in (
        ({"address": "mqtts://broker"}, "relay is missing; it tells net_key"),
        ({"address": "MQTT://broker"}, "relay is missing"),
        ({"relay": {"net_key": PLACE}}, "relay has a meaning for mqtt:// and mqtts:// only"),
    ):
        with pytest.raises(ValidationError) as caught:
            FleetTap.model_validate(tap(**more))
        assert fault in told(caught.value)


def raw_faults(*sites: dict[str, object]) -> list[tuple[Any, ...]]:
    return [(*path, text) for path, text in cross_faults({"sites": list(sites)})]


def test_things_that_do_not_fit_together_are_told_with_their_places() -> None:
    faults = raw_faults(
        site(
            "lyon",
            devices=[UID, UID.upper()],
            twon=[door(), door(address="https://other")],
            taps=[tap(), tap(serial="A2")],
            tokens=[sms(), sms(), sms("bob")],
        ),
        site("nice", devices=[UID], twon=[door(serial="54-1046-0746")], taps=[tap(address="tcp://far")]),
        site("lyon"),
    )
    assert faults == [
        ("sites", 2, "name", "this site is there twice"),
        ("sites", 0, "devices", 1, "this device is there twice"),
        ("sites", 1, "devices", 0, "this device is there twice, in two sites"),
        ("sites", 0, "twon", 1, "serial", "this 2N device is there twice"),
        ("sites", 0, "tokens", 1, "username", "this user has two tokens of this type"),
        ("sites", 1, "taps", 0, "serial", "this Tap is there twice, in two sites"),
        ("sites", 1, "twon", 0, "address", "is the address of another 2N device too"),
        ("sites", 0, "taps", 1, "address", "is the address of another Tap too"),
        ("sites", 1, "twon", 0, "location", "is a location of another site; it belongs to one site"),
    ]


def test_taps_may_share_a_broker() -> None:
    relayed = {"address": "mqtt://broker", "relay": {"net_key": PLACE}}
    assert raw_faults(site("lyon", taps=[tap(**relayed), tap(serial="A2", **relayed)])) == []


@pytest.mark.parametrize("junk", [None, 5, "x", [None], [5], [{"twon": 5, "taps": [1], "devices": {}, "tokens": "x"}]])
def test_what_is_no_inventory_at_all_has_no_faults_between(junk: object) -> None:
    assert cross_faults({"sites": junk}) == []


def test_an_inventory_that_does_not_fit_together_is_not_made() -> None:
    with pytest.raises(ValidationError, match="is the address of another 2N device too"):
        fleet(site("lyon", twon=[door(), door(serial="54-1046-0746", address="https://DOOR:443")]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Lyon"},
        {"name": "lyon", "tags": ["a b"]},
        {"name": "lyon", "skip_rules": ["Bad Rule"]},
        {"name": "lyon", "devices": ["zz"]},
    ],
)
def test_a_site_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        fleet(wrong)


def whole() -> Fleet:
    return fleet(
        site(
            "lyon",
            devices=[UID],
            twon=[
                door(),
                door(serial="54-1046-0746", address="https://b"),
                door(serial="54-1046-0747", address="https://c", location="Garage"),
            ],
            tokens=[sms()],
            taps=[tap()],
        ),
        site("bare", devices=["0000000000000001"]),
    )


def test_what_belongs_with_a_device_is_found_by_its_uid() -> None:
    inventory = whole()
    assert inventory.taps_of(UID).targets == ("A1",)
    assert inventory.locations_of(UID).targets == ("location:Lobby", "location:Garage")
    assert inventory.tokens_of(UID).targets == ("alice/sms",)
    assert inventory.locations_of("0000000000000001").why_none == "its site bare has no 2N locations"
    stray = inventory.tokens_of("0000000000000002")
    assert (stray.targets, stray.stray) == ((), True)
    assert stray.why_none == "0000000000000002 belongs to no site of the inventory"
    assert Fleet().taps_of(UID).why_none == "the inventory has no sites"


def test_everything_is_found_by_its_key() -> None:
    inventory = whole()
    assert {name: serials(devices) for name, devices in inventory.locations.items()} == {
        "Lobby": ["54-1046-0745", "54-1046-0746"],
        "Garage": ["54-1046-0747"],
    }
    assert (inventory.tokens["alice/sms"].username, inventory.taps["A1"].scheme) == ("alice", "tcp")
    assert inventory.twon["54-1046-0747"].location == "Garage"


def test_what_cannot_be_read_is_told_to_those_alone_who_ask_for_it() -> None:
    left_out = [
        {"kind": "tap", "key": "A2", "site": "lyon", "fault": "colour"},
        {"kind": "twon", "key": "54-1046-0750", "site": "lyon", "fault": "colour", "location": "Lobby"},
        {"kind": "device", "key": "000000000000000f", "site": "gone", "fault": "colour"},
    ]
    inventory = Fleet.model_validate({"sites": whole().sites, "unreadable": left_out})
    assert list(inventory.taps) == ["A1"]
    assert "A3" not in inventory.taps
    for look in (
        lambda: inventory.taps["A2"],
        lambda: "A2" in inventory.taps,
        lambda: inventory.twon.get("54-1046-0750"),
        lambda: inventory.locations.get("Lobby"),
    ):
        with pytest.raises(InputError, match=r"cannot be read \(colour\): import it again"):
            look()
    assert [entry.key for entry in inventory.unreadable_of(UID)] == ["A2", "54-1046-0750"]
    assert [entry.key for entry in inventory.unreadable_of("000000000000000f")] == ["000000000000000f"]
    assert inventory.unreadable_of("0000000000000001") == ()


def test_a_device_of_an_unknown_location_may_belong_to_any_of_its_site() -> None:
    left_out = [{"kind": "twon", "key": "54-1046-0750", "site": "lyon", "fault": "location"}]
    inventory = Fleet.model_validate({"sites": whole().sites, "unreadable": left_out})
    assert list(inventory.locations) == []
    with pytest.raises(InputError, match="54-1046-0750 cannot be read"):
        inventory.locations.get("Garage", ())


def serials(devices: Iterable[TwonDevice]) -> list[str]:
    return [device.serial for device in devices]


@pytest.mark.parametrize(
    ("operation", "target", "lock"),
    [
        ("twon.check", "device:54-1046-0745", "location:Lobby"),
        ("twon.check", "device:54-9999-9999", ""),
        ("twon.rotate_mobile_key", "location:Lobby", ""),
        ("tap.reconfigure", "device:54-1046-0745", ""),
    ],
)
def test_a_job_on_one_device_holds_the_lock_of_its_location(operation: str, target: str, lock: str) -> None:
    assert whole().lock_of(operation, target) == lock
