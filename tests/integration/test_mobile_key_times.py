"""When a key was made is shown by the devices that have it: no list of keys from 1970."""

from datetime import UTC, datetime

from infra.ledger import Ledger
from tests.support.rotation import HandClock, twin_house

NOW = datetime(2026, 5, 10, 12, 0, tzinfo=UTC)


def test_a_device_is_told_when_each_of_its_keys_was_made(ledger: Ledger) -> None:
    with twin_house(ledger, HandClock(NOW), 1) as house:
        house.hold_first_keys()
        assert house.rotate()["state"] == "succeeded"
        (device,) = house.twins
        told = {key.public: key.ctime for key in device.slots if key}
        assert told == {key.public: round(key.created_at.timestamp()) for key in house.held()}
        assert len(told) > 1
