"""``tap.reconfigure`` against the twin's device in memory: it ends where it should, whatever happens on the way."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from schemas.errors import ConfigurationError, TryAgain
from schemas.fleet import Fleet
from schemas.jobs import Again, Awaiting, Done, Parked, ParkedBecause
from services.operations import Tools
from services.operations.reconfigure_tap import RESTART_DEADLINE
from services.operations.tap_work import TapWork
from services.sandbox.tap.device import Device
from tests.support.inventory import taps_in
from tests.support.tap_house import START, Deadly, House, Killed, assert_ends_well, count_writes, path_of
from tests.support.taps import FULL, SECRETS, SERIAL, make_device

MINIMAL = FULL[: FULL.index("[wifi]")] + FULL[FULL.index("[[users]]") :]


def test_a_tap_from_the_factory_gets_everything_and_restarts(tmp_path: Path) -> None:
    house = House(tmp_path)
    first = house.perform()
    assert isinstance(first, Awaiting)
    assert first.reason == "everything is written; the Tap restarts"
    assert house.perform() == Done(note="looked again after the restart: the Tap has version 2.3.4")
    assert_ends_well(house)


def test_a_second_wish_finds_nothing_to_do_and_writes_nothing(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.finish()
    before, house.progress = house.device.tally.write_count, {}
    assert house.perform() == Done(note="nothing to do: the Tap has version 2.3.4")
    assert house.device.tally.write_count == before


def test_what_needs_no_restart_is_done_at_once(tmp_path: Path) -> None:
    house = House(tmp_path, configuration=MINIMAL.replace('protocols = ["wifi", "mqtt", "ble"]\n', ""))
    outcome = house.perform()
    assert isinstance(outcome, Done)
    assert outcome.note.startswith("wrote 10 values and looked again")
    assert house.device.tally.restarts == 0


def test_a_password_changed_behind_our_back_is_found_and_set_again(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.finish()
    house.device.memory.groups[7].verifier = house.device.memory.groups[65534].verifier
    house.progress = {}
    assert isinstance(house.perform(), Done)
    assert_ends_well(house)


def test_the_two_masters_do_not_keep_their_factory_passwords(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.finish()
    for user in ("admin", "supervisor"):
        with house.taps.open(SERIAL) as session:
            house.taps.forgive(SERIAL, user)
            assert not session.log_in(user, SecretStr(user))


@pytest.mark.parametrize("before", [True, False], ids=["lost", "taken"])
def test_a_tap_that_loses_power_at_any_write_ends_as_wished(tmp_path: Path, before: bool) -> None:  # noqa: FBT001 - a table
    writes = count_writes(tmp_path)
    assert writes > 30
    for number in range(1, writes + 1):
        house = House(tmp_path)
        house.device.turn({"reboot_at_write": number, "reboot_before_write": before})
        house.finish(6)
        assert_ends_well(house)


@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
def test_a_worker_killed_at_any_write_leaves_work_that_the_next_finishes(tmp_path: Path, after: bool) -> None:  # noqa: FBT001 - a table
    for number in range(1, count_writes(tmp_path) + 1):
        house = House(tmp_path)
        fate = Deadly(house.taps, number, after)
        with pytest.raises(Killed):
            house.perform(lambda _, fate=fate: fate)  # type: ignore[misc]
        house.taps = taps_in(house.fleet, address_of=lambda _, house=house: house.address)
        house.finish()
        assert_ends_well(house)


def test_killed_after_the_version_the_restart_is_not_forgotten(tmp_path: Path) -> None:
    house = House(tmp_path)
    with pytest.raises(Killed):
        house.perform(lambda taps: Deadly(taps, count_writes(tmp_path) - 1, after=True))
    assert house.device.tally.restarts == 0
    assert isinstance(house.perform(), Awaiting)
    assert house.device.tally.restarts == 1


@pytest.mark.parametrize(
    ("device", "configuration", "words"),
    [
        (make_device(firmware="1.90"), FULL, "needs firmware >=1.107, and the Tap has 1.90: update it first"),
        (make_device(scram=False), FULL, "SCRAM is off on this Tap"),
        (make_device(serial="IOTZ00000000000043"), FULL, f"IOTZ00000000000043 answers at the address of {SERIAL}"),
        (make_device(), FULL.replace('["wifi", "mqtt", "ble"]', '["ble"]'), "it would be out of reach"),
    ],
    ids=["firmware", "scram", "serial", "way-back"],
)
def test_what_cannot_be_parks_the_job_and_leaves_the_tap_as_it_was(
    tmp_path: Path, device: Device, configuration: str, words: str
) -> None:
    house = House(tmp_path, device=device, configuration=configuration)
    outcome = house.perform()
    assert isinstance(outcome, Parked)
    assert outcome.because is ParkedBecause.REFUSED
    assert words in outcome.reason
    assert device.tally.write_count == 0


def test_a_wrong_password_parks_the_job_after_two_tries(tmp_path: Path) -> None:
    house = House(tmp_path)
    (tmp_path / "login").write_text("not it")
    outcome = house.perform()
    assert isinstance(outcome, Parked)
    assert outcome.because is ParkedBecause.REFUSED
    assert "no password that we have opens the Tap as admin: correct the one in the inventory" in outcome.reason
    assert (house.device.tally.write_count, house.device.tally.logins["refused"]) == (0, 2)


def test_a_factory_password_as_the_wish_parks_the_job(tmp_path: Path) -> None:
    house = House(tmp_path)
    (tmp_path / "admin-password").write_text("admin")
    outcome = house.perform()
    assert isinstance(outcome, Parked)
    assert outcome.because is ParkedBecause.OUR_FAULT
    assert "must not be the name of a user" in outcome.reason
    assert house.device.tally.lines.total() == 0


@pytest.mark.parametrize("broken", ["nam = 1\n" + FULL, FULL.replace('"plant-7"', '"' + "x" * 33 + '"', 1)])
def test_a_configuration_with_faults_parks_the_job(tmp_path: Path, broken: str) -> None:
    house = House(tmp_path)
    (tmp_path / "tap.toml").write_text(broken)
    outcome = house.perform()
    assert isinstance(outcome, Parked)
    assert "tap.toml: line" in outcome.reason
    assert house.device.tally.lines.total() == 0


def test_a_stranger_to_the_inventory_parks_the_job(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.taps = taps_in(Fleet())
    outcome = house.perform()
    assert isinstance(outcome, Parked)
    assert outcome.reason == f"the inventory has no Tap {SERIAL}"


def test_an_unreachable_tap_is_tried_again(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.address.away = True
    outcome = house.perform()
    assert isinstance(outcome, Again)
    assert outcome.counts


def test_a_locked_tap_is_left_alone_for_as_long_as_it_wants(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.device.turn({"locked_out": True})
    outcome = house.perform()
    assert isinstance(outcome, Again)
    assert outcome.after is not None
    assert outcome.after >= 30
    assert house.device.tally.write_count == 0


def test_a_refused_write_parks_the_job(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.device.turn({"refused": {"PUT /1024//25": 0x86}})
    outcome = house.perform()
    assert isinstance(outcome, Parked)
    assert outcome.because is ParkedBecause.REFUSED
    assert "PUT" in outcome.reason or "putSSID" in outcome.reason


def test_a_busy_tap_is_tried_again(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.device.turn({"refused": {"PUT /1024//25": 0x46}})
    assert isinstance(house.perform(), Again)
    house.device.turn({"refused": {}})
    house.finish()
    assert_ends_well(house)


def test_a_tap_that_is_slow_to_come_back_costs_no_attempt(tmp_path: Path) -> None:
    house = House(tmp_path)
    assert isinstance(house.perform(), Awaiting)
    house.address.away = True
    house.now += timedelta(seconds=10)
    waiting = house.perform()
    assert isinstance(waiting, Awaiting)
    assert "waiting for the Tap to come back until 12:03:00 UTC" in waiting.reason
    house.now += RESTART_DEADLINE
    late = house.perform()
    assert isinstance(late, Again)
    assert "has the inventory its new address?" in late.reason
    house.address.away = False
    assert isinstance(house.perform(), Done)


def test_a_tap_that_forgets_at_every_restart_is_given_up(tmp_path: Path) -> None:
    house = House(tmp_path)
    for _ in range(3):
        assert isinstance(house.perform(), Awaiting)
        house.device.memory.stored[path_of("/1024//25")] = b"forgotten"
    outcome = house.perform()
    assert isinstance(outcome, Parked)
    assert outcome.because is ParkedBecause.EXHAUSTED
    assert "other values of wifi.ssid" in outcome.reason


def test_a_job_that_another_worker_has_taken_over_is_let_go(tmp_path: Path) -> None:
    house = House(tmp_path, ours=False)
    outcome = house.perform()
    assert isinstance(outcome, Again)
    assert not outcome.counts
    assert house.device.tally.write_count == 0


def test_a_secret_stands_in_no_outcome_and_no_progress(tmp_path: Path) -> None:
    house = House(tmp_path)
    told = [str(house.perform()), str(house.progress), str(house.perform()), str(house.progress)]
    work = TapWork(house.taps.order(SERIAL), house.taps)
    told += [repr(work.target), repr(house.taps.order(SERIAL))]
    assert not [secret for secret in SECRETS.values() if secret != "admin" and secret in " ".join(told)]


def test_every_secret_travels_inside_the_channel(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.finish()
    assert all(write.sealed for write in house.device.tally.writes)


def test_a_worker_without_taps_says_so() -> None:
    tools = Tools(
        note=lambda _: set(), clock=lambda: START, renewal_look_every=timedelta(1), renewal_deadline=timedelta(1)
    )
    with pytest.raises(ConfigurationError, match="no settings for the outside system tap"):
        tools.taps.order(SERIAL)
    with pytest.raises(ConfigurationError, match="ublox"):
        tools.ublox.information.look([], ())


def test_a_line_lost_before_the_restart_was_asked_for_is_trouble(tmp_path: Path) -> None:
    house = House(tmp_path)
    work = TapWork(house.taps.order(SERIAL), house.taps)
    house.address.away = True
    with pytest.raises(TryAgain):
        work.restart()
