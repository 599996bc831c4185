"""Ten thousand webhooks, one in five a repeat: each is kept, planned once and verified, at the price of bulk."""

import random
from pathlib import Path

import pytest

from schemas.events import EventType
from tests.support.flood import Flood, notification
from tests.support.stand import TOKEN, standing, until

UNIQUE, REPEATS = 8_000, 2_000
RENEWAL = EventType.CERTIFICATE_EXPIRATION
OPERATIONS = {
    EventType.BOOTSTRAP: ("ublox.rotate_e2e_key", "/e2e/key/rotate"),
    RENEWAL: ("ublox.renew_certificate", "/ztp/devicecertificate/renew"),
}


@pytest.mark.xdist_group("whole machine")  # two floods at once would each measure the other
def test_ten_thousand_webhooks_become_verified_work_at_the_price_of_bulk(
    tmp_path: Path, database: str, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """On PostgreSQL with renewals alone: the ledger is what differs there."""
    operations = OPERATIONS if database == "sqlite" else {RENEWAL: OPERATIONS[RENEWAL]}
    with standing(tmp_path, database_url) as stand:
        uids = stand.twin.devices(UNIQUE, certificate_days_left=30)
        for event_type, (operation, path) in operations.items():
            bodies = [notification(event_type, uid) for uid in uids]
            mixed = bodies + random.Random(1).sample(bodies, REPEATS)
            random.Random(2).shuffle(mixed)
            flood = Flood(stand.port, TOKEN)
            flood.send(mixed, connections=64)
            until(stand.at_rest, "everything is at rest", seconds=120)

            assert flood.statuses == {202: UNIQUE + REPEATS}
            assert len(set(flood.receipts.values())) == UNIQUE
            assert all(stand.ledger.inbox.receipt(receipt) for receipt in set(flood.receipts.values()))
            assert stand.states()[f"{operation} succeeded"] == UNIQUE
            calls = stand.twin.stats()["calls"]
            with capsys.disabled():
                print(f"\n{operation}: {UNIQUE} devices, calls so far {calls}")
            assert calls[path] <= 1.5 * UNIQUE / 100  # on a machine of any speed; about 1.0 where nothing else runs

        assert stand.states() == {f"{operation} succeeded": UNIQUE for operation, _ in operations.values()}
        stats = stand.twin.stats()
        assert stats["max_renewals_per_device"] == 1
        assert stats["max_rotations_per_device"] <= 1
