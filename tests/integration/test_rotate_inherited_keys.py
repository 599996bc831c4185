"""Keys that Keyturn did not install: published ones, another location's, lost ones; and what odd devices show."""

import base64
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from schemas.fleet import TwonDevice
from schemas.twon import LogEvent, SystemInfo
from services.clients.twon import TwonClient, keys
from services.operations.rotate_lists import told
from services.sandbox.twon.keys import AccessKey, new_key
from tests.support.rotation import LOBBY, HandClock, Opens

SAMPLE = json.loads((Path(__file__).parents[1] / "fixtures" / "twon-mobilekey-config.json").read_text())


def published() -> AccessKey:
    """A key of which everybody can read the private half."""
    text = SAMPLE["result"]["keys"][0]["key"]
    return replace(new_key(), private=text, public=keys.parse(SecretStr(text)).public_text)


@pytest.mark.parametrize("places", ["S", "SO", "OS"])
def test_devices_with_a_sample_key_of_the_manual_are_rotated_and_the_key_goes_first(
    opens: Opens, moment: HandClock, places: str
) -> None:
    """It stays at first, where it is, for phones have it; and it is told."""
    house = opens(2, firmware="2.50", held=False)
    house.keep_time()
    moment.forward(minutes=5)
    own, sample = new_key(), published()
    shown = [{"S": sample, "O": own}[place] for place in places]
    for device in house.twins:
        device.slots = tuple((*shown, None, None, None)[:4])
    house.hold_first_keys()
    job = house.rotate()
    assert job["state"] == "succeeded", job["reason"]
    assert "a sample key of the manual, which lets anybody in" in job["reason"]
    kept = [own.public] if "O" in places else []
    assert house.distinct() == {(house.held()[0].public, *kept, sample.public)}
    moment.forward(days=100)
    assert house.rotate()["state"] == "succeeded"
    assert all(sample.public not in listed for listed in house.distinct())


def test_a_sample_key_is_given_to_no_other_device(opens: Opens) -> None:
    house = opens(2, firmware="2.50", held=False)
    sample, own = published(), new_key()
    house.twins[0].slots = (own, sample, None, None)
    house.twins[1].slots = (own, None, None, None)
    house.hold_first_keys()
    assert house.rotate()["state"] == "succeeded"
    assert sample.public in house.twins[0].keys
    assert sample.public not in house.twins[1].keys


def renamed(device: TwonDevice, location: str) -> TwonDevice:
    return TwonDevice.model_validate({**device.model_dump(), "location": location})


def test_a_location_that_is_renamed_keeps_its_keys(opens: Opens, moment: HandClock) -> None:
    house = opens(2, firmware="2.50")
    house.rotate()
    moment.forward(days=1)
    ((first, second),) = house.distinct()
    house.devices[:] = [renamed(device, "Lobby North") for device in house.devices]
    house.location = "Lobby North"
    for device in house.twins:
        device.location = "Lobby North"
    job = house.rotate()
    assert job["state"] == "succeeded", job["reason"]
    assert house.distinct() == {(house.held()[0].public, first, second)}
    assert {key.location for key in house.held()} == {"Lobby North"}
    assert len(house.keys.reveal(house.held())) == 3


def test_a_key_that_was_lost_and_is_on_no_device_stops_nothing(opens: Opens, moment: HandClock) -> None:
    house = opens(2, firmware="2.50")
    lost = new_key()
    found = keys.parse(SecretStr(lost.private))
    house.keys.keep(LOBBY, [(found, moment() - timedelta(days=900))])
    (row,) = (key for key in house.held() if key.public == lost.public)
    house.vault.delete([row.secret_name])
    assert house.rotate()["state"] == "succeeded"


def test_a_key_that_was_lost_and_is_on_a_device_is_one_that_nobody_holds(opens: Opens) -> None:
    house = opens(2, firmware="2.50")
    (row,) = house.held()
    house.vault.delete([row.secret_name])
    job = house.rotate()
    assert job["state"] == "parked"
    assert f"the private half of {told(row.public)} is not held" in job["reason"]
    assert house.distinct() == {(row.public,)}
    job = house.rotate(delete_unknown=True)
    assert job["state"] == "succeeded", job["reason"]
    assert house.distinct() == {(house.held()[0].public,)}


def test_a_device_that_shows_a_key_twice_is_rotated(opens: Opens) -> None:
    house = opens(2, firmware="2.50")
    device = house.twins[0]
    device.slots = (device.slots[0], device.slots[0], None, None)
    job = house.rotate()
    assert job["state"] == "succeeded", job["reason"]
    assert {len(listed) for listed in house.distinct()} == {2}


def test_a_device_that_tells_no_serial_number_is_not_written_to(opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    house = opens(1)
    before, ask = house.lists(), TwonClient.system_info

    def nameless(client: TwonClient) -> SystemInfo:
        return ask(client).model_copy(update={"serial_number": ""})

    monkeypatch.setattr(TwonClient, "system_info", nameless)
    job = house.rotate()
    assert job["state"] == "parked"
    assert "one that tells no serial number" in job["reason"]
    assert house.lists() == before


@pytest.mark.parametrize("odd", [1_770_000_000_000, 0, 2**60])
def test_a_time_that_cannot_be_in_a_log_stops_nothing(
    opens: Opens, moment: HandClock, monkeypatch: pytest.MonkeyPatch, odd: int
) -> None:
    house = opens(2, firmware="2.50", keys=4)
    house.keep_time()
    moment.forward(minutes=5)
    house.keys.settle(primary=house.held()[0], dropped=[], now=moment())
    moment.forward(days=365)
    pull = TwonClient.log_pull
    event: dict[str, Any] = {"id": 1, "utcTime": odd, "event": "MobKeyEntered"}
    event["params"] = {"valid": True, "authid": "one"}

    def oddly(client: TwonClient, subscription: int, timeout: int = 0) -> tuple[LogEvent, ...]:
        told = pull(client, subscription, timeout)
        return (LogEvent.read(event), *told) if told else told

    monkeypatch.setattr(TwonClient, "log_pull", oddly)
    job = house.rotate()
    assert job["state"] == "succeeded", job["reason"]


def test_a_key_of_the_manual_is_known_by_its_public_half() -> None:
    assert keys.is_published(base64.b64decode(published().public))
