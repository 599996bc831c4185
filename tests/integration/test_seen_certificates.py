"""What was seen of devices: the ledger tells whose certificates come near their end, and misses none."""

import random
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from infra.ledger import Ledger, Reach, SeenCertificate
from schemas.ublox import CertificateLook, DeviceLook
from services.operations.renewal_lead import BEATS, LEAST, lead_of
from services.schedules.seen_devices import remembering
from tests.conftest import Clock
from tests.support.ledger import DEVICE, OTHER, device
from tests.support.works import take_away

DAY = timedelta(days=1)
LIFE = 90 * DAY


def seen(uid: str, clock: Clock, dice: random.Random) -> SeenCertificate:
    """Any device: of some nothing is known but the end of the certificate, of a few not even that."""
    return SeenCertificate(
        uid=uid,
        serial="a0",
        expires_at=dice.choice([None, *[clock() + dice.uniform(-5, 200) * DAY] * 9]),
        validity_days=dice.choice([None, 30, 90, 365, 3650]),
        heartbeat=dice.choice([None, timedelta(seconds=dice.randint(1, 40 * 86_400))]),
        last_seen=dice.choice([None, clock() - DAY]),
        seen_at=clock() - dice.uniform(0, 20) * DAY,
    )


def comes_near(one: SeenCertificate, clock: Clock, *, thirds: bool) -> bool:
    life = timedelta(days=one.validity_days) if one.validity_days else LIFE
    lead = lead_of(life, one.heartbeat if one.last_seen else None, from_last_third=thirds)
    return one.expires_at is not None and clock() >= one.expires_at - lead


def reach(clock: Clock, *, look_again: timedelta = 365 * DAY, thirds: bool = False) -> Reach:
    return Reach(
        now=clock(),
        margin=LEAST,
        beats=BEATS,
        life_unless_told=LIFE,
        seen_before=clock() - look_again,
        from_last_third=thirds,
    )


@pytest.mark.parametrize("thirds", [False, True])
def test_no_device_that_comes_near_its_end_is_missed_and_most_others_are_not_read(
    ledger: Ledger, clock: Clock, *, thirds: bool
) -> None:
    dice = random.Random(7)
    known = [seen(device(number), clock, dice) for number in range(2_000)]
    ledger.certificates.store(known)
    wanted = {one.uid for one in known if comes_near(one, clock, thirds=thirds)}
    near = ledger.certificates.near(reach(clock, thirds=thirds))
    assert wanted <= near.keys()
    assert len(near) < 1.2 * len(wanted)
    assert near == {one.uid: one for one in known if one.uid in near}


def test_whoever_was_not_looked_at_for_long_is_told_too(ledger: Ledger, clock: Clock) -> None:
    far = clock() + 300 * DAY
    ledger.certificates.store(
        [
            SeenCertificate(uid=uid, serial="a0", expires_at=far, validity_days=365, seen_at=clock() - ago * DAY)
            for uid, ago in ((DEVICE, 29), (OTHER, 30))
        ]
    )
    assert list(ledger.certificates.near(reach(clock, look_again=30 * DAY))) == [OTHER]


def test_all_are_counted_together(ledger: Ledger, clock: Clock) -> None:
    assert ledger.certificates.totals().nearest is None
    held = [
        SeenCertificate(
            uid=device(number), serial="a0", ca_name="ca.example", expires_at=clock() + ends * DAY, seen_at=clock()
        )
        for number, ends in ((1, 2), (2, 1))
    ]
    ledger.certificates.store([*held, SeenCertificate(uid=device(3), serial="", seen_at=clock())])
    totals = ledger.certificates.totals()
    assert (totals.by_ca, totals.without) == ({"ca.example": 2}, 1)
    assert totals.nearest == (device(2), clock() + DAY)


def test_what_an_operation_saw_is_remembered_and_an_alarm_for_the_certificate_with_it(
    ledger: Ledger, clock: Clock
) -> None:
    ledger.certificates.store([SeenCertificate(uid=DEVICE, serial="a0", seen_at=clock(), alarmed="a0")])
    remember = remembering(ledger, clock)
    certificate = CertificateLook(serial=0xA0, ca_name="ca.example", expires_at=clock() + DAY, validity_days=30)
    remember([DeviceLook(uid=DEVICE, certificate=certificate, heartbeat=DAY), DeviceLook(uid=OTHER)])
    known = ledger.certificates.all()
    assert (known[DEVICE].heartbeat, known[DEVICE].alarmed, known[OTHER].serial) == (DAY, "a0", "")
    renewed = CertificateLook(serial=0xA1, ca_name="ca.example", expires_at=clock() + 30 * DAY)
    remember([DeviceLook(uid=DEVICE, certificate=renewed)])
    assert (ledger.certificates.all()[DEVICE].serial, ledger.certificates.all()[DEVICE].alarmed) == ("a1", None)


def test_a_ledger_that_is_away_spoils_no_operation(ledger: Ledger, clock: Clock) -> None:
    take_away(ledger, times=1)
    with capture_logs() as logs:
        remembering(ledger, clock)([DeviceLook(uid=DEVICE)])
    assert [log["event"] for log in logs] == ["a look was not remembered"]
    assert ledger.certificates.all() == {}
