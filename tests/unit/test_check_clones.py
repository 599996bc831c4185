"""What u-blox thinks of a device: nothing is changed, and a doubt is a person's to judge."""

import pytest
from pydantic import ValidationError

from schemas.errors import TryAgain
from schemas.jobs import Again, Done, Parked, ParkedBecause
from schemas.ublox import Suspect
from services.operations.check_clones import CheckClones, CheckClonesParameters
from tests.conftest import Clock
from tests.support.cloud import Cloud, Phone
from tests.support.fleet import Desk
from tests.support.ledger import DEVICE, OTHER, device


@pytest.fixture
def cloud(clock: Clock) -> Cloud:
    return Cloud(clock, **{DEVICE: Phone(), OTHER: Phone()})


@pytest.fixture
def desk(cloud: Cloud, clock: Clock) -> Desk:
    return Desk(CheckClones(), cloud, clock)


def test_a_device_without_a_doubt_is_clean(desk: Desk) -> None:
    outcome = desk.run_one(desk.job(1, DEVICE))
    assert outcome == Done(note="neither cloned in the last 30 days nor suspicious, as far as u-blox tells")


def test_a_doubt_goes_to_a_person_and_is_named(cloud: Cloud, desk: Desk) -> None:
    cloud.clones = [Suspect(uid=DEVICE, reason="2026-05-01T00:00:00Z")]
    cloud.suspects = [Suspect(uid=DEVICE, reason="DUPLICATED_DEV_SERIAL_NUM_SEALING")]
    outcomes = desk.run(desk.job(1, DEVICE), desk.job(2, OTHER))
    assert outcomes[1] == Parked(
        reason="u-blox takes the device for cloned (2026-05-01T00:00:00Z) and suspicious"
        " (DUPLICATED_DEV_SERIAL_NUM_SEALING); a person must decide",
        because=ParkedBecause.REFUSED,
    )
    assert isinstance(outcomes[2], Done)
    assert cloud.calls == {"clones": 1, "suspects": 1}


def test_an_unknown_device_stands_alone_and_trouble_passes(cloud: Cloud, desk: Desk) -> None:
    outcomes = desk.run(desk.job(1, DEVICE), desk.job(2, device(404)))
    assert (type(outcomes[1]), type(outcomes[2])) == (Done, Parked)
    cloud.fail("suspects", TryAgain("answered 503", call="/x", status=503))
    assert isinstance(desk.run_one(desk.job(3, DEVICE)), Again)


@pytest.mark.parametrize("days", [0, 3651])
def test_its_look_back_has_bounds(days: int) -> None:
    with pytest.raises(ValidationError):
        CheckClonesParameters(since_days=days)
