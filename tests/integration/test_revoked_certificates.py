"""What is revoked stays revoked: no renewal and no transfer brings its key back with a serial that no list shows."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import time
from typing import Any

import pytest

from infra.ledger import Ledger
from infra.ledger.steering import Order, Steer, steer
from schemas.jobs import State
from schemas.limits import Limits, Window
from schemas.schedules import FiringState
from services.operations.certificate_voided import revoked_in_renewal
from services.operations.previews import PREVIEWS
from services.sandbox.ublox.certificates import Certificate
from tests.conftest import Clock
from tests.support.compromise import REPLACE, REVOKE
from tests.support.ledger import RENEW, ask, claim_one, job_row, rows, settle, wish
from tests.support.rounds import House, housed
from tests.support.scanning import DAY, TRANSFER, scan

OLD, NEXT = "sandbox-ca.example", "next-ca.example"


@pytest.fixture
def house(ledger: Ledger, clock: Clock) -> Iterator[House]:
    with housed(ledger, clock) as house:
        house.twin.fleet.authority(NEXT)
        yield house


def certificate(house: House, uid: str) -> Certificate:
    found = house.twin.fleet.devices[uid].certificate
    assert found is not None
    return found


def done(house: House, uid: str, operation: str, **parameters: Any) -> tuple[str, str]:
    """Ask for a job and do it; where it stands, and why."""
    (job,) = ask(house.ledger, house.clock(), wish(uid, operation, **parameters))
    house.runner.perform(operation)
    row = job_row(house.ledger, job)
    return row["state"], row["reason"]


def transfer(house: House, uid: str) -> tuple[str, str]:
    return done(house, uid, TRANSFER, from_ca=OLD, to_ca=NEXT)


def asked_for(house: House, uid: str) -> int:
    """How many certificates the twin was asked for."""
    actions = house.twin.tally.actions
    return actions["renewal_requests"][uid] + actions["transfers"][uid]


def beat(house: House, uid: str) -> None:
    house.twin.beat(house.twin.fleet.devices[uid])


def is_barred(house: House, uid: str, why: str) -> bool:
    instead = "replace the certificate (ublox.replace_certificate), then retry this job; or delete it"
    assert done(house, uid, RENEW) == ("parked", f"{why}: replace it, or leave it")
    assert transfer(house, uid) == ("parked", f"{why}: {instead} (ublox.delete_certificate)")
    return asked_for(house, uid) == 0


def test_a_revoked_certificate_is_neither_renewed_nor_transferred(house: House) -> None:
    leaked, sound = house.recruit(2)
    assert done(house, leaked, REVOKE)[0] == "succeeded"
    assert is_barred(house, leaked, f"serial {certificate(house, leaked).serial:x} is revoked")
    assert done(house, sound, RENEW)[0] == "awaiting"
    assert asked_for(house, sound) == 1


def test_what_somebody_else_revoked_is_remembered_once_a_job_has_seen_it(house: House) -> None:
    (uid,) = house.recruit(1)
    has = certificate(house, uid)
    has.authority.revoke(has.serial, house.clock())
    assert done(house, uid, REVOKE)[1].startswith("already revoked: ")
    assert is_barred(house, uid, f"serial {has.serial:x} is revoked")


@pytest.mark.parametrize("state", [State.AWAITING, State.PARKED])
def test_so_is_a_revocation_that_u_blox_took_and_does_not_show_yet(house: House, state: State) -> None:
    (uid,) = house.recruit(1)
    serial = f"{certificate(house, uid).serial:x}"
    ask(house.ledger, house.clock(), wish(uid, REVOKE))
    job = claim_one(house.ledger, house.clock(), REVOKE)
    settle(house.ledger, house.clock(), job, state, later=DAY, progress={"asked": "taken", "serial": serial, "ca": OLD})
    assert is_barred(house, uid, f"serial {serial} is revoked")


def test_it_is_remembered_for_as_long_as_the_device_has_the_certificate(house: House, clock: Clock) -> None:
    (uid,) = house.recruit(1)
    done(house, uid, REVOKE)
    clock.forward(days=200)
    house.ledger.upkeep.prune(clock(), keep=90 * DAY)
    assert is_barred(house, uid, f"serial {certificate(house, uid).serial:x} is revoked")
    done(house, uid, REPLACE)
    for _ in range(2):
        beat(house, uid)
    clock.forward(days=165)  # its deadline, at which it is looked at
    house.sweep()
    house.runner.perform(REPLACE)
    assert done(house, uid, RENEW)[0] == "awaiting"
    assert asked_for(house, uid) == 1
    clock.forward(days=200)
    house.ledger.upkeep.prune(clock(), keep=90 * DAY)
    assert REVOKE not in {row["operation"] for row in rows(house.ledger, "SELECT operation FROM jobs")}


def test_the_leaked_key_is_known_under_another_serial_number_too(house: House) -> None:
    """A renewal had been asked for before, and the device carried it out after the revocation."""
    (uid,) = house.recruit(1)
    old = certificate(house, uid).serial
    house.means.ublox.certificates.renew([uid], OLD, 365)
    done(house, uid, REVOKE)
    beat(house, uid)
    new = certificate(house, uid).serial
    house.twin.tally.actions["renewal_requests"].clear()
    assert new != old
    assert is_barred(house, uid, f"serial {new:x} has the key of serial {old:x}, which is revoked")


def test_the_leaked_key_is_remembered_until_the_device_has_another(house: House, clock: Clock) -> None:
    (uid,) = house.recruit(1)
    old = certificate(house, uid).serial
    house.means.ublox.certificates.renew([uid], OLD, 365)
    done(house, uid, REVOKE)
    beat(house, uid)
    house.twin.tally.actions["renewal_requests"].clear()
    why = f"serial {certificate(house, uid).serial:x} has the key of serial {old:x}, which is revoked"
    assert is_barred(house, uid, why)
    clock.forward(days=200)
    house.ledger.upkeep.prune(clock(), keep=90 * DAY)
    assert is_barred(house, uid, why)


@pytest.mark.parametrize("operation", [RENEW, TRANSFER])
def test_one_that_a_person_retries_waits_for_its_window(house: House, operation: str, clock: Clock) -> None:
    """It was refused before it had asked for anything."""
    (uid,) = house.recruit(1)
    done(house, uid, REVOKE)
    parameters: dict[str, Any] = {"from_ca": OLD, "to_ca": NEXT} if operation == TRANSFER else {}
    window = Window(opens=time(11), closes=time(13), timezone="UTC")
    (job,) = ask(house.ledger, clock(), replace(wish(uid, operation, **parameters), limits=Limits(window=window)))
    house.runner.perform(operation)
    assert job_row(house.ledger, job)["state"] == "parked"
    clock.forward(hours=6)
    with house.ledger.database.writing() as connection:
        steer(connection, Order(job=job, steer=Steer.RETRY, actor="key:boss"), clock())
    assert job_row(house.ledger, job)["state"] == "held"


def test_a_revocation_that_failed_bars_nothing(house: House) -> None:
    (uid,) = house.recruit(1)
    house.turn(subscription_active=False)
    assert done(house, uid, REVOKE)[0] == "parked"
    house.turn(subscription_active=True)
    assert done(house, uid, RENEW)[0] == "awaiting"


def test_a_dry_run_says_so_too(house: House) -> None:
    (uid,) = house.recruit(1)
    done(house, uid, REVOKE)
    ask(house.ledger, house.clock(), wish(uid, RENEW))
    (diff,) = PREVIEWS[RENEW]([claim_one(house.ledger, house.clock(), RENEW)], house.tools).values()
    assert (diff.then, diff.changes) == ("stop", [])
    assert diff.why.endswith("is revoked: replace it, or leave it")


def test_the_scan_wishes_for_no_renewal_of_it_and_tells_once(house: House, clock: Clock) -> None:
    leaked, sound = house.recruit(2, certificate_days_left=20, heartbeat_seconds=3600)
    done(house, leaked, REVOKE)
    alerts = scan(house, rule="two thirds")
    serial = certificate(house, leaked).serial
    assert alerts == [
        f"the certificate of device {leaked} is not renewed: serial {serial:x} is revoked; replace it, or leave it"
    ]
    assert house.last("daily").state is FiringState.ATTENTION
    for _ in range(2):
        clock.forward(days=1)
        assert scan(house) == []
    assert house.last("daily").state is FiringState.SUCCEEDED
    assert house.last("daily").detail["let_end"] == [leaked]
    renewals = rows(house.ledger, "SELECT target FROM jobs WHERE operation = :renew", renew=RENEW)
    assert [row["target"] for row in renewals] == [sound]


def test_the_scan_ends_a_refused_renewal_when_the_certificate_is_another(house: House, clock: Clock) -> None:
    """Until then it waits for a person, who need not see to it again after the replacement."""
    (uid,) = house.recruit(1)
    done(house, uid, REVOKE)
    assert done(house, uid, RENEW)[0] == done(house, uid, RENEW)[0] == "parked"
    clock.forward(days=1)
    scan(house)
    assert set(house.ledger.certificates.renewals().values()) == {"parked"}
    done(house, uid, REPLACE)
    for _ in range(2):
        beat(house, uid)
    clock.forward(days=1)
    house.ledger.work.wake(clock())
    house.runner.perform(REPLACE)
    scan(house)
    while house.runner.perform(RENEW):
        pass
    renewals = rows(house.ledger, "SELECT state, reason FROM jobs WHERE operation = :renew", renew=RENEW)
    assert [row["state"] for row in renewals] == ["succeeded"] * 2, renewals
    assert house.ledger.certificates.renewals() == {}
    assert asked_for(house, uid) == 0


def revoked_in_a_renewal(house: House, uid: str) -> str:
    """Where u-blox shows no key: the serial number whose key a certificate may have."""
    return revoked_in_renewal(house.ledger.certificates.revocations([uid])[uid])


@pytest.mark.parametrize(("end", "worn_off"), [(State.SUCCEEDED, True), (State.PARKED, False)])
def test_a_renewal_that_waited_then_matters_until_the_keys_are_replaced(
    house: House, clock: Clock, *, end: State, worn_off: bool
) -> None:
    (uid,) = house.recruit(1)
    noted = {"asked": "taken", "serial": "a0", "ca": OLD, "pending": True}
    for operation, progress in ((REPLACE, {}), (REVOKE, noted)):
        ask(house.ledger, clock(), wish(uid, operation))
        job = claim_one(house.ledger, clock(), operation)
        settle(house.ledger, clock(), job, State.SUCCEEDED, progress=progress)
        clock.forward(hours=1)
    assert revoked_in_a_renewal(house, uid) == "a0"
    ask(house.ledger, clock(), wish(uid, REPLACE))
    settle(house.ledger, clock(), claim_one(house.ledger, clock(), REPLACE), end)
    assert revoked_in_a_renewal(house, uid) == ("" if worn_off else "a0")
    assert house.ledger.certificates.revocations([uid])[uid][0]["serial"] == "a0"
