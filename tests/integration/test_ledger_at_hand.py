"""What is at hand for devices, as conditions of the playbook see it: read once for all devices of a batch of events."""

from datetime import timedelta

from sqlalchemy import event

from infra.ledger import Ledger
from schemas.jobs import NewJob, State
from schemas.limits import Approval, Limits
from schemas.playbook import NO_WORK, DeviceWork
from tests.conftest import Clock
from tests.support.ledger import DEVICE, OTHER, RENEW, ROTATE, ask, claim, claim_one, device, settle, wish

IDLE = device(7)
PROVISION = "ublox.set_provisioning"
APPROVED = Limits(approval=Approval(role="operator"))
HOUR = timedelta(hours=1)


def test_each_device_has_its_own_work(ledger: Ledger, clock: Clock) -> None:
    ask(ledger, clock(), wish())
    settle(ledger, clock(), claim_one(ledger, clock(), ROTATE), State.PARKED)
    ask(ledger, clock(), wish(operation=RENEW))
    settle(ledger, clock(), claim_one(ledger, clock(), RENEW), State.AWAITING, progress={"asked": "once"}, later=HOUR)
    ask(
        ledger, clock(), wish(), wish(OTHER, RENEW), wish(OTHER, RENEW, days=9), wish("Lobby", "twon.rotate_mobile_key")
    )
    work_of = ledger.at_hand.among([DEVICE, OTHER, IDLE], clock())
    assert work_of(DEVICE) == DeviceWork(under_way=(RENEW, ROTATE), asked=(RENEW,), held_up=(ROTATE,), parked=(ROTATE,))
    assert work_of(OTHER) == DeviceWork(under_way=(RENEW,), held_up=(RENEW,))
    assert work_of(IDLE) == NO_WORK


def test_work_that_waits_for_its_own_time_is_not_held_up(ledger: Ledger, clock: Clock) -> None:
    ask(ledger, clock(), wish(operation=RENEW), NewJob(operation=RENEW, target=OTHER, parameters={}, limits=APPROVED))
    assert ledger.at_hand.among([OTHER], clock())(OTHER) == DeviceWork(under_way=(RENEW,), held_up=(RENEW,))
    (job,) = claim(ledger, clock(), RENEW)
    assert ledger.at_hand.among([DEVICE], clock())(DEVICE) == DeviceWork(under_way=(RENEW,))
    settle(ledger, clock(), job, State.AWAITING, later=HOUR)
    assert ledger.at_hand.among([DEVICE], clock())(DEVICE) == DeviceWork(under_way=(RENEW,))


def test_work_that_a_schedule_has_spread_is_held_up_only_when_its_time_has_come(ledger: Ledger, clock: Clock) -> None:
    spread = NewJob(operation=RENEW, target=DEVICE, parameters={}, not_before=clock() + HOUR)
    ask(ledger, clock(), spread)
    assert ledger.at_hand.among([DEVICE], clock())(DEVICE) == DeviceWork(under_way=(RENEW,))
    clock.forward(hours=1)
    assert ledger.at_hand.among([DEVICE], clock())(DEVICE) == DeviceWork(under_way=(RENEW,), held_up=(RENEW,))
    settle(ledger, clock(), claim_one(ledger, clock(), RENEW), State.DUE, later=HOUR)  # u-blox failed
    assert ledger.at_hand.among([DEVICE], clock())(DEVICE) == DeviceWork(under_way=(RENEW,), held_up=(RENEW,))


def test_what_a_device_is_asked_to_enable_is_told(ledger: Ledger, clock: Clock) -> None:
    states = {"LocalDPR": "ENABLED", "LocalC2C": "DISABLED", "ZTPV1": "ENABLED"}
    ask(ledger, clock(), wish(DEVICE, PROVISION, authorizations=states), wish(OTHER, PROVISION, heartbeat_seconds=60))
    assert ledger.at_hand.among([DEVICE], clock())(DEVICE).enabling == ()  # u-blox knows nothing of it yet
    for _ in range(2):
        (job,) = claim(ledger, clock(), PROVISION)
        settle(ledger, clock(), job, State.AWAITING, progress={"asked": "taken"}, later=HOUR)
    work_of = ledger.at_hand.among([DEVICE, OTHER], clock())
    assert (set(work_of(DEVICE).enabling), work_of(OTHER).enabling) == ({"LocalDPR", "ZTPV1"}, ())


def test_the_ledger_is_asked_once_for_all_and_not_before_somebody_asks(ledger: Ledger, clock: Clock) -> None:
    ask(ledger, clock(), wish(), wish(OTHER))
    asked: list[str] = []
    event.listen(ledger.database.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    work_of = ledger.at_hand.among([DEVICE, OTHER, IDLE], clock())
    assert asked == []
    assert [work_of(one).under_way for one in (DEVICE, OTHER, IDLE)] == [(ROTATE,), (ROTATE,), ()]
    assert len([statement for statement in asked if "FROM jobs" in statement]) == 2


def test_a_device_that_was_not_named_is_read_too(ledger: Ledger, clock: Clock) -> None:
    ask(ledger, clock(), wish(OTHER))
    work_of = ledger.at_hand.among([DEVICE], clock())
    assert work_of(DEVICE) == NO_WORK
    assert work_of(OTHER) == DeviceWork(under_way=(ROTATE,), held_up=(ROTATE,))
