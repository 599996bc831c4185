"""Any part is killed in the middle of the work: what was accepted is done, and nothing is done twice."""

import threading
from pathlib import Path

import pytest

from schemas.events import EventType
from tests.support.flood import Flood, notification
from tests.support.stand import PARTS, TOKEN, Stand, standing, until

EVENTS = 2_000
RESUMES_WITHIN = 30.0


@pytest.mark.xdist_group("whole machine")
@pytest.mark.parametrize("killed", PARTS)
def test_what_was_accepted_is_done_once_although_a_part_is_killed(
    killed: str, tmp_path: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of the events ask for a renewal, which is billed each time; u-blox is slow, so calls are cut in two."""
    with standing(tmp_path, database_url) as stand:
        uids = stand.twin.devices(EVENTS, certificate_days_left=30)
        stand.twin.turn(latency_ms=100)
        kinds = (EventType.CERTIFICATE_EXPIRATION, EventType.BOOTSTRAP)
        bodies = [notification(kinds[number % 2], uid) for number, uid in enumerate(uids)]
        flood = Flood(stand.port, TOKEN)
        sender = threading.Thread(target=flood.send, args=(bodies,), kwargs={"connections": 16})
        sender.start()
        until(lambda: _settled(stand) >= EVENTS // 10, "work is under way")
        stand.kill(killed)
        settled_when_killed = _settled(stand)
        stand.start(killed)
        resumed = until(lambda: _settled(stand) > settled_when_killed, "work goes on", seconds=RESUMES_WITHIN)
        sender.join()
        until(stand.at_rest, "everything is at rest", seconds=120)
        with capsys.disabled():
            print(f"\n{killed}: settled {settled_when_killed} when killed, went on {resumed:.1f} s after the restart")

        assert len(flood.receipts) == EVENTS
        verified = {"ublox.renew_certificate succeeded": EVENTS // 2, "ublox.rotate_e2e_key succeeded": EVENTS // 2}
        assert stand.states() == verified, stand.logs()
        assert stand.count("SELECT count(*) FROM events WHERE state NOT IN ('planned', 'new')") == 0
        assert stand.twin.stats()["max_renewals_per_device"] == 1
        assert stand.twin.stats()["actions"]["renewal_requests"]["max"] == 1


def _settled(stand: Stand) -> int:
    return stand.count("SELECT count(*) FROM attempts")
