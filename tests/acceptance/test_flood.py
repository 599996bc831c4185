"""Ten thousand webhooks, one in five a repeat: each is kept, planned once and verified, at the price of bulk."""

import random
from pathlib import Path

import pytest

from schemas.events import EventType
from tests.support.flood import Flood, notification
from tests.support.patience import eventually
from tests.support.stand import TOKEN, standing

DEVICES, REPEATS = 4_000, 2_000
OPERATIONS = {
    EventType.BOOTSTRAP: ("ublox.rotate_e2e_key", "/e2e/key/rotate"),
    EventType.CERTIFICATE_EXPIRATION: ("ublox.renew_certificate", "/ztp/devicecertificate/renew"),
}


@pytest.mark.xdist_group("whole machine")  # two floods at once would each measure the other
def test_ten_thousand_webhooks_become_verified_work_at_the_price_of_bulk(
    tmp_path: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each device sends two notices, which ask for different work."""
    with standing(tmp_path, database_url) as stand:
        uids = stand.twin.devices(DEVICES, certificate_days_left=30)
        bodies = [notification(event_type, uid) for uid in uids for event_type in OPERATIONS]
        mixed = bodies + random.Random(1).sample(bodies, REPEATS)
        random.Random(2).shuffle(mixed)
        flood = Flood(stand.port, TOKEN)
        flood.send(mixed, connections=64)
        eventually(stand.at_rest, "everything is at rest")

        assert flood.statuses == {202: len(mixed)}
        assert len(set(flood.receipts.values())) == len(bodies)
        assert all(stand.ledger.inbox.receipt(receipt) for receipt in set(flood.receipts.values()))
        assert stand.states() == {f"{operation} succeeded": DEVICES for operation, _ in OPERATIONS.values()}
        stats = stand.twin.stats()
        with capsys.disabled():
            print(f"\n{len(mixed)} webhooks of {DEVICES} devices: calls {stats['calls']}")
        assert (stats["max_renewals_per_device"], stats["max_rotations_per_device"]) == (1, 1)
        for _, path in OPERATIONS.values():
            assert (
                stats["calls"][path] <= 2 * DEVICES / 100
            )  # on a machine of any speed; about 1.0 where nothing else runs
