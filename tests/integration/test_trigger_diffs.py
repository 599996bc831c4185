"""What a dry run says that would change is what the job then changes, and saying it changes nothing."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.ledger import Ledger
from schemas.diffs import Diff
from schemas.errors import ConfigurationError
from schemas.jobs import Done, NewJob
from schemas.ublox import RotationPolicy, RotationType
from services.operations import OPERATIONS, Tools
from services.operations.previews import PREVIEWS
from services.operations.rotate_lists import told
from services.operations.tap_access import TapOrder
from services.triggers import Looker
from services.triggers.calls import EACH
from tests.conftest import Clock
from tests.support.admin import AdminSite
from tests.support.ledger import RENEW, ROTATE, ask, device, rows, wish
from tests.support.rotation import ROTATE as ROTATE_KEY
from tests.support.rotation import Opens
from tests.support.rounds import House, housed
from tests.support.tap_house import House as TapHouse
from tests.support.vault import everything

E2E: dict[str, Any] = {"type": "AUTOMATIC", "days": 9, "even_if_set": False}


@pytest.fixture
def house(ledger: Ledger, clock: Clock) -> Iterator[House]:
    with housed(ledger, clock) as house:
        yield house


def wishes(operation: str, *targets: str, **parameters: Any) -> list[NewJob]:
    return [NewJob(operation=operation, target=target, parameters=parameters) for target in targets]


def looked(tools: Tools, operation: str, *targets: str, **parameters: Any) -> list[Diff]:
    return Looker(lambda _: tools, clock=tools.clock).look(wishes(operation, *targets, **parameters))


def acts(house: House) -> dict[str, Any]:
    """What the twin was asked to change."""
    return {name: dict(counter) for name, counter in house.twin.tally.actions.items() if counter}


def test_every_operation_can_be_looked_at_and_tells_its_calls() -> None:
    assert set(PREVIEWS) == set(EACH) == set(OPERATIONS)


def test_a_policy_that_would_change_is_told_as_it_then_is(house: House, clock: Clock) -> None:
    first, second = house.recruit(2)
    house.tools.ublox.e2e.rotate([second], RotationPolicy(type=RotationType.AUTOMATIC, days=9))
    before = acts(house)
    one, other, missing = looked(house.tools, ROTATE, first, second, device(77), **E2E)
    assert [(change.what, change.then) for change in one.changes] == [("E2E rotation policy", "AUTOMATIC every 9 days")]
    assert (other.then, other.why) == ("nothing", "already AUTOMATIC every 9 days; nothing to do")
    assert missing.then == "stop"
    assert acts(house) == before
    ask(house.ledger, clock(), wish(first, ROTATE, **E2E))
    house.runner.perform(ROTATE)
    assert looked(house.tools, ROTATE, first, **E2E)[0].then == "nothing"


def test_a_certificate_that_would_be_renewed_is_told_and_no_bill_is_made(house: House) -> None:
    (uid,) = house.recruit(1)
    (diff,) = looked(house.tools, RENEW, uid, validity_days=400)
    serial = house.tools.ublox.information.look([uid])[uid].certificate.serial  # type: ignore[union-attr] # it has one
    assert (diff.then, diff.why) == ("change", "would be renewed at the device's heartbeat; billed")
    (change,) = diff.changes
    assert change.now.startswith(f"serial {serial:x}, expires ")
    assert change.then == "a new serial, for 400 days"
    assert acts(house) == {}
    assert rows(house.ledger, "SELECT * FROM jobs") == []


def test_an_upstream_that_fails_is_told_for_each_target(house: House) -> None:
    uids = house.recruit(2)
    house.turn(error_rate=1)
    diffs = looked(house.tools, RENEW, *uids)
    assert [(diff.target, diff.then) for diff in diffs] == [(uid, "unknown") for uid in uids]
    assert all("503" in diff.why for diff in diffs), diffs


def test_the_lists_of_a_location_are_told_as_the_job_then_writes_them(opens: Opens) -> None:
    house = opens(3, firmware="2.50")
    ((old,),) = house.distinct()
    before, kept = house.lists(), everything(house.ledger)
    (diff,) = looked(house.tools, ROTATE_KEY, f"location:{house.location}")
    assert (diff.then, diff.why) == ("change", "the lists of 3 of 3 devices would be written, in two steps")
    (change,) = diff.changes
    assert change.what == f"keys of {', '.join(sorted(before))}"
    assert (change.now, change.then) == (told(old), f"a new key, {told(old)}")
    assert (house.lists(), house.park.writes(), everything(house.ledger)) == (before, [], kept)
    assert house.rotate()["state"] == "succeeded"
    made = house.held()[0].public
    assert house.distinct() == {(made, old)}
    assert change.then.replace("a new key", told(made)) == ", ".join(map(told, (made, old)))


def test_keys_that_a_rehearsal_reads_from_devices_are_not_kept(opens: Opens) -> None:
    house = opens(2, firmware="2.49", keys=2, held=False)
    ((first, second),) = house.distinct()
    (diff,) = looked(house.tools, ROTATE_KEY, f"location:{house.location}")
    assert [change.then for change in diff.changes] == [f"a new key, {told(first)}, {told(second)}"]
    assert (house.held(), house.park.writes()) == ([], [])
    assert house.rotate()["state"] == "succeeded"
    assert house.distinct() == {(house.held()[0].public, first, second)}


def test_a_device_that_is_silent_or_refuses_is_told_and_holds_nothing_up(opens: Opens) -> None:
    house = opens(2, firmware="2.50", held=False)
    (parked,) = looked(house.tools, ROTATE_KEY, f"location:{house.location}")
    assert parked.then == "stop"
    assert "the private half of" in parked.why
    house.hold_first_keys()
    house.park.turn(house.park.serials[0], offline="silent")
    (waits,) = looked(house.tools, ROTATE_KEY, f"location:{house.location}")
    assert house.park.serials[0] in waits.why
    assert house.park.writes() == []
    assert looked(house.tools, ROTATE_KEY, "location:nowhere")[0].then == "stop"


def test_a_location_that_is_as_it_should_be_has_nothing_to_do(opens: Opens) -> None:
    house = opens(2, firmware="2.50")
    house.rotate()
    (diff,) = looked(house.tools, ROTATE_KEY, f"location:{house.location}", at_most_every_days=30)
    assert (diff.then, diff.changes) == ("nothing", [])
    assert diff.why.startswith("nothing to do: ")


def test_the_values_of_a_tap_are_told_as_they_are_then_written(tmp_path: Path) -> None:
    house = TapHouse(tmp_path)
    tools = tools_with(taps=house.taps)
    (diff,) = looked(tools, "tap.reconfigure", house.fleet.sites[0].taps[0].serial)
    assert diff.then == "change"
    assert house.device.tally.write_count == 0
    named = {change.what: change for change in diff.changes}
    assert named["wifi.ssid"].then == "plant"
    assert "admin-Secret-4" not in diff.model_dump_json()
    assert named["users.admin.password"].then == "•••"
    assert isinstance(house.finish(), Done)
    assert house.device.tally.write_count >= len(diff.changes)
    (after,) = looked(tools, "tap.reconfigure", house.fleet.sites[0].taps[0].serial)
    assert after.then in {"nothing", "stop"}, after


def tools_with(**systems: Any) -> Tools:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    return Tools(
        note=lambda _: set(),
        clock=lambda: now,
        renewal_look_every=timedelta(hours=1),
        renewal_deadline=timedelta(days=14),
        **systems,
    )


def test_what_does_not_answer_in_time_is_told_as_that_and_ends() -> None:
    release = threading.Event()

    class Stuck:
        def order(self, _serial: str) -> TapOrder:
            release.wait(60)
            raise ConfigurationError("too late to matter")

    looker = Looker(lambda _: tools_with(taps=Stuck()), clock=lambda: datetime.now(UTC), longest=0.2)
    diffs = looker.look(wishes("tap.reconfigure", "a", "b"))
    release.set()
    assert [(diff.then, diff.why) for diff in diffs] == [("unknown", "not looked at within 0.2 seconds")] * 2


def test_only_so_many_dry_runs_look_at_a_time() -> None:
    inside, release = threading.Semaphore(0), threading.Event()

    class Stuck:
        def order(self, _serial: str) -> TapOrder:
            inside.release()
            release.wait(60)
            raise ConfigurationError("no settings")

    looker = Looker(lambda _: tools_with(taps=Stuck()), clock=lambda: datetime.now(UTC))
    threads = [threading.Thread(target=looker.look, args=[wishes("tap.reconfigure", "a")]) for _ in range(2)]
    for thread in threads:
        thread.start()
        inside.acquire()
    assert looker.look(wishes("tap.reconfigure", "b"))[0].why == "others are being looked at: ask again"
    release.set()
    for thread in threads:
        thread.join()
    assert looker.look(wishes("tap.reconfigure", "b"))[0].why == "no settings"


def test_the_api_tells_diffs_of_the_first_targets_and_what_is_missing_for_them(ledger: Ledger, clock: Clock) -> None:
    site = AdminSite(ledger, clock)
    asked = {"operation": ROTATE, "targets": {"devices": [device(n) for n in range(1, 5)]}, "dry_run": True}
    told_at_all = site.post("/triggers", {**asked, "diffs": 2}).json()
    assert [(diff["target"], diff["then"]) for diff in told_at_all["diffs"]] == [
        (device(1), "unknown"),
        (device(2), "unknown"),
    ]
    assert "no settings for the outside system ublox" in told_at_all["diffs"][0]["why"]
    assert site.post("/triggers", asked).json()["diffs"] == []
    assert site.post("/triggers", {**asked, "diffs": 21}).status_code == 422
    assert site.post("/triggers", {**asked, "dry_run": False, "diffs": 1}).status_code == 422
    assert rows(ledger, "SELECT * FROM triggers") == []
