"""Schedules with real processes: two beats and three workers, one killed; and a day of standstill."""

import time
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import text

from infra.ledger.tables import to_us
from schemas.events import EventType
from schemas.schedules import Firing, FiringState
from services.wiring import now
from tests.support.patience import eventually
from tests.support.rounds import schedule
from tests.support.stand import PARTS, Stand, standing

CLONES, PRUNE = "ublox.scan_clones", "ledger.prune"
EVERY = 10
ROUNDS = 3
NOTICES = 500
DAY = timedelta(hours=24)


def firings(stand: Stand, name: str) -> list[Firing]:
    """The firings of a schedule, oldest first."""
    return stand.ledger.firings.of(name, 1_000)[::-1]


def succeeded(stand: Stand, name: str) -> int:
    """How many firings of a schedule have been done."""
    return sum(firing.state is FiringState.SUCCEEDED for firing in firings(stand, name))


def test_two_beats_and_three_workers_fire_nothing_twice_although_one_is_killed(
    tmp_path: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The worker is killed in the middle of a call; what it had begun is done by the other one, and told as such."""
    names = [f"clones-{number}" for number in range(3)]
    with standing(tmp_path, database_url, seconds=("beat", "ublox"), KEYTURN_SWEEP_EVERY="1") as stand:
        stand.twin.devices(1)
        stand.twin.turn(latency_ms=400)
        begin = now()
        stand.ledger.schedules.add(
            schedule(name, kind, begin, every_seconds=EVERY, catch_up="all")
            for name, kind in [*((name, CLONES) for name in names), ("prune-often", PRUNE)]
        )
        eventually(
            lambda: any(one.state is FiringState.RUNNING for one in firings(stand, names[2])), "a worker has one"
        )
        stand.kill("ublox")
        eventually(lambda: all(succeeded(stand, name) >= ROUNDS for name in (*names, "prune-often")), "rounds")
        stand.stop("redis")
        calls = stand.twin.stats()["calls"]["/device/clone/get"]
        fired = {name: firings(stand, name) for name in (*names, "prune-often")}

        for name, found in fired.items():
            moments = [one.due_at for one in found]
            assert len(set(moments)) == len(moments) >= ROUNDS
            assert {later - earlier for earlier, later in pairwise(moments[1:])} == {timedelta(seconds=EVERY)}, name
            assert all(one.state in {FiringState.SUCCEEDED, FiringState.WAITING} for one in found), stand.logs()
        done = [one for name in names for one in fired[name] if one.state is FiringState.SUCCEEDED]
        attempts = [int(one.detail.get("attempt", 0)) for one in done]
        again = sum(attempt - 1 for attempt in attempts if attempt > 1)
        assert len(attempts) <= calls + again
        assert calls <= sum(attempts)
        assert again <= len(names)
        with capsys.disabled():
            print(f"\n{len(done)} firings of 3 schedules, {calls} calls, {again} begun again after the kill")


@pytest.mark.parametrize("database", ["sqlite"])  # on both in one process by test_catch_up
def test_a_day_of_standstill_is_made_up_for_once(
    tmp_path: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything is stopped; the ledger is made a day older, and 500 notices are there that no webhook told of."""
    with standing(tmp_path, database_url, KEYTURN_SWEEP_EVERY="1") as stand:
        uids = stand.twin.devices(NOTICES)
        hourly = {f"{policy}-hourly": policy for policy in ("skip", "once", "all")}
        soon = timedelta(minutes=30)  # whatever the minute is now, no moment comes while this test lasts
        stand.ledger.schedules.add(
            schedule(name, PRUNE, now(), due_in=soon, cron=f"{(now() + soon).minute} * * * *", catch_up=policy)
            for name, policy in hourly.items()
        )
        eventually(lambda: stand.ledger.schedules.find("notification-catch-up"), "the shipped schedules are there")
        stand.stop()
        stand.twin.turn(lost_webhooks=1)
        stand.twin.control("/fire", type=EventType.BOOTSTRAP, devices=uids)
        time.sleep(1.5)  # FromDate and ToDate have whole seconds
        _make_older(stand, DAY)
        begun = time.monotonic()
        for name in PARTS:
            stand.start(name)
        stand.until_answering()
        eventually(lambda: stand.count("SELECT count(*) FROM events WHERE source = 'poll'") == NOTICES, "all came")
        eventually(lambda: _reported(stand) and stand.at_rest(), "everything is at rest")
        eventually(lambda: succeeded(stand, "all-hourly") == 24, "every missed hour is done")

        (report,) = _reported(stand)
        assert report.detail["never_pushed"] == NOTICES
        assert {one["device"] for one in report.detail["notices_never_pushed"]} == set(uids)
        assert stand.count("SELECT count(*) FROM events") == NOTICES
        assert stand.states() == {"ublox.rotate_e2e_key succeeded": NOTICES}, stand.logs()
        assert stand.twin.stats()["max_rotations_per_device"] == 1
        done = {name: succeeded(stand, name) for name in hourly}
        assert done == {"skip-hourly": 0, "once-hourly": 1, "all-hourly": 24}
        with capsys.disabled():
            print(f"\n24 h away: {report.reason}; made up for in {time.monotonic() - begun:.1f} s; fired {done}")


def _reported(stand: Stand) -> list[Firing]:
    return [one for one in firings(stand, "notification-catch-up") if one.detail.get("never_pushed")]


def _make_older(stand: Stand, by: timedelta) -> None:
    """As if everything that the ledger remembers had been so much longer ago; the last notices are let ripen."""
    microseconds = by // timedelta(microseconds=1)
    with stand.ledger.database.writing() as connection:
        connection.execute(text("UPDATE schedules SET next_due = next_due - :by"), {"by": microseconds})
        connection.execute(text("UPDATE notes SET at = at - :by"), {"by": microseconds})
        spec = '{"every_seconds":900,"parameters":{"margin_seconds":0}}'
        connection.execute(
            text("UPDATE schedules SET spec = :spec WHERE name = 'notification-catch-up'"), {"spec": spec}
        )
        stand.ledger.firings.mark(connection, "ublox.notices", str(to_us(now() - by)), now())
