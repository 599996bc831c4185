"""Phones walk about over real devices' ports while a worker rotates their key, is killed, and goes on."""

import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from infra.ledger import Ledger
from schemas.twon import MobileKey
from services.clients.twon import PrivateKey, TwonAddress, TwonClient, keys
from services.fleet.twon import ClientSession
from tests.support.ledger import LEASE
from tests.support.rotation import LOBBY, HandClock, Killed, TwinHouse, twin_house
from tests.support.rotation_worker import dying, work_in_a_process
from tests.support.twon import PASSWORD, USER

DEVICES = 20
PHONES = 200
VISITS_A_SECOND = 2_000
FIRMWARE = {"firmware": "mixed", "algorithm": "mixed"}
AWAY = 7


@pytest.fixture
def moment() -> HandClock:
    return HandClock(datetime.now(UTC))


@pytest.fixture
def house(ledger: Ledger, moment: HandClock) -> Iterator[TwinHouse]:
    with twin_house(ledger, moment, DEVICES, factory=FIRMWARE) as made:
        made.hold_first_keys()
        made.park.pair(LOBBY, PHONES)
        yield made


DEATHS = {
    "before its first note": ("note", 1, False),
    "with the key just made": ("make", 1, True),
    "before the first write": ("write", 1, False),
    "after the first write": ("write", 1, True),
    "amid the first phase": ("write", 10, True),
    "before the second phase is noted": ("note", 3, False),
    "with the second phase noted": ("note", 3, True),
    "amid the second phase": ("write", 30, False),
    "after the last write": ("write", 39, True),
    "before the end is written": ("settle", 1, False),
    "with the end written": ("settle", 1, True),
}
"""Where the worker dies: at which call of what."""


@pytest.mark.parametrize("death", DEATHS)
def test_no_phone_is_locked_out_although_the_worker_dies(
    house: TwinHouse, moment: HandClock, monkeypatch: pytest.MonkeyPatch, death: str
) -> None:
    what, at, after = DEATHS[death]
    places: dict[str, tuple[object, str]] = {
        "make": (house.keys, "make"),
        "settle": (house.keys, "settle"),
        "write": (ClientSession, "write"),
    }
    tools: dict[str, Any] = {}
    if what == "note":
        tools["note"] = dying(house.ledger.work.note, at=at, after=after)
    else:
        owner, name = places[what]
        monkeypatch.setattr(owner, name, dying(getattr(owner, name), at=at, after=after))
    away = house.park.serials[AWAY]
    house.park.walk(VISITS_A_SECOND)
    house.park.turn(away, offline="silent")
    job_id = house.ask()
    died = 0
    for attempt in range(30):
        if attempt == 2:
            house.park.turn(away, offline="no")
        try:
            house.work(house.another_runner(f"worker-{attempt}", **tools))
        except Killed:
            died += 1
        moment.forward(minutes=6)
        house.ledger.work.reclaim(moment() + 2 * LEASE, max_losses=100)
        if house.job(job_id)["state"] == "succeeded":
            break
        moment.forward(minutes=6)
    job = house.job(job_id)
    house.park.walk(0)
    house.park.tour()
    assert died == 1
    assert job["state"] == "succeeded", job["reason"]
    assert house.park.lockouts() == []
    assert len(house.distinct()) == 1
    assert sum(key.job_id == job_id for key in house.held()) == 1


def later(house: TwinHouse, moment: HandClock) -> None:
    """Let the claims of the dead run out."""
    moment.forward(minutes=6)
    house.ledger.work.reclaim(moment() + 2 * LEASE, max_losses=100)
    moment.forward(minutes=6)


@pytest.mark.parametrize("death", ["amid the first phase", "amid the second phase", "before the end is written"])
def test_no_phone_is_locked_out_although_the_kernel_ends_the_worker(
    house: TwinHouse, database_url: str, moment: HandClock, death: str
) -> None:
    """A process of its own that is gone by SIGKILL, with all its threads, and has tidied up nothing."""
    what, at, after = DEATHS[death]
    house.park.walk(VISITS_A_SECOND)
    job_id = house.ask()
    for _ in range(5):  # on a busy machine a device may be late to answer, and its turn comes again
        died = work_in_a_process(house, database_url, what=what, at=at, after=after)
        if died:
            break
        later(house, moment)
    assert died == -signal.SIGKILL
    assert house.job(job_id)["state"] == "running"
    for attempt in range(5):
        later(house, moment)
        house.work(house.another_runner(f"another-{attempt}"))
        if house.job(job_id)["state"] == "succeeded":
            break
    house.park.walk(0)
    house.park.tour()
    assert house.job(job_id)["state"] == "succeeded", house.job(job_id)["reason"]
    assert house.park.lockouts() == []
    assert len(house.distinct()) == 1
    assert sum(key.job_id == job_id for key in house.held()) == 1


def test_the_naive_order_locks_phones_out(house: TwinHouse, capsys: pytest.CaptureFixture[str]) -> None:
    """The new key goes first on one device after the other, as the manual's own example would have it."""
    new = keys.generate()
    olds = list(house.keys.reveal(house.held()).values())
    house.park.walk(VISITS_A_SECOND)
    for entry in house.devices:
        put(entry.address, [new, *olds])
        house.park.step(50)
    house.park.walk(0)
    locked_out = house.park.lockouts()
    with capsys.disabled():
        print(f"\nthe naive order: {len(locked_out)} times one of {PHONES} phones was locked out")
    assert len(locked_out) > 0


def put(url: str, wanted: list[PrivateKey]) -> None:
    """Write a list, without another thought."""
    address = TwonAddress(url=url, user=USER, password=SecretStr(PASSWORD), in_clear=True)
    with TwonClient(address) as client:
        client.put_mobilekey_config(keys=[MobileKey(type=key.type, key=key.text) for key in wanted])
