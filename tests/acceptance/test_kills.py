"""Any part is killed in the middle of the work: what was accepted is done, and nothing is done twice."""

import threading
from pathlib import Path

import pytest

from schemas.events import EventType
from tests.support.flood import Flood, notification
from tests.support.patience import eventually
from tests.support.stand import PARTS, TOKEN, Stand, standing

EVENTS = 2_000
AT_THE_LEDGER = ("web", "control", "ublox")
"""The parts whose death differs from one database to another."""
RESUMES_WITHIN = 30.0


@pytest.mark.xdist_group("whole machine")
def test_what_was_accepted_is_done_once_although_each_part_is_killed(
    tmp_path: Path, database: str, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of the events ask for a renewal, which is billed each time; u-blox is slow, so calls are cut in two."""
    with standing(tmp_path, database_url) as stand:
        for rounds, killed in enumerate(PARTS if database == "sqlite" else AT_THE_LEDGER, start=1):
            settled, resumed = _kill_amid_events(stand, killed)
            with capsys.disabled():
                print(f"\n{killed}: settled {settled} when killed, went on {resumed:.1f} s after the restart")

            done = rounds * EVENTS // 2
            verified = {"ublox.renew_certificate succeeded": done, "ublox.rotate_e2e_key succeeded": done}
            assert stand.states() == verified, f"{killed}\n{stand.logs()}"
            assert stand.count("SELECT count(*) FROM events WHERE state NOT IN ('planned', 'new')") == 0, killed
            assert stand.twin.stats()["max_renewals_per_device"] == 1, killed
            assert stand.twin.stats()["actions"]["renewal_requests"]["max"] == 1, killed


def _kill_amid_events(stand: Stand, killed: str) -> tuple[int, float]:
    """Kill a part and start it again while new devices send events; give what was settled then, and how soon more was.

    When this ends every event was accepted and everything is at rest.
    """
    stand.twin.turn(latency_ms=0)
    uids = stand.twin.devices(EVENTS, certificate_days_left=30)
    stand.twin.turn(latency_ms=100)
    kinds = (EventType.CERTIFICATE_EXPIRATION, EventType.BOOTSTRAP)
    bodies = [notification(kinds[number % 2], uid) for number, uid in enumerate(uids)]
    before = _settled(stand)
    flood = Flood(stand.port, TOKEN)
    sender = threading.Thread(target=flood.send, args=(bodies,), kwargs={"connections": 16})
    sender.start()
    eventually(lambda: _settled(stand) >= before + EVENTS // 10, f"work is under way before {killed} dies")
    stand.kill(killed)
    settled = _settled(stand)
    stand.start(killed)
    resumed = eventually(lambda: _settled(stand) > settled, f"work goes on after {killed}", seconds=RESUMES_WITHIN)
    sender.join()
    eventually(stand.at_rest, f"everything is at rest after {killed}")
    assert len(flood.receipts) == EVENTS, killed
    return settled - before, resumed


def _settled(stand: Stand) -> int:
    return stand.count("SELECT count(*) FROM attempts")
