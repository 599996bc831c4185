"""What all processes have counted is right whoever is asked, and after each of them was killed."""

from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from schemas.events import EventType
from tests.support.flood import Flood, notification
from tests.support.patience import eventually
from tests.support.stand import TOKEN, Stand, standing

DEVICES = 40


@pytest.mark.parametrize("database", ["sqlite"])  # what differs between the two is told without processes
def test_sums_outlive_every_process(tmp_path: Path, database_url: str) -> None:
    with standing(tmp_path, database_url) as stand:
        uids = stand.twin.devices(2 * DEVICES)
        _send(stand, uids[:DEVICES])
        eventually(lambda: _sum(stand, "keyturn_attempts_total") == DEVICES, "the first half is counted")
        eventually(lambda: _sum(stand, "keyturn_workers_alive") == 2, "both workers are seen")
        for name in ("ublox", "control", "web"):
            stand.kill(name)
            stand.start(name)
        stand.until_answering()
        assert _sum(stand, "keyturn_attempts_total") == DEVICES
        _send(stand, uids[DEVICES:])
        eventually(lambda: _sum(stand, "keyturn_attempts_total") == 2 * DEVICES, "the second half is counted on top")
        assert _sum(stand, "keyturn_upstream_call_seconds_count") >= 2
        assert _sum(stand, "keyturn_upstream_errors_total") == 0
        eventually(lambda: _sum(stand, "keyturn_sweep_age_seconds") < 10, "the sweep is seen")
        stand.kill("redis")
        eventually(lambda: _sum(stand, "keyturn_redis_up") == 0, "Redis is seen to be gone")
        stand.start("redis")
        eventually(lambda: _sum(stand, "keyturn_redis_up") == 1, "and to be back")
        eventually(lambda: _sum(stand, "keyturn_workers_alive") == 2, "with both workers")


def _send(stand: Stand, uids: list[str]) -> None:
    bodies = [notification(EventType.BOOTSTRAP, uid) for uid in uids]
    Flood(stand.port, TOKEN).send(bodies, connections=4)
    eventually(
        lambda: stand.at_rest() and stand.count("SELECT count(*) FROM jobs") >= len(uids), "everything is at rest"
    )


def _sum(stand: Stand, name: str) -> float:
    page = httpx.get(f"http://127.0.0.1:{stand.port}/metrics", timeout=30, trust_env=False).text
    families = text_string_to_metric_families(page)
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)
