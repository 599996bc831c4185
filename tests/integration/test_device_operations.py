"""What is done to devices beside renewals, from the wish to what the account shows in the end."""

from collections.abc import Iterator
from typing import Any

import pytest

from infra.ledger import Ledger
from services.sandbox.ublox.devices import Device
from tests.conftest import Clock
from tests.support.ledger import ask, confirm, job_row, wish
from tests.support.rounds import House, housed

OLD, NEW = "old-ca.example", "new-ca.example"


@pytest.fixture
def house(ledger: Ledger, clock: Clock) -> Iterator[House]:
    with housed(ledger, clock) as made:
        yield made


def asked(house: House, operation: str, uids: list[str], **parameters: Any) -> list[int]:
    """Wish for it, and do what can be done now."""
    jobs = ask(house.ledger, house.clock(), *[wish(uid, operation, **parameters) for uid in uids])
    carried_out(house, operation)
    return jobs


def carried_out(house: House, operation: str) -> None:
    house.ledger.work.wake(house.clock())
    while house.runner.perform(operation):
        pass


def beaten(house: House, operation: str, uids: list[str]) -> None:
    """Every device calls in, and u-blox tells of it."""
    house.clock.forward(hours=1)
    for uid in uids:
        house.twin.beat(device(house, uid))
        confirm(house.ledger, house.clock(), uid, operation=operation)
    carried_out(house, operation)


def device(house: House, uid: str) -> Device:
    return house.twin.fleet.devices[uid]


def told(house: House, jobs: list[int]) -> set[tuple[str, str]]:
    rows = [job_row(house.ledger, job) for job in jobs]
    return {(row["state"], row["reason"]) for row in rows}


def states(house: House, jobs: list[int]) -> set[str]:
    return {state for state, _ in told(house, jobs)}


def test_a_fleet_is_transferred_to_another_ca(house: House) -> None:
    uids = house.recruit(120, ca_name=OLD)
    house.twin.fleet.authority(NEW)
    jobs = asked(house, "ublox.transfer_root_ca", uids, from_ca=OLD, to_ca=NEW)
    assert states(house, jobs) == {"awaiting"}
    assert house.twin.tally.answers["/ztp/devicecertificate/rootca/transfer"] == {200: 2}
    beaten(house, "ublox.transfer_root_ca", uids)
    assert states(house, jobs) == {"succeeded"}
    signers = {c.authority.name for uid in uids if (c := device(house, uid).certificate)}
    assert signers == {NEW}


def test_a_certificate_is_deleted(house: House) -> None:
    (uid,) = house.recruit(1)
    jobs = asked(house, "ublox.delete_certificate", [uid])
    assert states(house, jobs) == {"awaiting"}
    beaten(house, "ublox.delete_certificate", [uid])
    assert told(house, jobs) == {("succeeded", "u-blox shows that the device has no certificate")}
    assert device(house, uid).certificate is None


def test_authorizations_and_the_heartbeat_are_provisioned(house: House) -> None:
    uids = house.recruit(2)
    wished = {"authorizations": {"LocalC2C": "ENABLED", "LocalDPR": "DISABLED"}, "heartbeat_seconds": 7200}
    jobs = asked(house, "ublox.set_provisioning", uids, **wished)
    assert states(house, jobs) == {"awaiting"}
    beaten(house, "ublox.set_provisioning", uids)
    note = "looked again: LocalC2C ENABLED, LocalDPR DISABLED, a heartbeat of 7200 s"
    assert told(house, jobs) == {("succeeded", note)}
    current = device(house, uids[0]).current
    assert (current.authorizations["LocalC2C"], current.authorizations["LocalDPR"]) == (True, False)
    assert current.heartbeat == 7200
    again = asked(house, "ublox.set_provisioning", uids, **wished)
    assert states(house, again) == {"succeeded"}
    assert house.twin.tally.answers["/device/provisioning/set"] == {200: 1}


def test_devices_are_whitelisted_and_taken_off(house: House) -> None:
    uids, ublox = house.recruit(150), house.means.ublox
    for listed in (True, False):
        jobs = asked(house, "ublox.set_whitelist", uids, listed=listed)
        assert states(house, jobs) == {"succeeded"}
        there = {look.uid for look in ublox.devices.whitelist()} & set(uids)
        assert there == (set(uids) if listed else set())


def test_a_device_that_is_listed_by_its_imei_leaves_the_whitelist_too(house: House) -> None:
    uids, fleet = house.recruit(3), house.twin.fleet
    imeis = [device(house, uid).imei for uid in uids]
    fleet.whitelist.add([], imeis[:2], house.clock())
    fleet.whitelist.remove(uids[1:2], [])
    jobs = asked(house, "ublox.set_whitelist", uids[:2], listed=False)
    assert told(house, jobs) == {("succeeded", "looked again: not on the whitelist")}
    assert [fleet.blacklisted(device(house, uid)) for uid in uids] == [True, True, False]


def test_devices_are_tagged_and_untagged(house: House) -> None:
    uids = house.recruit(3)
    jobs = asked(house, "ublox.tag", uids, add=["Leaked"])
    assert told(house, jobs) == {("succeeded", "looked again: tagged leaked")}
    assert sorted(house.means.ublox.information.uids_of(tags=["leaked"])) == sorted(uids)
    jobs = asked(house, "ublox.tag", uids[:1], add=["mended"], remove=["leaked"])
    assert told(house, jobs) == {("succeeded", "looked again: tagged mended and free of leaked")}
    assert {uid: device(house, uid).tags for uid in uids} == {
        uids[0]: {"mended"},
        uids[1]: {"leaked"},
        uids[2]: {"leaked"},
    }
    assert states(house, asked(house, "ublox.tag", uids, remove=["nobody-has-it"])) == {"succeeded"}


def test_a_cloned_device_goes_to_a_person(house: House) -> None:
    clean, cloned = house.recruit(2)
    house.turn(cloned_devices=[cloned])
    jobs = asked(house, "ublox.check_clones", [clean, cloned])
    assert states(house, jobs[:1]) == {"succeeded"}
    ((state, reason),) = told(house, jobs[1:])
    assert (state, reason.startswith("u-blox takes the device for cloned")) == ("parked", True)


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("ublox.replace_certificate", {}),
        ("ublox.revoke_certificate", {}),
        ("ublox.delete_certificate", {}),
        ("ublox.transfer_root_ca", {"from_ca": OLD, "to_ca": NEW}),
    ],
)
def test_a_refusal_parks_its_device_alone_and_an_update_under_way_is_waited_for(
    house: House, operation: str, parameters: dict[str, Any]
) -> None:
    fine, bad, busy = house.recruit(3, ca_name=OLD)
    house.twin.fleet.authority(NEW)
    house.means.ublox.certificates.update([busy], OLD)
    house.turn(refused_devices=[bad])
    first, second, third = asked(house, operation, [fine, bad, busy], **parameters)
    assert states(house, [first]) <= {"awaiting", "succeeded"}
    assert told(house, [second]) == {("parked", told(house, [second]).pop()[1])}
    waits = "awaiting" if operation == "ublox.replace_certificate" else "due"
    assert states(house, [third]) == {waits}
    assert house.twin.tally.actions["updates"][busy] == 1


def test_without_a_subscription_a_person_is_asked(house: House) -> None:
    uids = house.recruit(2)
    house.turn(subscription_active=False)
    jobs = asked(house, "ublox.replace_certificate", uids)
    ((state, reason),) = told(house, jobs)
    assert (state, "subscription" in reason) == ("parked", True)
