"""The rotation through the real runner, ledger and client against the twin's devices over HTTP and HTTPS."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.ledger import Ledger
from schemas.errors import LedgerUnavailable
from schemas.mobile_keys import Origin
from services.sandbox.twon.keys import new_key
from tests.support.rotation import LOBBY, HandClock, TwinHouse, twin_house
from tests.support.vault import everything

Opens = Callable[..., TwinHouse]


@pytest.fixture
def moment() -> HandClock:
    """Now: devices tell the time of the machine."""
    return HandClock(datetime.now(UTC))


@pytest.fixture
def opens(ledger: Ledger, moment: HandClock) -> Iterator[Opens]:
    """Opens houses, and closes them at the end."""
    with ExitStack() as stack:

        def open_house(devices: int = 3, *, held: bool = True, **options: Any) -> TwinHouse:
            factory = {name: options.pop(name) for name in FACTORY & options.keys()}
            house = stack.enter_context(twin_house(ledger, moment, devices, factory=factory, **options))
            if held:
                house.hold_first_keys()
            return house

        yield open_house


FACTORY = {"firmware", "algorithm", "auth", "keys", "https"}


@contextmanager
def turned(house: TwinHouse, number: int, **dials: Any) -> Iterator[str]:
    """One device with its dials turned; give its serial number."""
    serial = house.park.serials[number]
    before = house.park.park.devices[serial].dials.model_dump(mode="json")
    house.park.turn(serial, **dials)
    yield serial
    house.park.turn(serial, **{name: before[name] for name in dials})


@pytest.mark.parametrize("firmware", ["2.49", "2.50", "mixed"])
@pytest.mark.parametrize("algorithm", ["md5", "sha-256"])
def test_every_device_gets_the_new_key_as_its_primary(opens: Opens, firmware: str, algorithm: str) -> None:
    house = opens(4, firmware=firmware, algorithm=algorithm)
    ((old,),) = house.distinct()
    job = house.rotate()
    assert job["state"] == "succeeded", job["reason"]
    assert job["reason"] == "new primary on 4 of 4 devices of Lobby, looked again"
    (final,) = house.distinct()
    made = house.held()[0]
    assert final == (made.public, old)
    assert (made.origin, made.job_id, made.primary_since) == (Origin.MADE, job["id"], house.clock())


@pytest.mark.parametrize("auth", ["digest", "basic", "none"])
def test_devices_with_a_certificate_of_their_own_are_pinned(opens: Opens, auth: str) -> None:
    no_login = {"auth": "none", "password": None} if auth == "none" else {"auth": auth}
    house = opens(2, https=True, auth=auth, changes={0: no_login, 1: no_login})
    assert house.rotate()["state"] == "succeeded"
    assert len(house.distinct()) == 1


def test_keys_of_an_old_firmware_are_read_kept_and_become_part_of_the_list(opens: Opens) -> None:
    house = opens(2, firmware="2.49", keys=2, held=False)
    ((first, second),) = house.distinct()
    assert house.rotate()["state"] == "succeeded"
    made, *read = house.held()
    assert [key.public for key in read] == [first, second]
    assert {key.origin for key in read} == {Origin.READ}
    assert house.distinct() == {(made.public, first, second)}
    assert [key.public for key in read] == list(house.keys.reveal(read))


def test_a_key_that_nobody_holds_is_not_deleted_without_a_word(opens: Opens) -> None:
    house = opens(2, firmware="2.50", held=False)
    before = house.lists()
    job = house.rotate()
    assert (job["state"], job["parked_because"]) == ("parked", "refused")
    assert all(serial in job["reason"] for serial in before)
    assert "is not held, so a write would delete that key" in job["reason"]
    assert "delete_unknown = true" in job["reason"]
    assert house.lists() == before
    assert house.held() == []
    told_so = house.rotate(delete_unknown=True)
    assert told_so["state"] == "succeeded", told_so["reason"]
    assert house.distinct() == {(house.held()[0].public,)}


def test_one_device_with_an_unknown_key_parks_the_job_and_all_others_have_the_key_as_a_secondary(opens: Opens) -> None:
    house = opens(3, firmware="2.50")
    stranger = house.twins[1]
    old = stranger.slots[0]
    assert old is not None
    unknown = new_key()
    stranger.slots = (old, unknown, None, None)
    job = house.rotate()
    assert job["state"] == "parked"
    assert stranger.serial in job["reason"]
    made = house.held()[0].public
    assert stranger.keys == (old.public, unknown.public)
    assert {keys for serial, keys in house.lists().items() if serial != stranger.serial} == {(old.public, made)}
    stranger.slots = (old, None, None, None)
    house.redrive(job["id"])
    house.work()
    assert house.job(job["id"])["state"] == "succeeded"
    assert house.distinct() == {(made, old.public)}


@pytest.mark.parametrize("offline", ["silent", "refused"])
def test_a_device_that_does_not_answer_is_waited_for_without_spending_an_attempt(
    opens: Opens, moment: HandClock, offline: str
) -> None:
    house = opens(3)
    ((old,),) = house.distinct()
    with turned(house, 1, offline=offline) as serial:
        job = house.rotate()
        assert (job["state"], job["attempts"]) == ("awaiting", 0)
        assert "the key is on 2 of 3 devices of Lobby" in job["reason"]
        assert serial in job["reason"]
        made = house.held()[0].public
        assert house.lists().pop(serial) == (old,)
        assert {keys for name, keys in house.lists().items() if name != serial} == {(old, made)}
        for _ in range(5):
            moment.forward(minutes=6)
            assert house.work() == 1
            assert house.job(job["id"])["state"] == "awaiting"
    moment.forward(minutes=6)
    house.work()
    assert house.job(job["id"])["state"] == "succeeded"
    assert house.distinct() == {(made, old)}


def test_no_key_is_made_while_no_device_answers(opens: Opens) -> None:
    house = opens(2)
    house.park.turn(offline="refused")
    job = house.rotate()
    assert job["state"] == "awaiting"
    assert "no device of Lobby was changed" in job["reason"]
    assert [key.origin for key in house.held()] == [Origin.READ]


def test_a_key_that_a_device_drops_in_silence_parks_the_job(opens: Opens) -> None:
    """From the answers alone the write has gone well."""
    house = opens(2)
    before = house.lists()
    with turned(house, 1, strikes=[{"do": "forget", "on": "PUT", "times": None}]) as serial:
        job = house.rotate()
    assert job["state"] == "parked"
    assert f"{serial}: accepts the list and does not have" in job["reason"]
    assert house.lists()[serial] == before[serial]
    house.redrive(job["id"])
    house.work()
    assert house.job(job["id"])["state"] == "succeeded"


@pytest.mark.parametrize("deed", ["mute_after", "cut_after", "reboot_after", "cut", "mute", "stale"])
def test_a_write_of_which_nobody_knows_whether_it_arrived_is_looked_at_again(
    opens: Opens, moment: HandClock, deed: str
) -> None:
    house = opens(3)
    ((old,),) = house.distinct()
    with turned(house, 0, strikes=[{"do": deed, "on": "PUT"}]):
        job = house.ask()
        for _ in range(40):
            house.work()
            moment.forward(minutes=6)
            if house.job(job)["state"] == "succeeded":
                break
            time.sleep(0.05)  # the device restarts
    assert house.job(job)["state"] == "succeeded", house.job(job)["reason"]
    made = [key for key in house.held() if key.origin is Origin.MADE]
    assert house.distinct() == {(made[0].public, old)}
    assert len(made) == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"fingerprint": "0" * 64}, "certificate is not trusted"),
        ({"managed_by": "my2n"}, "managed by my2n"),
        ({"managed_by": "access-commander"}, "managed by access-commander"),
        ({"user": "somebody"}, "error 9"),
        ({"auth": "basic"}, "asks for digest"),
        ({"serial": "54-9999-9999"}, "another device answers at its address"),
    ],
)
def test_a_device_that_refuses_for_good_parks_the_job_and_the_others_wait_in_the_safe_state(
    opens: Opens, change: dict[str, Any], why: str
) -> None:
    house = opens(3, https=True, changes={1: change})
    ((old,),) = house.distinct()
    job = house.rotate()
    assert job["state"] == "parked", job["reason"]
    assert house.devices[1].serial in job["reason"]
    assert why in job["reason"], job["reason"]
    made = house.held()[0].public
    assert [device.keys for device in house.twins] == [(old, made), (old,), (old, made)]


@pytest.mark.parametrize(
    ("dials", "why"),
    [
        ({"privileges": ["system"]}, "insufficient privileges"),
        ({"refused": {"/api/mobilekey/config": 4}}, "a licence is missing, or the service is disabled"),
        ({"refused": {"/api/mobilekey/config": 1}}, "function not supported"),
        ({"https_required": True}, "HTTPS required"),
    ],
)
def test_a_device_whose_settings_refuse_us_parks_the_job_with_what_to_do(
    opens: Opens, dials: dict[str, Any], why: str
) -> None:
    house = opens(2)
    with turned(house, 0, **dials) as serial:
        job = house.rotate()
        assert job["state"] == "parked"
        assert serial in job["reason"]
        assert why in job["reason"], job["reason"]
    house.redrive(job["id"])
    house.work()
    assert house.job(job["id"])["state"] == "succeeded"


def test_a_managed_device_is_written_to_when_the_inventory_says_so(opens: Opens) -> None:
    house = opens(2, changes={1: {"managed_by": "my2n", "may_write": True}})
    assert house.rotate()["state"] == "succeeded"


def test_a_location_that_differs_on_the_device_is_a_persons_matter(opens: Opens) -> None:
    house = opens(2)
    house.twins[1].location = "54-1046-0746"
    job = house.rotate()
    assert job["state"] == "parked"
    assert "tells phones the location '54-1046-0746', the inventory says 'Lobby'" in job["reason"]
    corrected = house.rotate(set_location=True)
    assert corrected["state"] == "succeeded", corrected["reason"]
    assert {device.location for device in house.twins} == {LOBBY}


def test_lists_that_differ_become_one(opens: Opens) -> None:
    house = opens(3, firmware="2.49", held=False)
    ((old,),) = house.distinct()
    extra = new_key()
    device = house.twins[2]
    device.slots = (extra, device.slots[0], None, None)
    assert house.rotate()["state"] == "succeeded"
    (final,) = house.distinct()
    assert final[0] == house.held()[0].public
    assert set(final[1:]) == {old, extra.public}


def test_a_fifth_key_pushes_the_oldest_out_only_by_the_rule(opens: Opens, moment: HandClock) -> None:
    house = opens(2, firmware="2.50")
    house.keep_time()
    first = house.held()[0].public
    phone, sleeper = house.park.park.crowd.pair(LOBBY, 2)
    door = house.twins[0]
    house.park.park.crowd.visit(sleeper, door)
    for _ in range(3):
        assert house.rotate()["state"] == "succeeded"
        moment.forward(days=1)
    assert {len(keys) for keys in house.distinct()} == {4}
    job = house.rotate()
    assert job["state"] == "parked"
    assert "have no room for another key" in job["reason"]
    assert "was followed 3 days ago, and phones are given 90" in job["reason"]
    assert "drop_oldest = true" in job["reason"]
    moment.forward(days=100)
    house.redrive(job["id"])
    house.work()
    parked = house.job(job["id"])
    assert parked["state"] == "parked"
    assert "1 of the phones that used a device before" in parked["reason"], parked["reason"]
    assert all(first in keys for keys in house.distinct())
    assert len(house.held()) == 4
    house.park.park.crowd.visit(sleeper, door)
    house.park.park.crowd.visit(phone, door)
    house.redrive(job["id"])
    house.work()
    final = house.job(job["id"])
    assert final["state"] == "succeeded", final["reason"]
    assert all(first not in keys and len(keys) == 4 for keys in house.distinct())
    assert len(house.held()) == 4
    assert house.park.lockouts() == []


def test_a_person_may_give_the_oldest_key_up(opens: Opens) -> None:
    house = opens(2, firmware="2.49", keys=4, held=False)
    ((*kept, oldest),) = house.distinct()
    assert house.rotate()["state"] == "parked"
    job = house.rotate(drop_oldest=True)
    assert job["state"] == "succeeded", job["reason"]
    assert "dropped" in job["reason"]
    assert house.distinct() == {(house.held()[0].public, *kept)}
    assert oldest not in [key.public for key in house.held()]


def test_a_young_primary_key_is_only_verified(opens: Opens, moment: HandClock) -> None:
    house = opens(3)
    house.rotate()
    before = house.lists()
    moment.forward(days=20)
    house.twins[1].slots = (*house.twins[1].slots[1:], None)
    job = house.rotate(at_most_every_days=90)
    assert job["state"] == "succeeded"
    assert job["reason"].startswith("primary of ")
    assert house.lists() == before
    moment.forward(days=80)
    assert house.rotate(at_most_every_days=90)["reason"].startswith("new primary")


def test_one_device_is_brought_in_line_without_a_new_key(opens: Opens) -> None:
    house = opens(3)
    house.rotate()
    before = house.lists()
    replaced = house.twins[2]
    replaced.slots = (None, None, None, None)
    job = house.rotate(f"device:{replaced.serial}")
    assert job["state"] == "succeeded", job["reason"]
    assert house.lists() == before
    assert job["lock_key"] == "twon:location:Lobby"
    assert sum(key.origin is Origin.MADE for key in house.held()) == 1


def test_a_device_alone_in_its_location_is_a_whole_rotation(opens: Opens) -> None:
    house = opens(1)
    job = house.rotate(f"device:{house.devices[0].serial}")
    assert job["reason"] == "new primary on 1 of 1 devices of Lobby, looked again"


def test_one_device_waits_while_the_rotation_of_its_location_is_under_way(opens: Opens, moment: HandClock) -> None:
    house = opens(3)
    with turned(house, 0, offline="refused"):
        rotation = house.rotate()
        assert rotation["state"] == "awaiting"
        job = house.rotate(f"device:{house.devices[1].serial}")
        assert job["state"] == "awaiting"
    for _ in range(4):
        moment.forward(minutes=6)
        house.work()
    assert [house.job(each["id"])["state"] for each in (rotation, job)] == ["succeeded", "succeeded"]
    assert sum(key.origin is Origin.MADE for key in house.held()) == 1
    assert len(house.distinct()) == 1


def test_a_second_rotation_goes_on_with_the_key_of_the_first(opens: Opens, moment: HandClock) -> None:
    """Two new keys at a time would fill the four places, and the later one could overtake."""
    house = opens(3)
    with turned(house, 0, offline="refused"):
        first, second = house.rotate(), house.rotate()
        assert [first["state"], second["state"]] == ["awaiting", "awaiting"]
    for _ in range(4):
        moment.forward(minutes=6)
        house.work()
    assert [house.job(job["id"])["state"] for job in (first, second)] == ["succeeded", "succeeded"]
    assert sum(key.origin is Origin.MADE for key in house.held()) == 1


@pytest.mark.parametrize("target", ["location:Nowhere", "device:54-0000-0000", "Lobby"])
def test_a_target_that_the_inventory_does_not_know_is_our_fault(opens: Opens, target: str) -> None:
    job = opens(1).rotate(target)
    assert (job["state"], job["parked_because"]) == ("parked", "our_fault")
    assert "Nowhere" in job["reason"] or "54-0000-0000" in job["reason"] or "expected location:name" in job["reason"]


def test_a_password_that_is_wrong_parks_the_job_without_showing_it(opens: Opens) -> None:
    house = opens(2, revealed="wrong-Pa55word-of-a-device")
    job = house.rotate()
    assert job["state"] == "parked"
    assert "check user and password" in job["reason"]
    assert b"wrong-Pa55word-of-a-device" not in everything(house.ledger)


def test_no_private_key_is_in_the_ledger_in_the_clear(opens: Opens) -> None:
    house = opens(2, firmware="2.49", held=False)
    house.rotate()
    everything_there = everything(house.ledger)
    for key in house.keys.reveal(house.held()).values():
        assert key.text.get_secret_value().encode() not in everything_there
        assert key.text.get_secret_value() not in repr(key)


def test_an_ecc_key_is_made_only_where_devices_show_one(opens: Opens) -> None:
    house = opens(2)
    job = house.rotate(type="ecc")
    assert job["state"] == "parked"
    assert "show no ECC key" in job["reason"]


def test_the_key_is_sealed_and_in_the_ledger_before_any_device_hears_of_it(opens: Opens) -> None:
    house = opens(2)
    house.park.turn(strikes=[{"do": "refuse", "on": "PUT", "times": None, "code": 18}])
    job = house.rotate()
    assert job["state"] == "parked"
    made = house.held()[0]
    assert made.job_id == job["id"]
    assert list(house.keys.reveal([made])) == [made.public]


def test_a_ledger_that_goes_away_costs_no_attempt_and_no_second_key(opens: Opens, moment: HandClock) -> None:
    house = opens(2)
    job_id = house.ask()

    def gone(*_: object) -> set[int]:
        raise LedgerUnavailable("the disk is full")

    house.work(house.another_runner("worker", note=gone))
    job = house.job(job_id)
    assert (job["state"], job["attempts"]) == ("due", 0)
    moment.forward(minutes=5)
    house.work()
    assert house.job(job_id)["state"] == "succeeded"


def test_a_job_that_another_worker_has_taken_over_writes_nothing_more(opens: Opens) -> None:
    house = opens(2)
    before = house.lists()
    house.ask()
    house.work(house.another_runner("worker", note=lambda _: set()))
    assert house.lists() == before


def test_ages_of_keys_follow_the_order_of_the_device(opens: Opens, moment: HandClock) -> None:
    """A device's times may be missing or wrong; its order is not."""
    house = opens(1, firmware="2.49", keys=3, held=False)
    device = house.twins[0]
    first, second, third = (key for key in device.slots if key is not None)
    device.slots = (third, first, second, None)
    house.rotate()
    assert [key.public for key in house.held()[1:]] == [third.public, first.public, second.public]
    assert all(key.created_at <= moment() - timedelta(days=1) for key in house.held()[2:])
